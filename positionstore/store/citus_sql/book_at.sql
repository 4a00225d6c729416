-- The book of some moments on Citus, which takes no look-up of one row in another's. So the newest
-- fact and the newest reading of each position and moment are found for all of them at once.
CREATE OR REPLACE FUNCTION book_at(moments timestamptz[], known_time timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    at timestamptz,
    position_id text,
    market_ticker text,
    side text,
    wallet_address text,
    provider text,
    opened_at timestamptz,
    entry_collateral_usd_pips bigint,
    entry_notional_usd_pips bigint,
    entry_origination_fee_usd_pips bigint,
    open_interest_usd_pips bigint,
    reading_at timestamptz,
    reading_source text,
    collateral_usd_pips bigint,
    mark_price_usd_pips bigint,
    position_value_usd_pips bigint,
    unrealized_pnl_usd_pips bigint,
    net_unrealized_pnl_usd_pips bigint,
    accrued_lifetime_fee_usd_pips bigint,
    accrued_venue_fee_usd_pips bigint,
    total_fees_usd_pips bigint,
    health_bps bigint,
    liquidation_price_usd_pips bigint,
    liquidation_distance_bps bigint
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH open_then AS MATERIALIZED (
        SELECT
            m.at, k.position_id, k.market_ticker, k.side, k.wallet_address, k.provider, k.opened_at,
            k.entry_collateral_usd_pips, k.entry_notional_usd_pips, k.entry_origination_fee_usd_pips
        FROM positions_known_at(known_time) k
        JOIN (SELECT DISTINCT u.at FROM unnest(moments) u (at)) m
            ON k.opened_at <= m.at AND (k.ended_at IS NULL OR k.ended_at > m.at)
    ),
    -- The newest body of an open position by then. What a result is sorted by and does not show
    -- would make Citus write it in one format and read it in another.
    newest_fact AS MATERIALIZED (
        SELECT r.position_id, r.at, r.seq, r.created_at
        FROM (
            SELECT DISTINCT ON (f.position_id, o.at)
                f.position_id, o.at, f.seq, f.created_at, f.rank
            FROM open_then o
            JOIN ranked_facts f ON f.position_id = o.position_id
            WHERE f.phase = 'live' AND f.created_at <= o.at AND f.received_at <= known_time
                AND NOT EXISTS (
                    SELECT FROM events n
                    WHERE n.position_id = f.position_id AND n.retracts = f.event_id
                        AND is_retracted(n.position_id, n.retracts, known_time)
                )
            ORDER BY f.position_id, o.at, f.created_at DESC, f.rank DESC
        ) r
    ),
    -- The newest reading by then.
    newest_reading AS MATERIALIZED (
        SELECT DISTINCT ON (v.position_id, o.at) v.*, o.at
        FROM open_then o
        JOIN (
            SELECT
                h.position_id, h.as_of, h.notional_usd_pips, h.collateral_usd_pips,
                h.mark_price_usd_pips, h.position_value_usd_pips, h.unrealized_pnl_usd_pips,
                h.net_unrealized_pnl_usd_pips, h.accrued_lifetime_fee_usd_pips,
                h.accrued_venue_fee_usd_pips, h.total_fees_usd_pips, h.health_bps,
                h.current_liquidation_price_usd_pips
            FROM valuation_history h
            UNION ALL
            SELECT
                l.position_id, l.as_of, l.notional_usd_pips, l.collateral_usd_pips,
                l.mark_price_usd_pips, l.position_value_usd_pips, l.unrealized_pnl_usd_pips,
                l.net_unrealized_pnl_usd_pips, l.accrued_lifetime_fee_usd_pips,
                l.accrued_venue_fee_usd_pips, l.total_fees_usd_pips, l.health_bps,
                l.current_liquidation_price_usd_pips
            FROM valuations l
        ) v ON v.position_id = o.position_id AND v.as_of <= least(o.at, known_time)
        ORDER BY v.position_id, o.at, v.as_of DESC
    ),
    shown_by_fact AS MATERIALIZED (
        SELECT f.position_id, f.at, f.seq, f.created_at
        FROM newest_fact f
        LEFT JOIN newest_reading v ON v.position_id = f.position_id AND v.at = f.at
        WHERE (v.as_of >= f.created_at) IS NOT TRUE
    ),
    readings AS MATERIALIZED (
        SELECT
            b.position_id, f.at, f.created_at AS as_of, 'fact' AS source,
            b.current_notional_usd_pips AS notional_usd_pips,
            b.current_collateral_usd_pips AS collateral_usd_pips,
            b.current_mark_price_usd_pips AS mark_price_usd_pips,
            b.current_position_value_usd_pips AS position_value_usd_pips,
            b.current_unrealized_pnl_usd_pips AS unrealized_pnl_usd_pips,
            b.current_net_unrealized_pnl_usd_pips AS net_unrealized_pnl_usd_pips,
            b.fees_accrued_lifetime_fee_usd_pips AS accrued_lifetime_fee_usd_pips,
            b.fees_accrued_venue_fee_usd_pips AS accrued_venue_fee_usd_pips,
            b.fees_total_fees_usd_pips AS total_fees_usd_pips,
            b.risk_health_bps AS health_bps,
            b.risk_current_liquidation_price_usd_pips AS current_liquidation_price_usd_pips
        FROM shown_by_fact f
        JOIN fact_positions b ON b.position_id = f.position_id AND b.seq = f.seq
    ),
    shown AS (
        SELECT * FROM readings
        UNION ALL
        SELECT
            v.position_id, v.at, v.as_of, 'reading', v.notional_usd_pips, v.collateral_usd_pips,
            v.mark_price_usd_pips, v.position_value_usd_pips, v.unrealized_pnl_usd_pips,
            v.net_unrealized_pnl_usd_pips, v.accrued_lifetime_fee_usd_pips,
            v.accrued_venue_fee_usd_pips, v.total_fees_usd_pips, v.health_bps,
            v.current_liquidation_price_usd_pips
        FROM newest_reading v
        LEFT JOIN shown_by_fact f ON f.position_id = v.position_id AND f.at = v.at
        WHERE f.position_id IS NULL
    )
    SELECT
        o.at,
        o.position_id,
        o.market_ticker,
        o.side,
        o.wallet_address,
        o.provider,
        o.opened_at,
        o.entry_collateral_usd_pips,
        o.entry_notional_usd_pips,
        o.entry_origination_fee_usd_pips,
        open_interest(r.notional_usd_pips, o.entry_notional_usd_pips),
        r.as_of,
        r.source,
        r.collateral_usd_pips,
        r.mark_price_usd_pips,
        r.position_value_usd_pips,
        r.unrealized_pnl_usd_pips,
        r.net_unrealized_pnl_usd_pips,
        r.accrued_lifetime_fee_usd_pips,
        r.accrued_venue_fee_usd_pips,
        r.total_fees_usd_pips,
        r.health_bps,
        r.current_liquidation_price_usd_pips,
        bigint_from_wire(div(
            (r.mark_price_usd_pips::numeric - r.current_liquidation_price_usd_pips) * 10000,
            nullif(r.mark_price_usd_pips, 0)
        )::text)
    FROM open_then o
    LEFT JOIN shown r ON r.position_id = o.position_id AND r.at = o.at;
END
$$;
