CREATE OR REPLACE FUNCTION refuse_what_is_archived(
    only_positions text[], valid_at timestamptz, known_at timestamptz
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    files text[];
BEGIN
    -- All facts, or none, of a position count: then the few that the log keeps say the same.
    IF valid_at = 'infinity' AND known_at = 'infinity' THEN
        RETURN;
    END IF;
    IF only_positions IS NULL THEN
        files := ARRAY(
            SELECT a.file
            FROM archives a
            WHERE a.restored_at IS NULL
                AND refuse_what_is_archived.valid_at >= a.first_created_at
                AND refuse_what_is_archived.known_at >= a.first_received_at
                AND (
                    refuse_what_is_archived.valid_at < a.last_created_at
                    OR refuse_what_is_archived.known_at < a.last_received_at
                )
                AND EXISTS (
                    SELECT FROM archived_positions m
                    WHERE m.archive_id = a.archive_id
                        AND refuse_what_is_archived.valid_at >= m.first_created_at
                        AND refuse_what_is_archived.known_at >= m.first_received_at
                        AND (
                            refuse_what_is_archived.valid_at < m.last_created_at
                            OR refuse_what_is_archived.known_at < m.last_received_at
                        )
                )
            ORDER BY a.file
        );
    ELSE
        files := ARRAY(
            SELECT DISTINCT a.file
            FROM archived_positions m
            JOIN archives a ON a.archive_id = m.archive_id
            WHERE m.position_id = ANY (only_positions)
                AND refuse_what_is_archived.valid_at >= m.first_created_at
                AND refuse_what_is_archived.known_at >= m.first_received_at
                AND (
                    refuse_what_is_archived.valid_at < m.last_created_at
                    OR refuse_what_is_archived.known_at < m.last_received_at
                )
            ORDER BY a.file
        );
    END IF;
    -- An archive of which a moved log tells, and nothing else: any position may be in it.
    files := files || ARRAY(
        SELECT told.data ->> 'file'
        FROM (
            SELECT jsonb_from_wire(e.envelope) -> 'data' AS data
            FROM events e
            WHERE e.position_id = '' AND e.event_id >= 'arc_' AND e.event_id < 'arc`'
                AND e.type = 'archive' AND e.source = 'import'
                AND NOT EXISTS (SELECT FROM archives a WHERE a.archive_id = e.event_id)
                AND NOT EXISTS (
                    SELECT FROM events r
                    WHERE r.position_id = '' AND r.event_id = 'rst_' || substr(e.event_id, 5)
                        AND r.type = 'restoration' AND r.source = 'import'
                )
            OFFSET 0
        ) told
        WHERE refuse_what_is_archived.valid_at
                >= coalesce(instant_from_wire(told.data ->> 'first_created_at'), '-infinity')
            AND refuse_what_is_archived.known_at
                >= coalesce(instant_from_wire(told.data ->> 'first_received_at'), '-infinity')
            AND (
                refuse_what_is_archived.valid_at
                    < coalesce(instant_from_wire(told.data ->> 'last_created_at'), 'infinity')
                OR refuse_what_is_archived.known_at
                    < coalesce(instant_from_wire(told.data ->> 'last_received_at'), 'infinity')
            )
    );
    IF files <> '{}' THEN
        RAISE EXCEPTION 'The book of that moment needs facts that are in an archive: %.',
            array_to_string(files[:3], ', ')
                || CASE WHEN cardinality(files) > 3
                    THEN format(' and %s more', cardinality(files) - 3) ELSE '' END
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Bring them back with positionstore import, or ask for other positions or a later moment.';
    END IF;
END
$$;
COMMENT ON FUNCTION refuse_what_is_archived(text[], timestamptz, timestamptz) IS
    'Raises an error where the book of a moment needs facts that are in an archive, of some positions or (NULL) of any: facts of which then some counted and some did not.';
