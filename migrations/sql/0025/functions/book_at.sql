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
    -- Where facts and readings of the position are: what follows is looked up beside them.
    JOIN (
        SELECT DISTINCT e.position_id FROM events e
        JOIN (SELECT DISTINCT n.position_id FROM open_then n) n ON n.position_id = e.position_id
    ) home ON home.position_id = o.position_id
    -- The newest body of an open position by then.
    LEFT JOIN LATERAL (
        SELECT f.seq, f.created_at
        FROM ranked_facts f
        WHERE f.position_id = home.position_id AND f.phase = 'live'
            AND f.created_at <= o.at AND f.received_at <= known_time
            AND NOT EXISTS (
                SELECT FROM events n
                WHERE n.position_id = f.position_id AND n.retracts = f.event_id
                    AND is_retracted(n.position_id, n.retracts, known_time)
            )
        ORDER BY f.created_at DESC, f.rank DESC
        LIMIT 1
    ) f ON true
    -- The newest reading by then.
    LEFT JOIN LATERAL (
        SELECT v.*
        FROM (
            (
                SELECT h.* FROM valuation_history h
                WHERE h.position_id = home.position_id AND h.as_of <= least(o.at, known_time)
                ORDER BY h.as_of DESC
                LIMIT 1
            )
            UNION ALL
            SELECT l.* FROM valuations l
            WHERE l.position_id = home.position_id AND l.as_of <= least(o.at, known_time)
        ) v
        ORDER BY v.as_of DESC
        LIMIT 1
    ) v ON true
    -- What the fact says, where it is newer.
    LEFT JOIN LATERAL (
        SELECT * FROM fact_positions b
        WHERE b.position_id = home.position_id AND b.seq = f.seq
            AND (v.as_of >= f.created_at) IS NOT TRUE
        OFFSET 0
    ) b ON true
    -- One of the two, whole.
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN b.seq IS NULL THEN v.as_of ELSE f.created_at END AS as_of,
            CASE WHEN b.seq IS NOT NULL THEN 'fact' WHEN v.as_of IS NOT NULL THEN 'reading' END
                AS source,
            CASE WHEN b.seq IS NULL THEN v.notional_usd_pips ELSE b.current_notional_usd_pips END
                AS notional_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.collateral_usd_pips ELSE b.current_collateral_usd_pips END
                AS collateral_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.mark_price_usd_pips ELSE b.current_mark_price_usd_pips END
                AS mark_price_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.position_value_usd_pips ELSE b.current_position_value_usd_pips END
                AS position_value_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.unrealized_pnl_usd_pips ELSE b.current_unrealized_pnl_usd_pips END
                AS unrealized_pnl_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.net_unrealized_pnl_usd_pips ELSE b.current_net_unrealized_pnl_usd_pips END
                AS net_unrealized_pnl_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.accrued_lifetime_fee_usd_pips ELSE b.fees_accrued_lifetime_fee_usd_pips END
                AS accrued_lifetime_fee_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.accrued_venue_fee_usd_pips ELSE b.fees_accrued_venue_fee_usd_pips END
                AS accrued_venue_fee_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.total_fees_usd_pips ELSE b.fees_total_fees_usd_pips END
                AS total_fees_usd_pips,
            CASE WHEN b.seq IS NULL THEN v.health_bps ELSE b.risk_health_bps END
                AS health_bps,
            CASE WHEN b.seq IS NULL THEN v.current_liquidation_price_usd_pips ELSE b.risk_current_liquidation_price_usd_pips END
                AS current_liquidation_price_usd_pips
    ) r;
END
$$;
COMMENT ON FUNCTION book_at(timestamptz[], timestamptz) IS
    'The open positions at each of some moments, as it really was by what was known at known_time, each with its newest reading by then: of valuation_history or valuations (reading), or of its newest fact (fact), whichever is newer, always whole. Open are those from opened_at until ended_at. reading_at says how old the reading is; all that moves with the market is NULL where none is. Without POSITIONSTORE_VALUATION_HISTORY a past moment knows facts alone. liquidation_distance_bps is the part of the mark price that it may lose until liquidation: inferred, for a long holder of the token; NULL where it does not fit. A moment to come shows what is known now. Each position and moment costs a look-up or two. A time without a zone is of the session''s time zone: write 17:00Z.';
