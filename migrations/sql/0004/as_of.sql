-- The book as it was, and as it was known. Its order of facts is that of fold_facts.

CREATE FUNCTION positions_as_of(
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
    entry_position_token_units numeric,
    entry_initial_fill_bps bigint,
    current_collateral_usd_pips bigint,
    current_effective_collateral_usd_pips bigint,
    current_leverage_bps bigint,
    current_book_leverage_bps bigint,
    current_mark_price_usd_pips bigint,
    current_notional_usd_pips bigint,
    current_position_token_units numeric,
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
BEGIN
    IF of_position IS NOT NULL THEN
        asked := ARRAY[of_position];
    ELSIF of_wallet IS NOT NULL THEN
        asked := ARRAY(SELECT p.position_id FROM positions p WHERE p.wallet_address = of_wallet);
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
        f.entry_position_token_units,
        f.entry_initial_fill_bps,
        f.current_collateral_usd_pips,
        f.current_effective_collateral_usd_pips,
        f.current_leverage_bps,
        f.current_book_leverage_bps,
        f.current_mark_price_usd_pips,
        f.current_notional_usd_pips,
        f.current_position_token_units,
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
    FROM fold_facts(asked, positions_as_of.valid_at, positions_as_of.known_at) w
    CROSS JOIN LATERAL (SELECT * FROM fact_positions f WHERE f.seq = w.seq OFFSET 0) f
    WHERE of_wallet IS NULL OR f.wallet_address = of_wallet;
END
$$;
COMMENT ON FUNCTION positions_as_of(timestamptz, timestamptz, text, text) IS
    'The book as it was at valid_at, by the facts that had been received by known_at: rows like those of positions. Of one position or one wallet it is quick: positions_as_of(t, of_position => ...), positions_as_of(t, of_wallet => ...). At infinity it is positions.';

-- The log grows in the order of reception, near enough: a few pages tell where a stretch lies.
CREATE INDEX events_received ON events USING brin (received_at);

CREATE FUNCTION book_changes(from_known timestamptz, to_known timestamptz)
RETURNS TABLE (
    position_id text,
    cause text,
    valid_at timestamptz,
    status_before text,
    status_after text,
    event_before text,
    event_after text,
    received_at timestamptz,
    changed text[]
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    late text[];
    page record;
BEGIN
    late := ARRAY(
        SELECT DISTINCT e.position_id
        FROM events e
        WHERE e.received_at > from_known AND e.received_at <= to_known
            AND e.created_at <= from_known AND e.status IS NOT NULL
    );
    RETURN QUERY
    SELECT
        became.position_id,
        CASE WHEN a.supersedes_before IS NULL THEN 'late' ELSE 'snapshot' END,
        from_known,
        b.status,
        a.status,
        b.event_id,
        a.event_id,
        a.received_at,
        changed_fields(jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data')
    FROM fold_facts(late, from_known, to_known) became
    LEFT JOIN fold_facts(late, from_known, from_known) was ON was.position_id = became.position_id
    JOIN events a ON a.seq = became.seq
    LEFT JOIN events b ON b.seq = was.seq
    WHERE was.seq IS DISTINCT FROM became.seq;

    -- The snapshots of one page share their moments, and are asked after together.
    FOR page IN
        SELECT e.created_at, e.received_at, array_agg(DISTINCT e.position_id) AS position_ids
        FROM events e
        WHERE e.received_at > from_known AND e.received_at <= to_known
            AND e.created_at > from_known AND e.supersedes_before IS NOT NULL
        GROUP BY e.created_at, e.received_at
        ORDER BY e.received_at, e.created_at
    LOOP
        RETURN QUERY
        SELECT
            became.position_id,
            'snapshot',
            page.created_at,
            b.status,
            a.status,
            b.event_id,
            a.event_id,
            page.received_at,
            changed_fields(
                jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data'
            )
        FROM fold_facts(page.position_ids, page.created_at, page.received_at) became
        LEFT JOIN fold_facts(
            page.position_ids, page.created_at, page.received_at - interval '1 microsecond'
        ) was ON was.position_id = became.position_id
        JOIN events a ON a.seq = became.seq
        LEFT JOIN events b ON b.seq = was.seq
        WHERE was.seq IS DISTINCT FROM became.seq;
    END LOOP;
END
$$;
COMMENT ON FUNCTION book_changes(timestamptz, timestamptz) IS
    'Why a number of from_known is another number at to_known, one row a position and a change. late: an event created by from_known arrived after it, so that positions_as_of(from_known, from_known) and positions_as_of(from_known, to_known) differ. snapshot: a snapshot received in between told what the stream had not: at its as-of (valid_at) the book with it differs from the book without it. Before and after: the fact that stood and the fact that stands, its status, and the fields in which they differ; NULL before where the position was not known. Events that only continue the story are not listed.';
