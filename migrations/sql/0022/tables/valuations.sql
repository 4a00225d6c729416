-- A reading is kept whole.
ALTER TABLE valuations
    ADD COLUMN effective_leverage_bps bigint,
    ADD COLUMN collateral_usd_pips bigint,
    ADD COLUMN effective_collateral_usd_pips bigint,
    ADD COLUMN leverage_bps bigint,
    ADD COLUMN book_leverage_bps bigint,
    ADD COLUMN notional_usd_pips bigint,
    ADD COLUMN position_token_units numeric(38,0),
    ADD COLUMN unrealized_pnl_bps bigint,
    ADD COLUMN net_unrealized_pnl_bps bigint,
    ADD COLUMN remaining_bps bigint,
    ADD COLUMN liquidation_buffer_bps bigint,
    ADD COLUMN liquidation_fee_bps bigint,
    ADD COLUMN margin_buffer_usd_pips bigint,
    ADD COLUMN accrued_lifetime_fee_usd_pips bigint,
    ADD COLUMN accrued_venue_fee_usd_pips bigint,
    ADD COLUMN pending_lifetime_fee_usd_pips bigint,
    ADD COLUMN lifetime_apr_bps bigint,
    ADD COLUMN origination_fee_bps bigint,
    ADD COLUMN origination_fee_usd_pips bigint,
    ADD COLUMN total_fees_usd_pips bigint,
    ADD COLUMN total_lifetime_fee_usd_pips bigint,
    ADD COLUMN total_venue_fee_usd_pips bigint,
    ADD COLUMN market_close_time timestamptz,
    ADD COLUMN market_status text,
    ADD COLUMN settlement_state text,
    ADD COLUMN time_to_close_minutes bigint,
    ADD COLUMN is_voided boolean,
    ADD COLUMN is_settlement_pending boolean;
COMMENT ON COLUMN valuations.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN valuations.collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x.';
COMMENT ON COLUMN valuations.book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x.';
COMMENT ON COLUMN valuations.notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN valuations.unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points.';
COMMENT ON COLUMN valuations.net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points.';
COMMENT ON COLUMN valuations.remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN valuations.liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points.';
COMMENT ON COLUMN valuations.liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points.';
COMMENT ON COLUMN valuations.margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
COMMENT ON COLUMN valuations.origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN valuations.origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuations.market_close_time IS 'When the market closes; NULL if unknown. UTC.';
COMMENT ON COLUMN valuations.market_status IS 'The market''s status at the venue.';
COMMENT ON COLUMN valuations.settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN valuations.time_to_close_minutes IS 'Minutes to the market''s close.';
COMMENT ON COLUMN valuations.is_voided IS 'Whether the market was voided.';
COMMENT ON COLUMN valuations.is_settlement_pending IS 'Whether a settlement is under way.';
ALTER TABLE valuation_history
    ADD COLUMN effective_leverage_bps bigint,
    ADD COLUMN collateral_usd_pips bigint,
    ADD COLUMN effective_collateral_usd_pips bigint,
    ADD COLUMN leverage_bps bigint,
    ADD COLUMN book_leverage_bps bigint,
    ADD COLUMN notional_usd_pips bigint,
    ADD COLUMN position_token_units numeric(38,0),
    ADD COLUMN unrealized_pnl_bps bigint,
    ADD COLUMN net_unrealized_pnl_bps bigint,
    ADD COLUMN remaining_bps bigint,
    ADD COLUMN liquidation_buffer_bps bigint,
    ADD COLUMN liquidation_fee_bps bigint,
    ADD COLUMN margin_buffer_usd_pips bigint,
    ADD COLUMN accrued_lifetime_fee_usd_pips bigint,
    ADD COLUMN accrued_venue_fee_usd_pips bigint,
    ADD COLUMN pending_lifetime_fee_usd_pips bigint,
    ADD COLUMN lifetime_apr_bps bigint,
    ADD COLUMN origination_fee_bps bigint,
    ADD COLUMN origination_fee_usd_pips bigint,
    ADD COLUMN total_fees_usd_pips bigint,
    ADD COLUMN total_lifetime_fee_usd_pips bigint,
    ADD COLUMN total_venue_fee_usd_pips bigint,
    ADD COLUMN market_close_time timestamptz,
    ADD COLUMN market_status text,
    ADD COLUMN settlement_state text,
    ADD COLUMN time_to_close_minutes bigint,
    ADD COLUMN is_voided boolean,
    ADD COLUMN is_settlement_pending boolean;
COMMENT ON COLUMN valuation_history.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN valuation_history.collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.effective_collateral_usd_pips IS 'Collateral less accrued fees, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x.';
COMMENT ON COLUMN valuation_history.book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x.';
COMMENT ON COLUMN valuation_history.notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN valuation_history.unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points.';
COMMENT ON COLUMN valuation_history.net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points.';
COMMENT ON COLUMN valuation_history.remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN valuation_history.liquidation_buffer_bps IS 'Distance to the liquidation price, as inferred: a share of the mark. In basis points.';
COMMENT ON COLUMN valuation_history.liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points.';
COMMENT ON COLUMN valuation_history.margin_buffer_usd_pips IS 'Margin above the maintenance level, as inferred. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.lifetime_apr_bps IS 'Lifetime fee, as a yearly rate; inferred: of notional less collateral. In basis points.';
COMMENT ON COLUMN valuation_history.origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN valuation_history.origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.market_close_time IS 'When the market closes; NULL if unknown. UTC.';
COMMENT ON COLUMN valuation_history.market_status IS 'The market''s status at the venue.';
COMMENT ON COLUMN valuation_history.settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN valuation_history.time_to_close_minutes IS 'Minutes to the market''s close.';
COMMENT ON COLUMN valuation_history.is_voided IS 'Whether the market was voided.';
COMMENT ON COLUMN valuation_history.is_settlement_pending IS 'Whether a settlement is under way.';
COMMENT ON COLUMN valuations.health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points.';
COMMENT ON COLUMN valuation_history.health_bps IS 'Health; inferred: 10,000 at entry, and liquidated as it reaches 0. In basis points.';
COMMENT ON COLUMN valuations.current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN valuation_history.current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated; inferred: as the mark falls to it. In pips: 10,000 are 1 USD.';
