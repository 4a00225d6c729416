-- The feed of a store on Citus: workers show a batch one after the other, so no reader goes beyond the
-- watermark, which is published once all of them show it.
CREATE OR REPLACE FUNCTION events_after(seq bigint, lim integer DEFAULT 1000)
RETURNS SETOF events
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    watermark bigint := (SELECT w.seq FROM log_watermark w);
BEGIN
    RETURN QUERY
    SELECT e.*
    FROM events e
    WHERE e.seq > events_after.seq AND e.seq <= watermark
    ORDER BY e.seq
    LIMIT events_after.lim;
END
$$;
