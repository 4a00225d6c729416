CREATE OR REPLACE FUNCTION positions_to_fold(
    only_positions text[], valid_at timestamptz, known_at timestamptz
) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
SET jit = off
AS $$
BEGIN
    PERFORM refuse_what_is_archived(
        only_positions, positions_to_fold.valid_at, positions_to_fold.known_at
    );
    -- The fold of some facts is that of all where they have its winner and its latest snapshot.
    RETURN ARRAY(
        SELECT p.position_id
        FROM positions p
        WHERE (only_positions IS NULL OR p.position_id = ANY (only_positions))
            AND (
                p.last_event_at > positions_to_fold.valid_at
                OR p.updated_at > positions_to_fold.known_at
            )
            AND EXISTS (
                SELECT FROM events e
                WHERE e.position_id = p.position_id
                    AND e.created_at <= positions_to_fold.valid_at
                    AND e.received_at <= positions_to_fold.known_at
            )
        UNION
        SELECT s.position_id
        FROM events s
        WHERE s.supersedes_before IS NOT NULL
            AND (only_positions IS NULL OR s.position_id = ANY (only_positions))
            AND (
                s.created_at > positions_to_fold.valid_at
                OR s.received_at > positions_to_fold.known_at
            )
        UNION
        -- What a retraction names counts at some moments and not at others.
        SELECT r.position_id
        FROM events r
        WHERE r.retracts IS NOT NULL
            AND (only_positions IS NULL OR r.position_id = ANY (only_positions))
    );
END
$$;
COMMENT ON FUNCTION positions_to_fold(text[], timestamptz, timestamptz) IS
    'The positions, of some or (NULL) of all, whose state by the facts created by valid_at and received by known_at is not simply their row in positions and has to be folded: a fact or snapshot that decides that row is of later, or a retraction names a fact of theirs. Of the others the row is what it was, if its last_event_at and updated_at are not of later, and else there was no fact yet. A moment whose facts are in an archive is an error.';
