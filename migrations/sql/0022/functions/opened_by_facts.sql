CREATE OR REPLACE FUNCTION opened_by_facts(
    of_position text, known_at timestamptz DEFAULT 'infinity'
) RETURNS position_moment
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan -- planned once for all callers
AS $$
DECLARE
    found position_moment;
BEGIN
    IF EXISTS (SELECT FROM archived_positions m WHERE m.position_id = of_position) THEN
        RETURN ROW(NULL, 'archive')::position_moment;
    END IF;
    -- The event that announces it; else the first fact that shows it open, or ended after it was.
    SELECT e.created_at, CASE WHEN e.supersedes_before IS NULL THEN 'event' ELSE 'snapshot' END
    INTO found
    FROM events e
    WHERE e.position_id = of_position
        AND e.status NOT IN (
            SELECT s.status FROM position_statuses s
            WHERE s.phase = 'pending' OR s.status = 'cancelled'
        )
        AND e.received_at <= opened_by_facts.known_at
        AND NOT is_retracted(e.position_id, e.event_id, opened_by_facts.known_at)
    ORDER BY e.type <> 'position.opened', e.created_at, e.supersedes_before IS NOT NULL
    LIMIT 1;
    RETURN found;
END
$$;
COMMENT ON FUNCTION opened_by_facts(text, timestamptz) IS
    'When a position opened by its facts, without what their bodies say: position.opened, else the first fact that shows it open or ended. Of the facts received by known_at; retracted ones do not count. NULL, from archive, where facts of it are in an archive. See opened_moment.';
