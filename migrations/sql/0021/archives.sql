-- Archives: facts of positions that ended long ago, in files, and what says so.

CREATE TABLE archives (
    archive_id        text COLLATE "C" PRIMARY KEY,
    file              text NOT NULL,
    sha256            text NOT NULL,
    digest            text NOT NULL,
    ended_before      timestamptz NOT NULL,
    positions         bigint NOT NULL,
    facts             bigint NOT NULL,
    first_seq         bigint NOT NULL,
    last_seq          bigint NOT NULL,
    first_created_at  timestamptz NOT NULL,
    last_created_at   timestamptz NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL,
    archived_at       timestamptz NOT NULL,
    restored_at       timestamptz
);
COMMENT ON TABLE archives IS
    'Each file that facts were moved to by positionstore archive. The log says the same in a fact with the same id.';
COMMENT ON COLUMN archives.archive_id IS 'The event_id of the fact of the log that says so (arc_...).';
COMMENT ON COLUMN archives.file IS 'The name that the file was given; where it is kept is the operator''s affair.';
COMMENT ON COLUMN archives.sha256 IS 'SHA-256 of the file''s bytes, as it was written.';
COMMENT ON COLUMN archives.digest IS 'Digest of the facts in it: SHA-256 over their fact_digest in the order of seq. It stays when another tool rewrites the file.';
COMMENT ON COLUMN archives.ended_before IS 'The moment that was given: all facts of these positions were created and received before it. UTC.';
COMMENT ON COLUMN archives.positions IS 'How many positions are in the file, each with all its facts.';
COMMENT ON COLUMN archives.facts IS 'How many facts are in the file; the few that the fold needs are in the log, too.';
COMMENT ON COLUMN archives.first_seq IS 'The least seq in the file.';
COMMENT ON COLUMN archives.last_seq IS 'The greatest seq in the file.';
COMMENT ON COLUMN archives.first_created_at IS 'The earliest created_at in the file. UTC.';
COMMENT ON COLUMN archives.last_created_at IS 'The latest created_at in the file. UTC.';
COMMENT ON COLUMN archives.first_received_at IS 'The earliest received_at in the file. UTC.';
COMMENT ON COLUMN archives.last_received_at IS 'The latest received_at in the file. UTC.';
COMMENT ON COLUMN archives.archived_at IS 'When the facts left the log. UTC.';
COMMENT ON COLUMN archives.restored_at IS 'When positionstore import brought them back; NULL while they are away. UTC.';

CREATE TABLE archived_positions (
    position_id       text COLLATE "C" PRIMARY KEY,
    archive_id        text COLLATE "C" NOT NULL REFERENCES archives (archive_id),
    facts             bigint NOT NULL,
    first_created_at  timestamptz NOT NULL,
    last_created_at   timestamptz NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL
);
CREATE INDEX archived_positions_archive ON archived_positions (archive_id);
COMMENT ON TABLE archived_positions IS
    'The positions whose facts are in an archive now. Their rows in positions stay, and so does the fact that each row shows.';
COMMENT ON COLUMN archived_positions.position_id IS 'The position.';
COMMENT ON COLUMN archived_positions.archive_id IS 'The archive that has all its facts.';
COMMENT ON COLUMN archived_positions.facts IS 'How many facts of it are in the archive.';
COMMENT ON COLUMN archived_positions.first_created_at IS 'The earliest created_at of these facts. UTC.';
COMMENT ON COLUMN archived_positions.last_created_at IS 'The latest created_at of these facts: as of then and later the book needs no archive. UTC.';
COMMENT ON COLUMN archived_positions.first_received_at IS 'The earliest received_at of these facts. UTC.';
COMMENT ON COLUMN archived_positions.last_received_at IS 'The latest received_at of these facts. UTC.';

INSERT INTO event_types (type, precedence, description)
VALUES
    ('archive', 0, 'Facts of positions that ended long ago were moved to a file. It names no position and takes no part in the order.'),
    ('restoration', 0, 'Facts that were in an archive are back in the log. It names no position and takes no part in the order.')
ON CONFLICT (type) DO NOTHING;

CREATE FUNCTION fact_digest(
    seq bigint,
    event_id text,
    position_id text,
    type text,
    status text,
    created_at timestamptz,
    received_at timestamptz,
    source text,
    supersedes_before timestamptz,
    envelope json,
    retracts text
) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE -- and set into the query that calls it, as no SET clause stands here
RETURN sha256(convert_to(
    coalesce(octet_length(seq::text) || ':' || seq || ',', '-,')
    || coalesce(octet_length(event_id) || ':' || event_id || ',', '-,')
    || coalesce(octet_length(position_id) || ':' || position_id || ',', '-,')
    || coalesce(octet_length(type) || ':' || type || ',', '-,')
    || coalesce(octet_length(status) || ':' || status || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM created_at) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM created_at) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM received_at) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM received_at) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length(source) || ':' || source || ',', '-,')
    || coalesce(octet_length((extract(epoch FROM supersedes_before) * 1000000)::bigint::text) || ':'
        || (extract(epoch FROM supersedes_before) * 1000000)::bigint || ',', '-,')
    || coalesce(octet_length(envelope::text) || ':' || envelope::text || ',', '-,')
    || coalesce(octet_length(retracts) || ':' || retracts || ',', '-,'),
    'UTF8'
));
COMMENT ON FUNCTION fact_digest(bigint, text, text, text, text, timestamptz, timestamptz, text, timestamptz, json, text) IS
    'SHA-256 of one fact, every column of it: the values in the order of the table''s columns as netstrings (length in bytes, a colon, the value, a comma; NULL is a minus and a comma), moments as microseconds since 1970.';

CREATE FUNCTION refuse_what_is_archived(
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
