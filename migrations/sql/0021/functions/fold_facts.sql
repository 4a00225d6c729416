CREATE OR REPLACE FUNCTION fold_facts(
    only_positions text[] DEFAULT NULL,
    valid_at timestamptz DEFAULT 'infinity',
    known_at timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (position_id text, seq bigint, supersedes_before timestamptz)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan -- so that the planner sees whether only_positions is NULL
AS $$
#variable_conflict use_column
DECLARE
    -- Nearly always empty, and then it costs nothing, as a join would.
    retracted bigint[] := array_remove(ARRAY(
        SELECT (
            SELECT e.seq FROM events e
            WHERE e.position_id = r.position_id AND e.event_id = r.retracts
        )
        FROM events r
        WHERE r.retracts IS NOT NULL
          AND (only_positions IS NULL OR r.position_id = ANY (only_positions))
          AND r.received_at <= fold_facts.known_at
          AND is_retracted(r.position_id, r.retracts, fold_facts.known_at)
    ), NULL);
BEGIN
    PERFORM refuse_what_is_archived(only_positions, fold_facts.valid_at, fold_facts.known_at);
    RETURN QUERY
    WITH latest_snapshot AS (
        SELECT DISTINCT ON (f.position_id) f.position_id, f.seq, f.supersedes_before
        FROM ranked_facts f
        WHERE f.supersedes_before IS NOT NULL
          AND (only_positions IS NULL OR f.position_id = ANY (only_positions))
          AND f.created_at <= fold_facts.valid_at
          AND f.received_at <= fold_facts.known_at
          AND f.seq <> ALL (retracted)
        ORDER BY f.position_id, f.created_at DESC, f.rank DESC
    )
    SELECT DISTINCT ON (f.position_id) f.position_id, f.seq, s.supersedes_before
    FROM ranked_facts f
    LEFT JOIN latest_snapshot s ON s.position_id = f.position_id
    WHERE (only_positions IS NULL OR f.position_id = ANY (only_positions))
      AND f.created_at <= fold_facts.valid_at
      AND f.received_at <= fold_facts.known_at
      AND CASE
              WHEN f.supersedes_before IS NOT NULL THEN f.seq = s.seq
              WHEN s.seq IS NOT NULL THEN f.created_at > s.supersedes_before
              ELSE true
          END
      AND f.seq <> ALL (retracted)
    ORDER BY f.position_id, f.rank DESC;
END
$$;
COMMENT ON FUNCTION fold_facts(text[], timestamptz, timestamptz) IS
    'The fold: of each position the seq of the fact that is its current state, and the moment up to which its latest snapshot overrules events. Over all facts, or only those created by valid_at and received by known_at; what a retraction names that was received by known_at does not count. A moment whose facts are in an archive is an error.';
