-- The order of facts, written once: ranked_facts ranks, fold_facts picks the winner.

CREATE TYPE fact_rank AS (
    phase             integer,
    created_at        timestamptz,
    status_precedence integer,
    type_precedence   integer,
    event_id          text COLLATE "C"
);
COMMENT ON TYPE fact_rank IS
    'Where a fact stands in the order of facts; the greater wins. PostgreSQL compares it field by field, in this order.';

CREATE FUNCTION rank_of_fact(
    phase text,
    created_at timestamptz,
    status_precedence integer,
    type_precedence integer,
    event_id text
) RETURNS fact_rank
LANGUAGE sql IMMUTABLE
RETURN ROW(
    CASE coalesce(phase, 'live') WHEN 'pending' THEN 0 WHEN 'live' THEN 1 ELSE 2 END,
    created_at,
    coalesce(status_precedence, 0),
    coalesce(type_precedence, 0),
    event_id
)::fact_rank;
COMMENT ON FUNCTION rank_of_fact(text, timestamptz, integer, integer, text) IS
    'Where a fact stands in the order of facts. A status that is not in position_statuses (phase and precedence NULL) counts as live with 0, a type that is not in event_types as 0.';

CREATE VIEW ranked_facts AS
SELECT
    e.seq,
    e.event_id,
    e.position_id,
    e.type,
    e.status,
    e.created_at,
    e.received_at,
    e.source,
    e.supersedes_before,
    e.envelope,
    coalesce(s.phase, 'live') AS phase,
    rank_of_fact(s.phase, e.created_at, s.precedence, t.precedence, e.event_id) AS rank
FROM events e
LEFT JOIN position_statuses s ON s.status = e.status
LEFT JOIN event_types t ON t.type = e.type
WHERE e.status IS NOT NULL;
COMMENT ON VIEW ranked_facts IS
    'The facts that say something of a position, each with its rank in the order of facts. Notifications are left out.';
COMMENT ON COLUMN ranked_facts.phase IS 'The phase of the fact''s status today; live where the status is not in position_statuses.';
COMMENT ON COLUMN ranked_facts.rank IS 'Where the fact stands in the order of facts; the greater wins.';

CREATE FUNCTION fold_facts(
    only_positions text[] DEFAULT NULL,
    valid_at timestamptz DEFAULT 'infinity',
    known_at timestamptz DEFAULT 'infinity'
)
RETURNS TABLE (position_id text, seq bigint, supersedes_before timestamptz)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan -- so that the planner sees whether only_positions is NULL
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH latest_snapshot AS (
        SELECT DISTINCT ON (position_id) position_id, seq, supersedes_before
        FROM ranked_facts
        WHERE supersedes_before IS NOT NULL
          AND (only_positions IS NULL OR position_id = ANY (only_positions))
          AND created_at <= fold_facts.valid_at
          AND received_at <= fold_facts.known_at
        ORDER BY position_id, created_at DESC, rank DESC
    )
    SELECT DISTINCT ON (f.position_id) f.position_id, f.seq, s.supersedes_before
    FROM ranked_facts f
    LEFT JOIN latest_snapshot s ON s.position_id = f.position_id
    WHERE (only_positions IS NULL OR f.position_id = ANY (only_positions))
      AND f.created_at <= fold_facts.valid_at
      AND f.received_at <= fold_facts.known_at
      AND CASE
              WHEN f.supersedes_before IS NOT NULL THEN f.seq = s.seq
              WHEN s.seq IS NOT NULL THEN f.created_at > s.supersedes_before
              ELSE true
          END
    ORDER BY f.position_id, f.rank DESC;
END
$$;
COMMENT ON FUNCTION fold_facts(text[], timestamptz, timestamptz) IS
    'The fold: of each position the seq of the fact that is its current state, and the moment up to which its latest snapshot overrules events. Over all facts, or only those created by valid_at and received by known_at.';
