-- The projection: one row a position, and how a fact becomes such a row.
-- One column a field of the field catalogue (positionstore/position.py); a test compares the two.

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
COMMENT ON COLUMN positions.wallet_address IS 'The customer''s wallet.';
COMMENT ON COLUMN positions.on_chain_position_key IS 'The key of the position''s on-chain account.';
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

CREATE VIEW ranked_positions AS
SELECT
    p.position_id,
    p.supersedes_before,
    rank_of_fact(s.phase, p.last_event_at, s.precedence, t.precedence, p.last_event_id) AS rank
FROM positions p
LEFT JOIN position_statuses s ON s.status = p.status
LEFT JOIN event_types t ON t.type = p.last_event_type;
COMMENT ON VIEW ranked_positions IS
    'Each position with the rank of the fact that its row shows: what a newer fact has to beat.';
COMMENT ON COLUMN ranked_positions.position_id IS 'The position.';
COMMENT ON COLUMN ranked_positions.supersedes_before IS 'Events created up to this moment are overruled by its latest snapshot; NULL without one.';
COMMENT ON COLUMN ranked_positions.rank IS 'Where that fact stands in the order of facts; the greater wins.';

CREATE FUNCTION jsonb_from_wire(wire json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    repaired text;
    tokens   text[];
    token    text;
BEGIN
    RETURN wire::jsonb;
EXCEPTION WHEN data_exception THEN
    -- Control characters stand nowhere in JSON, so they can stand in for what is in order. Without
    -- the escaped backslashes, every backslash begins an escape.
    repaired := replace(wire::text, '\\', E'\x01');
    repaired := regexp_replace(repaired,
        '\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})', E'\x02\\1\x02\\2', 'g');
    repaired := regexp_replace(repaired, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g');
    repaired := replace(repaired, E'\x02', '\u');
    BEGIN
        RETURN replace(repaired, E'\x01', '\\')::jsonb;
    EXCEPTION WHEN data_exception THEN
        NULL;
    END;
    -- What is left is a number that numeric cannot hold. It becomes its text.
    tokens := ARRAY(
        SELECT matched[1]
        FROM regexp_matches(
            replace(repaired, '\"', E'\x02'), '"[^"]*"|[-0-9][-+.0-9eE]*|[^-0-9"]+', 'g'
        ) matched
    );
    FOR place IN 1..cardinality(tokens) LOOP
        token := tokens[place];
        IF token ~ '^[-0-9]' AND (length(token) > 1000 OR token ~ '[eE][-+]?[0-9]{4}') THEN
            BEGIN
                PERFORM token::numeric;
            EXCEPTION WHEN data_exception THEN
                token := '"' || token || '"';
            END;
            -- Out here, because inside that block it would copy the array.
            tokens[place] := token;
        END IF;
    END LOOP;
    repaired := replace(array_to_string(tokens, ''), E'\x02', '\"');
    RETURN replace(repaired, E'\x01', '\\')::jsonb;
END
$$;
COMMENT ON FUNCTION jsonb_from_wire(json) IS
    'The same value as jsonb, always: U+0000 and lone surrogates become U+FFFD, a number that numeric cannot hold becomes its text.';

CREATE FUNCTION instant_from_wire(wire text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    instant timestamptz;
BEGIN
    -- Only with an offset: without one the result would hang on the session's time zone.
    IF wire !~ '^[0-9]{4}-[0-9][0-9]-[0-9][0-9][Tt ][0-9][0-9]:[0-9][0-9](:[0-9][0-9]([.][0-9]+)?)?([Zz]|[+-][0-9][0-9](:?[0-9][0-9])?)$' THEN
        RETURN NULL;
    END IF;
    IF length(wire) > 26 THEN
        -- Cut, as created_at is: a cast would round, and would refuse a hundred digits.
        wire := regexp_replace(wire, '([.][0-9]{6})[0-9]+', '\1');
    END IF;
    instant := wire::timestamptz;
    -- Drivers and languages know the years 1 to 9999.
    IF instant >= '0001-01-01 00:00:00+00' AND instant < '10000-01-01 00:00:00+00' THEN
        RETURN instant;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION instant_from_wire(text) IS
    'The instant that an ISO 8601 text names, cut to microseconds; NULL where it names none of the years 1 to 9999.';

CREATE FUNCTION bigint_from_wire(wire text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF wire ~ '^-?[0-9]{1,19}$' THEN
        RETURN wire::bigint;
    END IF;
    RETURN NULL;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION bigint_from_wire(text) IS
    'The integer that a text spells; NULL where it spells none, or one beyond 64 bits.';

CREATE VIEW fact_positions AS
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
    CASE WHEN fits.plainly OR jsonb_typeof(top.wallet_address) = 'string' THEN top.wallet_address #>> '{}' END AS wallet_address,
    CASE WHEN fits.plainly OR jsonb_typeof(top.on_chain_position_key) = 'string' THEN top.on_chain_position_key #>> '{}' END AS on_chain_position_key,
    CASE WHEN fits.plainly OR jsonb_typeof(top.provider) = 'string' THEN top.provider #>> '{}' END AS provider,
    CASE WHEN fits.plainly THEN top.effective_leverage_bps::bigint ELSE bigint_from_wire(top.effective_leverage_bps) END AS effective_leverage_bps,
    CASE WHEN fits.plainly THEN entry_.collateral_usd_pips::bigint ELSE bigint_from_wire(entry_.collateral_usd_pips) END AS entry_collateral_usd_pips,
    CASE WHEN fits.plainly THEN entry_.leverage_bps::bigint ELSE bigint_from_wire(entry_.leverage_bps) END AS entry_leverage_bps,
    CASE WHEN fits.plainly THEN entry_.notional_usd_pips::bigint ELSE bigint_from_wire(entry_.notional_usd_pips) END AS entry_notional_usd_pips,
    fits.entry_opened_at AS entry_opened_at,
    CASE WHEN fits.plainly THEN entry_.origination_fee_bps::bigint ELSE bigint_from_wire(entry_.origination_fee_bps) END AS entry_origination_fee_bps,
    CASE WHEN fits.plainly THEN entry_.protocol_origination_fee_bps::bigint ELSE bigint_from_wire(entry_.protocol_origination_fee_bps) END AS entry_protocol_origination_fee_bps,
    CASE WHEN fits.plainly THEN entry_.partner_origination_fee_bps::bigint ELSE bigint_from_wire(entry_.partner_origination_fee_bps) END AS entry_partner_origination_fee_bps,
    CASE WHEN fits.plainly THEN entry_.origination_fee_usd_pips::bigint ELSE bigint_from_wire(entry_.origination_fee_usd_pips) END AS entry_origination_fee_usd_pips,
    CASE WHEN fits.plainly THEN entry_.price_usd_pips::bigint ELSE bigint_from_wire(entry_.price_usd_pips) END AS entry_price_usd_pips,
    CASE WHEN fits.plainly THEN entry_.effective_entry_price_usd_pips::bigint ELSE bigint_from_wire(entry_.effective_entry_price_usd_pips) END AS entry_effective_entry_price_usd_pips,
    CASE WHEN fits.plainly THEN entry_.effective_slippage_bps::bigint ELSE bigint_from_wire(entry_.effective_slippage_bps) END AS entry_effective_slippage_bps,
    CASE WHEN length(entry_.position_token_units) <= 1000 AND entry_.position_token_units ~ '^-?[0-9]+$' THEN entry_.position_token_units::numeric END AS entry_position_token_units,
    CASE WHEN fits.plainly THEN entry_.initial_fill_bps::bigint ELSE bigint_from_wire(entry_.initial_fill_bps) END AS entry_initial_fill_bps,
    CASE WHEN fits.plainly THEN current_.collateral_usd_pips::bigint ELSE bigint_from_wire(current_.collateral_usd_pips) END AS current_collateral_usd_pips,
    CASE WHEN fits.plainly THEN current_.effective_collateral_usd_pips::bigint ELSE bigint_from_wire(current_.effective_collateral_usd_pips) END AS current_effective_collateral_usd_pips,
    CASE WHEN fits.plainly THEN current_.leverage_bps::bigint ELSE bigint_from_wire(current_.leverage_bps) END AS current_leverage_bps,
    CASE WHEN fits.plainly THEN current_.book_leverage_bps::bigint ELSE bigint_from_wire(current_.book_leverage_bps) END AS current_book_leverage_bps,
    CASE WHEN fits.plainly THEN current_.mark_price_usd_pips::bigint ELSE bigint_from_wire(current_.mark_price_usd_pips) END AS current_mark_price_usd_pips,
    CASE WHEN fits.plainly THEN current_.notional_usd_pips::bigint ELSE bigint_from_wire(current_.notional_usd_pips) END AS current_notional_usd_pips,
    CASE WHEN length(current_.position_token_units) <= 1000 AND current_.position_token_units ~ '^-?[0-9]+$' THEN current_.position_token_units::numeric END AS current_position_token_units,
    CASE WHEN fits.plainly THEN current_.position_value_usd_pips::bigint ELSE bigint_from_wire(current_.position_value_usd_pips) END AS current_position_value_usd_pips,
    CASE WHEN fits.plainly THEN current_.unrealized_pnl_bps::bigint ELSE bigint_from_wire(current_.unrealized_pnl_bps) END AS current_unrealized_pnl_bps,
    CASE WHEN fits.plainly THEN current_.unrealized_pnl_usd_pips::bigint ELSE bigint_from_wire(current_.unrealized_pnl_usd_pips) END AS current_unrealized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN current_.net_unrealized_pnl_bps::bigint ELSE bigint_from_wire(current_.net_unrealized_pnl_bps) END AS current_net_unrealized_pnl_bps,
    CASE WHEN fits.plainly THEN current_.net_unrealized_pnl_usd_pips::bigint ELSE bigint_from_wire(current_.net_unrealized_pnl_usd_pips) END AS current_net_unrealized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN current_.remaining_bps::bigint ELSE bigint_from_wire(current_.remaining_bps) END AS current_remaining_bps,
    CASE WHEN fits.plainly THEN risk_.current_liquidation_price_usd_pips::bigint ELSE bigint_from_wire(risk_.current_liquidation_price_usd_pips) END AS risk_current_liquidation_price_usd_pips,
    CASE WHEN fits.plainly THEN risk_.health_bps::bigint ELSE bigint_from_wire(risk_.health_bps) END AS risk_health_bps,
    CASE WHEN fits.plainly THEN risk_.liquidation_buffer_bps::bigint ELSE bigint_from_wire(risk_.liquidation_buffer_bps) END AS risk_liquidation_buffer_bps,
    CASE WHEN fits.plainly THEN risk_.liquidation_fee_bps::bigint ELSE bigint_from_wire(risk_.liquidation_fee_bps) END AS risk_liquidation_fee_bps,
    CASE WHEN fits.plainly THEN risk_.margin_buffer_usd_pips::bigint ELSE bigint_from_wire(risk_.margin_buffer_usd_pips) END AS risk_margin_buffer_usd_pips,
    CASE WHEN fits.plainly THEN fees_.accrued_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.accrued_lifetime_fee_usd_pips) END AS fees_accrued_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN fees_.accrued_venue_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.accrued_venue_fee_usd_pips) END AS fees_accrued_venue_fee_usd_pips,
    CASE WHEN fits.plainly THEN fees_.pending_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.pending_lifetime_fee_usd_pips) END AS fees_pending_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN fees_.lifetime_apr_bps::bigint ELSE bigint_from_wire(fees_.lifetime_apr_bps) END AS fees_lifetime_apr_bps,
    CASE WHEN fits.plainly THEN fees_.origination_fee_bps::bigint ELSE bigint_from_wire(fees_.origination_fee_bps) END AS fees_origination_fee_bps,
    CASE WHEN fits.plainly THEN fees_.origination_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.origination_fee_usd_pips) END AS fees_origination_fee_usd_pips,
    CASE WHEN fits.plainly THEN fees_.total_fees_usd_pips::bigint ELSE bigint_from_wire(fees_.total_fees_usd_pips) END AS fees_total_fees_usd_pips,
    CASE WHEN fits.plainly THEN fees_.total_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.total_lifetime_fee_usd_pips) END AS fees_total_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN fees_.total_venue_fee_usd_pips::bigint ELSE bigint_from_wire(fees_.total_venue_fee_usd_pips) END AS fees_total_venue_fee_usd_pips,
    fits.timing_market_close_time AS timing_market_close_time,
    CASE WHEN fits.plainly OR jsonb_typeof(timing_.market_status) = 'string' THEN timing_.market_status #>> '{}' END AS timing_market_status,
    CASE WHEN fits.plainly OR jsonb_typeof(timing_.settlement_state) = 'string' THEN timing_.settlement_state #>> '{}' END AS timing_settlement_state,
    CASE WHEN fits.plainly THEN timing_.time_to_close_minutes::bigint ELSE bigint_from_wire(timing_.time_to_close_minutes) END AS timing_time_to_close_minutes,
    CASE WHEN fits.plainly OR jsonb_typeof(timing_.is_voided) = 'boolean' THEN timing_.is_voided::boolean END AS timing_is_voided,
    CASE WHEN fits.plainly OR jsonb_typeof(timing_.is_settlement_pending) = 'boolean' THEN timing_.is_settlement_pending::boolean END AS timing_is_settlement_pending,
    fits.result_closed_at AS result_closed_at,
    CASE WHEN fits.plainly THEN result_.collected_lifetime_fee_usd_pips::bigint ELSE bigint_from_wire(result_.collected_lifetime_fee_usd_pips) END AS result_collected_lifetime_fee_usd_pips,
    CASE WHEN fits.plainly THEN result_.collected_liquidation_fee_usd_pips::bigint ELSE bigint_from_wire(result_.collected_liquidation_fee_usd_pips) END AS result_collected_liquidation_fee_usd_pips,
    CASE WHEN fits.plainly THEN result_.proceeds_usd_pips::bigint ELSE bigint_from_wire(result_.proceeds_usd_pips) END AS result_proceeds_usd_pips,
    CASE WHEN fits.plainly THEN result_.realized_pnl_usd_pips::bigint ELSE bigint_from_wire(result_.realized_pnl_usd_pips) END AS result_realized_pnl_usd_pips,
    CASE WHEN fits.plainly THEN result_.net_realized_pnl_bps::bigint ELSE bigint_from_wire(result_.net_realized_pnl_bps) END AS result_net_realized_pnl_bps,
    CASE WHEN fits.plainly THEN result_.net_realized_pnl_usd_pips::bigint ELSE bigint_from_wire(result_.net_realized_pnl_usd_pips) END AS result_net_realized_pnl_usd_pips,
    CASE WHEN fits.plainly OR jsonb_typeof(top.close_reason) = 'string' THEN top.close_reason #>> '{}' END AS close_reason,
    CASE WHEN fits.plainly OR jsonb_typeof(failure_.reason) = 'string' THEN failure_.reason #>> '{}' END AS failure_reason,
    body.data,
    CASE WHEN fits.plainly
        AND (entry_.opened_at IS NULL) = (fits.entry_opened_at IS NULL)
        AND (timing_.market_close_time IS NULL) = (fits.timing_market_close_time IS NULL)
        AND (result_.closed_at IS NULL) = (fits.result_closed_at IS NULL)
        AND (length(entry_.position_token_units) <= 1000 AND entry_.position_token_units ~ '^-?[0-9]+$') IS NOT FALSE
        AND (length(current_.position_token_units) <= 1000 AND current_.position_token_units ~ '^-?[0-9]+$') IS NOT FALSE THEN '{}' ELSE array_remove(ARRAY[
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
        CASE WHEN entry_.collateral_usd_pips IS NOT NULL AND bigint_from_wire(entry_.collateral_usd_pips) IS NULL THEN 'entry.collateral_usd_pips' END,
        CASE WHEN entry_.leverage_bps IS NOT NULL AND bigint_from_wire(entry_.leverage_bps) IS NULL THEN 'entry.leverage_bps' END,
        CASE WHEN entry_.notional_usd_pips IS NOT NULL AND bigint_from_wire(entry_.notional_usd_pips) IS NULL THEN 'entry.notional_usd_pips' END,
        CASE WHEN entry_.opened_at IS NOT NULL AND fits.entry_opened_at IS NULL THEN 'entry.opened_at' END,
        CASE WHEN entry_.origination_fee_bps IS NOT NULL AND bigint_from_wire(entry_.origination_fee_bps) IS NULL THEN 'entry.origination_fee_bps' END,
        CASE WHEN entry_.protocol_origination_fee_bps IS NOT NULL AND bigint_from_wire(entry_.protocol_origination_fee_bps) IS NULL THEN 'entry.protocol_origination_fee_bps' END,
        CASE WHEN entry_.partner_origination_fee_bps IS NOT NULL AND bigint_from_wire(entry_.partner_origination_fee_bps) IS NULL THEN 'entry.partner_origination_fee_bps' END,
        CASE WHEN entry_.origination_fee_usd_pips IS NOT NULL AND bigint_from_wire(entry_.origination_fee_usd_pips) IS NULL THEN 'entry.origination_fee_usd_pips' END,
        CASE WHEN entry_.price_usd_pips IS NOT NULL AND bigint_from_wire(entry_.price_usd_pips) IS NULL THEN 'entry.price_usd_pips' END,
        CASE WHEN entry_.effective_entry_price_usd_pips IS NOT NULL AND bigint_from_wire(entry_.effective_entry_price_usd_pips) IS NULL THEN 'entry.effective_entry_price_usd_pips' END,
        CASE WHEN entry_.effective_slippage_bps IS NOT NULL AND bigint_from_wire(entry_.effective_slippage_bps) IS NULL THEN 'entry.effective_slippage_bps' END,
        CASE WHEN length(entry_.position_token_units) > 1000 OR entry_.position_token_units !~ '^-?[0-9]+$' THEN 'entry.position_token_units' END,
        CASE WHEN entry_.initial_fill_bps IS NOT NULL AND bigint_from_wire(entry_.initial_fill_bps) IS NULL THEN 'entry.initial_fill_bps' END,
        CASE WHEN current_.collateral_usd_pips IS NOT NULL AND bigint_from_wire(current_.collateral_usd_pips) IS NULL THEN 'current.collateral_usd_pips' END,
        CASE WHEN current_.effective_collateral_usd_pips IS NOT NULL AND bigint_from_wire(current_.effective_collateral_usd_pips) IS NULL THEN 'current.effective_collateral_usd_pips' END,
        CASE WHEN current_.leverage_bps IS NOT NULL AND bigint_from_wire(current_.leverage_bps) IS NULL THEN 'current.leverage_bps' END,
        CASE WHEN current_.book_leverage_bps IS NOT NULL AND bigint_from_wire(current_.book_leverage_bps) IS NULL THEN 'current.book_leverage_bps' END,
        CASE WHEN current_.mark_price_usd_pips IS NOT NULL AND bigint_from_wire(current_.mark_price_usd_pips) IS NULL THEN 'current.mark_price_usd_pips' END,
        CASE WHEN current_.notional_usd_pips IS NOT NULL AND bigint_from_wire(current_.notional_usd_pips) IS NULL THEN 'current.notional_usd_pips' END,
        CASE WHEN length(current_.position_token_units) > 1000 OR current_.position_token_units !~ '^-?[0-9]+$' THEN 'current.position_token_units' END,
        CASE WHEN current_.position_value_usd_pips IS NOT NULL AND bigint_from_wire(current_.position_value_usd_pips) IS NULL THEN 'current.position_value_usd_pips' END,
        CASE WHEN current_.unrealized_pnl_bps IS NOT NULL AND bigint_from_wire(current_.unrealized_pnl_bps) IS NULL THEN 'current.unrealized_pnl_bps' END,
        CASE WHEN current_.unrealized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(current_.unrealized_pnl_usd_pips) IS NULL THEN 'current.unrealized_pnl_usd_pips' END,
        CASE WHEN current_.net_unrealized_pnl_bps IS NOT NULL AND bigint_from_wire(current_.net_unrealized_pnl_bps) IS NULL THEN 'current.net_unrealized_pnl_bps' END,
        CASE WHEN current_.net_unrealized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(current_.net_unrealized_pnl_usd_pips) IS NULL THEN 'current.net_unrealized_pnl_usd_pips' END,
        CASE WHEN current_.remaining_bps IS NOT NULL AND bigint_from_wire(current_.remaining_bps) IS NULL THEN 'current.remaining_bps' END,
        CASE WHEN risk_.current_liquidation_price_usd_pips IS NOT NULL AND bigint_from_wire(risk_.current_liquidation_price_usd_pips) IS NULL THEN 'risk.current_liquidation_price_usd_pips' END,
        CASE WHEN risk_.health_bps IS NOT NULL AND bigint_from_wire(risk_.health_bps) IS NULL THEN 'risk.health_bps' END,
        CASE WHEN risk_.liquidation_buffer_bps IS NOT NULL AND bigint_from_wire(risk_.liquidation_buffer_bps) IS NULL THEN 'risk.liquidation_buffer_bps' END,
        CASE WHEN risk_.liquidation_fee_bps IS NOT NULL AND bigint_from_wire(risk_.liquidation_fee_bps) IS NULL THEN 'risk.liquidation_fee_bps' END,
        CASE WHEN risk_.margin_buffer_usd_pips IS NOT NULL AND bigint_from_wire(risk_.margin_buffer_usd_pips) IS NULL THEN 'risk.margin_buffer_usd_pips' END,
        CASE WHEN fees_.accrued_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.accrued_lifetime_fee_usd_pips) IS NULL THEN 'fees.accrued_lifetime_fee_usd_pips' END,
        CASE WHEN fees_.accrued_venue_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.accrued_venue_fee_usd_pips) IS NULL THEN 'fees.accrued_venue_fee_usd_pips' END,
        CASE WHEN fees_.pending_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.pending_lifetime_fee_usd_pips) IS NULL THEN 'fees.pending_lifetime_fee_usd_pips' END,
        CASE WHEN fees_.lifetime_apr_bps IS NOT NULL AND bigint_from_wire(fees_.lifetime_apr_bps) IS NULL THEN 'fees.lifetime_apr_bps' END,
        CASE WHEN fees_.origination_fee_bps IS NOT NULL AND bigint_from_wire(fees_.origination_fee_bps) IS NULL THEN 'fees.origination_fee_bps' END,
        CASE WHEN fees_.origination_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.origination_fee_usd_pips) IS NULL THEN 'fees.origination_fee_usd_pips' END,
        CASE WHEN fees_.total_fees_usd_pips IS NOT NULL AND bigint_from_wire(fees_.total_fees_usd_pips) IS NULL THEN 'fees.total_fees_usd_pips' END,
        CASE WHEN fees_.total_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.total_lifetime_fee_usd_pips) IS NULL THEN 'fees.total_lifetime_fee_usd_pips' END,
        CASE WHEN fees_.total_venue_fee_usd_pips IS NOT NULL AND bigint_from_wire(fees_.total_venue_fee_usd_pips) IS NULL THEN 'fees.total_venue_fee_usd_pips' END,
        CASE WHEN timing_.market_close_time IS NOT NULL AND fits.timing_market_close_time IS NULL THEN 'timing.market_close_time' END,
        CASE WHEN jsonb_typeof(timing_.market_status) <> 'string' THEN 'timing.market_status' END,
        CASE WHEN jsonb_typeof(timing_.settlement_state) <> 'string' THEN 'timing.settlement_state' END,
        CASE WHEN timing_.time_to_close_minutes IS NOT NULL AND bigint_from_wire(timing_.time_to_close_minutes) IS NULL THEN 'timing.time_to_close_minutes' END,
        CASE WHEN jsonb_typeof(timing_.is_voided) <> 'boolean' THEN 'timing.is_voided' END,
        CASE WHEN jsonb_typeof(timing_.is_settlement_pending) <> 'boolean' THEN 'timing.is_settlement_pending' END,
        CASE WHEN result_.closed_at IS NOT NULL AND fits.result_closed_at IS NULL THEN 'result.closed_at' END,
        CASE WHEN result_.collected_lifetime_fee_usd_pips IS NOT NULL AND bigint_from_wire(result_.collected_lifetime_fee_usd_pips) IS NULL THEN 'result.collected_lifetime_fee_usd_pips' END,
        CASE WHEN result_.collected_liquidation_fee_usd_pips IS NOT NULL AND bigint_from_wire(result_.collected_liquidation_fee_usd_pips) IS NULL THEN 'result.collected_liquidation_fee_usd_pips' END,
        CASE WHEN result_.proceeds_usd_pips IS NOT NULL AND bigint_from_wire(result_.proceeds_usd_pips) IS NULL THEN 'result.proceeds_usd_pips' END,
        CASE WHEN result_.realized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(result_.realized_pnl_usd_pips) IS NULL THEN 'result.realized_pnl_usd_pips' END,
        CASE WHEN result_.net_realized_pnl_bps IS NOT NULL AND bigint_from_wire(result_.net_realized_pnl_bps) IS NULL THEN 'result.net_realized_pnl_bps' END,
        CASE WHEN result_.net_realized_pnl_usd_pips IS NOT NULL AND bigint_from_wire(result_.net_realized_pnl_usd_pips) IS NULL THEN 'result.net_realized_pnl_usd_pips' END,
        CASE WHEN jsonb_typeof(top.close_reason) <> 'string' THEN 'close_reason' END,
        CASE WHEN jsonb_typeof(failure_.reason) <> 'string' THEN 'failure.reason' END
    ]::text[], NULL) END AS misfit_fields
FROM (
    -- OFFSET 0, here and below: computed once a row, not once a column.
    SELECT jsonb_from_wire(f.envelope) -> 'data' AS data OFFSET 0
) body
CROSS JOIN LATERAL jsonb_to_record(body.data) AS top (
            market_ticker jsonb,
            market_title jsonb,
            side jsonb,
            wallet_address jsonb,
            on_chain_position_key jsonb,
            provider jsonb,
            effective_leverage_bps text,
            close_reason jsonb,
            entry jsonb,
            current jsonb,
            risk jsonb,
            fees jsonb,
            timing jsonb,
            result jsonb,
            failure jsonb
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.entry) = 'object' THEN top.entry ELSE '{}' END
) AS entry_ (
            collateral_usd_pips text,
            leverage_bps text,
            notional_usd_pips text,
            opened_at jsonb,
            origination_fee_bps text,
            protocol_origination_fee_bps text,
            partner_origination_fee_bps text,
            origination_fee_usd_pips text,
            price_usd_pips text,
            effective_entry_price_usd_pips text,
            effective_slippage_bps text,
            position_token_units text,
            initial_fill_bps text
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.current) = 'object' THEN top.current ELSE '{}' END
) AS current_ (
            collateral_usd_pips text,
            effective_collateral_usd_pips text,
            leverage_bps text,
            book_leverage_bps text,
            mark_price_usd_pips text,
            notional_usd_pips text,
            position_token_units text,
            position_value_usd_pips text,
            unrealized_pnl_bps text,
            unrealized_pnl_usd_pips text,
            net_unrealized_pnl_bps text,
            net_unrealized_pnl_usd_pips text,
            remaining_bps text
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.risk) = 'object' THEN top.risk ELSE '{}' END
) AS risk_ (
            current_liquidation_price_usd_pips text,
            health_bps text,
            liquidation_buffer_bps text,
            liquidation_fee_bps text,
            margin_buffer_usd_pips text
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.fees) = 'object' THEN top.fees ELSE '{}' END
) AS fees_ (
            accrued_lifetime_fee_usd_pips text,
            accrued_venue_fee_usd_pips text,
            pending_lifetime_fee_usd_pips text,
            lifetime_apr_bps text,
            origination_fee_bps text,
            origination_fee_usd_pips text,
            total_fees_usd_pips text,
            total_lifetime_fee_usd_pips text,
            total_venue_fee_usd_pips text
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.timing) = 'object' THEN top.timing ELSE '{}' END
) AS timing_ (
            market_close_time jsonb,
            market_status jsonb,
            settlement_state jsonb,
            time_to_close_minutes text,
            is_voided jsonb,
            is_settlement_pending jsonb
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.result) = 'object' THEN top.result ELSE '{}' END
) AS result_ (
            closed_at jsonb,
            collected_lifetime_fee_usd_pips text,
            collected_liquidation_fee_usd_pips text,
            proceeds_usd_pips text,
            realized_pnl_usd_pips text,
            net_realized_pnl_bps text,
            net_realized_pnl_usd_pips text
)
CROSS JOIN LATERAL jsonb_to_record(
    CASE WHEN jsonb_typeof(top.failure) = 'object' THEN top.failure ELSE '{}' END
) AS failure_ (
            reason jsonb
)
CROSS JOIN LATERAL (
    -- The usual row is proved well-formed at once, which costs a tenth of asking each field. What is
    -- missing stands as 0; every number adds one comma, so that no value can pass for two or none.
    SELECT
        numbers !~ '[^0-9,-]|[0-9]-|-[,-]|-$|,,|^,|,$|[0-9]{19}'
            AND length(numbers) - length(replace(numbers, ',', '')) = 44
            AND concat(
                jsonb_typeof(top.market_ticker),
                jsonb_typeof(top.market_title),
                jsonb_typeof(top.side),
                jsonb_typeof(top.wallet_address),
                jsonb_typeof(top.on_chain_position_key),
                jsonb_typeof(top.provider),
                jsonb_typeof(entry_.opened_at),
                jsonb_typeof(timing_.market_close_time),
                jsonb_typeof(timing_.market_status),
                jsonb_typeof(timing_.settlement_state),
                jsonb_typeof(result_.closed_at),
                jsonb_typeof(top.close_reason),
                jsonb_typeof(failure_.reason)
            ) ~ '^(string)*$'
            AND concat(jsonb_typeof(timing_.is_voided), jsonb_typeof(timing_.is_settlement_pending)) ~ '^(boolean)*$'
            AND concat(
                jsonb_typeof(top.entry),
                jsonb_typeof(top.current),
                jsonb_typeof(top.risk),
                jsonb_typeof(top.fees),
                jsonb_typeof(top.timing),
                jsonb_typeof(top.result),
                jsonb_typeof(top.failure)
            ) ~ '^(object)*$'
        AS plainly,
        instant_from_wire(entry_.opened_at #>> '{}') AS entry_opened_at,
        instant_from_wire(timing_.market_close_time #>> '{}') AS timing_market_close_time,
        instant_from_wire(result_.closed_at #>> '{}') AS result_closed_at
    FROM (SELECT array_to_string(ARRAY[
            top.effective_leverage_bps,
            entry_.collateral_usd_pips,
            entry_.leverage_bps,
            entry_.notional_usd_pips,
            entry_.origination_fee_bps,
            entry_.protocol_origination_fee_bps,
            entry_.partner_origination_fee_bps,
            entry_.origination_fee_usd_pips,
            entry_.price_usd_pips,
            entry_.effective_entry_price_usd_pips,
            entry_.effective_slippage_bps,
            entry_.initial_fill_bps,
            current_.collateral_usd_pips,
            current_.effective_collateral_usd_pips,
            current_.leverage_bps,
            current_.book_leverage_bps,
            current_.mark_price_usd_pips,
            current_.notional_usd_pips,
            current_.position_value_usd_pips,
            current_.unrealized_pnl_bps,
            current_.unrealized_pnl_usd_pips,
            current_.net_unrealized_pnl_bps,
            current_.net_unrealized_pnl_usd_pips,
            current_.remaining_bps,
            risk_.current_liquidation_price_usd_pips,
            risk_.health_bps,
            risk_.liquidation_buffer_bps,
            risk_.liquidation_fee_bps,
            risk_.margin_buffer_usd_pips,
            fees_.accrued_lifetime_fee_usd_pips,
            fees_.accrued_venue_fee_usd_pips,
            fees_.pending_lifetime_fee_usd_pips,
            fees_.lifetime_apr_bps,
            fees_.origination_fee_bps,
            fees_.origination_fee_usd_pips,
            fees_.total_fees_usd_pips,
            fees_.total_lifetime_fee_usd_pips,
            fees_.total_venue_fee_usd_pips,
            timing_.time_to_close_minutes,
            result_.collected_lifetime_fee_usd_pips,
            result_.collected_liquidation_fee_usd_pips,
            result_.proceeds_usd_pips,
            result_.realized_pnl_usd_pips,
            result_.net_realized_pnl_bps,
            result_.net_realized_pnl_usd_pips
        ], ',', '0') AS numbers OFFSET 0) AS spelled
    OFFSET 0
) fits
OFFSET 0
) x;
COMMENT ON VIEW fact_positions IS
    'Each fact as the row of positions that it would make.';
