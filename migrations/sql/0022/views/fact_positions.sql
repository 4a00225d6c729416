CREATE OR REPLACE VIEW fact_positions WITH (security_invoker = true) AS
SELECT
    f.seq,
    f.position_id,
    f.status,
    f.phase,
    x.market_ticker,
    x.market_title,
    x.side,
    x.wallet_address,
    x.on_chain_position_key,
    x.provider,
    x.effective_leverage_bps,
    x.entry_collateral_usd_pips,
    x.entry_leverage_bps,
    x.entry_notional_usd_pips,
    x.entry_opened_at,
    x.entry_origination_fee_bps,
    x.entry_protocol_origination_fee_bps,
    x.entry_partner_origination_fee_bps,
    x.entry_origination_fee_usd_pips,
    x.entry_price_usd_pips,
    x.entry_effective_entry_price_usd_pips,
    x.entry_effective_slippage_bps,
    x.entry_position_token_units,
    x.entry_initial_fill_bps,
    x.current_collateral_usd_pips,
    x.current_effective_collateral_usd_pips,
    x.current_leverage_bps,
    x.current_book_leverage_bps,
    x.current_mark_price_usd_pips,
    x.current_notional_usd_pips,
    x.current_position_token_units,
    x.current_position_value_usd_pips,
    x.current_unrealized_pnl_bps,
    x.current_unrealized_pnl_usd_pips,
    x.current_net_unrealized_pnl_bps,
    x.current_net_unrealized_pnl_usd_pips,
    x.current_remaining_bps,
    x.risk_current_liquidation_price_usd_pips,
    x.risk_health_bps,
    x.risk_liquidation_buffer_bps,
    x.risk_liquidation_fee_bps,
    x.risk_margin_buffer_usd_pips,
    x.fees_accrued_lifetime_fee_usd_pips,
    x.fees_accrued_venue_fee_usd_pips,
    x.fees_pending_lifetime_fee_usd_pips,
    x.fees_lifetime_apr_bps,
    x.fees_origination_fee_bps,
    x.fees_origination_fee_usd_pips,
    x.fees_total_fees_usd_pips,
    x.fees_total_lifetime_fee_usd_pips,
    x.fees_total_venue_fee_usd_pips,
    x.timing_market_close_time,
    x.timing_market_status,
    x.timing_settlement_state,
    x.timing_time_to_close_minutes,
    x.timing_is_voided,
    x.timing_is_settlement_pending,
    x.result_closed_at,
    x.result_collected_lifetime_fee_usd_pips,
    x.result_collected_liquidation_fee_usd_pips,
    x.result_proceeds_usd_pips,
    x.result_realized_pnl_usd_pips,
    x.result_net_realized_pnl_bps,
    x.result_net_realized_pnl_usd_pips,
    x.close_reason,
    x.failure_reason,
    x.data,
    x.misfit_fields,
    f.event_id AS last_event_id,
    f.type AS last_event_type,
    f.created_at AS last_event_at,
    f.source,
    f.received_at AS updated_at
FROM ranked_facts f
CROSS JOIN LATERAL (
SELECT
    CASE WHEN fits.plainly OR jsonb_typeof(top.market_ticker) = 'string' THEN top.market_ticker #>> '{}' END AS market_ticker,
    CASE WHEN fits.plainly OR jsonb_typeof(top.market_title) = 'string' THEN top.market_title #>> '{}' END AS market_title,
    CASE WHEN fits.plainly OR jsonb_typeof(top.side) = 'string' THEN top.side #>> '{}' END AS side,
    CASE WHEN fits.plainly OR jsonb_typeof(top.wallet_address) = 'string' THEN address_from_wire(top.wallet_address #>> '{}') END AS wallet_address,
    CASE WHEN fits.plainly OR jsonb_typeof(top.on_chain_position_key) = 'string' THEN address_from_wire(top.on_chain_position_key #>> '{}') END AS on_chain_position_key,
    CASE WHEN fits.plainly OR jsonb_typeof(top.provider) = 'string' THEN top.provider #>> '{}' END AS provider,
    CASE WHEN fits.plainly THEN top.effective_leverage_bps::bigint ELSE bigint_from_wire(top.effective_leverage_bps) END AS effective_leverage_bps,
    CASE WHEN fits.plainly THEN field.entry_collateral_usd_pips::bigint ELSE bigint_from_wire(field.entry_collateral_usd_pips) END AS entry_collateral_usd_pips,
    CASE WHEN fits.plainly THEN field.entry_leverage_bps::bigint ELSE bigint_from_wire(field.entry_leverage_bps) END AS entry_leverage_bps,
    CASE WHEN fits.plainly THEN field.entry_notional_usd_pips::bigint ELSE bigint_from_wire(field.entry_notional_usd_pips) END AS entry_notional_usd_pips,
    fits.entry_opened_at AS entry_opened_at,
    CASE WHEN fits.plainly THEN field.entry_origination_fee_bps::bigint ELSE bigint_from_wire(field.entry_origination_fee_bps) END AS entry_origination_fee_bps,
    CASE WHEN fits.plainly THEN field.entry_protocol_origination_fee_bps::bigint ELSE bigint_from_wire(field.entry_protocol_origination_fee_bps) END AS entry_protocol_origination_fee_bps,
    CASE WHEN fits.plainly THEN field.entry_partner_origination_fee_bps::bigint ELSE bigint_from_wire(field.entry_partner_origination_fee_bps) END AS entry_partner_origination_fee_bps,
    CASE WHEN fits.plainly THEN field.entry_origination_fee_usd_pips::bigint ELSE bigint_from_wire(field.entry_origination_fee_usd_pips) END AS entry_origination_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.entry_price_usd_pips::bigint ELSE bigint_from_wire(field.entry_price_usd_pips) END AS entry_price_usd_pips,
    CASE WHEN fits.plainly THEN field.entry_effective_entry_price_usd_pips::bigint ELSE bigint_from_wire(field.entry_effective_entry_price_usd_pips) END AS entry_effective_entry_price_usd_pips,
    CASE WHEN fits.plainly THEN field.entry_effective_slippage_bps::bigint ELSE bigint_from_wire(field.entry_effective_slippage_bps) END AS entry_effective_slippage_bps,
    (CASE WHEN fits.plainly OR (length(field.entry_position_token_units) <= 1000 AND field.entry_position_token_units ~ '^-?0*[0-9]{1,38}$') THEN field.entry_position_token_units END)::numeric(38,0) AS entry_position_token_units,
    CASE WHEN fits.plainly THEN field.entry_initial_fill_bps::bigint ELSE bigint_from_wire(field.entry_initial_fill_bps) END AS entry_initial_fill_bps,
    CASE WHEN fits.plainly THEN field.current_collateral_usd_pips::bigint ELSE bigint_from_wire(field.current_collateral_usd_pips) END AS current_collateral_usd_pips,
    CASE WHEN fits.plainly THEN field.current_effective_collateral_usd_pips::bigint ELSE bigint_from_wire(field.current_effective_collateral_usd_pips) END AS current_effective_collateral_usd_pips,
    CASE WHEN fits.plainly THEN field.current_leverage_bps::bigint ELSE bigint_from_wire(field.current_leverage_bps) END AS current_leverage_bps,
    CASE WHEN fits.plainly THEN field.current_book_leverage_bps::bigint ELSE bigint_from_wire(field.current_book_leverage_bps) END AS current_book_leverage_bps,
    CASE WHEN fits.plainly THEN field.current_mark_price_usd_pips::bigint ELSE bigint_from_wire(field.current_mark_price_usd_pips) END AS current_mark_price_usd_pips,
    CASE WHEN fits.plainly THEN field.current_notional_usd_pips::bigint ELSE bigint_from_wire(field.current_notional_usd_pips) END AS current_notional_usd_pips,
    (CASE WHEN fits.plainly OR (length(field.current_position_token_units) <= 1000 AND field.current_position_token_units ~ '^-?0*[0-9]{1,38}$') THEN field.current_position_token_units END)::numeric(38,0) AS current_position_token_units,
    CASE WHEN fits.plainly THEN field.current_position_value_usd_pips::bigint ELSE bigint_from_wire(field.current_position_value_usd_pips) END AS current_position_value_usd_pips,
    CASE WHEN fits.plainly THEN field.current_unrealized_pnl_bps::bigint ELSE bigint_from_wire(field.current_unrealized_pnl_bps) END AS current_unrealized_pnl_bps,
    CASE WHEN fits.plainly THEN field.current_unrealized_pnl_usd_pips::bigint ELSE bigint_from_wire(field.current_unrealized_pnl_usd_pips) END AS current_unrealized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN field.current_net_unrealized_pnl_bps::bigint ELSE bigint_from_wire(field.current_net_unrealized_pnl_bps) END AS current_net_unrealized_pnl_bps,
    CASE WHEN fits.plainly THEN field.current_net_unrealized_pnl_usd_pips::bigint ELSE bigint_from_wire(field.current_net_unrealized_pnl_usd_pips) END AS current_net_unrealized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN field.current_remaining_bps::bigint ELSE bigint_from_wire(field.current_remaining_bps) END AS current_remaining_bps,
    CASE WHEN fits.plainly THEN field.risk_current_liquidation_price_usd_pips::bigint ELSE bigint_from_wire(field.risk_current_liquidation_price_usd_pips) END AS risk_current_liquidation_price_usd_pips,
    CASE WHEN fits.plainly THEN field.risk_health_bps::bigint ELSE bigint_from_wire(field.risk_health_bps) END AS risk_health_bps,
    CASE WHEN fits.plainly THEN field.risk_liquidation_buffer_bps::bigint ELSE bigint_from_wire(field.risk_liquidation_buffer_bps) END AS risk_liquidation_buffer_bps,
    CASE WHEN fits.plainly THEN field.risk_liquidation_fee_bps::bigint ELSE bigint_from_wire(field.risk_liquidation_fee_bps) END AS risk_liquidation_fee_bps,
    CASE WHEN fits.plainly THEN field.risk_margin_buffer_usd_pips::bigint ELSE bigint_from_wire(field.risk_margin_buffer_usd_pips) END AS risk_margin_buffer_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_accrued_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_accrued_lifetime_fee_usd_pips) END AS fees_accrued_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_accrued_venue_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_accrued_venue_fee_usd_pips) END AS fees_accrued_venue_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_pending_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_pending_lifetime_fee_usd_pips) END AS fees_pending_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_lifetime_apr_bps::bigint ELSE bigint_from_wire(field.fees_lifetime_apr_bps) END AS fees_lifetime_apr_bps,
    CASE WHEN fits.plainly THEN field.fees_origination_fee_bps::bigint ELSE bigint_from_wire(field.fees_origination_fee_bps) END AS fees_origination_fee_bps,
    CASE WHEN fits.plainly THEN field.fees_origination_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_origination_fee_usd_pips) END AS fees_origination_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_total_fees_usd_pips::bigint ELSE bigint_from_wire(field.fees_total_fees_usd_pips) END AS fees_total_fees_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_total_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_total_lifetime_fee_usd_pips) END AS fees_total_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.fees_total_venue_fee_usd_pips::bigint ELSE bigint_from_wire(field.fees_total_venue_fee_usd_pips) END AS fees_total_venue_fee_usd_pips,
    fits.timing_market_close_time AS timing_market_close_time,
    CASE WHEN fits.plainly OR jsonb_typeof(field.timing_market_status) = 'string' THEN field.timing_market_status #>> '{}' END AS timing_market_status,
    CASE WHEN fits.plainly OR jsonb_typeof(field.timing_settlement_state) = 'string' THEN field.timing_settlement_state #>> '{}' END AS timing_settlement_state,
    CASE WHEN fits.plainly THEN field.timing_time_to_close_minutes::bigint ELSE bigint_from_wire(field.timing_time_to_close_minutes) END AS timing_time_to_close_minutes,
    CASE WHEN fits.plainly OR jsonb_typeof(field.timing_is_voided) = 'boolean' THEN field.timing_is_voided::boolean END AS timing_is_voided,
    CASE WHEN fits.plainly OR jsonb_typeof(field.timing_is_settlement_pending) = 'boolean' THEN field.timing_is_settlement_pending::boolean END AS timing_is_settlement_pending,
    fits.result_closed_at AS result_closed_at,
    CASE WHEN fits.plainly THEN field.result_collected_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(field.result_collected_lifetime_fee_usd_pips) END AS result_collected_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.result_collected_liquidation_fee_usd_pips::bigint ELSE bigint_from_wire(field.result_collected_liquidation_fee_usd_pips) END AS result_collected_liquidation_fee_usd_pips,
    CASE WHEN fits.plainly THEN field.result_proceeds_usd_pips::bigint ELSE bigint_from_wire(field.result_proceeds_usd_pips) END AS result_proceeds_usd_pips,
    CASE WHEN fits.plainly THEN field.result_realized_pnl_usd_pips::bigint ELSE bigint_from_wire(field.result_realized_pnl_usd_pips) END AS result_realized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN field.result_net_realized_pnl_bps::bigint ELSE bigint_from_wire(field.result_net_realized_pnl_bps) END AS result_net_realized_pnl_bps,
    CASE WHEN fits.plainly THEN field.result_net_realized_pnl_usd_pips::bigint ELSE bigint_from_wire(field.result_net_realized_pnl_usd_pips) END AS result_net_realized_pnl_usd_pips,
    CASE WHEN fits.plainly OR jsonb_typeof(top.close_reason) = 'string' THEN top.close_reason #>> '{}' END AS close_reason,
    CASE WHEN fits.plainly OR jsonb_typeof(field.failure_reason) = 'string' THEN field.failure_reason #>> '{}' END AS failure_reason,
    body.data,
    CASE WHEN fits.plainly
        AND (field.entry_opened_at IS NULL) = (fits.entry_opened_at IS NULL)
        AND (field.timing_market_close_time IS NULL) = (fits.timing_market_close_time IS NULL)
        AND (field.result_closed_at IS NULL) = (fits.result_closed_at IS NULL) THEN '{}' ELSE array_remove(ARRAY[
        CASE WHEN jsonb_typeof(top.entry) <> 'object' THEN 'entry' END,
        CASE WHEN jsonb_typeof(top.current) <> 'object' THEN 'current' END,
        CASE WHEN jsonb_typeof(top.risk) <> 'object' THEN 'risk' END,
        CASE WHEN jsonb_typeof(top.fees) <> 'object' THEN 'fees' END,
        CASE WHEN jsonb_typeof(top.timing) <> 'object' THEN 'timing' END,
        CASE WHEN jsonb_typeof(top.result) <> 'object' THEN 'result' END,
        CASE WHEN jsonb_typeof(top.failure) <> 'object' THEN 'failure' END,
        CASE WHEN jsonb_typeof(top.market_ticker) <> 'string' THEN 'market_ticker' END,
        CASE WHEN jsonb_typeof(top.market_title) <> 'string' THEN 'market_title' END,
        CASE WHEN jsonb_typeof(top.side) <> 'string' THEN 'side' END,
        CASE WHEN jsonb_typeof(top.wallet_address) <> 'string' THEN 'wallet_address' END,
        CASE WHEN jsonb_typeof(top.on_chain_position_key) <> 'string' THEN 'on_chain_position_key' END,
        CASE WHEN jsonb_typeof(top.provider) <> 'string' THEN 'provider' END,
        CASE WHEN top.effective_leverage_bps IS NOT NULL AND bigint_from_wire(top.effective_leverage_bps) IS NULL THEN 'effective_leverage_bps' END,
        CASE WHEN field.entry_collateral_usd_pips IS NOT NULL AND bigint_from_wire(field.entry_collateral_usd_pips) IS NULL THEN 'entry.collateral_usd_pips' END,
        CASE WHEN field.entry_leverage_bps IS NOT NULL AND bigint_from_wire(field.entry_leverage_bps) IS NULL THEN 'entry.leverage_bps' END,
        CASE WHEN field.entry_notional_usd_pips IS NOT NULL AND bigint_from_wire(field.entry_notional_usd_pips) IS NULL THEN 'entry.notional_usd_pips' END,
        CASE WHEN field.entry_opened_at IS NOT NULL AND fits.entry_opened_at IS NULL THEN 'entry.opened_at' END,
        CASE WHEN field.entry_origination_fee_bps IS NOT NULL AND bigint_from_wire(field.entry_origination_fee_bps) IS NULL THEN 'entry.origination_fee_bps' END,
        CASE WHEN field.entry_protocol_origination_fee_bps IS NOT NULL AND bigint_from_wire(field.entry_protocol_origination_fee_bps) IS NULL THEN 'entry.protocol_origination_fee_bps' END,
        CASE WHEN field.entry_partner_origination_fee_bps IS NOT NULL AND bigint_from_wire(field.entry_partner_origination_fee_bps) IS NULL THEN 'entry.partner_origination_fee_bps' END,
        CASE WHEN field.entry_origination_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.entry_origination_fee_usd_pips) IS NULL THEN 'entry.origination_fee_usd_pips' END,
        CASE WHEN field.entry_price_usd_pips IS NOT NULL AND bigint_from_wire(field.entry_price_usd_pips) IS NULL THEN 'entry.price_usd_pips' END,
        CASE WHEN field.entry_effective_entry_price_usd_pips IS NOT NULL AND bigint_from_wire(field.entry_effective_entry_price_usd_pips) IS NULL THEN 'entry.effective_entry_price_usd_pips' END,
        CASE WHEN field.entry_effective_slippage_bps IS NOT NULL AND bigint_from_wire(field.entry_effective_slippage_bps) IS NULL THEN 'entry.effective_slippage_bps' END,
        CASE WHEN length(field.entry_position_token_units) > 1000 OR field.entry_position_token_units !~ '^-?0*[0-9]{1,38}$' THEN 'entry.position_token_units' END,
        CASE WHEN field.entry_initial_fill_bps IS NOT NULL AND bigint_from_wire(field.entry_initial_fill_bps) IS NULL THEN 'entry.initial_fill_bps' END,
        CASE WHEN field.current_collateral_usd_pips IS NOT NULL AND bigint_from_wire(field.current_collateral_usd_pips) IS NULL THEN 'current.collateral_usd_pips' END,
        CASE WHEN field.current_effective_collateral_usd_pips IS NOT NULL AND bigint_from_wire(field.current_effective_collateral_usd_pips) IS NULL THEN 'current.effective_collateral_usd_pips' END,
        CASE WHEN field.current_leverage_bps IS NOT NULL AND bigint_from_wire(field.current_leverage_bps) IS NULL THEN 'current.leverage_bps' END,
        CASE WHEN field.current_book_leverage_bps IS NOT NULL AND bigint_from_wire(field.current_book_leverage_bps) IS NULL THEN 'current.book_leverage_bps' END,
        CASE WHEN field.current_mark_price_usd_pips IS NOT NULL AND bigint_from_wire(field.current_mark_price_usd_pips) IS NULL THEN 'current.mark_price_usd_pips' END,
        CASE WHEN field.current_notional_usd_pips IS NOT NULL AND bigint_from_wire(field.current_notional_usd_pips) IS NULL THEN 'current.notional_usd_pips' END,
        CASE WHEN length(field.current_position_token_units) > 1000 OR field.current_position_token_units !~ '^-?0*[0-9]{1,38}$' THEN 'current.position_token_units' END,
        CASE WHEN field.current_position_value_usd_pips IS NOT NULL AND bigint_from_wire(field.current_position_value_usd_pips) IS NULL THEN 'current.position_value_usd_pips' END,
        CASE WHEN field.current_unrealized_pnl_bps IS NOT NULL AND bigint_from_wire(field.current_unrealized_pnl_bps) IS NULL THEN 'current.unrealized_pnl_bps' END,
        CASE WHEN field.current_unrealized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(field.current_unrealized_pnl_usd_pips) IS NULL THEN 'current.unrealized_pnl_usd_pips' END,
        CASE WHEN field.current_net_unrealized_pnl_bps IS NOT NULL AND bigint_from_wire(field.current_net_unrealized_pnl_bps) IS NULL THEN 'current.net_unrealized_pnl_bps' END,
        CASE WHEN field.current_net_unrealized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(field.current_net_unrealized_pnl_usd_pips) IS NULL THEN 'current.net_unrealized_pnl_usd_pips' END,
        CASE WHEN field.current_remaining_bps IS NOT NULL AND bigint_from_wire(field.current_remaining_bps) IS NULL THEN 'current.remaining_bps' END,
        CASE WHEN field.risk_current_liquidation_price_usd_pips IS NOT NULL AND bigint_from_wire(field.risk_current_liquidation_price_usd_pips) IS NULL THEN 'risk.current_liquidation_price_usd_pips' END,
        CASE WHEN field.risk_health_bps IS NOT NULL AND bigint_from_wire(field.risk_health_bps) IS NULL THEN 'risk.health_bps' END,
        CASE WHEN field.risk_liquidation_buffer_bps IS NOT NULL AND bigint_from_wire(field.risk_liquidation_buffer_bps) IS NULL THEN 'risk.liquidation_buffer_bps' END,
        CASE WHEN field.risk_liquidation_fee_bps IS NOT NULL AND bigint_from_wire(field.risk_liquidation_fee_bps) IS NULL THEN 'risk.liquidation_fee_bps' END,
        CASE WHEN field.risk_margin_buffer_usd_pips IS NOT NULL AND bigint_from_wire(field.risk_margin_buffer_usd_pips) IS NULL THEN 'risk.margin_buffer_usd_pips' END,
        CASE WHEN field.fees_accrued_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_accrued_lifetime_fee_usd_pips) IS NULL THEN 'fees.accrued_lifetime_fee_usd_pips' END,
        CASE WHEN field.fees_accrued_venue_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_accrued_venue_fee_usd_pips) IS NULL THEN 'fees.accrued_venue_fee_usd_pips' END,
        CASE WHEN field.fees_pending_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_pending_lifetime_fee_usd_pips) IS NULL THEN 'fees.pending_lifetime_fee_usd_pips' END,
        CASE WHEN field.fees_lifetime_apr_bps IS NOT NULL AND bigint_from_wire(field.fees_lifetime_apr_bps) IS NULL THEN 'fees.lifetime_apr_bps' END,
        CASE WHEN field.fees_origination_fee_bps IS NOT NULL AND bigint_from_wire(field.fees_origination_fee_bps) IS NULL THEN 'fees.origination_fee_bps' END,
        CASE WHEN field.fees_origination_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_origination_fee_usd_pips) IS NULL THEN 'fees.origination_fee_usd_pips' END,
        CASE WHEN field.fees_total_fees_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_total_fees_usd_pips) IS NULL THEN 'fees.total_fees_usd_pips' END,
        CASE WHEN field.fees_total_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_total_lifetime_fee_usd_pips) IS NULL THEN 'fees.total_lifetime_fee_usd_pips' END,
        CASE WHEN field.fees_total_venue_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.fees_total_venue_fee_usd_pips) IS NULL THEN 'fees.total_venue_fee_usd_pips' END,
        CASE WHEN field.timing_market_close_time IS NOT NULL AND fits.timing_market_close_time IS NULL THEN 'timing.market_close_time' END,
        CASE WHEN jsonb_typeof(field.timing_market_status) <> 'string' THEN 'timing.market_status' END,
        CASE WHEN jsonb_typeof(field.timing_settlement_state) <> 'string' THEN 'timing.settlement_state' END,
        CASE WHEN field.timing_time_to_close_minutes IS NOT NULL AND bigint_from_wire(field.timing_time_to_close_minutes) IS NULL THEN 'timing.time_to_close_minutes' END,
        CASE WHEN jsonb_typeof(field.timing_is_voided) <> 'boolean' THEN 'timing.is_voided' END,
        CASE WHEN jsonb_typeof(field.timing_is_settlement_pending) <> 'boolean' THEN 'timing.is_settlement_pending' END,
        CASE WHEN field.result_closed_at IS NOT NULL AND fits.result_closed_at IS NULL THEN 'result.closed_at' END,
        CASE WHEN field.result_collected_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.result_collected_lifetime_fee_usd_pips) IS NULL THEN 'result.collected_lifetime_fee_usd_pips' END,
        CASE WHEN field.result_collected_liquidation_fee_usd_pips IS NOT NULL AND bigint_from_wire(field.result_collected_liquidation_fee_usd_pips) IS NULL THEN 'result.collected_liquidation_fee_usd_pips' END,
        CASE WHEN field.result_proceeds_usd_pips IS NOT NULL AND bigint_from_wire(field.result_proceeds_usd_pips) IS NULL THEN 'result.proceeds_usd_pips' END,
        CASE WHEN field.result_realized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(field.result_realized_pnl_usd_pips) IS NULL THEN 'result.realized_pnl_usd_pips' END,
        CASE WHEN field.result_net_realized_pnl_bps IS NOT NULL AND bigint_from_wire(field.result_net_realized_pnl_bps) IS NULL THEN 'result.net_realized_pnl_bps' END,
        CASE WHEN field.result_net_realized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(field.result_net_realized_pnl_usd_pips) IS NULL THEN 'result.net_realized_pnl_usd_pips' END,
        CASE WHEN jsonb_typeof(top.close_reason) <> 'string' THEN 'close_reason' END,
        CASE WHEN jsonb_typeof(field.failure_reason) <> 'string' THEN 'failure.reason' END
    ]::text[], NULL) END AS misfit_fields
FROM (
    -- OFFSET 0, here and below: computed once a row, not once a column.
    SELECT
        wire.envelope -> 'data' AS data,
        CASE WHEN f.supersedes_before IS NOT NULL
            THEN with_carried(wire.envelope -> 'data', wire.envelope -> 'carried')
            ELSE wire.envelope -> 'data'
        END AS whole
    FROM (SELECT jsonb_from_wire(f.envelope) AS envelope OFFSET 0) wire
    OFFSET 0
) body
CROSS JOIN LATERAL (
    SELECT
        nullif(body.whole -> 'market_ticker', 'null') AS market_ticker,
        nullif(body.whole -> 'market_title', 'null') AS market_title,
        nullif(body.whole -> 'side', 'null') AS side,
        nullif(body.whole -> 'wallet_address', 'null') AS wallet_address,
        nullif(body.whole -> 'on_chain_position_key', 'null') AS on_chain_position_key,
        nullif(body.whole -> 'provider', 'null') AS provider,
        body.whole ->> 'effective_leverage_bps' AS effective_leverage_bps,
        nullif(body.whole -> 'close_reason', 'null') AS close_reason,
        nullif(body.whole -> 'entry', 'null') AS entry,
        nullif(body.whole -> 'current', 'null') AS current,
        nullif(body.whole -> 'risk', 'null') AS risk,
        nullif(body.whole -> 'fees', 'null') AS fees,
        nullif(body.whole -> 'timing', 'null') AS timing,
        nullif(body.whole -> 'result', 'null') AS result,
        nullif(body.whole -> 'failure', 'null') AS failure
    OFFSET 0
) top
CROSS JOIN LATERAL (
    -- A section that is no object has no fields.
    SELECT
        top.entry ->> 'collateral_usd_pips' AS entry_collateral_usd_pips,
        top.entry ->> 'leverage_bps' AS entry_leverage_bps,
        top.entry ->> 'notional_usd_pips' AS entry_notional_usd_pips,
        nullif(top.entry -> 'opened_at', 'null') AS entry_opened_at,
        top.entry ->> 'origination_fee_bps' AS entry_origination_fee_bps,
        top.entry ->> 'protocol_origination_fee_bps' AS entry_protocol_origination_fee_bps,
        top.entry ->> 'partner_origination_fee_bps' AS entry_partner_origination_fee_bps,
        top.entry ->> 'origination_fee_usd_pips' AS entry_origination_fee_usd_pips,
        top.entry ->> 'price_usd_pips' AS entry_price_usd_pips,
        top.entry ->> 'effective_entry_price_usd_pips' AS entry_effective_entry_price_usd_pips,
        top.entry ->> 'effective_slippage_bps' AS entry_effective_slippage_bps,
        top.entry ->> 'position_token_units' AS entry_position_token_units,
        top.entry ->> 'initial_fill_bps' AS entry_initial_fill_bps,
        top.current ->> 'collateral_usd_pips' AS current_collateral_usd_pips,
        top.current ->> 'effective_collateral_usd_pips' AS current_effective_collateral_usd_pips,
        top.current ->> 'leverage_bps' AS current_leverage_bps,
        top.current ->> 'book_leverage_bps' AS current_book_leverage_bps,
        top.current ->> 'mark_price_usd_pips' AS current_mark_price_usd_pips,
        top.current ->> 'notional_usd_pips' AS current_notional_usd_pips,
        top.current ->> 'position_token_units' AS current_position_token_units,
        top.current ->> 'position_value_usd_pips' AS current_position_value_usd_pips,
        top.current ->> 'unrealized_pnl_bps' AS current_unrealized_pnl_bps,
        top.current ->> 'unrealized_pnl_usd_pips' AS current_unrealized_pnl_usd_pips,
        top.current ->> 'net_unrealized_pnl_bps' AS current_net_unrealized_pnl_bps,
        top.current ->> 'net_unrealized_pnl_usd_pips' AS current_net_unrealized_pnl_usd_pips,
        top.current ->> 'remaining_bps' AS current_remaining_bps,
        top.risk ->> 'current_liquidation_price_usd_pips' AS risk_current_liquidation_price_usd_pips,
        top.risk ->> 'health_bps' AS risk_health_bps,
        top.risk ->> 'liquidation_buffer_bps' AS risk_liquidation_buffer_bps,
        top.risk ->> 'liquidation_fee_bps' AS risk_liquidation_fee_bps,
        top.risk ->> 'margin_buffer_usd_pips' AS risk_margin_buffer_usd_pips,
        top.fees ->> 'accrued_lifetime_fee_usd_pips' AS fees_accrued_lifetime_fee_usd_pips,
        top.fees ->> 'accrued_venue_fee_usd_pips' AS fees_accrued_venue_fee_usd_pips,
        top.fees ->> 'pending_lifetime_fee_usd_pips' AS fees_pending_lifetime_fee_usd_pips,
        top.fees ->> 'lifetime_apr_bps' AS fees_lifetime_apr_bps,
        top.fees ->> 'origination_fee_bps' AS fees_origination_fee_bps,
        top.fees ->> 'origination_fee_usd_pips' AS fees_origination_fee_usd_pips,
        top.fees ->> 'total_fees_usd_pips' AS fees_total_fees_usd_pips,
        top.fees ->> 'total_lifetime_fee_usd_pips' AS fees_total_lifetime_fee_usd_pips,
        top.fees ->> 'total_venue_fee_usd_pips' AS fees_total_venue_fee_usd_pips,
        nullif(top.timing -> 'market_close_time', 'null') AS timing_market_close_time,
        nullif(top.timing -> 'market_status', 'null') AS timing_market_status,
        nullif(top.timing -> 'settlement_state', 'null') AS timing_settlement_state,
        top.timing ->> 'time_to_close_minutes' AS timing_time_to_close_minutes,
        nullif(top.timing -> 'is_voided', 'null') AS timing_is_voided,
        nullif(top.timing -> 'is_settlement_pending', 'null') AS timing_is_settlement_pending,
        nullif(top.result -> 'closed_at', 'null') AS result_closed_at,
        top.result ->> 'collected_lifetime_fee_usd_pips' AS result_collected_lifetime_fee_usd_pips,
        top.result ->> 'collected_liquidation_fee_usd_pips' AS result_collected_liquidation_fee_usd_pips,
        top.result ->> 'proceeds_usd_pips' AS result_proceeds_usd_pips,
        top.result ->> 'realized_pnl_usd_pips' AS result_realized_pnl_usd_pips,
        top.result ->> 'net_realized_pnl_bps' AS result_net_realized_pnl_bps,
        top.result ->> 'net_realized_pnl_usd_pips' AS result_net_realized_pnl_usd_pips,
        nullif(top.failure -> 'reason', 'null') AS failure_reason
    OFFSET 0
) field
CROSS JOIN LATERAL (
    -- The usual row is proved well-formed at once, which costs a tenth of asking each field. An
    -- array quotes each element that is empty or has a comma or a brace in it, so that none can
    -- pass for two.
    SELECT
        numbers !~ '[^0-9,{}-]|[0-9]-|-[,}-]|[0-9]{19}'
            AND (jsonb_typeof(top.market_ticker) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.market_title) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.side) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.wallet_address) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.on_chain_position_key) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.provider) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.entry_opened_at) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.timing_market_close_time) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.timing_market_status) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.timing_settlement_state) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.result_closed_at) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(top.close_reason) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.failure_reason) <> 'string') IS NOT TRUE
            AND (jsonb_typeof(field.timing_is_voided) <> 'boolean') IS NOT TRUE
            AND (jsonb_typeof(field.timing_is_settlement_pending) <> 'boolean') IS NOT TRUE
            AND (jsonb_typeof(top.entry) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.current) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.risk) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.fees) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.timing) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.result) <> 'object') IS NOT TRUE
            AND (jsonb_typeof(top.failure) <> 'object') IS NOT TRUE
        AS plainly,
        instant_from_wire(field.entry_opened_at #>> '{}') AS entry_opened_at,
        instant_from_wire(field.timing_market_close_time #>> '{}') AS timing_market_close_time,
        instant_from_wire(field.result_closed_at #>> '{}') AS result_closed_at
    FROM (SELECT ARRAY[
            coalesce(top.effective_leverage_bps, '0'),
            coalesce(field.entry_collateral_usd_pips, '0'),
            coalesce(field.entry_leverage_bps, '0'),
            coalesce(field.entry_notional_usd_pips, '0'),
            coalesce(field.entry_origination_fee_bps, '0'),
            coalesce(field.entry_protocol_origination_fee_bps, '0'),
            coalesce(field.entry_partner_origination_fee_bps, '0'),
            coalesce(field.entry_origination_fee_usd_pips, '0'),
            coalesce(field.entry_price_usd_pips, '0'),
            coalesce(field.entry_effective_entry_price_usd_pips, '0'),
            coalesce(field.entry_effective_slippage_bps, '0'),
            coalesce(field.entry_position_token_units, '0'),
            coalesce(field.entry_initial_fill_bps, '0'),
            coalesce(field.current_collateral_usd_pips, '0'),
            coalesce(field.current_effective_collateral_usd_pips, '0'),
            coalesce(field.current_leverage_bps, '0'),
            coalesce(field.current_book_leverage_bps, '0'),
            coalesce(field.current_mark_price_usd_pips, '0'),
            coalesce(field.current_notional_usd_pips, '0'),
            coalesce(field.current_position_token_units, '0'),
            coalesce(field.current_position_value_usd_pips, '0'),
            coalesce(field.current_unrealized_pnl_bps, '0'),
            coalesce(field.current_unrealized_pnl_usd_pips, '0'),
            coalesce(field.current_net_unrealized_pnl_bps, '0'),
            coalesce(field.current_net_unrealized_pnl_usd_pips, '0'),
            coalesce(field.current_remaining_bps, '0'),
            coalesce(field.risk_current_liquidation_price_usd_pips, '0'),
            coalesce(field.risk_health_bps, '0'),
            coalesce(field.risk_liquidation_buffer_bps, '0'),
            coalesce(field.risk_liquidation_fee_bps, '0'),
            coalesce(field.risk_margin_buffer_usd_pips, '0'),
            coalesce(field.fees_accrued_lifetime_fee_usd_pips, '0'),
            coalesce(field.fees_accrued_venue_fee_usd_pips, '0'),
            coalesce(field.fees_pending_lifetime_fee_usd_pips, '0'),
            coalesce(field.fees_lifetime_apr_bps, '0'),
            coalesce(field.fees_origination_fee_bps, '0'),
            coalesce(field.fees_origination_fee_usd_pips, '0'),
            coalesce(field.fees_total_fees_usd_pips, '0'),
            coalesce(field.fees_total_lifetime_fee_usd_pips, '0'),
            coalesce(field.fees_total_venue_fee_usd_pips, '0'),
            coalesce(field.timing_time_to_close_minutes, '0'),
            coalesce(field.result_collected_lifetime_fee_usd_pips, '0'),
            coalesce(field.result_collected_liquidation_fee_usd_pips, '0'),
            coalesce(field.result_proceeds_usd_pips, '0'),
            coalesce(field.result_realized_pnl_usd_pips, '0'),
            coalesce(field.result_net_realized_pnl_bps, '0'),
            coalesce(field.result_net_realized_pnl_usd_pips, '0')
        ]::text AS numbers OFFSET 0) spelled
    OFFSET 0
) fits
OFFSET 0
) x;
COMMENT ON VIEW fact_positions IS
    'Each fact as the row of positions that it would make.';
COMMENT ON COLUMN fact_positions.seq IS 'Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be skipped.';
COMMENT ON COLUMN fact_positions.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN fact_positions.status IS 'Its status; see position_statuses.';
COMMENT ON COLUMN fact_positions.phase IS 'pending, live or terminal: by events a position never moves back.';
COMMENT ON COLUMN fact_positions.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN fact_positions.market_title IS 'The market''s title; the vendor may reword it.';
COMMENT ON COLUMN fact_positions.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN fact_positions.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN fact_positions.on_chain_position_key IS 'The key of the position''s on-chain account.';
COMMENT ON COLUMN fact_positions.provider IS 'The venue that lists the market (polymarket, ...).';
COMMENT ON COLUMN fact_positions.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN fact_positions.entry_collateral_usd_pips IS 'Collateral the position was opened with. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.entry_leverage_bps IS 'Leverage asked for at entry; 20,000 bps are 2x.';
COMMENT ON COLUMN fact_positions.entry_notional_usd_pips IS 'Notional at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.entry_opened_at IS 'When it opened; NULL until it did. UTC.';
COMMENT ON COLUMN fact_positions.entry_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN fact_positions.entry_protocol_origination_fee_bps IS 'The protocol''s part of that fee. In basis points.';
COMMENT ON COLUMN fact_positions.entry_partner_origination_fee_bps IS 'The partner''s part of that fee. In basis points.';
COMMENT ON COLUMN fact_positions.entry_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.entry_price_usd_pips IS 'Price of one outcome token at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.entry_effective_entry_price_usd_pips IS 'Entry price after slippage; NULL until known. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.entry_effective_slippage_bps IS 'Slippage at entry; NULL until known. In basis points.';
COMMENT ON COLUMN fact_positions.entry_position_token_units IS 'Outcome tokens acquired, smallest units.';
COMMENT ON COLUMN fact_positions.entry_initial_fill_bps IS 'Share of the order that was filled at entry. In basis points.';
COMMENT ON COLUMN fact_positions.current_collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN fact_positions.current_position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.current_remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN fact_positions.risk_current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.risk_health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.risk_liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.risk_liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.risk_margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.fees_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.fees_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.fees_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
COMMENT ON COLUMN fact_positions.fees_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN fact_positions.fees_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.fees_total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.fees_total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.fees_total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.timing_market_close_time IS 'When the market closes; NULL if unknown. UTC. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.timing_market_status IS 'The market''s status at the venue. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.timing_settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN fact_positions.timing_time_to_close_minutes IS 'Minutes to the market''s close. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.timing_is_voided IS 'Whether the market was voided. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.timing_is_settlement_pending IS 'Whether a settlement is under way. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN fact_positions.result_closed_at IS 'When it ended. UTC.';
COMMENT ON COLUMN fact_positions.result_collected_lifetime_fee_usd_pips IS 'Lifetime fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.result_collected_liquidation_fee_usd_pips IS 'Liquidation fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.result_proceeds_usd_pips IS 'Paid out to the customer. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.result_realized_pnl_usd_pips IS 'Realized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.result_net_realized_pnl_bps IS 'Realized PnL after fees, as a share. In basis points.';
COMMENT ON COLUMN fact_positions.result_net_realized_pnl_usd_pips IS 'Realized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN fact_positions.close_reason IS 'Why it ended: closed, settled, liquidated, reverted.';
COMMENT ON COLUMN fact_positions.failure_reason IS 'Why the opening failed; NULL when it did not.';
COMMENT ON COLUMN fact_positions.data IS 'The whole position object, unknown fields too. What jsonb cannot hold (U+0000, lone surrogates) stands there as U+FFFD; events.envelope has it to the letter.';
COMMENT ON COLUMN fact_positions.misfit_fields IS 'Fields whose value was of the wrong kind: NULL in their column, whole in data.';
COMMENT ON COLUMN fact_positions.last_event_id IS 'The fact that this row shows: its event_id in events.';
COMMENT ON COLUMN fact_positions.last_event_type IS 'The type of that fact.';
COMMENT ON COLUMN fact_positions.last_event_at IS 'The created_at of that fact. UTC.';
COMMENT ON COLUMN fact_positions.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN fact_positions.updated_at IS 'When positionstore received the fact that this row shows. UTC.';
