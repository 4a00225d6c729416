CREATE OR REPLACE FUNCTION opened_by_facts(
    of_position text, known_at timestamptz DEFAULT 'infinity'
) RETURNS position_moment
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan -- planned once, whoever calls
AS $$
DECLARE
    found position_moment;
BEGIN
    -- The event that announces it; else the first fact that shows it open, or ended after it was.
    SELECT f.created_at, CASE WHEN f.supersedes_before IS NULL THEN 'event' ELSE 'snapshot' END
    INTO found
    FROM ranked_facts f
    WHERE f.position_id = of_position
        AND f.phase <> 'pending' AND f.status <> 'cancelled'
        AND f.received_at <= opened_by_facts.known_at
        AND NOT EXISTS (
            SELECT FROM events r
            WHERE r.position_id = f.position_id AND r.retracts = f.event_id
                AND is_retracted(r.position_id, r.retracts, opened_by_facts.known_at)
        )
    ORDER BY f.type <> 'position.opened', f.created_at, f.supersedes_before IS NOT NULL
    LIMIT 1;
    RETURN found;
END
$$;
COMMENT ON FUNCTION opened_by_facts(text, timestamptz) IS
    'When a position opened by its facts, without what their bodies say: position.opened, else the first fact that shows it open or ended. Of the facts received by known_at; retracted ones do not count. See opened_moment.';
