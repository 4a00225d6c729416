CREATE OR REPLACE FUNCTION positions_valid_at(
    valid_time timestamptz,
    known_time timestamptz DEFAULT 'infinity',
    of_position text DEFAULT NULL,
    of_wallet text DEFAULT NULL
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
    entry_notional_usd_pips bigint,
    opened_at timestamptz,
    opened_at_source text,
    ended_at timestamptz,
    ended_at_source text,
    fees_total_fees_usd_pips bigint,
    result_realized_pnl_usd_pips bigint,
    result_net_realized_pnl_usd_pips bigint,
    status_by_facts text
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    asked text[];
BEGIN
    IF of_position IS NOT NULL THEN
        asked := ARRAY[of_position];
    ELSIF of_wallet IS NOT NULL THEN
        asked := ARRAY(
            SELECT p.position_id FROM positions p
            WHERE p.wallet_address = address_from_wire(of_wallet)
        );
    END IF;
    RETURN QUERY
    WITH known AS MATERIALIZED (
        SELECT * FROM positions_known_at(known_time, asked)
    ),
    undecided AS (
        -- What had ended by then has its last status; of the rest the facts of then tell more.
        SELECT ARRAY(
            SELECT k.position_id FROM known k WHERE (k.ended_at <= valid_time) IS NOT TRUE
        ) AS ids
    ),
    folding AS MATERIALIZED (
        SELECT unnest(positions_to_fold((SELECT ids FROM undecided), valid_time, known_time))
            AS position_id
    )
    SELECT
        v.position_id,
        v.status_then,
        coalesce(s.phase, 'live'),
        v.market_ticker,
        v.side,
        v.wallet_address,
        v.provider,
        v.entry_collateral_usd_pips,
        v.entry_notional_usd_pips,
        CASE WHEN v.has_opened THEN v.opened_at END,
        CASE WHEN v.has_opened OR v.opened_at_source = 'archive' THEN v.opened_at_source END,
        CASE WHEN v.has_ended THEN v.ended_at END,
        CASE WHEN v.has_ended THEN v.ended_at_source END,
        CASE WHEN v.has_ended THEN v.fees_total_fees_usd_pips END,
        CASE WHEN v.has_ended THEN v.result_realized_pnl_usd_pips END,
        CASE WHEN v.has_ended THEN v.result_net_realized_pnl_usd_pips END,
        v.status_by_facts
    FROM (
        SELECT
            k.*,
            m.has_opened,
            m.has_ended,
            f.status AS status_by_facts,
            CASE
                WHEN m.has_ended THEN k.status
                WHEN m.has_opened AND f.phase = 'live' THEN f.status
                WHEN m.has_opened THEN 'open'
                WHEN f.phase = 'pending' THEN f.status
                WHEN f.status IS NOT NULL THEN 'pending'
            END AS status_then
        FROM known k
        CROSS JOIN LATERAL (
            SELECT
                (k.opened_at <= valid_time) IS TRUE AS has_opened,
                (k.ended_at <= valid_time) IS TRUE AS has_ended
        ) m
        LEFT JOIN (
            -- Of those that need not be folded positions shows what was.
            SELECT p.position_id, p.status, p.phase
            FROM positions p
            LEFT JOIN folding n ON n.position_id = p.position_id
            WHERE p.last_event_at <= valid_time AND p.updated_at <= known_time
                AND (asked IS NULL OR p.position_id = ANY (asked))
                AND n.position_id IS NULL
            UNION ALL
            SELECT w.position_id, r.status, r.phase
            FROM (
                SELECT *
                FROM fold_facts(
                    ARRAY(SELECT n.position_id FROM folding n), valid_time, known_time
                )
                ORDER BY seq OFFSET 0
            ) w
            CROSS JOIN LATERAL (
                SELECT f.status, f.phase FROM ranked_facts f
                WHERE f.position_id = w.position_id AND f.seq = w.seq
                OFFSET 0
            ) r
        ) f ON f.position_id = k.position_id AND NOT m.has_ended
    ) v
    LEFT JOIN position_statuses s ON s.status = v.status_then
    WHERE v.status_then IS NOT NULL
        AND (of_wallet IS NULL OR v.wallet_address = address_from_wire(of_wallet));
END
$$;
COMMENT ON FUNCTION positions_valid_at(timestamptz, timestamptz, text, text) IS
    'The book as it really was at valid_time, by what was known at known_time (bitemporal: valid time and known time). The moments that bodies tell decide: a position whose later snapshot says that it closed at 11:00 is closed at 13:00, though no fact of before 13:00 said so. positions_as_of answers the other question, what the facts created by then said; status_by_facts is its status, NULL where there was no such fact, and where the position had ended it is not looked up. From opened_at to ended_at a position is open, or what its facts of then say (closing, unwinding...); before, pending. What is shown of its end is shown only once it had ended. At infinity the statuses are those of positions. A time without a zone is of the session''s time zone: write 17:00Z.';
