CREATE OR REPLACE VIEW coverage_gaps WITH (security_invoker = true) AS
WITH spans AS (
    -- A session without an end whose last proof of life is fresh still lives. A gateway proves
    -- its life every 25 seconds on a quiet stream, and its client gives it up after 45.
    SELECT
        started_at,
        CASE
            WHEN ended_at IS NULL AND last_seen_at > now() - interval '1 minute'
                THEN greatest(now(), last_seen_at)
            ELSE last_seen_at
        END AS covered_until,
        ended_at IS NULL AND last_seen_at > now() - interval '1 minute' AS lives
    FROM stream_sessions
),
stretches AS (
    SELECT
        max(covered_until) OVER (
            ORDER BY started_at, covered_until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS started_at,
        started_at AS ended_at
    FROM spans
    UNION ALL
    SELECT max(covered_until), NULL
    FROM spans
    HAVING NOT bool_or(lives)
)
SELECT
    g.started_at,
    g.ended_at,
    r.finished_at AS repaired_at,
    r.run_id AS repaired_by,
    s.recovered_until AS recovered_at
FROM stretches g
LEFT JOIN LATERAL (
    -- Our clock on both sides: a run that began after the gap's end has asked after it.
    SELECT run_id, finished_at
    FROM reconciliation_runs
    WHERE state = 'complete'
      AND started_at >= g.ended_at
      AND (closed_since IS NULL OR closed_since <= g.started_at)
      AND (closed_until IS NULL OR closed_until >= g.ended_at)
    ORDER BY started_at
    LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    -- The gateway has replayed all that it emitted in between.
    SELECT min(recovered_until) AS recovered_until
    FROM stream_sessions
    WHERE recovered_from <= g.started_at AND recovered_until >= g.ended_at
) s ON true
WHERE g.started_at < g.ended_at OR (g.started_at IS NOT NULL AND g.ended_at IS NULL);
COMMENT ON VIEW coverage_gaps IS
    'Stretches of time that no stream session covers, since the first one. Where recovered_at tells a time, the gateway has replayed what it emitted then; else the stream has not told what happened.';
COMMENT ON COLUMN coverage_gaps.started_at IS 'The last proof of life before it, by our clock.';
COMMENT ON COLUMN coverage_gaps.ended_at IS 'When the next session began; NULL while the gap is open.';
COMMENT ON COLUMN coverage_gaps.repaired_at IS 'When the first run that saw all that the gap could hide had ended; NULL while none has.';
COMMENT ON COLUMN coverage_gaps.repaired_by IS 'That run; see reconciliation_runs.';
COMMENT ON COLUMN coverage_gaps.recovered_at IS 'When the gateway had replayed all that it emitted during the gap, which then needs no repair; NULL where it has not.';
