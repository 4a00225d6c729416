CREATE OR REPLACE FUNCTION ended_by_facts(
    of_position text, of_status text, known_at timestamptz DEFAULT 'infinity'
) RETURNS position_moment
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan -- planned once for all callers
AS $$
DECLARE
    found position_moment;
BEGIN
    SELECT
        coalesce(after, before, snapshot),
        CASE
            WHEN coalesce(after, before) IS NOT NULL THEN 'event'
            WHEN snapshot IS NOT NULL THEN 'snapshot'
        END
    INTO found
    FROM (
        -- The end that stands, not one that a snapshot undid; one that it confirmed will do.
        SELECT
            min(f.created_at) FILTER (
                WHERE f.supersedes_before IS NULL AND f.status = of_status
                    AND f.created_at > coalesce(f.overruled_until, '-infinity')
            ) AS after,
            max(f.created_at) FILTER (
                WHERE f.supersedes_before IS NULL AND f.status = of_status
            ) AS before,
            min(f.created_at) FILTER (
                WHERE f.supersedes_before IS NOT NULL AND f.status = of_status
                    AND NOT f.is_undone
            ) AS snapshot
        FROM (
            SELECT
                e.status,
                e.created_at,
                e.supersedes_before,
                first_value(e.supersedes_before) OVER (
                    ORDER BY e.supersedes_before IS NULL, e.created_at DESC, e.rank DESC
                ) AS overruled_until,
                -- A later snapshot has another status, of two with one as-of the greater.
                count(*) FILTER (
                    WHERE e.supersedes_before IS NOT NULL AND e.status <> of_status
                ) OVER (
                    ORDER BY e.created_at, e.rank
                    ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
                ) > 0 AS is_undone
            FROM ranked_facts e
            WHERE e.position_id = of_position
                AND e.received_at <= ended_by_facts.known_at
                AND NOT EXISTS (
                    SELECT FROM events r
                    WHERE r.position_id = e.position_id AND r.retracts = e.event_id
                        AND is_retracted(r.position_id, r.retracts, ended_by_facts.known_at)
                )
        ) f
    ) m;
    RETURN found;
END
$$;
COMMENT ON FUNCTION ended_by_facts(text, text, timestamptz) IS
    'When a position ended with a status by its facts, without what their bodies say: the created_at of the event that ended it, else the as-of of the first snapshot that shows it. Of the facts received by known_at; retracted ones do not count. See ended_moment.';
