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
    -- Position, retraction and fact, each with the same place in the three.
    positions_of text[];
    retractions_of text[];
    facts_of text[];
    standing boolean[];
    before boolean[];
    retracted bigint[] := '{}';
BEGIN
    SELECT
        array_agg(r.position_id ORDER BY r.seq), array_agg(r.event_id ORDER BY r.seq),
        array_agg(r.retracts ORDER BY r.seq)
    INTO positions_of, retractions_of, facts_of
    FROM events r
    WHERE r.retracts IS NOT NULL
        AND (only_positions IS NULL OR r.position_id = ANY (only_positions))
        AND r.received_at <= fold_facts.known_at;
    IF positions_of IS NOT NULL THEN
        -- A retraction stands unless one that stands names it: from the last link of a chain on. As
        -- is_retracted has it a chain is followed for 100, the retraction of the fact included; it is
        -- not asked, for a worker of Citus would have to ask the others.
        standing := array_fill(true, ARRAY[cardinality(positions_of)]);
        FOR link IN 1..99 LOOP
            before := standing;
            standing := ARRAY(
                SELECT NOT EXISTS (
                    SELECT FROM unnest(positions_of, facts_of, before) s (position_id, fact, stands)
                    WHERE s.stands AND s.position_id = r.position_id AND s.fact = r.event_id
                )
                FROM unnest(positions_of, retractions_of) WITH ORDINALITY
                    r (position_id, event_id, place)
                ORDER BY r.place
            );
            EXIT WHEN standing = before;
        END LOOP;
        WITH named AS MATERIALIZED (
            SELECT DISTINCT r.position_id, r.fact
            FROM unnest(positions_of, facts_of, standing) r (position_id, fact, stands)
            WHERE r.stands
        )
        SELECT coalesce(array_agg(e.seq), '{}') INTO retracted
        FROM events e
        JOIN named n ON n.position_id = e.position_id AND n.fact = e.event_id;
    END IF;
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
