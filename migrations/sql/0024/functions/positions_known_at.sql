CREATE OR REPLACE FUNCTION positions_known_at(
    known_time timestamptz DEFAULT 'infinity',
    only_positions text[] DEFAULT NULL
)
RETURNS TABLE (
    position_id text,
    status text,
    phase text,
    market_ticker text,
    side text,
    wallet_address text,
    provider text,
    entry_collateral_usd_pips bigint,
    entry_leverage_bps bigint,
    entry_notional_usd_pips bigint,
    entry_price_usd_pips bigint,
    entry_effective_slippage_bps bigint,
    entry_origination_fee_bps bigint,
    entry_protocol_origination_fee_bps bigint,
    entry_partner_origination_fee_bps bigint,
    entry_origination_fee_usd_pips bigint,
    fees_origination_fee_usd_pips bigint,
    fees_total_fees_usd_pips bigint,
    fees_total_lifetime_fee_usd_pips bigint,
    fees_total_venue_fee_usd_pips bigint,
    result_collected_liquidation_fee_usd_pips bigint,
    result_realized_pnl_usd_pips bigint,
    result_net_realized_pnl_usd_pips bigint,
    opened_at timestamptz,
    opened_at_source text,
    ended_at timestamptz,
    ended_at_source text
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    to_fold text[] := '{}';
BEGIN
    IF known_time < 'infinity' THEN
        -- Of all others positions shows what was known.
        to_fold := positions_to_fold(only_positions, 'infinity', known_time);
    END IF;
    RETURN QUERY
    SELECT
        k.position_id,
        k.status,
        k.phase,
        k.market_ticker,
        k.side,
        k.wallet_address,
        k.provider,
        k.entry_collateral_usd_pips,
        k.entry_leverage_bps,
        k.entry_notional_usd_pips,
        k.entry_price_usd_pips,
        k.entry_effective_slippage_bps,
        k.entry_origination_fee_bps,
        k.entry_protocol_origination_fee_bps,
        k.entry_partner_origination_fee_bps,
        k.entry_origination_fee_usd_pips,
        k.fees_origination_fee_usd_pips,
        k.fees_total_fees_usd_pips,
        k.fees_total_lifetime_fee_usd_pips,
        k.fees_total_venue_fee_usd_pips,
        k.result_collected_liquidation_fee_usd_pips,
        k.result_realized_pnl_usd_pips,
        k.result_net_realized_pnl_usd_pips,
        (k.opened).at,
        (k.opened).source,
        (k.ended).at,
        (k.ended).source
    FROM (
        -- OFFSET 0: each moment is looked up once.
        (
            SELECT
                p.position_id, p.status, p.phase, p.market_ticker, p.side, p.wallet_address,
                p.provider, p.entry_collateral_usd_pips, p.entry_leverage_bps,
                p.entry_notional_usd_pips, p.entry_price_usd_pips, p.entry_effective_slippage_bps,
                p.entry_origination_fee_bps, p.entry_protocol_origination_fee_bps,
                p.entry_partner_origination_fee_bps, p.entry_origination_fee_usd_pips,
                p.fees_origination_fee_usd_pips, p.fees_total_fees_usd_pips,
                p.fees_total_lifetime_fee_usd_pips, p.fees_total_venue_fee_usd_pips,
                p.result_collected_liquidation_fee_usd_pips, p.result_realized_pnl_usd_pips,
                p.result_net_realized_pnl_usd_pips,
                opened_moment(p.position_id, p.phase, p.entry_opened_at, known_time) AS opened,
                ended_moment(
                    p.position_id, p.status, p.phase, p.result_closed_at, known_time
                ) AS ended
            FROM positions p
            WHERE (only_positions IS NULL OR p.position_id = ANY (only_positions))
                AND p.updated_at <= known_time AND p.position_id <> ALL (to_fold)
            OFFSET 0
        )
        UNION ALL
        (
            SELECT
                f.position_id, f.status, f.phase, f.market_ticker, f.side, f.wallet_address,
                f.provider, f.entry_collateral_usd_pips, f.entry_leverage_bps,
                f.entry_notional_usd_pips, f.entry_price_usd_pips, f.entry_effective_slippage_bps,
                f.entry_origination_fee_bps, f.entry_protocol_origination_fee_bps,
                f.entry_partner_origination_fee_bps, f.entry_origination_fee_usd_pips,
                f.fees_origination_fee_usd_pips, f.fees_total_fees_usd_pips,
                f.fees_total_lifetime_fee_usd_pips, f.fees_total_venue_fee_usd_pips,
                f.result_collected_liquidation_fee_usd_pips, f.result_realized_pnl_usd_pips,
                f.result_net_realized_pnl_usd_pips,
                opened_moment(f.position_id, f.phase, f.entry_opened_at, known_time),
                ended_moment(
                    f.position_id, f.status, f.phase, f.result_closed_at, known_time
                )
            FROM (
                SELECT w.position_id, w.seq FROM fold_facts(to_fold, 'infinity', known_time) w
                ORDER BY w.seq OFFSET 0
            ) w
            CROSS JOIN LATERAL (
                SELECT * FROM fact_positions f
                WHERE f.position_id = w.position_id AND f.seq = w.seq
                OFFSET 0
            ) f
            OFFSET 0
        )
    ) k;
END
$$;
COMMENT ON FUNCTION positions_known_at(timestamptz, text[]) IS
    'Each position as it was known at known_time, whenever things happened to it: its identity, entry, fees and result, and when it opened and ended (opened_moment, ended_moment). Now by default. Of one or some positions with only_positions. Of positions that have changed since, the facts known then are folded. What the functions over the book are made from. A time without a zone is of the session''s time zone: write 17:00Z.';
