-- The projection: from facts to rows of positions.

-- name: project_events
-- Folds the events of a seq range into positions: the greatest of them, where it is greater than
-- the fact that stands and neither overruled by a snapshot nor retracted before it came. It is
-- held to one look-up by key a row: the planner's statistics know nothing of the newest rows, and a
-- plan made for the one row that it expects takes minutes for fifty thousand.
WITH incoming AS {apart} (
    SELECT f.position_id, f.seq, f.created_at, f.rank
    FROM ranked_facts f
    WHERE f.seq BETWEEN %(first_seq)s AND %(last_seq)s {and_counts}
),
current AS {apart} (
    SELECT p.position_id, p.rank, p.supersedes_before
    FROM (SELECT DISTINCT position_id FROM incoming) i
    CROSS JOIN LATERAL (
        SELECT p.position_id, p.rank, p.supersedes_before
        FROM ranked_positions p WHERE p.position_id = i.position_id {once}
    ) p
),
best AS (
    SELECT DISTINCT ON (i.position_id)
        i.position_id AS of_position, i.seq, i.rank, p.rank AS current_rank, p.supersedes_before
    FROM incoming i
    LEFT JOIN current p ON p.position_id = i.position_id
    WHERE i.created_at > coalesce(p.supersedes_before, '-infinity')
    ORDER BY i.position_id, i.rank DESC
),
winners AS {apart} (
    SELECT of_position, seq, supersedes_before FROM best WHERE current_rank IS NULL OR rank > current_rank
)
INSERT INTO positions ({columns})
SELECT {columns}
FROM winners w
CROSS JOIN LATERAL (
    SELECT * FROM fact_positions f WHERE {of_position} f.seq = w.seq {once}
) fact
ON CONFLICT (position_id) DO UPDATE SET {assignments};

-- name: and_counts
-- The part of project_events that leaves out what is retracted; of no use where the log has no
-- retraction, and not for nothing either.
AND NOT EXISTS (
    SELECT FROM events r
    WHERE r.position_id = f.position_id AND r.retracts = f.event_id
      AND is_retracted(r.position_id, r.retracts)
);

-- name: refold_positions
-- Folds some positions again from all their facts, as a new snapshot or retraction demands.
WITH folded AS MATERIALIZED (
    SELECT position_id AS of_position, seq, supersedes_before FROM fold_facts(%(position_ids)s)
)
INSERT INTO positions ({columns})
SELECT {columns}
FROM folded w
CROSS JOIN LATERAL (
    SELECT * FROM fact_positions f WHERE {of_position} f.seq = w.seq {once}
) fact
ON CONFLICT (position_id) DO UPDATE SET {assignments};

-- name: drop_emptied
-- Takes out the rows of those of some positions of which retractions have left no fact, and their
-- valuations.
WITH folded AS MATERIALIZED (
    SELECT position_id FROM fold_facts(%(position_ids)s)
),
emptied AS (
    DELETE FROM positions p
    WHERE p.position_id = ANY (%(position_ids)s)
      AND NOT EXISTS (SELECT FROM folded f WHERE f.position_id = p.position_id)
    RETURNING p.position_id
),
unvalued AS (
    DELETE FROM valuations v USING emptied e WHERE v.position_id = e.position_id
)
SELECT count(*) FROM emptied;

-- name: last_seq
-- The highest seq of the log.
SELECT coalesce(max(seq), 0) FROM events;

-- name: standing
-- The facts that the rows of all positions show, or of a share, where no fact outranks them; then
-- those are the fold, and nothing had to be sorted to find it. In slices as winners has them; left
-- over are the positions whose row shows no fact that counts, or one that is outranked, those that
-- have facts and no row, and those with a retraction.
WITH retracting AS MATERIALIZED (
    SELECT DISTINCT e.position_id FROM events e WHERE e.retracts IS NOT NULL {of_share_e}
),
latest_snapshot AS MATERIALIZED (
    SELECT DISTINCT ON (f.position_id) f.position_id, f.event_id, f.supersedes_before
    FROM ranked_facts f
    WHERE f.supersedes_before IS NOT NULL {of_share_f}
    ORDER BY f.position_id, f.created_at DESC, f.rank DESC
),
folded AS (
    -- The ranks are compared field by field; as records they cost three times as much.
    SELECT
        f.position_id,
        CASE WHEN ROW((f.rank).*) = ROW((p.rank).*) THEN f.seq END AS seq,
        s.supersedes_before
    FROM ranked_facts f
    LEFT JOIN ranked_positions p ON p.position_id = f.position_id {of_share_p}
    LEFT JOIN latest_snapshot s ON s.position_id = f.position_id
    WHERE (p.position_id IS NULL OR ROW((f.rank).*) >= ROW((p.rank).*)) {of_share_f}
      -- As fold_facts has it.
      AND CASE
              WHEN f.supersedes_before IS NOT NULL THEN f.event_id = s.event_id
              WHEN s.event_id IS NOT NULL THEN f.created_at > s.supersedes_before
              ELSE true
          END
      AND NOT EXISTS (SELECT FROM retracting r WHERE r.position_id = f.position_id)
    UNION ALL
    SELECT r.position_id, NULL, NULL
    FROM retracting r
    WHERE EXISTS (
        SELECT FROM events e
        WHERE e.position_id = r.position_id AND e.status IS NOT NULL
          AND NOT is_retracted(e.position_id, e.event_id)
    )
),
shown AS (
    SELECT p.position_id FROM positions p WHERE true {of_share_p}
)
{in_slices};

-- name: winners
-- The facts that the rows of all positions, or of some, should show, in slices by the order of the
-- log; left over are the positions that have a row and no fact.
WITH folded AS {gathered} (
    SELECT * FROM fold_facts(%(position_ids)s)
),
shown AS {gathered} (
    SELECT position_id FROM positions
    WHERE %(position_ids)s::text[] IS NULL OR position_id = ANY (%(position_ids)s)
)
{in_slices};

-- name: in_slices
-- The end of standing and of winners.
SELECT
    count(x.seq) AS size,
    (sum(count(x.seq)) OVER ())::bigint AS in_all,
    coalesce(array_agg(x.of_position) FILTER (WHERE x.seq IS NOT NULL)::text, '{{}}')
        AS position_ids,
    coalesce(array_agg(x.seq) FILTER (WHERE x.seq IS NOT NULL)::text, '{{}}') AS seqs,
    coalesce(array_agg(x.supersedes_before) FILTER (WHERE x.seq IS NOT NULL)::text, '{{}}')
        AS moments,
    coalesce(
        array_agg(DISTINCT coalesce(x.of_position, x.position_id)) FILTER (WHERE x.seq IS NULL),
        '{{}}'
    ) AS left_over
FROM (
    SELECT f.position_id AS of_position, f.seq, f.supersedes_before, p.position_id,
        (row_number() OVER (ORDER BY f.seq) - 1) / %(slice)s AS slice
    FROM folded f
    FULL JOIN shown p ON p.position_id = f.position_id
) x
GROUP BY x.slice
ORDER BY x.slice;

-- name: count_positions
-- How many rows there are.
SELECT count(*) FROM positions;

-- name: differences
-- Where positions does not show the facts that it should: the position, what is wrong with it, the
-- columns that differ, and the fact. A fact that gives no row comes with no position.
WITH doubtful AS {gathered} (
    -- The usual row is proved to be right for less than it costs to make another.
    SELECT w.of_position, w.seq, w.supersedes_before
    FROM unnest(
        %(position_ids)s::text[], %(seqs)s::bigint[], %(moments)s::timestamptz[]
    ) w (of_position, seq, supersedes_before)
    {left} JOIN LATERAL (
        SELECT * FROM ranked_facts f WHERE {of_position} f.seq = w.seq {once}
    ) f ON true
    LEFT JOIN LATERAL (
        SELECT * FROM positions p WHERE p.position_id = f.position_id {once}
    ) p ON true
    CROSS JOIN LATERAL {body}
    {taken}
    WHERE ({is_proved}) IS NOT TRUE
    {once}
)
SELECT
    coalesce(r.position_id, '') AS position_id,
    CASE WHEN p.position_id IS NULL THEN 'missing' ELSE 'different' END AS kind,
    CASE WHEN p.position_id IS NULL THEN '{{}}' ELSE array_remove(ARRAY[
        {differing}
    ], NULL) END AS columns,
    r.seq,
    r.supersedes_before
FROM (
    SELECT fact.seq, {columns}
    FROM doubtful w
    {left} JOIN LATERAL (
        SELECT * FROM fact_positions f WHERE {of_position} f.seq = w.seq {once}
    ) fact ON true
) r
LEFT JOIN LATERAL (
    SELECT * FROM positions p WHERE p.position_id = r.position_id {once}
) p ON true
WHERE ({p_columns}) IS DISTINCT FROM ({r_columns}) OR r.position_id IS NULL;

-- name: is_proved
-- The part of differences and of doubted by which the row p is what the fact f becomes, where w has the
-- moment of the latest snapshot.
p.status = f.status
AND p.phase = f.phase
AND p.last_event_id = f.event_id
AND p.last_event_type = f.type
AND p.last_event_at = f.created_at
AND p.source = f.source
AND p.updated_at = f.received_at
AND p.supersedes_before IS NOT DISTINCT FROM w.supersedes_before
AND p.misfit_fields = '{{}}'
-- The same bytes are the same value; usually no more has to be looked at.
AND CASE
    WHEN record_image_eq(ROW(p.data), ROW(body.data)) THEN true
    ELSE p.data = body.data
END
{shows};

-- name: doubted
-- On Citus: the positions whose row is not proved to be the fold, as standing and differences have it, and
-- whether they have one. Each worker looks at its own, and tells of those alone.
SELECT
    coalesce(shown.position_id, counted.position_id) AS position_id,
    shown.position_id IS NOT NULL AS is_shown
FROM (SELECT p.position_id FROM positions p) shown
FULL JOIN (
    SELECT
        f.position_id,
        bool_and(ROW((f.rank).*) = ROW((r.rank).*) AND ({is_proved})) AS is_right
    FROM ranked_facts f
    LEFT JOIN (
        SELECT DISTINCT ON (f.position_id) f.position_id, f.event_id, f.supersedes_before
        FROM ranked_facts f
        WHERE f.supersedes_before IS NOT NULL
        ORDER BY f.position_id, f.created_at DESC, f.rank DESC
    ) w ON w.position_id = f.position_id
    LEFT JOIN ranked_positions r ON r.position_id = f.position_id
    LEFT JOIN positions p ON p.position_id = f.position_id
    CROSS JOIN LATERAL {body}
    {taken}
    WHERE (r.position_id IS NULL OR ROW((f.rank).*) >= ROW((r.rank).*))
      AND CASE
              WHEN f.supersedes_before IS NOT NULL THEN f.event_id = w.event_id
              WHEN w.event_id IS NOT NULL THEN f.created_at > w.supersedes_before
              ELSE true
          END
    GROUP BY f.position_id
) counted ON counted.position_id = shown.position_id
WHERE counted.is_right IS NOT TRUE;

-- name: retracting
-- The positions with a retraction, whose fold takes more than a look at what their rows show; and whether
-- they have one.
SELECT DISTINCT e.position_id, p.position_id IS NOT NULL AS is_shown
FROM events e
LEFT JOIN positions p ON p.position_id = e.position_id
WHERE e.retracts IS NOT NULL;

-- name: passed_over
-- The positions of some of which neither the fold nor a row was found.
WITH folded AS {gathered} (
    SELECT position_id FROM fold_facts(%(position_ids)s)
),
shown AS {gathered} (
    SELECT position_id FROM positions WHERE position_id = ANY (%(position_ids)s)
)
SELECT n.position_id
FROM unnest(%(position_ids)s::text[]) n (position_id)
LEFT JOIN folded f ON f.position_id = n.position_id
LEFT JOIN shown p ON p.position_id = n.position_id
WHERE f.position_id IS NULL AND p.position_id IS NULL;

-- name: count_rows
-- Of how many of some facts comes a row.
SELECT count(*)
FROM unnest(%(position_ids)s::text[], %(seqs)s::bigint[]) w (of_position, seq)
JOIN fact_positions f ON {of_position} f.seq = w.seq;

-- name: has_facts
-- Whether the log has a fact that should give a position, or one of some.
SELECT EXISTS (
    SELECT 1 FROM events e
    WHERE e.status IS NOT NULL
      AND (%(position_ids)s::text[] IS NULL OR e.position_id = ANY (%(position_ids)s))
      AND NOT EXISTS (
        SELECT FROM events r
        WHERE r.position_id = e.position_id AND r.retracts = e.event_id
          AND is_retracted(r.position_id, r.retracts)
    )
);

-- name: positions_since
-- Positions that got a fact after a seq: what was found of them is out of date.
SELECT DISTINCT position_id FROM events
WHERE seq > %(seq)s AND (status IS NOT NULL OR retracts IS NOT NULL);

-- name: drop_unfounded
-- Takes the rows of some positions that no fact speaks of.
DELETE FROM positions WHERE position_id = ANY (%(position_ids)s);

-- name: put_right
-- Writes the rows of some positions as their facts would have them.
INSERT INTO positions ({columns})
SELECT {columns}
FROM unnest(
    %(position_ids)s::text[], %(seqs)s::bigint[], %(moments)s::timestamptz[]
) w (of_position, seq, supersedes_before)
CROSS JOIN LATERAL (
    SELECT * FROM fact_positions f WHERE {of_position} f.seq = w.seq {once}
) fact
ON CONFLICT (position_id) DO UPDATE SET {assignments};

-- name: draw_positions
-- Positions at random: of some blocks of the table, or of all where there are few.
SELECT position_id FROM (
    SELECT position_id FROM positions TABLESAMPLE SYSTEM (
        (
            SELECT least(100, 100 * 4.0 * %(size)s / greatest(1, reltuples))
            FROM pg_class WHERE oid = 'positions'::regclass
        )
    )
    LIMIT 10 * %(size)s
) drawn
ORDER BY random() LIMIT %(size)s;

-- name: draw_facts
-- Positions of facts at random; where the log has archives, seqs are missing, and fewer are drawn.
SELECT DISTINCT e.position_id
FROM (SELECT min(seq) AS first, max(seq) AS last FROM events) log
CROSS JOIN LATERAL (
    SELECT log.first + floor(random() * (log.last - log.first + 1))::bigint AS seq
    FROM generate_series(1, %(tries)s)
) drawn
JOIN events e USING (seq)
WHERE e.status IS NOT NULL;
