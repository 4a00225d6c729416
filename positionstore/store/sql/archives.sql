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

-- name: eligible
-- Of some candidates those all of whose facts are old enough and of which something can leave the log:
-- anything but the fact that the row shows, the latest snapshot and retractions.
SELECT
    e.position_id, count(*), min(e.created_at), max(e.created_at),
    min(e.received_at), max(e.received_at), sum(pg_column_size(e.envelope))
FROM pg_temp.{candidates} c
JOIN positions p ON p.position_id = c.position_id
CROSS JOIN LATERAL (
    SELECT * FROM events e WHERE e.position_id = c.position_id OFFSET 0
) e
WHERE c.ordinal > %(after)s AND c.ordinal <= %(until)s AND p.phase = 'terminal'
  AND NOT EXISTS (SELECT FROM archived_positions a WHERE a.position_id = c.position_id)
GROUP BY e.position_id
HAVING max(e.created_at) < %(before)s
   AND max(e.received_at) < %(before)s
   AND (
       count(*) FILTER (
           WHERE e.retracts IS NULL AND e.supersedes_before IS NULL
             AND e.event_id <> p.last_event_id
       ) > 0
       OR count(*) FILTER (WHERE e.supersedes_before IS NOT NULL) > 1
   );

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
-- Says that facts go to a file. In this transaction alone they may then leave the log.
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
-- Takes in which positions are in an archive.
COPY archived_positions (
    position_id, archive_id, facts, first_created_at, last_created_at, first_received_at,
    last_received_at
) FROM STDIN;

-- name: look_up_by_key
-- One look-up by key a position, whatever the planner thinks of their number.
SET LOCAL enable_seqscan = off;

-- name: take_out
-- Deletes the facts of some positions, but for those that the fold needs: the one that each row shows,
-- the latest snapshot that counts, and retractions. The log's trigger compares all of it with what is
-- recorded.
WITH snapshots AS MATERIALIZED (
    SELECT DISTINCT ON (f.position_id) f.position_id, f.event_id
    FROM ranked_facts f
    WHERE f.position_id = ANY (%(position_ids)s)
      AND f.supersedes_before IS NOT NULL
      AND NOT is_retracted(f.position_id, f.event_id)
    ORDER BY f.position_id, f.created_at DESC, f.rank DESC
),
kept AS MATERIALIZED (
    SELECT p.position_id, p.last_event_id AS event_id
    FROM positions p WHERE p.position_id = ANY (%(position_ids)s)
    UNION
    SELECT s.position_id, s.event_id FROM snapshots s
)
DELETE FROM events e
WHERE e.position_id = ANY (%(position_ids)s)
  AND e.retracts IS NULL
  AND NOT EXISTS (
      SELECT FROM kept k WHERE k.position_id = e.position_id AND k.event_id = e.event_id
  );

-- name: left_since
-- The files of the archives with a fact of after a seq, where a seq between it and their last one is not in
-- the log: a reader that has come to it would not see all. A seq that was never given counts too.
SELECT a.file
FROM archives a
WHERE a.restored_at IS NULL AND a.last_seq > %(seq)s
  AND (
      SELECT count(*) FROM events e WHERE e.seq > %(seq)s AND e.seq <= a.last_seq
  ) < a.last_seq - %(seq)s
ORDER BY a.first_seq;

-- name: younger
-- Whether a fact of some positions came after a seq.
SELECT EXISTS (
    SELECT FROM events e WHERE e.seq > %(seq)s AND e.position_id = ANY (%(position_ids)s)
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
WITH conflicting AS (
    SELECT
        convert_to(r.envelope::text, 'UTF8') AS raw, r.event_id, r.source, r.received_at
    FROM pg_temp.{returning} r
    CROSS JOIN LATERAL (
        SELECT e.envelope FROM events e
        WHERE e.position_id = r.position_id AND e.event_id = r.event_id
        OFFSET 0
    ) other
    WHERE other.envelope::text <> r.envelope::text
      AND jsonb_from_wire(other.envelope) <> jsonb_from_wire(r.envelope)
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
-- Facts of an archive, each where it was. What stayed, or came once more meanwhile, is left alone.
INSERT INTO events (
    seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope, retracts
) OVERRIDING SYSTEM VALUE
SELECT
    seq, event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope, retracts
FROM pg_temp.{returning}
ORDER BY seq
ON CONFLICT (position_id, event_id) DO NOTHING;

-- name: put_in
-- Facts of another store's archive, with numbers of this log.
INSERT INTO events (
    event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope, retracts
)
SELECT
    event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
    envelope, retracts
FROM pg_temp.{returning}
ORDER BY seq
ON CONFLICT (position_id, event_id) DO NOTHING;

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

-- name: needing
-- The positions, of some or of all, that got a fact since they were archived with which the facts that stayed are too few:
-- a snapshot that overrules only some of those that are away, or a retraction of one that is not young.
SELECT m.position_id, a.file
FROM archived_positions m
JOIN archives a ON a.archive_id = m.archive_id
JOIN events archived ON archived.position_id = '' AND archived.event_id = m.archive_id
WHERE (%(position_ids)s::text[] IS NULL OR m.position_id = ANY (%(position_ids)s))
  AND EXISTS (
    SELECT FROM events e
    WHERE e.position_id = m.position_id AND e.seq > archived.seq
      AND (
          e.supersedes_before < m.last_created_at
          OR (
              e.retracts IS NOT NULL
              AND NOT EXISTS (
                  SELECT FROM events named
                  WHERE named.position_id = e.position_id AND named.event_id = e.retracts
                    AND named.seq > archived.seq
              )
          )
      )
)
ORDER BY m.position_id;

-- name: faulty
-- The archives of which the log does not tell, or whose positions are not all marked.
SELECT a.archive_id
FROM archives a
WHERE NOT EXISTS (
        SELECT FROM events e
        WHERE e.position_id = '' AND e.event_id = a.archive_id AND e.type = 'archive'
    )
    OR CASE WHEN a.restored_at IS NULL THEN a.positions ELSE 0 END <> (
        SELECT count(*) FROM archived_positions m WHERE m.archive_id = a.archive_id
    )
ORDER BY a.archive_id;
