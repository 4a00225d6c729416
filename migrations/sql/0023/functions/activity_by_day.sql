CREATE OR REPLACE FUNCTION activity_by_day(
    from_day date,
    to_day date,
    zone text DEFAULT 'UTC',
    known_time timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (
    day date,
    market_ticker text,
    side text,
    opened bigint,
    closed bigint,
    settled bigint,
    liquidated bigint,
    cancelled bigint,
    volume_usd_pips bigint,
    volume_usd usd,
    fees_usd_pips bigint,
    fees_usd usd,
    realized_pnl_usd_pips bigint,
    realized_pnl_usd usd,
    net_realized_pnl_usd_pips bigint,
    net_realized_pnl_usd usd
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
        count(*) FILTER (WHERE a.happened = 'opened'),
        count(*) FILTER (WHERE a.happened = 'closed'),
        count(*) FILTER (WHERE a.happened = 'settled'),
        count(*) FILTER (WHERE a.happened = 'liquidated'),
        count(*) FILTER (WHERE a.happened = 'cancelled'),
        bigint_from_wire(coalesce(sum(a.volume), 0)::text),
        usd_from_pips(coalesce(sum(a.volume), 0))::usd,
        bigint_from_wire(coalesce(sum(a.fees), 0)::text),
        usd_from_pips(coalesce(sum(a.fees), 0))::usd,
        bigint_from_wire(coalesce(sum(a.realized), 0)::text),
        usd_from_pips(coalesce(sum(a.realized), 0))::usd,
        bigint_from_wire(coalesce(sum(a.net_realized), 0)::text),
        usd_from_pips(coalesce(sum(a.net_realized), 0))::usd
    FROM positions_known_at(known_time) k
    CROSS JOIN LATERAL (
        VALUES
            (k.opened_at, 'opened', k.entry_notional_usd_pips, NULL::bigint, NULL::bigint, NULL::bigint),
            (k.ended_at, k.status, NULL, k.fees_total_fees_usd_pips,
                k.result_realized_pnl_usd_pips, k.result_net_realized_pnl_usd_pips)
    ) h (at, happened, volume, fees, realized, net_realized)
    CROSS JOIN LATERAL (
        SELECT (h.at AT TIME ZONE zone)::date AS day, k.market_ticker, k.side, h.*
    ) a
    JOIN local_days(from_day, to_day, zone) d ON d.day = a.day
    WHERE h.at IS NOT NULL
    GROUP BY d.day, a.market_ticker, a.side;
END
$$;
COMMENT ON FUNCTION activity_by_day(date, date, text, timestamptz) IS
    'daily_activity for the days of any time zone, as it was known at known_time: with the moment at which a report was made it gives that report again, and without it what the same days look like by what is known today. A sum that does not fit its column is NULL. A time without a zone is of the session''s time zone: write 17:00Z.';
