-- Appending to the log.

-- name: create_incoming
-- Where a batch waits for its turn, if it is not of a few facts: private to the connection, emptied
-- at each commit, and made by the appender that uses it. Like the log, down to the compression, so
-- that what was compressed once is taken over as it is. Retractions do not come this way.
DROP TABLE IF EXISTS pg_temp.incoming;
CREATE TEMPORARY TABLE incoming (
    ordinal integer NOT NULL,
    LIKE events INCLUDING COMPRESSION
) ON COMMIT DELETE ROWS;
ALTER TABLE pg_temp.incoming DROP COLUMN IF EXISTS seq, DROP COLUMN IF EXISTS retracts;

-- name: lift_limit
-- Lets the next statement take as long as it will: rows come while another batch is committed.
SET LOCAL statement_timeout = 0;

-- name: copy_incoming
-- Takes a batch in, in the binary format.
COPY pg_temp.incoming FROM STDIN (FORMAT binary);

-- name: lock_log
-- Appenders take turns, so that seq is commit order. Says which process of the server this is.
SELECT pg_backend_pid(), pg_advisory_xact_lock(%(key)s);

-- name: lock_log_and_plan
-- The same; and sets how statements are planned up to the commit, and how long each may take.
SELECT pg_backend_pid(), pg_advisory_xact_lock(%(key)s),
    set_config('plan_cache_mode', %(plans)s, true),
    set_config('statement_timeout', %(limit)s, true);

-- name: seen
-- The part of a statement that says which seq is the newest, and whether the log has retractions.
(SELECT max(seq) FROM events) AS newest,
-- In the order of the one index that holds retractions alone: a planner that has not seen the
-- log yet would else think that nearly all of it are some, and read it from the beginning.
(
    SELECT count(*) > 0
    FROM (
        SELECT seq FROM events WHERE retracts IS NOT NULL ORDER BY position_id, retracts LIMIT 1
    ) first
) AS has_retractions;

-- name: look
-- Says that by itself, before a batch goes in: within the append it would pass over each new row.
SELECT {seen};

-- name: and_told
-- The part of an append that tells listeners what the log got.
, CASE WHEN count(*) > 0 THEN pg_notify('positionstore', max(seq)::text) END AS told;

-- name: append
-- Puts what is new into the log, in the order of arrival; says how much, and which seq it got. Each
-- row draws a seq, new or not. Places are sorted, and not the rows, which a large batch would spill.
WITH appended AS (
    INSERT INTO events (
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope
    )
    SELECT
        i.event_id, i.position_id, i.type, i.status, i.created_at, i.received_at, i.source,
        i.supersedes_before, i.envelope
    FROM (SELECT ordinal, ctid AS place FROM pg_temp.incoming ORDER BY ordinal) o
    CROSS JOIN LATERAL (
        SELECT * FROM pg_temp.incoming i WHERE i.ctid = o.place OFFSET 0
    ) i
    ORDER BY o.ordinal
    ON CONFLICT (position_id, event_id) DO NOTHING
    RETURNING seq
)
SELECT count(*), min(seq), max(seq) {and_told} FROM appended;

-- name: append_few
-- The same of a few facts that were not staged.
WITH appended AS (
    INSERT INTO events (
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope
    )
    SELECT
        i.event_id, i.position_id, i.type, i.status, i.created_at, i.received_at, i.source,
        i.supersedes_before::timestamptz, i.envelope::json
    FROM unnest(
        %(event_ids)b::text[], %(position_ids)b::text[], %(types)b::text[], %(statuses)b::text[],
        %(created_at)b::timestamptz[], %(received_at)b::timestamptz[], %(sources)b::text[],
        %(supersedes_before)b::text[], %(envelopes)b::text[]
    ) WITH ORDINALITY i (
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope, ordinal
    )
    ORDER BY i.ordinal
    ON CONFLICT (position_id, event_id) DO NOTHING
    RETURNING seq
)
SELECT count(*), min(seq), max(seq), {seen} {and_told} FROM appended;

-- name: forget_plans
-- The log has outgrown the plans that were made for it.
DISCARD PLANS;

-- name: newest
-- The newest seq of the log.
SELECT max(seq) FROM events;

-- name: keep_conflicting_duplicates
-- Puts into quarantine what of the batch bears the id of another fact of the log but is not the same
-- JSON; says which that are, by their ordinals. Most of the batch stands in the log under the very
-- seq that it drew; what does not is compared with what has its id. It is held to one
-- look-up by key a row, however large the planner thinks the batch is.
WITH first_taken AS MATERIALIZED (
    SELECT e.seq, e.position_id, e.event_id FROM events e WHERE e.seq = %(first_seq)s::bigint
),
drawn AS MATERIALIZED (
    -- The first that was taken tells what the first of all drew.
    SELECT e.seq - i.ordinal AS first
    FROM first_taken e
    JOIN pg_temp.incoming i ON i.position_id = e.position_id AND i.event_id = e.event_id
    ORDER BY i.ordinal
    LIMIT 1
),
taken AS {gathered} (
    SELECT e.seq FROM events e WHERE e.seq BETWEEN %(first_seq)s AND %(last_seq)s
),
refused AS {gathered} (
    SELECT i.*
    FROM pg_temp.incoming i
    WHERE ((SELECT first FROM drawn) + i.ordinal IN (SELECT t.seq FROM taken t)) IS NOT TRUE
    OFFSET 0
),
{conflicting_kept};

-- name: keep_conflicting_few
-- The same of a few facts that were not staged. To look each up costs less than to find out which
-- were refused: what was taken is found to be the same.
WITH refused AS (
    SELECT
        (i.ordinal - 1)::integer AS ordinal, i.event_id, i.position_id, i.received_at, i.source,
        i.envelope::json AS envelope
    FROM unnest(
        %(event_ids)b::text[], %(position_ids)b::text[], %(received_at)b::timestamptz[],
        %(sources)b::text[], %(envelopes)b::text[]
    ) WITH ORDINALITY i (event_id, position_id, received_at, source, envelope, ordinal)
    OFFSET 0
),
{conflicting_kept};

-- name: conflicting_kept
-- The part of both that compares what was refused with what the log has, and keeps what differs.
conflicting AS MATERIALIZED (
    SELECT
        i.ordinal,
        convert_to(i.envelope::text, 'UTF8') AS raw,
        format('The log has %%s with other content.', i.event_id) AS detail,
        i.source,
        i.received_at
    FROM refused i
    CROSS JOIN LATERAL (
        SELECT e.envelope
        FROM events e
        WHERE e.position_id = i.position_id AND e.event_id = i.event_id
        {once}
    ) other
    WHERE other.envelope::text <> i.envelope::text
      AND jsonb_from_wire(other.envelope) <> jsonb_from_wire(i.envelope)
    ORDER BY i.ordinal
),
kept AS (
    INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
    SELECT sha256(raw), %(reason)s, detail, source, received_at, raw FROM conflicting
    ON CONFLICT (digest, reason) DO NOTHING
)
SELECT coalesce(array_agg(ordinal), '{{}}') FROM conflicting;

-- name: announce
-- Tells listeners that the log has grown up to this seq.
SELECT pg_notify('positionstore', %(seq)s);
