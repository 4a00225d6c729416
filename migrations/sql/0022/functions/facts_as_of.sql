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
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    -- In the order of the log, so that its pages are read once, one after the other.
    RETURN QUERY
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
        SELECT * FROM fold_facts(NULL, facts_as_of.valid_at, facts_as_of.known_at)
        ORDER BY seq OFFSET 0
    ) w
    CROSS JOIN LATERAL (
        SELECT f.status, f.phase, f.event_id, f.type, f.created_at, f.received_at, f.source
        FROM ranked_facts f WHERE f.seq = w.seq OFFSET 0
    ) f;
END
$$;
COMMENT ON FUNCTION facts_as_of(timestamptz, timestamptz) IS
    'The book as it was at valid_at, by the facts that had been received by known_at, without what stands in bodies: of each position the fact that stood, and its status. To count with; positions_as_of gives whole rows, and takes ten times as long. A time without a zone is of the session''s time zone: write 17:00Z.';
