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
    p.current_collateral_usd_pips,
    (p.current_collateral_usd_pips * 0.0001)::numeric(24,4) AS current_collateral_usd,
    p.current_effective_collateral_usd_pips,
    (p.current_effective_collateral_usd_pips * 0.0001)::numeric(24,4) AS current_effective_collateral_usd,
    p.current_leverage_bps,
    (p.current_leverage_bps * 0.0001)::numeric(24,4) AS current_leverage,
    p.current_book_leverage_bps,
    (p.current_book_leverage_bps * 0.0001)::numeric(24,4) AS current_book_leverage,
    p.current_mark_price_usd_pips,
    (p.current_mark_price_usd_pips * 0.0001)::numeric(24,4) AS current_mark_price_usd,
    p.current_notional_usd_pips,
    (p.current_notional_usd_pips * 0.0001)::numeric(24,4) AS current_notional_usd,
    p.current_position_token_units,
    p.current_position_value_usd_pips,
    (p.current_position_value_usd_pips * 0.0001)::numeric(24,4) AS current_position_value_usd,
    p.current_unrealized_pnl_bps,
    p.current_unrealized_pnl_usd_pips,
    (p.current_unrealized_pnl_usd_pips * 0.0001)::numeric(24,4) AS current_unrealized_pnl_usd,
    p.current_net_unrealized_pnl_bps,
    p.current_net_unrealized_pnl_usd_pips,
    (p.current_net_unrealized_pnl_usd_pips * 0.0001)::numeric(24,4) AS current_net_unrealized_pnl_usd,
    p.current_remaining_bps,
    p.risk_current_liquidation_price_usd_pips,
    (p.risk_current_liquidation_price_usd_pips * 0.0001)::numeric(24,4) AS risk_current_liquidation_price_usd,
    p.risk_health_bps,
    p.risk_liquidation_buffer_bps,
    p.risk_liquidation_fee_bps,
    p.risk_margin_buffer_usd_pips,
    (p.risk_margin_buffer_usd_pips * 0.0001)::numeric(24,4) AS risk_margin_buffer_usd,
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
    p.timing_market_close_time,
    p.timing_market_status,
    p.timing_settlement_state,
    p.timing_time_to_close_minutes,
    p.timing_is_voided,
    p.timing_is_settlement_pending,
    moment_at(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS opened_at,
    moment_source(opened_moment(p.position_id, p.phase, p.entry_opened_at)) AS opened_at_source,
    x.as_of AS valuation_at,
    now() - x.as_of AS valuation_age,
    CASE WHEN fresh.is_newer THEN 'reading' WHEN x.as_of IS NOT NULL THEN 'fact' END AS valuation_source,
    open_interest(x.notional_usd_pips, p.entry_notional_usd_pips) AS open_interest_usd_pips,
    (open_interest(x.notional_usd_pips, p.entry_notional_usd_pips) * 0.0001)::numeric(24,4) AS open_interest_usd,
    x.mark_price_usd_pips AS valuation_mark_price_usd_pips,
    (x.mark_price_usd_pips * 0.0001)::numeric(24,4) AS valuation_mark_price_usd,
    x.position_value_usd_pips AS valuation_position_value_usd_pips,
    (x.position_value_usd_pips * 0.0001)::numeric(24,4) AS valuation_position_value_usd,
    x.unrealized_pnl_usd_pips AS valuation_unrealized_pnl_usd_pips,
    (x.unrealized_pnl_usd_pips * 0.0001)::numeric(24,4) AS valuation_unrealized_pnl_usd,
    x.net_unrealized_pnl_usd_pips AS valuation_net_unrealized_pnl_usd_pips,
    (x.net_unrealized_pnl_usd_pips * 0.0001)::numeric(24,4) AS valuation_net_unrealized_pnl_usd,
    x.health_bps AS valuation_health_bps,
    x.current_liquidation_price_usd_pips AS valuation_liquidation_price_usd_pips,
    (x.current_liquidation_price_usd_pips * 0.0001)::numeric(24,4) AS valuation_liquidation_price_usd,
    x.effective_leverage_bps AS valuation_effective_leverage_bps,
    (x.effective_leverage_bps * 0.0001)::numeric(24,4) AS valuation_effective_leverage,
    x.collateral_usd_pips AS valuation_collateral_usd_pips,
    (x.collateral_usd_pips * 0.0001)::numeric(24,4) AS valuation_collateral_usd,
    x.effective_collateral_usd_pips AS valuation_effective_collateral_usd_pips,
    (x.effective_collateral_usd_pips * 0.0001)::numeric(24,4) AS valuation_effective_collateral_usd,
    x.leverage_bps AS valuation_leverage_bps,
    (x.leverage_bps * 0.0001)::numeric(24,4) AS valuation_leverage,
    x.book_leverage_bps AS valuation_book_leverage_bps,
    (x.book_leverage_bps * 0.0001)::numeric(24,4) AS valuation_book_leverage,
    x.notional_usd_pips AS valuation_notional_usd_pips,
    (x.notional_usd_pips * 0.0001)::numeric(24,4) AS valuation_notional_usd,
    x.position_token_units AS valuation_position_token_units,
    x.unrealized_pnl_bps AS valuation_unrealized_pnl_bps,
    x.net_unrealized_pnl_bps AS valuation_net_unrealized_pnl_bps,
    x.remaining_bps AS valuation_remaining_bps,
    x.liquidation_buffer_bps AS valuation_liquidation_buffer_bps,
    x.liquidation_fee_bps AS valuation_liquidation_fee_bps,
    x.margin_buffer_usd_pips AS valuation_margin_buffer_usd_pips,
    (x.margin_buffer_usd_pips * 0.0001)::numeric(24,4) AS valuation_margin_buffer_usd,
    x.accrued_lifetime_fee_usd_pips AS valuation_accrued_lifetime_fee_usd_pips,
    (x.accrued_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_accrued_lifetime_fee_usd,
    x.accrued_venue_fee_usd_pips AS valuation_accrued_venue_fee_usd_pips,
    (x.accrued_venue_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_accrued_venue_fee_usd,
    x.pending_lifetime_fee_usd_pips AS valuation_pending_lifetime_fee_usd_pips,
    (x.pending_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_pending_lifetime_fee_usd,
    x.lifetime_apr_bps AS valuation_lifetime_apr_bps,
    x.origination_fee_bps AS valuation_origination_fee_bps,
    x.origination_fee_usd_pips AS valuation_origination_fee_usd_pips,
    (x.origination_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_origination_fee_usd,
    x.total_fees_usd_pips AS valuation_total_fees_usd_pips,
    (x.total_fees_usd_pips * 0.0001)::numeric(24,4) AS valuation_total_fees_usd,
    x.total_lifetime_fee_usd_pips AS valuation_total_lifetime_fee_usd_pips,
    (x.total_lifetime_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_total_lifetime_fee_usd,
    x.total_venue_fee_usd_pips AS valuation_total_venue_fee_usd_pips,
    (x.total_venue_fee_usd_pips * 0.0001)::numeric(24,4) AS valuation_total_venue_fee_usd,
    x.market_close_time AS valuation_market_close_time,
    x.market_status AS valuation_market_status,
    x.settlement_state AS valuation_settlement_state,
    x.time_to_close_minutes AS valuation_time_to_close_minutes,
    x.is_voided AS valuation_is_voided,
    x.is_settlement_pending AS valuation_is_settlement_pending,
    p.misfit_fields,
    p.last_event_id,
    p.last_event_type,
    p.last_event_at,
    p.source,
    p.updated_at,
    p.verified_at,
    extract(epoch FROM now() - x.as_of)::numeric(18,6) AS valuation_age_seconds
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
        CASE WHEN fresh.is_newer THEN v.current_liquidation_price_usd_pips ELSE p.risk_current_liquidation_price_usd_pips END AS current_liquidation_price_usd_pips,
        CASE WHEN fresh.is_newer THEN v.effective_leverage_bps ELSE p.effective_leverage_bps END AS effective_leverage_bps,
        CASE WHEN fresh.is_newer THEN v.collateral_usd_pips ELSE p.current_collateral_usd_pips END AS collateral_usd_pips,
        CASE WHEN fresh.is_newer THEN v.effective_collateral_usd_pips ELSE p.current_effective_collateral_usd_pips END AS effective_collateral_usd_pips,
        CASE WHEN fresh.is_newer THEN v.leverage_bps ELSE p.current_leverage_bps END AS leverage_bps,
        CASE WHEN fresh.is_newer THEN v.book_leverage_bps ELSE p.current_book_leverage_bps END AS book_leverage_bps,
        CASE WHEN fresh.is_newer THEN v.notional_usd_pips ELSE p.current_notional_usd_pips END AS notional_usd_pips,
        CASE WHEN fresh.is_newer THEN v.position_token_units ELSE p.current_position_token_units END AS position_token_units,
        CASE WHEN fresh.is_newer THEN v.unrealized_pnl_bps ELSE p.current_unrealized_pnl_bps END AS unrealized_pnl_bps,
        CASE WHEN fresh.is_newer THEN v.net_unrealized_pnl_bps ELSE p.current_net_unrealized_pnl_bps END AS net_unrealized_pnl_bps,
        CASE WHEN fresh.is_newer THEN v.remaining_bps ELSE p.current_remaining_bps END AS remaining_bps,
        CASE WHEN fresh.is_newer THEN v.liquidation_buffer_bps ELSE p.risk_liquidation_buffer_bps END AS liquidation_buffer_bps,
        CASE WHEN fresh.is_newer THEN v.liquidation_fee_bps ELSE p.risk_liquidation_fee_bps END AS liquidation_fee_bps,
        CASE WHEN fresh.is_newer THEN v.margin_buffer_usd_pips ELSE p.risk_margin_buffer_usd_pips END AS margin_buffer_usd_pips,
        CASE WHEN fresh.is_newer THEN v.accrued_lifetime_fee_usd_pips ELSE p.fees_accrued_lifetime_fee_usd_pips END AS accrued_lifetime_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.accrued_venue_fee_usd_pips ELSE p.fees_accrued_venue_fee_usd_pips END AS accrued_venue_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.pending_lifetime_fee_usd_pips ELSE p.fees_pending_lifetime_fee_usd_pips END AS pending_lifetime_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.lifetime_apr_bps ELSE p.fees_lifetime_apr_bps END AS lifetime_apr_bps,
        CASE WHEN fresh.is_newer THEN v.origination_fee_bps ELSE p.fees_origination_fee_bps END AS origination_fee_bps,
        CASE WHEN fresh.is_newer THEN v.origination_fee_usd_pips ELSE p.fees_origination_fee_usd_pips END AS origination_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.total_fees_usd_pips ELSE p.fees_total_fees_usd_pips END AS total_fees_usd_pips,
        CASE WHEN fresh.is_newer THEN v.total_lifetime_fee_usd_pips ELSE p.fees_total_lifetime_fee_usd_pips END AS total_lifetime_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.total_venue_fee_usd_pips ELSE p.fees_total_venue_fee_usd_pips END AS total_venue_fee_usd_pips,
        CASE WHEN fresh.is_newer THEN v.market_close_time ELSE p.timing_market_close_time END AS market_close_time,
        CASE WHEN fresh.is_newer THEN v.market_status ELSE p.timing_market_status END AS market_status,
        CASE WHEN fresh.is_newer THEN v.settlement_state ELSE p.timing_settlement_state END AS settlement_state,
        CASE WHEN fresh.is_newer THEN v.time_to_close_minutes ELSE p.timing_time_to_close_minutes END AS time_to_close_minutes,
        CASE WHEN fresh.is_newer THEN v.is_voided ELSE p.timing_is_voided END AS is_voided,
        CASE WHEN fresh.is_newer THEN v.is_settlement_pending ELSE p.timing_is_settlement_pending END AS is_settlement_pending
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
COMMENT ON COLUMN open_positions.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN open_positions.effective_leverage IS 'Effective leverage, as a ratio.';
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
COMMENT ON COLUMN open_positions.current_effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.current_effective_collateral_usd IS 'Collateral less accrued fees, as inferred. In USD, exact. Moves with the market; this is its value at the last fact.';
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
COMMENT ON COLUMN open_positions.risk_current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_current_liquidation_price_usd IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.risk_margin_buffer_usd IS 'Margin above the maintenance level, as inferred. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_lifetime_fee_usd IS 'Lifetime fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_accrued_venue_fee_usd IS 'Venue fee accrued so far. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_pending_lifetime_fee_usd IS 'Lifetime fee not collected yet. In USD, exact. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN open_positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
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
COMMENT ON COLUMN open_positions.opened_at IS 'When it opened: entry_opened_at where the body tells it, else the created_at of the event that shows it open; see opened_moment. NULL where it never opened. UTC.';
COMMENT ON COLUMN open_positions.opened_at_source IS 'Where opened_at is from: body, event, or snapshot (then it had opened by then).';
COMMENT ON COLUMN open_positions.valuation_at IS 'The moment of the valuation: that of the latest one in valuations, or of the last fact where that is newer; NULL where there is none. UTC.';
COMMENT ON COLUMN open_positions.valuation_age IS 'How old the valuation is now.';
COMMENT ON COLUMN open_positions.valuation_source IS 'Where all valuation_ columns are from: reading (GET /positions, in valuations) or fact (the last fact, as the current_, risk_, fees_ and timing_ columns are).';
COMMENT ON COLUMN open_positions.open_interest_usd_pips IS 'Notional by the valuation, or at entry where it tells none: the one definition of open interest, see the function. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.open_interest_usd IS 'Notional by the valuation, or at entry where it tells none: the one definition of open interest, see the function. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_mark_price_usd IS 'Mark price of one outcome token. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_position_value_usd IS 'Value of the tokens at the mark price. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_unrealized_pnl_usd IS 'Unrealized PnL before fees. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_net_unrealized_pnl_usd IS 'Unrealized PnL after fees. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_liquidation_price_usd IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN open_positions.valuation_effective_leverage IS 'Effective leverage, as a ratio.';
COMMENT ON COLUMN open_positions.valuation_collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_collateral_usd IS 'Collateral now. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_effective_collateral_usd IS 'Collateral less accrued fees, as inferred. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x.';
COMMENT ON COLUMN open_positions.valuation_leverage IS 'Leverage at the mark price, as a ratio.';
COMMENT ON COLUMN open_positions.valuation_book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x.';
COMMENT ON COLUMN open_positions.valuation_book_leverage IS 'Leverage at book value, as a ratio.';
COMMENT ON COLUMN open_positions.valuation_notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_notional_usd IS 'Notional now. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN open_positions.valuation_unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points.';
COMMENT ON COLUMN open_positions.valuation_net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points.';
COMMENT ON COLUMN open_positions.valuation_remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN open_positions.valuation_liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points.';
COMMENT ON COLUMN open_positions.valuation_liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points.';
COMMENT ON COLUMN open_positions.valuation_margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_margin_buffer_usd IS 'Margin above the maintenance level, as inferred. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_accrued_lifetime_fee_usd IS 'Lifetime fee accrued so far. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_accrued_venue_fee_usd IS 'Venue fee accrued so far. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_pending_lifetime_fee_usd IS 'Lifetime fee not collected yet. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
COMMENT ON COLUMN open_positions.valuation_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN open_positions.valuation_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_origination_fee_usd IS 'Origination fee paid. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_total_fees_usd IS 'All fees: so far while open, final after. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_total_lifetime_fee_usd IS 'Lifetime fee paid in all. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN open_positions.valuation_total_venue_fee_usd IS 'Venue fee paid in all. In USD, exact.';
COMMENT ON COLUMN open_positions.valuation_market_close_time IS 'When the market closes; NULL if unknown. UTC.';
COMMENT ON COLUMN open_positions.valuation_market_status IS 'The market''s status at the venue.';
COMMENT ON COLUMN open_positions.valuation_settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN open_positions.valuation_time_to_close_minutes IS 'Minutes to the market''s close.';
COMMENT ON COLUMN open_positions.valuation_is_voided IS 'Whether the market was voided.';
COMMENT ON COLUMN open_positions.valuation_is_settlement_pending IS 'Whether a settlement is under way.';
COMMENT ON COLUMN open_positions.misfit_fields IS 'Fields whose value was of the wrong kind: NULL in their column, whole in data.';
COMMENT ON COLUMN open_positions.last_event_id IS 'The fact that this row shows: its event_id in events.';
COMMENT ON COLUMN open_positions.last_event_type IS 'The type of that fact.';
COMMENT ON COLUMN open_positions.last_event_at IS 'The created_at of that fact. UTC.';
COMMENT ON COLUMN open_positions.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN open_positions.updated_at IS 'When positionstore received the fact that this row shows. UTC.';
COMMENT ON COLUMN open_positions.verified_at IS 'When a reconciliation last found this row equal to GET /positions. UTC; NULL if never.';
COMMENT ON COLUMN open_positions.valuation_age_seconds IS 'valuation_age in seconds, exact.';
