-- What the metrics tell of the store. Each statement is read by itself, under a limit of time.

-- name: runs
-- Reconciliations by how they stand, with what they asked for and found.
SELECT
    state,
    count(*) AS runs,
    sum(requests)::bigint AS requests,
    sum(retries)::bigint AS retries,
    sum(missing)::bigint AS missing,
    sum(stale)::bigint AS stale,
    sum(divergent)::bigint AS divergent,
    sum(absent_upstream)::bigint AS absent_upstream,
    sum(repaired)::bigint AS repaired
FROM reconciliation_runs
GROUP BY state;

-- name: last_runs
-- When a run last saw all of its scope, and one all positions; what the last one left; how far the
-- vendor's clock is ahead of ours.
SELECT
    (SELECT max(finished_at) FROM reconciliation_runs WHERE state = 'complete') AS complete_at,
    (
        SELECT max(finished_at) FROM reconciliation_runs
        WHERE state = 'complete' AND scope = 'full'
    ) AS full_at,
    (
        SELECT unresolved FROM reconciliation_runs
        WHERE state <> 'running' ORDER BY run_id DESC LIMIT 1
    ) AS unresolved,
    (
        SELECT extract(epoch FROM clock_offset)::float8 FROM reconciliation_runs
        WHERE clock_offset IS NOT NULL ORDER BY run_id DESC LIMIT 1
    ) AS clock_offset;

-- name: phases
-- Positions by phase.
SELECT phase, count(*) FROM positions GROUP BY phase;

-- name: invalid
-- Positions with a field that is not of its kind.
SELECT count(*) FROM positions WHERE misfit_fields <> '{}';
