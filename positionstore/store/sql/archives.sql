-- Archives: facts of positions that ended long ago, moved to files and back.

-- name: may
-- Whether this role may delete facts at all: the owner of the tables, or a superuser.
SELECT has_table_privilege('events', 'DELETE') AND has_table_privilege('archives', 'INSERT');

-- name: now
-- The server's clock.
SELECT now();

-- name: find_candidates
-- The positions that ended before a moment and are in no archive yet, the oldest end first. Which of
-- them have no younger fact is seen later, some at a time.
CREATE TEMPORARY TABLE {candidates} ON COMMIT PRESERVE ROWS AS
SELECT row_number() OVER (ORDER BY p.last_event_at, p.position_id) AS ordinal, p.position_id
FROM positions p
WHERE p.phase = 'terminal'
  AND p.last_event_at < %(before)s
  AND NOT EXISTS (SELECT FROM archived_positions a WHERE a.position_id = p.position_id);

-- name: index_candidates
-- So that each part is taken at once.
CREATE INDEX ON pg_temp.{candidates} (ordinal);

-- name: drop_candidates
-- Leaves nothing behind.
DROP TABLE IF EXISTS pg_temp.{candidates};

-- name: may_leave
-- The part of a statement that says which facts e of a position the fold does not need: not the one that
-- its row p shows, nor the latest snapshot that counts, nor retractions.
e.retracts IS NULL AND e.event_id <> p.last_event_id
AND (e.supersedes_before = p.supersedes_before) IS NOT TRUE

-- name: eligible
-- Of some candidates those all of whose facts are old enough and of which something can leave the log.
SELECT
    e.position_id, count(*), min(e.created_at), max(e.created_at),
    min(e.received_at), max(e.received_at), sum(pg_column_size(e.envelope))
FROM pg_temp.{candidates} c
JOIN positions p ON p.position_id = c.position_id
CROSS JOIN LATERAL (
    SELECT * FROM events e WHERE e.position_id = c.position_id {once}
) e
WHERE c.ordinal > %(after)s AND c.ordinal <= %(until)s AND p.phase = 'terminal'
  AND NOT EXISTS (SELECT FROM archived_positions a WHERE a.position_id = c.position_id)
GROUP BY e.position_id
HAVING max(e.created_at) < %(before)s
   AND max(e.received_at) < %(before)s
   AND count(*) FILTER (WHERE {may_leave}) > 0;

-- name: facts_of
-- All facts of some positions, in the order of the log.
SELECT
    seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope::text, retracts
FROM events
WHERE position_id = ANY (%(position_ids)s)
ORDER BY seq;

-- name: newest
-- The newest seq of the log.
SELECT coalesce(max(seq), 0) FROM events;

-- name: record
-- Says that facts go to a file.
INSERT INTO archives (
    archive_id, file, sha256, digest, ended_before, positions, facts, first_seq, last_seq,
    first_created_at, last_created_at, first_received_at, last_received_at, archived_at
)
VALUES (
    %(archive_id)s, %(file)s, %(sha256)s, %(digest)s, %(ended_before)s, %(positions)s, %(facts)s,
    %(first_seq)s, %(last_seq)s, %(first_created_at)s, %(last_created_at)s,
    %(first_received_at)s, %(last_received_at)s, %(archived_at)s
);

-- name: mark
-- Takes in which positions are in an archive. Their facts may then leave the log.
COPY archived_positions (
    position_id, archive_id, facts, first_created_at, last_created_at, first_received_at,
    last_received_at, digest
) FROM STDIN;

-- name: look_up_by_key
-- One look-up by key a position, whatever the planner thinks of their number.
SET LOCAL enable_seqscan = off;

-- name: take_out
-- Deletes the facts of some positions that their fold does not need. The log's trigger compares what leaves
-- with what is recorded, and proves that each fold stays.
DELETE FROM events e
USING positions p
WHERE p.position_id = e.position_id AND e.position_id = ANY (%(position_ids)s) AND {may_leave};

-- name: after
-- The files of the archives with a fact of after a seq, and the last seq of each.
SELECT a.file, a.last_seq
FROM archives a
WHERE a.restored_at IS NULL AND a.last_seq > %(seq)s
ORDER BY a.first_seq;

-- name: lacks
-- Whether a seq between two is not in the log. A seq that was never given counts too.
SELECT count(*) < %(last_seq)s - %(seq)s
FROM events e
WHERE e.seq > %(seq)s AND e.seq <= %(last_seq)s;

-- name: younger
-- Whether a fact of some positions came after a seq.
SELECT EXISTS (
    SELECT 1 FROM events e WHERE e.seq > %(seq)s AND e.position_id = ANY (%(position_ids)s)
);

-- name: append
-- Puts a fact that names no position into the log.
INSERT INTO events (
    event_id, position_id, type, status, created_at, received_at, source, envelope
)
VALUES (
    %(event_id)s, '', %(type)s, NULL, %(at)s, %(at)s, 'import', %(envelope)s
)
RETURNING seq;

-- name: standing
-- The archive whose facts are away and have this digest, as this store recorded it.
SELECT
    archive_id, file, sha256, digest, ended_before, positions, facts, first_seq, last_seq,
    first_created_at, last_created_at, first_received_at, last_received_at, archived_at
FROM archives
WHERE digest = %(digest)s AND restored_at IS NULL
FOR UPDATE;

-- name: all_standing
-- The archives whose facts are away.
SELECT
    archive_id, file, sha256, digest, ended_before, positions, facts, first_seq, last_seq,
    first_created_at, last_created_at, first_received_at, last_received_at, archived_at
FROM archives
WHERE restored_at IS NULL
ORDER BY archive_id;

-- name: imported
-- The archive of this digest of which the log has a fact and this store no record: the log of another
-- store was imported.
SELECT e.event_id
FROM events e
WHERE e.position_id = '' AND e.event_id >= 'arc_' AND e.event_id < 'arc`'
  AND e.type = 'archive' AND e.source = 'import'
  AND jsonb_from_wire(e.envelope) -> 'data' ->> 'digest' = %(digest)s
  AND NOT EXISTS (SELECT FROM archives a WHERE a.archive_id = e.event_id)
  AND NOT EXISTS (
      SELECT FROM events r
      WHERE r.position_id = '' AND r.event_id = 'rst_' || substr(e.event_id, 5)
  )
LIMIT 1;

-- name: brought_back
-- The archive of this digest that was brought back last, here or (the log of another store) there, and
-- when, and how many facts it has.
SELECT archive_id, restored_at, facts FROM archives
WHERE digest = %(digest)s AND restored_at IS NOT NULL
UNION ALL
SELECT 'arc_' || substr(r.event_id, 5), r.created_at, coalesce(bigint_from_wire(body.data ->> 'facts'), 0)
FROM events r
CROSS JOIN LATERAL (
    SELECT jsonb_from_wire(r.envelope) -> 'data' AS data OFFSET 0
) body
WHERE r.position_id = '' AND r.event_id >= 'rst_' AND r.event_id < 'rst`'
  AND r.type = 'restoration' AND r.source = 'import'
  AND body.data ->> 'digest' = %(digest)s
ORDER BY restored_at DESC
LIMIT 1;

-- name: create_returning
-- Where facts of an archive wait: private to the connection, gone with the transaction.
CREATE TEMPORARY TABLE {returning} (LIKE events) ON COMMIT DROP;

-- name: copy_returning
-- Takes facts of an archive in.
COPY pg_temp.{returning} (
    seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope, retracts
) FROM STDIN;

-- name: keep_conflicts
-- Puts into quarantine what came once more while it was away, and differs.
WITH there AS MATERIALIZED (
    SELECT e.position_id, e.event_id, e.envelope
    FROM events e
    WHERE e.position_id = ANY (%(position_ids)s)
),
conflicting AS MATERIALIZED (
    SELECT
        convert_to(r.envelope::text, 'UTF8') AS raw, r.event_id, r.source, r.received_at
    FROM pg_temp.{returning} r
    JOIN there e ON e.position_id = r.position_id AND e.event_id = r.event_id
    WHERE e.envelope::text <> r.envelope::text
      AND jsonb_from_wire(e.envelope) <> jsonb_from_wire(r.envelope)
),
kept AS (
    INSERT INTO quarantine (digest, reason, detail, source, received_at, raw)
    SELECT
        sha256(c.raw), 'conflicting_duplicate',
        format('The log has %%s with other content.', c.event_id), c.source, c.received_at, c.raw
    FROM conflicting c
    ON CONFLICT (digest, reason) DO NOTHING
)
SELECT count(*) FROM conflicting;

-- name: put_back
-- Facts of an archive, each where it was; says how many. What stayed, or came once more meanwhile, is left alone.
WITH returned AS (
    INSERT INTO events (
        seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope, retracts
    ) OVERRIDING SYSTEM VALUE
    SELECT
        seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope, retracts
    FROM pg_temp.{returning}
    ORDER BY seq
    ON CONFLICT (position_id, event_id) DO NOTHING
    RETURNING seq
)
SELECT count(*) FROM returned;

-- name: put_in
-- Facts of another store's archive, with numbers of this log; says how many.
WITH returned AS (
    INSERT INTO events (
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope, retracts
    )
    SELECT
        event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        envelope, retracts
    FROM pg_temp.{returning}
    ORDER BY seq
    ON CONFLICT (position_id, event_id) DO NOTHING
    RETURNING seq
)
SELECT count(*) FROM returned;

-- name: positions_returning
-- The positions whose facts come back.
SELECT DISTINCT position_id FROM pg_temp.{returning} ORDER BY position_id;

-- name: unmark
-- Forgets which positions were in an archive.
DELETE FROM archived_positions WHERE archive_id = %(archive_id)s;

-- name: restored
-- Says that the facts of an archive are back.
UPDATE archives SET restored_at = %(at)s WHERE archive_id = %(archive_id)s;

-- name: count
-- How many positions have facts in an archive, and in how many archives.
SELECT count(*), count(DISTINCT archive_id) FROM archived_positions;

-- name: file_of
-- The file that a position's facts are in.
SELECT a.file
FROM archived_positions m
JOIN archives a ON a.archive_id = m.archive_id
WHERE m.position_id = %(position_id)s;

-- name: told
-- The archives that the log tells of, and the seq of the fact that does.
SELECT e.event_id, e.seq
FROM events e
WHERE e.position_id = '' AND e.event_id >= 'arc_' AND e.event_id < 'arc`' AND e.type = 'archive';

-- name: needing
-- The positions, of some or of all, that got a fact since they were archived with which the facts that stayed are too few:
-- a snapshot that overrules only some of those that are away, or a retraction of one that is not young.
SELECT DISTINCT m.position_id, a.file
FROM events e
JOIN archived_positions m ON m.position_id = e.position_id
JOIN archives a ON a.archive_id = m.archive_id
JOIN unnest(%(told)s::text[], %(seqs)s::bigint[]) t (archive_id, seq)
    ON t.archive_id = m.archive_id AND t.seq < e.seq
LEFT JOIN events named ON named.position_id = e.position_id AND named.event_id = e.retracts
WHERE (e.supersedes_before IS NOT NULL OR e.retracts IS NOT NULL)
  AND (%(position_ids)s::text[] IS NULL OR e.position_id = ANY (%(position_ids)s))
  AND (
      e.supersedes_before < m.last_created_at
      OR (e.retracts IS NOT NULL AND (named.seq > t.seq) IS NOT TRUE)
  )
ORDER BY m.position_id;

-- name: digests_of
-- What an archive has of each position, to the digest; of one that was made before, NULL.
SELECT position_id, digest FROM archived_positions WHERE archive_id = %(archive_id)s;

-- name: faulty
-- The archives of which the log does not tell, or whose positions are not all marked.
SELECT a.archive_id
FROM archives a
WHERE a.archive_id <> ALL (%(told)s::text[])
    OR CASE WHEN a.restored_at IS NULL THEN a.positions ELSE 0 END <> (
        SELECT count(*) FROM archived_positions m WHERE m.archive_id = a.archive_id
    )
ORDER BY a.archive_id;
