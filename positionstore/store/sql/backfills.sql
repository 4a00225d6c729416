-- Backfills: what was asked for, and how far each has come.

-- name: unfinished
-- The newest of a kind that was interrupted; of a window, only of this very one.
SELECT backfill_id, since, until, started_at, as_of, parts, seen, repaired, requests
FROM backfills
WHERE state = 'unfinished' AND what = %(what)s
  AND (
    what = 'gaps'
    OR since IS NOT DISTINCT FROM %(since)s::timestamptz
    AND until IS NOT DISTINCT FROM %(until)s::timestamptz
  )
ORDER BY backfill_id DESC
LIMIT 1;

-- name: walks
-- How far it has come in each list.
SELECT walk, last_id, ended FROM backfill_walks WHERE backfill_id = %(backfill_id)s;

-- name: begin
-- One begins, in place of those of its kind that were interrupted.
WITH given_up AS (
    UPDATE backfills SET state = 'given_up', finished_at = %(at)s
    WHERE state = 'unfinished' AND what = %(what)s
      AND (
        what = 'gaps'
        OR since IS NOT DISTINCT FROM %(since)s::timestamptz
        AND until IS NOT DISTINCT FROM %(until)s::timestamptz
      )
)
INSERT INTO backfills (what, since, until, started_at, updated_at)
VALUES (%(what)s, %(since)s, %(until)s, %(started_at)s, %(at)s)
RETURNING backfill_id;

-- name: passed
-- All of a list up to a position is done.
INSERT INTO backfill_walks (backfill_id, walk, last_id, ended)
VALUES (%(backfill_id)s, %(walk)s, %(last_id)s, %(ended)s)
ON CONFLICT (backfill_id, walk) DO UPDATE SET last_id = excluded.last_id, ended = excluded.ended;

-- name: count
-- What was done so far.
UPDATE backfills
SET updated_at = %(at)s, as_of = %(as_of)s, parts = %(parts)s, seen = %(seen)s, repaired = %(repaired)s,
    unresolved = %(unresolved)s, requests = %(requests)s, run_id = %(run_id)s
WHERE backfill_id = %(backfill_id)s;

-- name: finish
-- All of it was seen.
UPDATE backfills SET state = 'complete', finished_at = %(at)s
WHERE backfill_id = %(backfill_id)s;

-- name: unrepaired
-- The gaps that no run has repaired and no gateway has replayed, of those that began before a moment.
SELECT
    count(*) AS gaps,
    count(ended_at) AS ended,
    min(started_at) AS since,
    CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END AS until,
    max(started_at) FILTER (WHERE ended_at IS NULL) AS open_since
FROM coverage_gaps
WHERE repaired_at IS NULL AND recovered_at IS NULL
  AND (%(before)s::timestamptz IS NULL OR started_at < %(before)s);

-- name: in_doubt
-- How many seconds ago a session that has not ended was last heard, where it is silent for longer than
-- it should be, and not yet so long that coverage takes it for dead: the one that is latest to be.
SELECT extract(epoch FROM clock_timestamp() - max(last_seen_at))::float8
FROM stream_sessions
WHERE ended_at IS NULL
  AND last_seen_at < clock_timestamp() - make_interval(secs => %(silence)s)
  AND last_seen_at > clock_timestamp() - %(dead_after)s::interval;

-- name: seen_in_full
-- How many positions the last run of all of them saw.
SELECT seen FROM reconciliation_runs
WHERE scope = 'full' AND state = 'complete' ORDER BY run_id DESC LIMIT 1;

-- name: known_since
-- How many positions the store has live, or saw end since a moment.
SELECT count(*) FROM positions
WHERE phase <> 'terminal' OR %(since)s::timestamptz IS NULL OR result_closed_at >= %(since)s;
