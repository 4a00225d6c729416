CREATE OR REPLACE FUNCTION pnl_attribution(
    from_day date,
    to_day date,
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (
    day date,
    market_ticker text,
    side text,
    positions bigint,
    price_usd_pips bigint,
    price_usd usd,
    leverage_usd_pips bigint,
    leverage_usd usd,
    slippage_usd_pips bigint,
    slippage_usd usd,
    fees_usd_pips bigint,
    fees_usd usd,
    unexplained_usd_pips bigint,
    unexplained_usd usd,
    net_realized_pnl_usd_pips bigint,
    net_realized_pnl_usd usd,
    unknown bigint
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT
        d.day,
        a.market_ticker,
        a.side,
        count(*),
        bigint_from_wire(coalesce(sum(a.price), 0)::text),
        usd_from_pips(coalesce(sum(a.price), 0))::usd,
        bigint_from_wire(coalesce(sum(a.moved - a.price), 0)::text),
        usd_from_pips(coalesce(sum(a.moved - a.price), 0))::usd,
        bigint_from_wire(coalesce(sum(a.slippage), 0)::text),
        usd_from_pips(coalesce(sum(a.slippage), 0))::usd,
        bigint_from_wire(coalesce(sum(a.fees), 0)::text),
        usd_from_pips(coalesce(sum(a.fees), 0))::usd,
        bigint_from_wire(coalesce(sum(a.unexplained), 0)::text),
        usd_from_pips(coalesce(sum(a.unexplained), 0))::usd,
        bigint_from_wire(coalesce(sum(a.net), 0)::text),
        usd_from_pips(coalesce(sum(a.net), 0))::usd,
        count(*) FILTER (WHERE a.moved IS NULL OR a.net IS NULL)
    FROM (
        SELECT
            p.*,
            coalesce(p.net, 0)::numeric - coalesce(p.moved, 0) - coalesce(p.slippage, 0)
                - coalesce(p.fees, 0) AS unexplained,
            -- What the collateral alone would have earned by the same move.
            div(p.moved::numeric * p.collateral, nullif(p.notional, 0)) AS price
        FROM (
            SELECT
                (k.ended_at AT TIME ZONE zone)::date AS day,
                k.market_ticker,
                k.side,
                k.entry_collateral_usd_pips AS collateral,
                k.entry_notional_usd_pips AS notional,
                k.result_net_realized_pnl_usd_pips AS net,
                c.slippage,
                c.fees,
                CASE
                    WHEN k.entry_collateral_usd_pips IS NOT NULL AND k.entry_notional_usd_pips > 0
                        AND c.fees IS NOT NULL
                    THEN k.result_realized_pnl_usd_pips - c.slippage
                END AS moved
            FROM positions_known_at(known_time) k
            CROSS JOIN LATERAL (
                SELECT
                    -div(
                        k.entry_notional_usd_pips::numeric * k.entry_effective_slippage_bps, 10000
                    ) AS slippage,
                    -k.fees_total_fees_usd_pips::numeric AS fees
            ) c
            WHERE k.ended_at IS NOT NULL AND k.opened_at IS NOT NULL
        ) p
    ) a
    JOIN local_days(from_day, to_day, zone) d ON d.day = a.day
    GROUP BY d.day, a.market_ticker, a.side;
END
$$;
COMMENT ON FUNCTION pnl_attribution(date, date, text, timestamptz) IS
    'Where the net realized PnL of the positions that ended on each day of a time zone came from, by market and side. slippage: notional at entry times effective_slippage_bps, a loss where that is positive (inferred: basis points of the price asked for, over the whole entry). What remains of the realized PnL before fees is the price''s move: price is the part that the collateral alone would have earned, leverage the rest, by the leverage at entry (inferred: unwinds and partial closes change it later, which this does not follow). fees: all fees, a loss. The parts, each cut to whole pips for each position, and unexplained add up to net_realized_pnl exactly; unexplained is what the vendor''s own numbers leave, and of positions that lack one of them, which unknown counts, all that the others do not explain. A sum that does not fit its column is NULL. A time without a zone is of the session''s time zone: write 17:00Z.';
