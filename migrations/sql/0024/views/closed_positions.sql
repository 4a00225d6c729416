CREATE OR REPLACE VIEW closed_positions WITH (security_invoker = true) AS
SELECT
    p.position_id,
    p.status,
    p.market_ticker,
    p.market_title,
    p.side,
    p.wallet_address,
    p.on_chain_position_key,
    p.provider,
    p.effective_leverage_bps,
    (p.effective_leverage_bps * 0.0001)::numeric(24,4) AS effective_leverage,
    p.entry_collateral_usd_pips,
    (p.entry_collateral_usd_pips * 0.0001)::numeric(24,4) AS entry_collateral_usd,
    p.entry_leverage_bps,
    (p.entry_leverage_bps * 0.0001)::numeric(24,4) AS entry_leverage,
    p.entry_notional_usd_pips,
    (p.entry_notional_usd_pips * 0.0001)::numeric(24,4) AS entry_notional_usd,
    p.entry_opened_at,
    p.entry_origination_fee_bps,
    p.entry_protocol_origination_fee_bps,
    p.entry_partner_origination_fee_bps,
    p.entry_origination_fee_usd_pips,
    (p.entry_origination_fee_usd_pips * 0.0001)::numeric(24,4) AS entry_origination_fee_usd,
    p.entry_price_usd_pips,
    (p.entry_price_usd_pips * 0.0001)::numeric(24,4) AS entry_price_usd,
    p.entry_effective_entry_price_usd_pips,
    (p.entry_effective_entry_price_usd_pips * 0.0001)::numeric(24,4) AS entry_effective_entry_price_usd,
    p.entry_effective_slippage_bps,
    p.entry_position_token_units,
    p.entry_initial_fill_bps,
    p.fees_accrued_lifetime_fee_usd_pips,
    (p.fees_accrued_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_accrued_lifetime_fee_usd,
    p.fees_accrued_venue_fee_usd_pips,
    (p.fees_accrued_venue_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_accrued_venue_fee_usd,
    p.fees_pending_lifetime_fee_usd_pips,
    (p.fees_pending_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_pending_lifetime_fee_usd,
    p.fees_lifetime_apr_bps,
    p.fees_origination_fee_bps,
    p.fees_origination_fee_usd_pips,
    (p.fees_origination_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_origination_fee_usd,
    p.fees_total_fees_usd_pips,
    (p.fees_total_fees_usd_pips * 0.0001)::numeric(24,4) AS fees_total_fees_usd,
    p.fees_total_lifetime_fee_usd_pips,
    (p.fees_total_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_total_lifetime_fee_usd,
    p.fees_total_venue_fee_usd_pips,
    (p.fees_total_venue_fee_usd_pips * 0.0001)::numeric(24,4) AS fees_total_venue_fee_usd,
    p.result_closed_at,
    p.result_collected_lifetime_fee_usd_pips,
    (p.result_collected_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS result_collected_lifetime_fee_usd,
    p.result_collected_liquidation_fee_usd_pips,
    (p.result_collected_liquidation_fee_usd_pips * 0.0001)::numeric(24,4) AS result_collected_liquidation_fee_usd,
    p.result_proceeds_usd_pips,
    (p.result_proceeds_usd_pips * 0.0001)::numeric(24,4) AS result_proceeds_usd,
    p.result_realized_pnl_usd_pips,
    (p.result_realized_pnl_usd_pips * 0.0001)::numeric(24,4) AS result_realized_pnl_usd,
    p.result_net_realized_pnl_bps,
    p.result_net_realized_pnl_usd_pips,
    (p.result_net_realized_pnl_usd_pips * 0.0001)::numeric(24,4) AS result_net_realized_pnl_usd,
    p.close_reason,
    p.failure_reason,
    moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS opened_at,
    moment_source(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS opened_at_source,
    moment_at(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at)) AS ended_at,
    moment_source(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at)) AS ended_at_source,
    moment_at(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at)) - moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS held_for,
    p.misfit_fields,
    p.last_event_id,
    p.last_event_type,
    p.last_event_at,
    p.source,
    p.updated_at,
    p.verified_at,
    extract(epoch FROM (moment_at(ended_moment(p.position_id, p.status, p.phase, p.result_closed_at)) - moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at))))::numeric(18,6) AS held_for_seconds
FROM positions p
WHERE p.phase = 'terminal';
COMMENT ON VIEW closed_positions IS
    'The positions that have ended, with dollars beside pips: closed, settled, liquidated, and cancelled, which have no opened_at unless they had opened before.';
COMMENT ON COLUMN closed_positions.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN closed_positions.status IS 'Its status; see position_statuses.';
COMMENT ON COLUMN closed_positions.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN closed_positions.market_title IS 'The market''s title; the vendor may reword it.';
COMMENT ON COLUMN closed_positions.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN closed_positions.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN closed_positions.on_chain_position_key IS 'The key of the position''s on-chain account.';
COMMENT ON COLUMN closed_positions.provider IS 'The venue that lists the market (polymarket, ...).';
COMMENT ON COLUMN closed_positions.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN closed_positions.effective_leverage IS 'Effective leverage, as a ratio.';
COMMENT ON COLUMN closed_positions.entry_collateral_usd_pips IS 'Collateral the position was opened with. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.entry_collateral_usd IS 'Collateral the position was opened with. In USD, exact.';
COMMENT ON COLUMN closed_positions.entry_leverage_bps IS 'Leverage asked for at entry; 20,000 bps are 2x.';
COMMENT ON COLUMN closed_positions.entry_leverage IS 'Leverage asked for at entry, as a ratio.';
COMMENT ON COLUMN closed_positions.entry_notional_usd_pips IS 'Notional at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.entry_notional_usd IS 'Notional at entry. In USD, exact.';
COMMENT ON COLUMN closed_positions.entry_opened_at IS 'When it opened; NULL until it did. UTC.';
COMMENT ON COLUMN closed_positions.entry_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN closed_positions.entry_protocol_origination_fee_bps IS 'The protocol''s part of that fee. In basis points.';
COMMENT ON COLUMN closed_positions.entry_partner_origination_fee_bps IS 'The partner''s part of that fee. In basis points.';
COMMENT ON COLUMN closed_positions.entry_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.entry_origination_fee_usd IS 'Origination fee paid. In USD, exact.';
COMMENT ON COLUMN closed_positions.entry_price_usd_pips IS 'Price of one outcome token at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.entry_price_usd IS 'Price of one outcome token at entry. In USD, exact.';
COMMENT ON COLUMN closed_positions.entry_effective_entry_price_usd_pips IS 'Entry price after slippage; NULL until known. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.entry_effective_entry_price_usd IS 'Entry price after slippage; NULL until known. In USD, exact.';
COMMENT ON COLUMN closed_positions.entry_effective_slippage_bps IS 'Slippage at entry; NULL until known. In basis points.';
COMMENT ON COLUMN closed_positions.entry_position_token_units IS 'Outcome tokens acquired, smallest units.';
COMMENT ON COLUMN closed_positions.entry_initial_fill_bps IS 'Share of the order that was filled at entry. In basis points.';
COMMENT ON COLUMN closed_positions.fees_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_accrued_lifetime_fee_usd IS 'Lifetime fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_accrued_venue_fee_usd IS 'Venue fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_pending_lifetime_fee_usd IS 'Lifetime fee not collected yet. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN closed_positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
COMMENT ON COLUMN closed_positions.fees_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN closed_positions.fees_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.fees_origination_fee_usd IS 'Origination fee paid. In USD, exact.';
COMMENT ON COLUMN closed_positions.fees_total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.fees_total_fees_usd IS 'All fees: so far while open, final after. In USD, exact.';
COMMENT ON COLUMN closed_positions.fees_total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.fees_total_lifetime_fee_usd IS 'Lifetime fee paid in all. In USD, exact.';
COMMENT ON COLUMN closed_positions.fees_total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.fees_total_venue_fee_usd IS 'Venue fee paid in all. In USD, exact.';
COMMENT ON COLUMN closed_positions.result_closed_at IS 'When it ended. UTC.';
COMMENT ON COLUMN closed_positions.result_collected_lifetime_fee_usd_pips IS 'Lifetime fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.result_collected_lifetime_fee_usd IS 'Lifetime fee collected. In USD, exact.';
COMMENT ON COLUMN closed_positions.result_collected_liquidation_fee_usd_pips IS 'Liquidation fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.result_collected_liquidation_fee_usd IS 'Liquidation fee collected. In USD, exact.';
COMMENT ON COLUMN closed_positions.result_proceeds_usd_pips IS 'Paid out to the customer. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.result_proceeds_usd IS 'Paid out to the customer. In USD, exact.';
COMMENT ON COLUMN closed_positions.result_realized_pnl_usd_pips IS 'Realized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.result_realized_pnl_usd IS 'Realized PnL before fees. In USD, exact.';
COMMENT ON COLUMN closed_positions.result_net_realized_pnl_bps IS 'Realized PnL after fees, as a share. In basis points.';
COMMENT ON COLUMN closed_positions.result_net_realized_pnl_usd_pips IS 'Realized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN closed_positions.result_net_realized_pnl_usd IS 'Realized PnL after fees. In USD, exact.';
COMMENT ON COLUMN closed_positions.close_reason IS 'Why it ended: closed, settled, liquidated, reverted.';
COMMENT ON COLUMN closed_positions.failure_reason IS 'Why the opening failed; NULL when it did not.';
COMMENT ON COLUMN closed_positions.opened_at IS 'When it opened: entry_opened_at where the body tells it, else the created_at of the event that shows it open; see opened_moment. NULL where it never opened. UTC.';
COMMENT ON COLUMN closed_positions.opened_at_source IS 'Where opened_at is from: body, event, or snapshot (then it had opened by then).';
COMMENT ON COLUMN closed_positions.ended_at IS 'When it ended: result_closed_at where the body tells it, else the created_at of the event that ended it; see ended_moment. UTC.';
COMMENT ON COLUMN closed_positions.ended_at_source IS 'Where ended_at is from: body, event, or snapshot (then it had ended by then).';
COMMENT ON COLUMN closed_positions.held_for IS 'ended_at less opened_at; NULL where it never opened.';
COMMENT ON COLUMN closed_positions.misfit_fields IS 'Fields whose value was of the wrong kind: NULL in their column, whole in data.';
COMMENT ON COLUMN closed_positions.last_event_id IS 'The fact that this row shows: its event_id in events.';
COMMENT ON COLUMN closed_positions.last_event_type IS 'The type of that fact.';
COMMENT ON COLUMN closed_positions.last_event_at IS 'The created_at of that fact. UTC.';
COMMENT ON COLUMN closed_positions.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN closed_positions.updated_at IS 'When positionstore received the fact that this row shows. UTC.';
COMMENT ON COLUMN closed_positions.verified_at IS 'When a reconciliation last found this row equal to GET /positions. UTC; NULL if never.';
COMMENT ON COLUMN closed_positions.held_for_seconds IS 'held_for in seconds, exact.';
