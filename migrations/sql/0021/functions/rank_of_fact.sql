CREATE OR REPLACE FUNCTION rank_of_fact(
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
