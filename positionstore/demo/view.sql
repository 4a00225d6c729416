-- Events in the log, and how many of them were created before one of the same position that had
-- been received earlier.
SELECT count(*), count(*) FILTER (WHERE created_at < latest_before)
FROM (
    SELECT created_at, max(created_at) OVER (
        PARTITION BY position_id ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS latest_before
    FROM events
) log;
