-- The state of the store, at a glance.

-- name: log
-- The log: its newest seq, how many rows it is thought to have, and the newest event of the stream.
-- Imports and snapshots are no sign of life: they are not counted as such.
SELECT
    (SELECT max(seq) FROM events) AS last_seq,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'events'::regclass) AS events_estimate,
    newest.created_at AS last_created_at,
    newest.received_at AS last_received_at
FROM (SELECT 1) one
LEFT JOIN LATERAL (
    SELECT created_at, received_at FROM events
    WHERE source IN ('partner', 'customer') ORDER BY seq DESC LIMIT 1
) newest ON true;

-- name: positions
-- Positions by status, with their phase.
SELECT status, min(phase), count(*) FROM positions GROUP BY status ORDER BY count(*) DESC, status;

-- name: archived
-- What is away in archives; and how many archives an imported log tells of and this store has no
-- record of.
SELECT
    count(*) AS archives,
    coalesce(sum(positions), 0)::bigint AS positions,
    coalesce(sum(facts), 0)::bigint AS facts,
    (
        SELECT count(*) FROM events e
        WHERE e.position_id = '' AND e.event_id >= 'arc_' AND e.event_id < 'arc`'
            AND e.type = 'archive' AND e.source = 'import'
            AND NOT EXISTS (SELECT FROM archives a WHERE a.archive_id = e.event_id)
            AND NOT EXISTS (
                SELECT FROM events r
                WHERE r.position_id = '' AND r.event_id = 'rst_' || substr(e.event_id, 5)
                    AND r.type = 'restoration' AND r.source = 'import'
            )
    ) AS of_other_stores
FROM archives
WHERE restored_at IS NULL;

-- name: oddities
-- Positions with a status or a type that the reference tables do not know, or with misfit fields.
SELECT
    count(*) FILTER (WHERE s.status IS NULL) AS unknown_statuses,
    count(*) FILTER (WHERE t.type IS NULL) AS unknown_types,
    count(*) FILTER (WHERE p.misfit_fields <> '{}') AS misfits
FROM positions p
LEFT JOIN position_statuses s USING (status)
LEFT JOIN event_types t ON t.type = p.last_event_type;

-- name: sessions
-- The stream sessions that have not ended, the newest first. One that is silent for a minute died with
-- its process: it is shown until another one of its gateway has begun.
SELECT gateway, started_at, last_seen_at, received, quarantined
FROM stream_sessions s
WHERE ended_at IS NULL
  AND (last_seen_at > now() - interval '1 minute' OR NOT EXISTS (
      SELECT FROM stream_sessions later
      WHERE later.gateway = s.gateway AND later.session_id > s.session_id))
ORDER BY session_id DESC
LIMIT 20;

-- name: totals
-- What came over all stream sessions.
SELECT
    count(*) AS sessions,
    coalesce(sum(received), 0)::bigint AS received,
    coalesce(sum(duplicates), 0)::bigint AS duplicates,
    coalesce(sum(quarantined), 0)::bigint AS quarantined,
    coalesce(sum(recovered), 0)::bigint AS recovered,
    max(last_seen_at) AS last_seen_at
FROM stream_sessions;

-- name: sizes
-- Bytes on disk.
SELECT
    pg_database_size(current_database()) AS database,
    pg_total_relation_size('events') AS events,
    pg_total_relation_size('positions') AS positions,
    pg_total_relation_size('quarantine') AS quarantine;

-- name: lag
-- How long the last thousand events that came over a stream were under way, in seconds.
SELECT
    percentile_cont(0.5) WITHIN GROUP (ORDER BY delay) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY delay) AS p95
FROM (
    SELECT extract(epoch FROM received_at - created_at)::float8 AS delay
    FROM events
    WHERE source IN ('partner', 'customer') ORDER BY seq DESC LIMIT 1000
) newest;

-- name: coverage
-- The gaps in the stream's coverage.
SELECT
    count(*) AS gaps,
    count(recovered_at) AS recovered,
    count(*) FILTER (WHERE needs_repair) AS unrepaired,
    coalesce(
        extract(epoch FROM sum(coalesce(ended_at, now()) - started_at)
            FILTER (WHERE needs_repair)), 0
    )::float8 AS unrepaired_seconds,
    min(started_at) FILTER (WHERE needs_repair) AS oldest_unrepaired_at,
    max(started_at) FILTER (WHERE ended_at IS NULL) AS open_since
FROM (
    SELECT *, repaired_at IS NULL AND recovered_at IS NULL AS needs_repair FROM coverage_gaps
) gaps;

-- name: last_run
-- The run that began last, if any.
SELECT
    run_id, trigger, scope, state, started_at, finished_at, seen,
    missing + stale + divergent + absent_upstream AS differed, repaired, unresolved, error
FROM reconciliation_runs ORDER BY run_id DESC LIMIT 1;

-- name: clock
-- How far the vendor's clock is ahead of ours, in seconds, by the newest run that could tell.
SELECT run_id, started_at, extract(epoch FROM clock_offset)::float8 AS seconds
FROM reconciliation_runs
WHERE clock_offset IS NOT NULL ORDER BY run_id DESC LIMIT 1;

-- name: drift
-- What the runs of the last day found, each position once, and when all was seen last.
WITH runs AS (
    SELECT run_id, state FROM reconciliation_runs WHERE started_at > now() - interval '1 day'
),
found AS (
    SELECT
        count(DISTINCT d.position_id) FILTER (WHERE d.kind = 'missing') AS missing,
        count(DISTINCT d.position_id) FILTER (WHERE d.kind = 'stale') AS stale,
        count(DISTINCT d.position_id) FILTER (WHERE d.kind = 'divergent') AS divergent,
        count(DISTINCT d.position_id) FILTER (WHERE d.kind = 'absent_upstream') AS absent_upstream,
        count(DISTINCT d.position_id) FILTER (WHERE d.resolution = 'repaired') AS repaired
    FROM discrepancies d
    WHERE d.run_id IN (SELECT run_id FROM runs)
)
SELECT
    (SELECT count(*) FROM runs) AS runs,
    (SELECT count(*) FROM runs WHERE state IN ('partial', 'failed')) AS incomplete,
    found.missing, found.stale, found.divergent, found.absent_upstream, found.repaired,
    (
        SELECT max(finished_at) FROM reconciliation_runs WHERE state = 'complete'
    ) AS last_complete_at,
    (
        SELECT max(finished_at) FROM reconciliation_runs
        WHERE state = 'complete' AND scope = 'full'
    ) AS last_full_at
FROM found;
