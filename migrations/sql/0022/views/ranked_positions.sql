CREATE OR REPLACE VIEW ranked_positions WITH (security_invoker = true) AS
SELECT
    p.position_id,
    p.supersedes_before,
    rank_of_fact(s.phase, p.last_event_at, s.precedence, t.precedence, p.last_event_id) AS rank
FROM positions p
LEFT JOIN position_statuses s ON s.status = p.status
LEFT JOIN event_types t ON t.type = p.last_event_type;
COMMENT ON VIEW ranked_positions IS
    'Each position with the rank of the fact that its row shows: what a newer fact has to beat.';
COMMENT ON COLUMN ranked_positions.position_id IS 'The position.';
COMMENT ON COLUMN ranked_positions.supersedes_before IS 'Events created up to this moment are overruled by its latest snapshot; NULL without one.';
COMMENT ON COLUMN ranked_positions.rank IS 'Where that fact stands in the order of facts; the greater wins.';
