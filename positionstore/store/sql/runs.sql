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

-- name: gaps
-- The gaps, the newest first.
SELECT started_at, ended_at, repaired_at, repaired_by, recovered_at
FROM coverage_gaps
WHERE NOT %(unrepaired_only)s OR (repaired_at IS NULL AND recovered_at IS NULL)
ORDER BY started_at DESC
LIMIT %(at_most)s;

-- name: compare
-- What snapshots of some bodies would change. A key that a body lacks, though its shape has it, is no
-- difference, and a snapshot carries what the row has there. Of what differs it says too when the
-- newest event was made that is not retracted, which fact would beat the snapshot, and whether another
-- fact has shown the same, unless the newest event is older than the settle window.
WITH {gathered_rows}
SELECT
    i.position_id,
    CASE
        WHEN p.position_id IS NULL THEN 'missing'
        WHEN d.has_moved THEN 'stale'
        WHEN d.fields IS NOT NULL THEN 'divergent'
    END AS kind,
    d.fields,
    p.last_event_id,
    coalesce(p.phase = 'terminal', false) AS has_ended,
    d.carried::text,
    n.created_at AS newest_event_at,
    CASE WHEN r.event_id IS NULL AND n.created_at - i.as_of >= - %(settle_window)s::interval THEN EXISTS (
        SELECT FROM past f
        WHERE f.position_id = i.position_id AND f.last_event_id <> p.last_event_id AND {past_equals}
    ) ELSE false END AS was_shown,
    r.event_id,
    r.created_at,
    r.type,
    {valuation}
FROM (
    SELECT u.*, coalesce(k.is_terminal, false) AS has_ended, k.phase, k.precedence
    FROM unnest(
        %(position_ids)s::text[], %(statuses)s::text[], %(bodies)b::text[], %(as_of)s::timestamptz[],
        %(event_ids)s::text[]
    ) AS u (position_id, status, body, as_of, event_id)
    LEFT JOIN position_statuses k ON k.status = u.status
) i
LEFT JOIN shown p ON p.position_id = i.position_id
CROSS JOIN LATERAL (
SELECT
{values},
    body.whole
FROM (SELECT jsonb_from_wire(i.body::json) AS whole OFFSET 0) body
{parts}
OFFSET 0
) s
CROSS JOIN LATERAL (
    SELECT p.position_id IS NOT NULL AND ({row_differs}) AS differs OFFSET 0
) c
CROSS JOIN LATERAL (
    SELECT
        jsonb_agg(jsonb_build_array(v.name, v.store, v.rest)) FILTER (WHERE v.differs) AS fields,
        bool_or(v.moves) FILTER (WHERE v.differs) AS has_moved,
        nullif(jsonb_strip_nulls(
            coalesce(jsonb_object_agg(v.key, v.wire) FILTER (WHERE v.is_kept AND v.section = ''), '{{}}')
            || jsonb_build_object({carried})
        ), '{{}}') AS carried
    FROM (
        SELECT
            t.*,
            NOT t.is_absent AND t.store IS DISTINCT FROM t.rest
                AND (t.durability = 'always' OR (t.durability = 'closed' AND i.has_ended)) AS differs,
            t.is_absent AND t.store IS NOT NULL AS is_kept,
            CASE WHEN t.is_bare THEN t.store::jsonb ELSE to_jsonb(t.store) END AS wire
        FROM (
            SELECT
                w.*,
                w.shapes <> CASE WHEN i.has_ended THEN 'live' ELSE 'closed' END AND CASE
                    WHEN w.section = '' THEN NOT s.whole ? w.key
                    WHEN NOT s.whole ? w.section THEN true
                    WHEN jsonb_typeof(s.whole -> w.section) = 'object'
                    THEN NOT (s.whole -> w.section) ? w.key
                    ELSE false
                END AS is_absent
            FROM unnest(
{table}
            ) AS w (name, section, key, shapes, durability, moves, is_bare, store, rest)
            WHERE c.differs
        ) t
    ) v
) d
LEFT JOIN event_types y ON y.type = %(type)s
LEFT JOIN LATERAL (
    SELECT f.event_id, f.created_at, f.type
    FROM facts f
    CROSS JOIN LATERAL (
        SELECT rank_of_fact(i.phase, i.as_of, i.precedence, y.precedence, i.event_id) AS rank
    ) snapshot
    WHERE (p.position_id IS NULL OR d.fields IS NOT NULL)
      AND f.position_id = i.position_id
      AND CASE
              WHEN f.supersedes_before IS NOT NULL
              THEN (f.created_at, f.rank) >= (i.as_of, snapshot.rank)
              ELSE f.created_at > i.as_of - %(settle_window)s::interval AND f.rank > snapshot.rank
          END
      AND {f_counts}
    ORDER BY f.created_at DESC
    LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT max(e.created_at) AS created_at
    FROM logged e
    WHERE d.fields IS NOT NULL
      AND e.position_id = i.position_id
      AND e.supersedes_before IS NULL
      AND e.status IS NOT NULL
      AND {e_counts}
) n ON true;

-- name: absent
-- Those of some positions that have not ended, and when the newest event of each was made.
WITH {gathered_rows}
SELECT p.position_id, n.created_at
FROM shown p
LEFT JOIN LATERAL (
    SELECT max(e.created_at) AS created_at
    FROM logged e
    WHERE e.position_id = p.position_id
      AND e.supersedes_before IS NULL
      AND e.status IS NOT NULL
      AND {e_counts}
) n ON true
WHERE p.phase <> 'terminal';

-- name: gathered_rows
-- What both look at: on PostgreSQL where they look, on Citus brought to the coordinator beforehand.
shown AS {gathered} (
    SELECT * FROM positions WHERE position_id = ANY (%(position_ids)s::text[])
),
past AS {gathered} (
    SELECT * FROM fact_positions {of_asked}
),
facts AS {gathered} (
    SELECT * FROM ranked_facts {of_asked}
),
logged AS {gathered} (
    SELECT position_id, event_id, status, created_at, supersedes_before FROM events {of_asked}
),
retracted AS {gathered} (
    SELECT x.position_id, x.retracts
    FROM (SELECT position_id, retracts FROM events {of_asked}) x
    WHERE x.retracts IS NOT NULL AND is_retracted(x.position_id, x.retracts)
);

-- name: counts
-- The part of these that leaves out what is retracted.
NOT EXISTS (
          SELECT FROM retracted x
          WHERE x.position_id = {fact}.position_id AND x.retracts = {fact}.event_id
      );

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
