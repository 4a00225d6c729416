-- What the reconciler asks of the store, and records in it.

-- name: begin_run
-- A run begins; those that never ended have died, for only one runs at a time.
WITH died AS (
    UPDATE reconciliation_runs SET state = 'failed', error = 'Its process died.'
    WHERE state = 'running'
)
INSERT INTO reconciliation_runs (trigger, scope, closed_since, closed_until, started_at)
VALUES (%(trigger)s, %(scope)s, %(closed_since)s, %(closed_until)s, %(started_at)s)
RETURNING run_id;

-- name: finish_run
-- A run ends.
UPDATE reconciliation_runs
SET state = %(state)s, reach = %(reach)s, finished_at = %(finished_at)s, as_of = %(as_of)s,
    seen = %(seen)s, missing = %(missing)s, stale = %(stale)s, divergent = %(divergent)s,
    absent_upstream = %(absent_upstream)s, repaired = %(repaired)s, unresolved = %(unresolved)s,
    requests = %(requests)s, retries = %(retries)s, error = %(error)s, clock_offset = %(clock_offset)s
WHERE run_id = %(run_id)s;

-- name: record_discrepancy
-- One field that differs.
INSERT INTO discrepancies (
    run_id, position_id, kind, field, store_value, rest_value, resolution, noticed_at
)
VALUES (
    %(run_id)s, %(position_id)s, %(kind)s, %(field)s, %(store_value)s, %(rest_value)s,
    %(resolution)s, %(noticed_at)s
)
ON CONFLICT (position_id, run_id, field) DO UPDATE SET
    kind = excluded.kind, store_value = excluded.store_value, rest_value = excluded.rest_value,
    resolution = excluded.resolution, noticed_at = excluded.noticed_at;

-- name: last_complete_run
-- When the last run that saw all of its scope began.
SELECT max(started_at) FROM reconciliation_runs
WHERE state = 'complete' AND scope IN ('recent', 'full');

-- name: coverage_begins
-- When the first stream session began.
SELECT min(started_at) FROM stream_sessions;

-- name: oldest_unrepaired_gap
-- When the oldest gap that no run has repaired, and no gateway has replayed, began.
SELECT min(started_at) FROM coverage_gaps WHERE repaired_at IS NULL AND recovered_at IS NULL;

-- name: invalid_fields
-- The fields of positions whose value is not of their kind, with the first positions of each.
SELECT
    field,
    count(*) AS positions,
    (array_agg(position_id ORDER BY position_id COLLATE "C"))[1:5] AS examples
FROM positions, unnest(misfit_fields) AS field
WHERE misfit_fields <> '{}'
GROUP BY field
ORDER BY count(*) DESC, field;

-- name: gaps
-- The gaps, the newest first.
SELECT started_at, ended_at, repaired_at, repaired_by, recovered_at
FROM coverage_gaps
WHERE NOT %(unrepaired_only)s OR (repaired_at IS NULL AND recovered_at IS NULL)
ORDER BY started_at DESC
LIMIT %(at_most)s;

-- name: rows
-- Some positions: whether they have ended, the fact they show, and some of their columns.
SELECT position_id, phase, last_event_id, {columns}
FROM positions WHERE position_id = ANY (%(position_ids)s);

-- name: spelled_rows
-- Some positions, spelled: the fact each shows, and its columns. The ids come as an array's text.
SELECT position_id, last_event_id, {columns}
FROM positions WHERE position_id = ANY (%(position_ids)s::text[]);

-- name: newest_events
-- When the newest event of some positions was made, by whatever clock it bears, of those that are not
-- retracted; a position of which there are snapshots alone is left out.
SELECT e.position_id, max(e.created_at)
FROM events e
WHERE e.position_id = ANY (%(position_ids)s)
  AND e.supersedes_before IS NULL
  AND e.status IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM events r
      WHERE r.position_id = e.position_id AND r.retracts = e.event_id
        AND is_retracted(r.position_id, r.retracts)
  )
GROUP BY e.position_id;

-- name: live
-- Live positions, of all wallets or of some (as the store spells them; an empty one stands for none),
-- without those verified since a moment.
SELECT p.position_id, p.wallet_address
FROM positions p
WHERE p.phase <> 'terminal'
  AND (%(wallets)s::text[] IS NULL OR coalesce(p.wallet_address, '') = ANY (%(wallets)s))
  AND p.position_id > %(after)s
  AND (%(since)s::timestamptz IS NULL OR p.verified_at IS NULL OR p.verified_at < %(since)s)
ORDER BY p.position_id
LIMIT 1000;

-- name: count_live
-- How many positions the store has live, of all wallets or of some (as the store spells them).
SELECT count(*) FROM positions
WHERE phase <> 'terminal'
  AND (%(wallets)s::text[] IS NULL OR wallet_address = ANY (%(wallets)s));

-- name: some_live
-- A few of the positions that the store has live, of all wallets or of some (as the store spells them).
SELECT position_id FROM positions
WHERE phase <> 'terminal'
  AND (%(wallets)s::text[] IS NULL OR wallet_address = ANY (%(wallets)s))
ORDER BY last_event_at LIMIT %(at_most)s;

-- name: mark_verified
-- Notes that these rows equal what GET /positions said, unless they have changed since they were read.
UPDATE positions p
SET verified_at = v.at
FROM unnest(%(position_ids)s::text[], %(last_event_ids)s::text[], %(at)s::timestamptz[])
    AS v (position_id, last_event_id, at)
WHERE p.position_id = v.position_id
  AND p.last_event_id = v.last_event_id
  AND (p.verified_at IS NULL OR p.verified_at < v.at);

-- name: wallets
-- The wallets that the store knows.
SELECT DISTINCT wallet_address FROM positions WHERE wallet_address <> '' ORDER BY 1;

-- name: value
-- Keeps the latest valuation of each position; an older one never replaces a newer one.
INSERT INTO valuations (position_id, as_of, {columns})
SELECT * FROM unnest(%(position_ids)s::text[], %(as_of)s::timestamptz[], {arrays})
ON CONFLICT (position_id) DO UPDATE SET as_of = excluded.as_of, {assignments}
WHERE valuations.as_of <= excluded.as_of;

-- name: remember_value
-- Keeps every valuation.
INSERT INTO valuation_history (position_id, as_of, {columns})
SELECT * FROM unnest(%(position_ids)s::text[], %(as_of)s::timestamptz[], {arrays})
ON CONFLICT (position_id, as_of) DO NOTHING;

-- name: drop_stale_valuations
-- A position that ended has no valuation any more.
DELETE FROM valuations v
USING positions p
WHERE p.position_id = v.position_id AND p.phase = 'terminal';

-- name: rivals
-- The newest fact that would beat a snapshot of each position in the fold, where one would.
SELECT i.position_id, b.event_id, b.created_at, b.type
FROM unnest(
    %(position_ids)s::text[], %(statuses)s::text[], %(as_of)s::timestamptz[], %(event_ids)s::text[],
    %(supersedes_before)s::timestamptz[]
) AS i (position_id, status, as_of, event_id, supersedes_before)
LEFT JOIN position_statuses s ON s.status = i.status
LEFT JOIN event_types t ON t.type = %(type)s
CROSS JOIN LATERAL (
    SELECT rank_of_fact(s.phase, i.as_of, s.precedence, t.precedence, i.event_id) AS rank OFFSET 0
) snapshot
LEFT JOIN LATERAL (
    SELECT f.event_id, f.created_at, f.type
    FROM ranked_facts f
    WHERE f.position_id = i.position_id
      AND CASE
              WHEN f.supersedes_before IS NOT NULL
              THEN (f.created_at, f.rank) >= (i.as_of, snapshot.rank)
              ELSE f.created_at > i.supersedes_before AND f.rank > snapshot.rank
          END
      AND NOT is_retracted(f.position_id, f.event_id)
    ORDER BY f.created_at DESC
    LIMIT 1
) b ON true;

-- name: past_rows
-- The rows that the facts of some positions make, each for itself, without the one each shows.
SELECT f.position_id, {columns}
FROM fact_positions f
WHERE f.position_id = ANY (%(position_ids)s)
  AND NOT EXISTS (
      SELECT FROM positions p
      WHERE p.position_id = f.position_id AND p.last_event_id = f.last_event_id
  );

-- name: clock_offsets
-- How far the server's clock was ahead of ours: in the newest run that knows, and in the newest
-- complete one.
SELECT clock_offset FROM (
    (SELECT run_id, clock_offset FROM reconciliation_runs
     WHERE clock_offset IS NOT NULL ORDER BY run_id DESC LIMIT 1)
    UNION
    (SELECT run_id, clock_offset FROM reconciliation_runs
     WHERE clock_offset IS NOT NULL AND state = 'complete' ORDER BY run_id DESC LIMIT 1)
) known
ORDER BY run_id DESC;
