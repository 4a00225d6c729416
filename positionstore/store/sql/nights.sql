-- The nightly runs.

-- name: nights
-- What the nightly runs of each of the last days found, the oldest first; days are UTC's.
SELECT
    (started_at AT TIME ZONE 'UTC')::date AS day,
    (array_agg(state ORDER BY run_id DESC))[1] AS state,
    sum(missing)::bigint AS missing,
    sum(stale)::bigint AS stale,
    sum(divergent)::bigint AS divergent,
    max(absent_upstream)::bigint AS absent_upstream,
    sum(repaired)::bigint AS repaired,
    (array_agg(unresolved ORDER BY run_id DESC))[1] AS unresolved
FROM reconciliation_runs
WHERE trigger = 'nightly'
  AND (started_at AT TIME ZONE 'UTC')::date BETWEEN %(first)s AND %(last)s
GROUP BY 1
ORDER BY 1;
