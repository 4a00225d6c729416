-- Appending to the log.

-- name: create_incoming
-- Where a batch waits for its turn: private to the connection, emptied at each commit. Like the
-- log, down to the compression, so that what was compressed once is taken over as it is.
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    ordinal integer NOT NULL,
    LIKE events INCLUDING COMPRESSION
) ON COMMIT DELETE ROWS;
ALTER TABLE pg_temp.incoming DROP COLUMN IF EXISTS seq;

-- name: copy_incoming
-- Takes a batch in, in the binary format.
COPY pg_temp.incoming FROM STDIN (FORMAT binary);

-- name: lock_log
-- Appenders take turns, so that seq is commit order.
SELECT pg_advisory_xact_lock(%(key)s);

-- name: append
-- Puts what is new into the log, in the order of arrival; says how much, and which seq it got. Each
-- row draws a seq, new or not.
WITH appended AS (
    INSERT INTO events (
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope
    )
    SELECT
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope
    FROM pg_temp.incoming
    ORDER BY ordinal
    ON CONFLICT (position_id, event_id) DO NOTHING
    RETURNING seq
)
SELECT count(*), min(seq), max(seq) FROM appended;

-- name: keep_conflicting_duplicates
-- Puts into quarantine what of the batch bears the id of another fact of the log but is not the same
-- JSON; says how many that are. Most of the batch stands in the log under the very seq that it drew,
-- which is quickly seen; what does not is compared with what has its id. Each OFFSET 0 holds the
-- planner to one look-up a row, however large it thinks the batch is.
WITH drawn AS MATERIALIZED (
    -- The first that was taken tells what the first of all drew.
    SELECT %(first_seq)s::bigint - i.ordinal AS seq
    FROM pg_temp.incoming i
    WHERE (i.position_id, i.event_id) = (
        SELECT e.position_id, e.event_id FROM events e WHERE e.seq = %(first_seq)s
    )
    ORDER BY i.ordinal
    LIMIT 1
),
conflicting AS MATERIALIZED (
    SELECT
        convert_to(i.envelope::text, 'UTF8') AS raw,
        format('The log has %%s with other content.', i.event_id) AS detail,
        i.source,
        i.received_at
    FROM pg_temp.incoming i
    LEFT JOIN LATERAL (
        SELECT e.position_id, e.event_id FROM events e WHERE e.seq = (SELECT seq FROM drawn) + i.ordinal OFFSET 0
    ) own ON own.position_id = i.position_id AND own.event_id = i.event_id
    CROSS JOIN LATERAL (
        SELECT e.envelope
        FROM events e
        WHERE own.event_id IS NULL AND e.position_id = i.position_id AND e.event_id = i.event_id
        OFFSET 0
    ) other
    WHERE own.event_id IS NULL
      AND other.envelope::text <> i.envelope::text
      AND jsonb_from_wire(other.envelope) <> jsonb_from_wire(i.envelope)
    ORDER BY i.ordinal
),
kept AS (
    INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
    SELECT sha256(raw), %(reason)s, detail, source, received_at, raw FROM conflicting
    ON CONFLICT (digest, reason) DO NOTHING
)
SELECT count(*) FROM conflicting;

-- name: announce
-- Tells listeners that the log has grown up to this seq.
SELECT pg_notify('positionstore', %(seq)s);
