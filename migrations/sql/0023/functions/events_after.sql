CREATE OR REPLACE FUNCTION events_after(seq bigint, lim integer DEFAULT 1000)
RETURNS SETOF events
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN QUERY
    SELECT e.*
    FROM events e
    WHERE e.seq > events_after.seq
    ORDER BY e.seq
    LIMIT events_after.lim;
END
$$;
COMMENT ON FUNCTION events_after(bigint, integer) IS
    'The log after a seq, in order, at most so many rows. Call it again with the last seq that you got: each fact comes exactly once, while writers write, for seq is given out under the lock that makes appenders commit in turn. What positionstore archive has moved out of the log is not among them, and this does not say so: a reader that was away for long looks first whether archives has a row with restored_at IS NULL AND last_seq > its seq. LISTEN positionstore tells when there is more.';
