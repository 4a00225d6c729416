-- Inlined where it is called: what the caller does not ask for is not read.
CREATE OR REPLACE FUNCTION facts_as_of(valid_at timestamptz, known_at timestamptz DEFAULT 'infinity')
RETURNS TABLE (
    position_id text,
    status text,
    phase text,
    seq bigint,
    event_id text,
    type text,
    created_at timestamptz,
    received_at timestamptz,
    source text,
    supersedes_before timestamptz
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    -- The rows that positions_to_fold leaves out: of these, positions shows what was.
    SELECT
        p.position_id,
        p.status,
        p.phase,
        e.seq,
        p.last_event_id,
        p.last_event_type,
        p.last_event_at,
        p.updated_at,
        p.source,
        p.supersedes_before
    FROM positions p
    LEFT JOIN events e ON e.position_id = p.position_id AND e.event_id = p.last_event_id
    WHERE p.last_event_at <= facts_as_of.valid_at
        AND p.updated_at <= facts_as_of.known_at
        AND NOT EXISTS (
            SELECT FROM events s
            WHERE s.position_id = p.position_id AND s.supersedes_before IS NOT NULL
                AND (
                    s.created_at > facts_as_of.valid_at OR s.received_at > facts_as_of.known_at
                )
        )
        AND NOT EXISTS (
            SELECT FROM events r WHERE r.position_id = p.position_id AND r.retracts IS NOT NULL
        )
    UNION ALL
    SELECT
        w.position_id,
        f.status,
        f.phase,
        w.seq,
        f.event_id,
        f.type,
        f.created_at,
        f.received_at,
        f.source,
        w.supersedes_before
    FROM (
        -- In the order of the log, so that its pages are read once, one after the other.
        SELECT fold.position_id, fold.seq, fold.supersedes_before
        FROM fold_facts(
            positions_to_fold(NULL, facts_as_of.valid_at, facts_as_of.known_at),
            facts_as_of.valid_at,
            facts_as_of.known_at
        ) fold
        ORDER BY fold.seq OFFSET 0
    ) w
    CROSS JOIN LATERAL (
        SELECT
            e.status, coalesce(s.phase, 'live') AS phase, e.event_id, e.type, e.created_at,
            e.received_at, e.source
        FROM events e
        LEFT JOIN position_statuses s ON s.status = e.status
        WHERE e.position_id = w.position_id AND e.seq = w.seq
        OFFSET 0
    ) f;
END;
COMMENT ON FUNCTION facts_as_of(timestamptz, timestamptz) IS
    'The book as it was at valid_at, by the facts that had been received by known_at, without what stands in bodies: of each position the fact that stood, and its status. To count with; positions_as_of gives whole rows, and takes longer. A time without a zone is of the session''s time zone: write 17:00Z.';
