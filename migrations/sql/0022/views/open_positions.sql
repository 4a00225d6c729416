CREATE OR REPLACE VIEW open_positions WITH (security_invoker = true) AS
SELECT
    p.position_id,
    p.status,
    p.market_ticker,
    p.market_title,
    p.side,
    p.wallet_address,
    p.on_chain_position_key,
    p.provider,
    p.entry_collateral_usd_pips,
    p.entry_collateral_usd_pips * 0.0001 AS entry_collateral_usd,
    p.entry_leverage_bps,
    p.entry_leverage_bps * 0.0001 AS entry_leverage,
    p.entry_notional_usd_pips,
    p.entry_notional_usd_pips * 0.0001 AS entry_notional_usd,
    p.entry_opened_at,
    p.entry_origination_fee_bps,
    p.entry_protocol_origination_fee_bps,
    p.entry_partner_origination_fee_bps,
    p.entry_origination_fee_usd_pips,
    p.entry_origination_fee_usd_pips * 0.0001 AS entry_origination_fee_usd,
    p.entry_price_usd_pips,
    p.entry_price_usd_pips * 0.0001 AS entry_price_usd,
    p.entry_effective_entry_price_usd_pips,
    p.entry_effective_entry_price_usd_pips * 0.0001 AS entry_effective_entry_price_usd,
    p.entry_effective_slippage_bps,
    p.entry_position_token_units,
    p.entry_initial_fill_bps,
    p.current_collateral_usd_pips,
    p.current_collateral_usd_pips * 0.0001 AS current_collateral_usd,
    p.current_effective_collateral_usd_pips,
    p.current_effective_collateral_usd_pips * 0.0001 AS current_effective_collateral_usd,
    p.current_leverage_bps,
    p.current_leverage_bps * 0.0001 AS current_leverage,
    p.current_book_leverage_bps,
    p.current_book_leverage_bps * 0.0001 AS current_book_leverage,
    p.current_mark_price_usd_pips,
    p.current_mark_price_usd_pips * 0.0001 AS current_mark_price_usd,
    p.current_notional_usd_pips,
    p.current_notional_usd_pips * 0.0001 AS current_notional_usd,
    p.current_position_token_units,
    p.current_position_value_usd_pips,
    p.current_position_value_usd_pips * 0.0001 AS current_position_value_usd,
    p.current_unrealized_pnl_bps,
    p.current_unrealized_pnl_usd_pips,
    p.current_unrealized_pnl_usd_pips * 0.0001 AS current_unrealized_pnl_usd,
    p.current_net_unrealized_pnl_bps,
    p.current_net_unrealized_pnl_usd_pips,
    p.current_net_unrealized_pnl_usd_pips * 0.0001 AS current_net_unrealized_pnl_usd,
    p.current_remaining_bps,
    p.risk_current_liquidation_price_usd_pips,
    p.risk_current_liquidation_price_usd_pips * 0.0001 AS risk_current_liquidation_price_usd,
    p.risk_health_bps,
    p.risk_liquidation_buffer_bps,
    p.risk_liquidation_fee_bps,
    p.risk_margin_buffer_usd_pips,
    p.risk_margin_buffer_usd_pips * 0.0001 AS risk_margin_buffer_usd,
    p.fees_accrued_lifetime_fee_usd_pips,
    p.fees_accrued_lifetime_fee_usd_pips * 0.0001 AS fees_accrued_lifetime_fee_usd,
    p.fees_accrued_venue_fee_usd_pips,
    p.fees_accrued_venue_fee_usd_pips * 0.0001 AS fees_accrued_venue_fee_usd,
    p.fees_pending_lifetime_fee_usd_pips,
    p.fees_pending_lifetime_fee_usd_pips * 0.0001 AS fees_pending_lifetime_fee_usd,
    p.fees_lifetime_apr_bps,
    p.fees_origination_fee_bps,
    p.fees_origination_fee_usd_pips,
    p.fees_origination_fee_usd_pips * 0.0001 AS fees_origination_fee_usd,
    p.fees_total_fees_usd_pips,
    p.fees_total_fees_usd_pips * 0.0001 AS fees_total_fees_usd,
    p.fees_total_lifetime_fee_usd_pips,
    p.fees_total_lifetime_fee_usd_pips * 0.0001 AS fees_total_lifetime_fee_usd,
    p.fees_total_venue_fee_usd_pips,
    p.fees_total_venue_fee_usd_pips * 0.0001 AS fees_total_venue_fee_usd,
    p.timing_market_close_time,
    p.timing_market_status,
    p.timing_settlement_state,
    p.timing_time_to_close_minutes,
    p.timing_is_voided,
    p.timing_is_settlement_pending,
    x.as_of AS valuation_at,
    now() - x.as_of AS valuation_age,
    x.mark_price_usd_pips AS valuation_mark_price_usd_pips,
    x.mark_price_usd_pips * 0.0001 AS valuation_mark_price_usd,
    x.position_value_usd_pips AS valuation_position_value_usd_pips,
    x.position_value_usd_pips * 0.0001 AS valuation_position_value_usd,
    x.unrealized_pnl_usd_pips AS valuation_unrealized_pnl_usd_pips,
    x.unrealized_pnl_usd_pips * 0.0001 AS valuation_unrealized_pnl_usd,
    x.net_unrealized_pnl_usd_pips AS valuation_net_unrealized_pnl_usd_pips,
    x.net_unrealized_pnl_usd_pips * 0.0001 AS valuation_net_unrealized_pnl_usd,
    x.health_bps AS valuation_health_bps,
    x.current_liquidation_price_usd_pips AS valuation_liquidation_price_usd_pips,
    x.current_liquidation_price_usd_pips * 0.0001 AS valuation_liquidation_price_usd,
    p.misfit_fields,
    p.last_event_id,
    p.last_event_type,
    p.last_event_at,
    p.source,
    p.updated_at,
    p.verified_at
FROM positions p
LEFT JOIN valuations v ON v.position_id = p.position_id
CROSS JOIN LATERAL (
    SELECT v.as_of >= p.last_event_at
        OR (v.as_of IS NOT NULL AND p.current_mark_price_usd_pips IS NULL) AS is_newer
) fresh
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN fresh.is_newer THEN v.as_of
            WHEN p.current_mark_price_usd_pips IS NOT NULL THEN p.last_event_at
        END AS as_of,
        CASE WHEN fresh.is_newer THEN v.mark_price_usd_pips ELSE p.current_mark_price_usd_pips END AS mark_price_usd_pips,
        CASE WHEN fresh.is_newer THEN v.position_value_usd_pips ELSE p.current_position_value_usd_pips END AS position_value_usd_pips,
        CASE WHEN fresh.is_newer THEN v.unrealized_pnl_usd_pips ELSE p.current_unrealized_pnl_usd_pips END AS unrealized_pnl_usd_pips,
        CASE WHEN fresh.is_newer THEN v.net_unrealized_pnl_usd_pips ELSE p.current_net_unrealized_pnl_usd_pips END AS net_unrealized_pnl_usd_pips,
        CASE WHEN fresh.is_newer THEN v.health_bps ELSE p.risk_health_bps END AS health_bps,
        CASE WHEN fresh.is_newer THEN v.current_liquidation_price_usd_pips ELSE p.risk_current_liquidation_price_usd_pips END AS current_liquidation_price_usd_pips
) x
WHERE p.phase = 'live';
COMMENT ON VIEW open_positions IS
    'The positions that are open, with dollars beside pips and the latest valuation. A pending one is not open yet: it stands in positions alone.';
COMMENT ON COLUMN open_positions.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN open_positions.status IS 'Its status; see position_statuses.';
COMMENT ON COLUMN open_positions.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN open_positions.market_title IS 'The market''s title; the vendor may reword it.';
COMMENT ON COLUMN open_positions.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN open_positions.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN open_positions.on_chain_position_key IS 'The key of the position''s on-chain account.';
COMMENT ON COLUMN open_positions.provider IS 'The venue that lists the market (polymarket, ...).';
COMMENT ON COLUMN open_positions.entry_collateral_usd_pips IS 'Collateral the position was opened with. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.entry_collateral_usd IS 'Collateral the position was opened with. In USD, exact.';
COMMENT ON COLUMN open_positions.entry_leverage_bps IS 'Leverage asked for at entry; 20,000 bps are 2x.';
COMMENT ON COLUMN open_positions.entry_leverage IS 'Leverage asked for at entry, as a ratio.';
COMMENT ON COLUMN open_positions.entry_notional_usd_pips IS 'Notional at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.entry_notional_usd IS 'Notional at entry. In USD, exact.';
COMMENT ON COLUMN open_positions.entry_opened_at IS 'When it opened; NULL until it did. UTC.';
COMMENT ON COLUMN open_positions.entry_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN open_positions.entry_protocol_origination_fee_bps IS 'The protocol''s part of that fee. In basis points.';
COMMENT ON COLUMN open_positions.entry_partner_origination_fee_bps IS 'The partner''s part of that fee. In basis points.';
COMMENT ON COLUMN open_positions.entry_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.entry_origination_fee_usd IS 'Origination fee paid. In USD, exact.';
COMMENT ON COLUMN open_positions.entry_price_usd_pips IS 'Price of one outcome token at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.entry_price_usd IS 'Price of one outcome token at entry. In USD, exact.';
COMMENT ON COLUMN open_positions.entry_effective_entry_price_usd_pips IS 'Entry price after slippage; NULL until known. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.entry_effective_entry_price_usd IS 'Entry price after slippage; NULL until known. In USD, exact.';
COMMENT ON COLUMN open_positions.entry_effective_slippage_bps IS 'Slippage at entry; NULL until known. In basis points.';
COMMENT ON COLUMN open_positions.entry_position_token_units IS 'Outcome tokens acquired, smallest units.';
COMMENT ON COLUMN open_positions.entry_initial_fill_bps IS 'Share of the order that was filled at entry. In basis points.';
COMMENT ON COLUMN open_positions.current_collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_collateral_usd IS 'Collateral now. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_effective_collateral_usd_pips IS 'Collateral less accrued fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_effective_collateral_usd IS 'Collateral less accrued fees. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_leverage IS 'Leverage at the mark price, as a ratio. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_book_leverage IS 'Leverage at book value, as a ratio. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_mark_price_usd IS 'Mark price of one outcome token. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_notional_usd IS 'Notional now. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN open_positions.current_position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_position_value_usd IS 'Value of the tokens at the mark price. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_unrealized_pnl_usd IS 'Unrealized PnL before fees. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_net_unrealized_pnl_usd IS 'Unrealized PnL after fees. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN open_positions.risk_current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_current_liquidation_price_usd IS 'Mark price at which it is liquidated. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_health_bps IS 'Health; it is liquidated as this reaches 0. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_liquidation_buffer_bps IS 'Distance to the liquidation price. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_margin_buffer_usd_pips IS 'Margin above the maintenance level. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_margin_buffer_usd IS 'Margin above the maintenance level. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_lifetime_fee_usd IS 'Lifetime fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_venue_fee_usd IS 'Venue fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_pending_lifetime_fee_usd IS 'Lifetime fee not collected yet. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate. In basis points.';
COMMENT ON COLUMN open_positions.fees_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN open_positions.fees_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.fees_origination_fee_usd IS 'Origination fee paid. In USD, exact.';
COMMENT ON COLUMN open_positions.fees_total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.fees_total_fees_usd IS 'All fees: so far while open, final after. In USD, exact.';
COMMENT ON COLUMN open_positions.fees_total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.fees_total_lifetime_fee_usd IS 'Lifetime fee paid in all. In USD, exact.';
COMMENT ON COLUMN open_positions.fees_total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.fees_total_venue_fee_usd IS 'Venue fee paid in all. In USD, exact.';
COMMENT ON COLUMN open_positions.timing_market_close_time IS 'When the market closes; NULL if unknown. UTC. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.timing_market_status IS 'The market''s status at the venue. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.timing_settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN open_positions.timing_time_to_close_minutes IS 'Minutes to the market''s close. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.timing_is_voided IS 'Whether the market was voided. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.timing_is_settlement_pending IS 'Whether a settlement is under way. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.valuation_at IS 'The moment of the valuation: that of the latest one in valuations, or of the last fact where that is newer; NULL where there is none. UTC.';
COMMENT ON COLUMN open_positions.valuation_age IS 'How old the valuation is now.';
COMMENT ON COLUMN open_positions.valuation_mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_mark_price_usd IS 'Mark price of one outcome token. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_position_value_usd IS 'Value of the tokens at the mark price. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_unrealized_pnl_usd IS 'Unrealized PnL before fees. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_net_unrealized_pnl_usd IS 'Unrealized PnL after fees. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_health_bps IS 'Health; it is liquidated as this reaches 0. In basis points.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd IS 'Mark price at which it is liquidated. In USD, exact.';
COMMENT ON COLUMN open_positions.misfit_fields IS 'Fields whose value was of the wrong kind: NULL in their column, whole in data.';
COMMENT ON COLUMN open_positions.last_event_id IS 'The fact that this row shows: its event_id in events.';
COMMENT ON COLUMN open_positions.last_event_type IS 'The type of that fact.';
COMMENT ON COLUMN open_positions.last_event_at IS 'The created_at of that fact. UTC.';
COMMENT ON COLUMN open_positions.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN open_positions.updated_at IS 'When positionstore received the fact that this row shows. UTC.';
COMMENT ON COLUMN open_positions.verified_at IS 'When a reconciliation last found this row equal to GET /positions. UTC; NULL if never.';
