CREATE OR REPLACE FUNCTION book_changes(from_known timestamptz, to_known timestamptz)
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
    retracted text[];
    page record;
    file text;
BEGIN
    SELECT a.file INTO file
    FROM archives a
    WHERE a.restored_at IS NULL
        AND a.last_received_at > from_known AND a.first_received_at <= to_known
    ORDER BY a.file
    LIMIT 1;
    IF file IS NOT NULL THEN
        RAISE EXCEPTION 'What changed in that time needs facts that are in an archive: %.', file
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Bring them back with positionstore import, or ask for a later time.';
    END IF;
    -- Of what was known already, something counts no longer, or counts again.
    retracted := ARRAY(
        SELECT DISTINCT r.position_id
        FROM events r
        JOIN events e ON e.position_id = r.position_id
        WHERE r.retracts IS NOT NULL
            AND r.received_at > from_known AND r.received_at <= to_known
            AND e.status IS NOT NULL
            AND e.created_at <= from_known AND e.received_at <= from_known
            AND is_retracted(e.position_id, e.event_id, from_known)
                <> is_retracted(e.position_id, e.event_id, to_known)
    );
    late := ARRAY(
        SELECT DISTINCT e.position_id
        FROM events e
        WHERE e.received_at > from_known AND e.received_at <= to_known
            AND e.created_at <= from_known AND e.status IS NOT NULL
    );
    RETURN QUERY
    WITH changed AS MATERIALIZED (
        SELECT
            coalesce(became.position_id, was.position_id) AS position_id,
            was.seq AS seq_before,
            became.seq AS seq_after,
            became.supersedes_before IS DISTINCT FROM was.supersedes_before AS is_by_snapshot
        FROM fold_facts(late || retracted, from_known, to_known) became
        FULL JOIN fold_facts(late || retracted, from_known, from_known) was
            ON was.position_id = became.position_id
        WHERE was.seq IS DISTINCT FROM became.seq
    ),
    named AS MATERIALIZED (
        SELECT c.position_id, c.seq_before AS seq FROM changed c
        UNION ALL
        SELECT c.position_id, c.seq_after FROM changed c
    ),
    -- OFFSET 0: one look-up by key a fact, whatever the planner thinks of their number.
    told AS MATERIALIZED (
        SELECT e.*
        FROM named n
        CROSS JOIN LATERAL (
            SELECT e.seq, e.status, e.event_id, e.received_at, e.envelope
            FROM events e
            WHERE e.position_id = n.position_id AND e.seq = n.seq
            OFFSET 0
        ) e
    ),
    retraction AS MATERIALIZED (
        SELECT r.position_id, max(r.received_at) AS received_at
        FROM events r
        WHERE r.position_id = ANY (retracted) AND r.retracts IS NOT NULL
            AND r.received_at > from_known AND r.received_at <= to_known
        GROUP BY r.position_id
    )
    SELECT
        c.position_id,
        CASE
            WHEN r.position_id IS NOT NULL THEN 'retraction'
            WHEN c.is_by_snapshot THEN 'snapshot'
            ELSE 'late'
        END,
        from_known,
        b.status,
        a.status,
        b.event_id,
        a.event_id,
        CASE WHEN r.position_id IS NOT NULL THEN r.received_at ELSE a.received_at END,
        changed_fields(jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data')
    FROM changed c
    LEFT JOIN told a ON a.seq = c.seq_after
    LEFT JOIN told b ON b.seq = c.seq_before
    LEFT JOIN retraction r ON r.position_id = c.position_id;

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
        WITH changed AS MATERIALIZED (
            SELECT
                coalesce(became.position_id, was.position_id) AS position_id,
                was.seq AS seq_before,
                became.seq AS seq_after
            FROM fold_facts(page.position_ids, page.created_at, page.received_at) became
            LEFT JOIN fold_facts(
                page.position_ids, page.created_at, page.received_at - interval '1 microsecond'
            ) was ON was.position_id = became.position_id
            WHERE was.seq IS DISTINCT FROM became.seq
        ),
        named AS MATERIALIZED (
            SELECT c.position_id, c.seq_before AS seq FROM changed c
            UNION ALL
            SELECT c.position_id, c.seq_after FROM changed c
        ),
        told AS MATERIALIZED (
            SELECT e.*
            FROM named n
            CROSS JOIN LATERAL (
                SELECT e.seq, e.status, e.event_id, e.envelope
                FROM events e
                WHERE e.position_id = n.position_id AND e.seq = n.seq
                OFFSET 0
            ) e
        )
        SELECT
            c.position_id,
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
        FROM changed c
        LEFT JOIN told a ON a.seq = c.seq_after
        LEFT JOIN told b ON b.seq = c.seq_before;
    END LOOP;

    -- Retractions of facts that were created since, at the moment of the latest of these.
    FOR page IN
        SELECT r.position_id, r.received_at, max(e.created_at) AS created_at
        FROM (
            SELECT DISTINCT r.position_id, r.received_at
            FROM events r
            WHERE r.retracts IS NOT NULL
                AND r.received_at > from_known AND r.received_at <= to_known
        ) r
        JOIN events e ON e.position_id = r.position_id
        WHERE e.status IS NOT NULL AND e.created_at > from_known AND e.received_at < r.received_at
            AND is_retracted(e.position_id, e.event_id, r.received_at) <> is_retracted(
                e.position_id, e.event_id, r.received_at - interval '1 microsecond'
            )
        GROUP BY r.position_id, r.received_at
        ORDER BY r.received_at, r.position_id
    LOOP
        RETURN QUERY
        WITH changed AS MATERIALIZED (
            SELECT
                coalesce(became.position_id, was.position_id) AS position_id,
                was.seq AS seq_before,
                became.seq AS seq_after
            FROM fold_facts(ARRAY[page.position_id], page.created_at, page.received_at) became
            FULL JOIN fold_facts(
                ARRAY[page.position_id], page.created_at, page.received_at - interval '1 microsecond'
            ) was ON was.position_id = became.position_id
            WHERE was.seq IS DISTINCT FROM became.seq
        ),
        named AS MATERIALIZED (
            SELECT c.position_id, c.seq_before AS seq FROM changed c
            UNION ALL
            SELECT c.position_id, c.seq_after FROM changed c
        ),
        told AS MATERIALIZED (
            SELECT e.*
            FROM named n
            CROSS JOIN LATERAL (
                SELECT e.seq, e.status, e.event_id, e.envelope
                FROM events e
                WHERE e.position_id = n.position_id AND e.seq = n.seq
                OFFSET 0
            ) e
        )
        SELECT
            c.position_id,
            'retraction',
            page.created_at,
            b.status,
            a.status,
            b.event_id,
            a.event_id,
            page.received_at,
            changed_fields(
                jsonb_from_wire(b.envelope) -> 'data', jsonb_from_wire(a.envelope) -> 'data'
            )
        FROM changed c
        LEFT JOIN told a ON a.seq = c.seq_after
        LEFT JOIN told b ON b.seq = c.seq_before;
    END LOOP;
END
$$;
COMMENT ON FUNCTION book_changes(timestamptz, timestamptz) IS
    'Why a number of from_known is another number at to_known, one row a position and a change. late: an event created by from_known arrived after it, so that positions_as_of(from_known, from_known) and positions_as_of(from_known, to_known) differ. snapshot: a snapshot received in between told what the stream had not: at its as-of (valid_at) the book with it differs from the book without it. retraction: a retraction received in between made a fact count no longer, or again; of a fact created since from_known, valid_at is when that was. Before and after: the fact that stood and the fact that stands, its status, and the fields in which they differ; NULL before where the position was not known, and after where no fact of it is left. Events that only continue the story are not listed. A time of which facts are in an archive is an error. A time without a zone is of the session''s time zone: write 17:00Z.';
