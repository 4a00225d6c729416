CREATE OR REPLACE FUNCTION positions_as_of(
    valid_at timestamptz,
    known_at timestamptz DEFAULT 'infinity',
    of_position text DEFAULT NULL,
    of_wallet text DEFAULT NULL
)
RETURNS TABLE (
    position_id text,
    status text,
    phase text,
    market_ticker text,
    market_title text,
    side text,
    wallet_address text,
    on_chain_position_key text,
    provider text,
    effective_leverage_bps bigint,
    entry_collateral_usd_pips bigint,
    entry_leverage_bps bigint,
    entry_notional_usd_pips bigint,
    entry_opened_at timestamptz,
    entry_origination_fee_bps bigint,
    entry_protocol_origination_fee_bps bigint,
    entry_partner_origination_fee_bps bigint,
    entry_origination_fee_usd_pips bigint,
    entry_price_usd_pips bigint,
    entry_effective_entry_price_usd_pips bigint,
    entry_effective_slippage_bps bigint,
    entry_position_token_units token_units,
    entry_initial_fill_bps bigint,
    current_collateral_usd_pips bigint,
    current_effective_collateral_usd_pips bigint,
    current_leverage_bps bigint,
    current_book_leverage_bps bigint,
    current_mark_price_usd_pips bigint,
    current_notional_usd_pips bigint,
    current_position_token_units token_units,
    current_position_value_usd_pips bigint,
    current_unrealized_pnl_bps bigint,
    current_unrealized_pnl_usd_pips bigint,
    current_net_unrealized_pnl_bps bigint,
    current_net_unrealized_pnl_usd_pips bigint,
    current_remaining_bps bigint,
    risk_current_liquidation_price_usd_pips bigint,
    risk_health_bps bigint,
    risk_liquidation_buffer_bps bigint,
    risk_liquidation_fee_bps bigint,
    risk_margin_buffer_usd_pips bigint,
    fees_accrued_lifetime_fee_usd_pips bigint,
    fees_accrued_venue_fee_usd_pips bigint,
    fees_pending_lifetime_fee_usd_pips bigint,
    fees_lifetime_apr_bps bigint,
    fees_origination_fee_bps bigint,
    fees_origination_fee_usd_pips bigint,
    fees_total_fees_usd_pips bigint,
    fees_total_lifetime_fee_usd_pips bigint,
    fees_total_venue_fee_usd_pips bigint,
    timing_market_close_time timestamptz,
    timing_market_status text,
    timing_settlement_state text,
    timing_time_to_close_minutes bigint,
    timing_is_voided boolean,
    timing_is_settlement_pending boolean,
    result_closed_at timestamptz,
    result_collected_lifetime_fee_usd_pips bigint,
    result_collected_liquidation_fee_usd_pips bigint,
    result_proceeds_usd_pips bigint,
    result_realized_pnl_usd_pips bigint,
    result_net_realized_pnl_bps bigint,
    result_net_realized_pnl_usd_pips bigint,
    close_reason text,
    failure_reason text,
    data jsonb,
    misfit_fields text[],
    last_event_id text,
    last_event_type text,
    last_event_at timestamptz,
    source text,
    supersedes_before timestamptz,
    updated_at timestamptz
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off -- compiling so many columns costs more than it saves
AS $$
#variable_conflict use_column
DECLARE
    asked text[];
    to_fold text[];
BEGIN
    IF of_position IS NOT NULL THEN
        asked := ARRAY[of_position];
    ELSIF of_wallet IS NOT NULL THEN
        asked := ARRAY(
            SELECT p.position_id FROM positions p
            WHERE p.wallet_address = address_from_wire(of_wallet)
        );
    END IF;
    to_fold := positions_to_fold(asked, positions_as_of.valid_at, positions_as_of.known_at);
    -- Of all others positions shows what was.
    RETURN QUERY
    SELECT
        p.position_id,
        p.status,
        p.phase,
        p.market_ticker,
        p.market_title,
        p.side,
        p.wallet_address,
        p.on_chain_position_key,
        p.provider,
        p.effective_leverage_bps,
        p.entry_collateral_usd_pips,
        p.entry_leverage_bps,
        p.entry_notional_usd_pips,
        p.entry_opened_at,
        p.entry_origination_fee_bps,
        p.entry_protocol_origination_fee_bps,
        p.entry_partner_origination_fee_bps,
        p.entry_origination_fee_usd_pips,
        p.entry_price_usd_pips,
        p.entry_effective_entry_price_usd_pips,
        p.entry_effective_slippage_bps,
        p.entry_position_token_units::token_units,
        p.entry_initial_fill_bps,
        p.current_collateral_usd_pips,
        p.current_effective_collateral_usd_pips,
        p.current_leverage_bps,
        p.current_book_leverage_bps,
        p.current_mark_price_usd_pips,
        p.current_notional_usd_pips,
        p.current_position_token_units::token_units,
        p.current_position_value_usd_pips,
        p.current_unrealized_pnl_bps,
        p.current_unrealized_pnl_usd_pips,
        p.current_net_unrealized_pnl_bps,
        p.current_net_unrealized_pnl_usd_pips,
        p.current_remaining_bps,
        p.risk_current_liquidation_price_usd_pips,
        p.risk_health_bps,
        p.risk_liquidation_buffer_bps,
        p.risk_liquidation_fee_bps,
        p.risk_margin_buffer_usd_pips,
        p.fees_accrued_lifetime_fee_usd_pips,
        p.fees_accrued_venue_fee_usd_pips,
        p.fees_pending_lifetime_fee_usd_pips,
        p.fees_lifetime_apr_bps,
        p.fees_origination_fee_bps,
        p.fees_origination_fee_usd_pips,
        p.fees_total_fees_usd_pips,
        p.fees_total_lifetime_fee_usd_pips,
        p.fees_total_venue_fee_usd_pips,
        p.timing_market_close_time,
        p.timing_market_status,
        p.timing_settlement_state,
        p.timing_time_to_close_minutes,
        p.timing_is_voided,
        p.timing_is_settlement_pending,
        p.result_closed_at,
        p.result_collected_lifetime_fee_usd_pips,
        p.result_collected_liquidation_fee_usd_pips,
        p.result_proceeds_usd_pips,
        p.result_realized_pnl_usd_pips,
        p.result_net_realized_pnl_bps,
        p.result_net_realized_pnl_usd_pips,
        p.close_reason,
        p.failure_reason,
        p.data,
        p.misfit_fields,
        p.last_event_id,
        p.last_event_type,
        p.last_event_at,
        p.source,
        p.supersedes_before,
        p.updated_at
    FROM positions p
    WHERE (asked IS NULL OR p.position_id = ANY (asked))
        AND p.last_event_at <= positions_as_of.valid_at
        AND p.updated_at <= positions_as_of.known_at
        AND p.position_id <> ALL (to_fold)
        AND (of_wallet IS NULL OR p.wallet_address = address_from_wire(of_wallet));
    IF to_fold = '{}' THEN
        RETURN;
    END IF;
    -- OFFSET 0: one look-up by key a position, whatever the planner thinks of their number.
    RETURN QUERY
    SELECT
        f.position_id,
        f.status,
        f.phase,
        f.market_ticker,
        f.market_title,
        f.side,
        f.wallet_address,
        f.on_chain_position_key,
        f.provider,
        f.effective_leverage_bps,
        f.entry_collateral_usd_pips,
        f.entry_leverage_bps,
        f.entry_notional_usd_pips,
        f.entry_opened_at,
        f.entry_origination_fee_bps,
        f.entry_protocol_origination_fee_bps,
        f.entry_partner_origination_fee_bps,
        f.entry_origination_fee_usd_pips,
        f.entry_price_usd_pips,
        f.entry_effective_entry_price_usd_pips,
        f.entry_effective_slippage_bps,
        f.entry_position_token_units::token_units,
        f.entry_initial_fill_bps,
        f.current_collateral_usd_pips,
        f.current_effective_collateral_usd_pips,
        f.current_leverage_bps,
        f.current_book_leverage_bps,
        f.current_mark_price_usd_pips,
        f.current_notional_usd_pips,
        f.current_position_token_units::token_units,
        f.current_position_value_usd_pips,
        f.current_unrealized_pnl_bps,
        f.current_unrealized_pnl_usd_pips,
        f.current_net_unrealized_pnl_bps,
        f.current_net_unrealized_pnl_usd_pips,
        f.current_remaining_bps,
        f.risk_current_liquidation_price_usd_pips,
        f.risk_health_bps,
        f.risk_liquidation_buffer_bps,
        f.risk_liquidation_fee_bps,
        f.risk_margin_buffer_usd_pips,
        f.fees_accrued_lifetime_fee_usd_pips,
        f.fees_accrued_venue_fee_usd_pips,
        f.fees_pending_lifetime_fee_usd_pips,
        f.fees_lifetime_apr_bps,
        f.fees_origination_fee_bps,
        f.fees_origination_fee_usd_pips,
        f.fees_total_fees_usd_pips,
        f.fees_total_lifetime_fee_usd_pips,
        f.fees_total_venue_fee_usd_pips,
        f.timing_market_close_time,
        f.timing_market_status,
        f.timing_settlement_state,
        f.timing_time_to_close_minutes,
        f.timing_is_voided,
        f.timing_is_settlement_pending,
        f.result_closed_at,
        f.result_collected_lifetime_fee_usd_pips,
        f.result_collected_liquidation_fee_usd_pips,
        f.result_proceeds_usd_pips,
        f.result_realized_pnl_usd_pips,
        f.result_net_realized_pnl_bps,
        f.result_net_realized_pnl_usd_pips,
        f.close_reason,
        f.failure_reason,
        f.data,
        f.misfit_fields,
        f.last_event_id,
        f.last_event_type,
        f.last_event_at,
        f.source,
        w.supersedes_before,
        f.updated_at
    FROM (
        SELECT * FROM fold_facts(to_fold, positions_as_of.valid_at, positions_as_of.known_at)
        ORDER BY seq OFFSET 0 -- as it lies in the log
    ) w
    CROSS JOIN LATERAL (
        SELECT * FROM fact_positions f
        WHERE f.position_id = w.position_id AND f.seq = w.seq
        OFFSET 0
    ) f
    WHERE of_wallet IS NULL OR f.wallet_address = address_from_wire(of_wallet);
END
$$;
COMMENT ON FUNCTION positions_as_of(timestamptz, timestamptz, text, text) IS
    'The book as the facts said it: by the facts created by valid_at that had been received by known_at, rows like those of positions. A position that had closed by then, though only a later fact says so, is still open here; positions_valid_at is the book as it really was. Of one position or one wallet it is quick: positions_as_of(t, of_position => ...), positions_as_of(t, of_wallet => ...); a wallet may be spelled in any case, if it is a 0x address. At infinity it is positions. A time without a zone is of the session''s time zone: write 17:00Z.';
