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
-- Puts what is new into the log, in the order of arrival; says how much, and which seq it got.
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

-- name: conflicting_duplicates
-- Of the batch, what bears the id of another fact of the log but is not the same JSON, in the form
-- that quarantine takes.
WITH repeated AS (
    -- Of each id, how many the batch brought against how many of these the log took: one, or none
    -- where it had the id before.
    SELECT position_id, event_id
    FROM (
        SELECT position_id, event_id, 1 AS brought, 0 AS taken FROM pg_temp.incoming
        UNION ALL
        SELECT position_id, event_id, 0, 1 FROM events WHERE seq >= %(first_seq)s
    ) counted
    GROUP BY position_id, event_id
    HAVING sum(brought) <> sum(taken)
)
SELECT
    convert_to(i.envelope::text, 'UTF8') AS raw,
    %(reason)s AS reason,
    format('The log has %%s with other content.', i.event_id) AS detail,
    i.source,
    i.received_at
FROM pg_temp.incoming i
JOIN repeated r ON r.position_id = i.position_id AND r.event_id = i.event_id
CROSS JOIN LATERAL (
    -- OFFSET 0: a look-up by key a row, however large the planner thinks the batch is.
    SELECT e.envelope
    FROM events e WHERE e.position_id = r.position_id AND e.event_id = r.event_id OFFSET 0
) e
WHERE e.envelope::text <> i.envelope::text
  AND jsonb_from_wire(e.envelope) <> jsonb_from_wire(i.envelope)
ORDER BY i.ordinal;

-- name: announce
-- Tells listeners that the log has grown up to this seq.
SELECT pg_notify('positionstore', %(seq)s);
