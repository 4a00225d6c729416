CREATE TABLE positions (
    position_id                               text COLLATE "C" PRIMARY KEY,
    status                                    text COLLATE "C" NOT NULL,
    phase                                     text COLLATE "C" NOT NULL,
    market_ticker                             text,
    market_title                              text,
    side                                      text,
    wallet_address                            text,
    on_chain_position_key                     text,
    provider                                  text,
    effective_leverage_bps                    bigint,
    entry_collateral_usd_pips                 bigint,
    entry_leverage_bps                        bigint,
    entry_notional_usd_pips                   bigint,
    entry_opened_at                           timestamptz,
    entry_origination_fee_bps                 bigint,
    entry_protocol_origination_fee_bps        bigint,
    entry_partner_origination_fee_bps         bigint,
    entry_origination_fee_usd_pips            bigint,
    entry_price_usd_pips                      bigint,
    entry_effective_entry_price_usd_pips      bigint,
    entry_effective_slippage_bps              bigint,
    entry_position_token_units                numeric,
    entry_initial_fill_bps                    bigint,
    current_collateral_usd_pips               bigint,
    current_effective_collateral_usd_pips     bigint,
    current_leverage_bps                      bigint,
    current_book_leverage_bps                 bigint,
    current_mark_price_usd_pips               bigint,
    current_notional_usd_pips                 bigint,
    current_position_token_units              numeric,
    current_position_value_usd_pips           bigint,
    current_unrealized_pnl_bps                bigint,
    current_unrealized_pnl_usd_pips           bigint,
    current_net_unrealized_pnl_bps            bigint,
    current_net_unrealized_pnl_usd_pips       bigint,
    current_remaining_bps                     bigint,
    risk_current_liquidation_price_usd_pips   bigint,
    risk_health_bps                           bigint,
    risk_liquidation_buffer_bps               bigint,
    risk_liquidation_fee_bps                  bigint,
    risk_margin_buffer_usd_pips               bigint,
    fees_accrued_lifetime_fee_usd_pips        bigint,
    fees_accrued_venue_fee_usd_pips           bigint,
    fees_pending_lifetime_fee_usd_pips        bigint,
    fees_lifetime_apr_bps                     bigint,
    fees_origination_fee_bps                  bigint,
    fees_origination_fee_usd_pips             bigint,
    fees_total_fees_usd_pips                  bigint,
    fees_total_lifetime_fee_usd_pips          bigint,
    fees_total_venue_fee_usd_pips             bigint,
    timing_market_close_time                  timestamptz,
    timing_market_status                      text,
    timing_settlement_state                   text,
    timing_time_to_close_minutes              bigint,
    timing_is_voided                          boolean,
    timing_is_settlement_pending              boolean,
    result_closed_at                          timestamptz,
    result_collected_lifetime_fee_usd_pips    bigint,
    result_collected_liquidation_fee_usd_pips bigint,
    result_proceeds_usd_pips                  bigint,
    result_realized_pnl_usd_pips              bigint,
    result_net_realized_pnl_bps               bigint,
    result_net_realized_pnl_usd_pips          bigint,
    close_reason                              text,
    failure_reason                            text,
    data                                      jsonb NOT NULL,
    misfit_fields                             text[] NOT NULL DEFAULT '{}',
    last_event_id                             text COLLATE "C" NOT NULL,
    last_event_type                           text COLLATE "C" NOT NULL,
    last_event_at                             timestamptz NOT NULL,
    source                                    text COLLATE "C" NOT NULL,
    supersedes_before                         timestamptz,
    updated_at                                timestamptz NOT NULL,
    verified_at                               timestamptz
) WITH (fillfactor = 70); -- room for updates in place
COMMENT ON TABLE positions IS
    'The current state of each position: the fold of its facts. Written by positionstore alone; last_event_id leads to the fact.';
COMMENT ON COLUMN positions.position_id IS 'The position''s id at the vendor (dm_pos_...).';
COMMENT ON COLUMN positions.status IS 'Its status; see position_statuses.';
COMMENT ON COLUMN positions.phase IS 'pending, live or terminal: by events a position never moves back.';
COMMENT ON COLUMN positions.market_ticker IS 'The market''s ticker.';
COMMENT ON COLUMN positions.market_title IS 'The market''s title; the vendor may reword it.';
COMMENT ON COLUMN positions.side IS 'Which outcome is held: yes or no.';
COMMENT ON COLUMN positions.wallet_address IS 'The customer''s wallet; a 0x address in lower case.';
COMMENT ON COLUMN positions.on_chain_position_key IS 'The key of the position''s on-chain account; a 0x address in lower case.';
COMMENT ON COLUMN positions.provider IS 'The venue that lists the market (polymarket, ...).';
COMMENT ON COLUMN positions.effective_leverage_bps IS 'Effective leverage; 20,000 bps are 2x.';
COMMENT ON COLUMN positions.entry_collateral_usd_pips IS 'Collateral the position was opened with. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.entry_leverage_bps IS 'Leverage asked for at entry; 20,000 bps are 2x.';
COMMENT ON COLUMN positions.entry_notional_usd_pips IS 'Notional at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.entry_opened_at IS 'When it opened; NULL until it did. UTC.';
COMMENT ON COLUMN positions.entry_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN positions.entry_protocol_origination_fee_bps IS 'The protocol''s part of that fee. In basis points.';
COMMENT ON COLUMN positions.entry_partner_origination_fee_bps IS 'The partner''s part of that fee. In basis points.';
COMMENT ON COLUMN positions.entry_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.entry_price_usd_pips IS 'Price of one outcome token at entry. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.entry_effective_entry_price_usd_pips IS 'Entry price after slippage; NULL until known. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.entry_effective_slippage_bps IS 'Slippage at entry; NULL until known. In basis points.';
COMMENT ON COLUMN positions.entry_position_token_units IS 'Outcome tokens acquired, smallest units.';
COMMENT ON COLUMN positions.entry_initial_fill_bps IS 'Share of the order that was filled at entry. In basis points.';
COMMENT ON COLUMN positions.current_collateral_usd_pips IS 'Collateral now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_effective_collateral_usd_pips IS 'Collateral less accrued fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_leverage_bps IS 'Leverage at the mark price; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_book_leverage_bps IS 'Leverage at book value; 20,000 bps are 2x. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_mark_price_usd_pips IS 'Mark price of one outcome token. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_notional_usd_pips IS 'Notional now. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_position_token_units IS 'Outcome tokens held, smallest units.';
COMMENT ON COLUMN positions.current_position_value_usd_pips IS 'Value of the tokens at the mark price. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_unrealized_pnl_bps IS 'Unrealized PnL, as a share of collateral. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_unrealized_pnl_usd_pips IS 'Unrealized PnL before fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_net_unrealized_pnl_bps IS 'The same after fees, as a share. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_net_unrealized_pnl_usd_pips IS 'Unrealized PnL after fees. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.current_remaining_bps IS 'Share of the entry size that is left. In basis points.';
COMMENT ON COLUMN positions.risk_current_liquidation_price_usd_pips IS 'Mark price at which it is liquidated. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_health_bps IS 'Health; it is liquidated as this reaches 0. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_liquidation_buffer_bps IS 'Distance to the liquidation price. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_liquidation_fee_bps IS 'Fee a liquidation would collect. In basis points. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.risk_margin_buffer_usd_pips IS 'Margin above the maintenance level. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.fees_accrued_lifetime_fee_usd_pips IS 'Lifetime fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.fees_accrued_venue_fee_usd_pips IS 'Venue fee accrued so far. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.fees_pending_lifetime_fee_usd_pips IS 'Lifetime fee not collected yet. In pips: 10,000 are 1 USD. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.fees_lifetime_apr_bps IS 'Lifetime fee, as a yearly rate. In basis points.';
COMMENT ON COLUMN positions.fees_origination_fee_bps IS 'Origination fee, as a share of notional. In basis points.';
COMMENT ON COLUMN positions.fees_origination_fee_usd_pips IS 'Origination fee paid. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.fees_total_fees_usd_pips IS 'All fees: so far while open, final after. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.fees_total_lifetime_fee_usd_pips IS 'Lifetime fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.fees_total_venue_fee_usd_pips IS 'Venue fee paid in all. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.timing_market_close_time IS 'When the market closes; NULL if unknown. UTC. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.timing_market_status IS 'The market''s status at the venue. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.timing_settlement_state IS 'none, awaiting_resolution, settling, voided or unresolved_upstream.';
COMMENT ON COLUMN positions.timing_time_to_close_minutes IS 'Minutes to the market''s close. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.timing_is_voided IS 'Whether the market was voided. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.timing_is_settlement_pending IS 'Whether a settlement is under way. Moves with the market; this is its value at the last fact.';
COMMENT ON COLUMN positions.result_closed_at IS 'When it ended. UTC.';
COMMENT ON COLUMN positions.result_collected_lifetime_fee_usd_pips IS 'Lifetime fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.result_collected_liquidation_fee_usd_pips IS 'Liquidation fee collected. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.result_proceeds_usd_pips IS 'Paid out to the customer. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.result_realized_pnl_usd_pips IS 'Realized PnL before fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.result_net_realized_pnl_bps IS 'Realized PnL after fees, as a share. In basis points.';
COMMENT ON COLUMN positions.result_net_realized_pnl_usd_pips IS 'Realized PnL after fees. In pips: 10,000 are 1 USD.';
COMMENT ON COLUMN positions.close_reason IS 'Why it ended: closed, settled, liquidated, reverted.';
COMMENT ON COLUMN positions.failure_reason IS 'Why the opening failed; NULL when it did not.';
COMMENT ON COLUMN positions.data IS 'The whole position object, unknown fields too. What jsonb cannot hold (U+0000, lone surrogates) stands there as U+FFFD; events.envelope has it to the letter.';
COMMENT ON COLUMN positions.misfit_fields IS 'Fields whose value was of the wrong kind: NULL in their column, whole in data.';
COMMENT ON COLUMN positions.last_event_id IS 'The fact that this row shows: its event_id in events.';
COMMENT ON COLUMN positions.last_event_type IS 'The type of that fact.';
COMMENT ON COLUMN positions.last_event_at IS 'The created_at of that fact. UTC.';
COMMENT ON COLUMN positions.source IS 'The source of that fact: partner, customer, import or rest.';
COMMENT ON COLUMN positions.supersedes_before IS 'Events of this position created up to this moment are overruled by its latest snapshot; NULL without one.';
COMMENT ON COLUMN positions.updated_at IS 'When positionstore received the fact that this row shows. UTC.';
COMMENT ON COLUMN positions.verified_at IS 'When a reconciliation last found this row equal to GET /positions. UTC; NULL if never.';

CREATE INDEX positions_live ON positions (position_id) WHERE phase <> 'terminal';
-- By hash, since a value of any length has to fit.
CREATE INDEX positions_wallet ON positions USING hash (wallet_address);
CREATE INDEX positions_misfit_fields ON positions (position_id) WHERE misfit_fields <> '{}';

-- A server without lz4 would compress a body anew at each change of its row, which costs as much as
-- all the rest of the write. There a body stays as it is as long as a page holds it; two such rows
-- fill a page.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
    ) THEN
        ALTER TABLE positions SET (toast_tuple_target = 8160, fillfactor = 100);
    END IF;
END
$$;
