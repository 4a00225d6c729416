CREATE OR REPLACE FUNCTION events_after(seq bigint, lim integer DEFAULT 1000)
RETURNS SETOF events
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    watermark bigint := 9223372036854775807;
BEGIN
    -- Workers of Citus show a batch one after the other, so no reader goes beyond what all of them
    -- show. A store on one server has neither the function nor the table.
    IF to_regprocedure('publish_watermark()') IS NOT NULL THEN
        watermark := (SELECT w.seq FROM log_watermark w);
    END IF;
    RETURN QUERY
    SELECT e.*
    FROM events e
    WHERE e.seq > events_after.seq AND e.seq <= watermark
    ORDER BY e.seq
    LIMIT events_after.lim;
END
$$;
COMMENT ON FUNCTION events_after(bigint, integer) IS
    'The log after a seq, in order, at most so many rows. Call it again with the last seq that you got: each fact comes exactly once, while writers write, for seq is given out under the lock that makes appenders commit in turn. What positionstore archive has moved out of the log is not among them, and this does not say so: a reader that was away for long looks first whether archives has a row with restored_at IS NULL AND last_seq > its seq. LISTEN positionstore tells when there is more.';
