-- Nothing is appended while the lock is held, and what was appended before is visible everywhere once
-- no worker has a prepared transaction left.
CREATE OR REPLACE FUNCTION publish_watermark() RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    newest bigint;
    in_doubt bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7305804402566050816);
    FOR attempt IN 1..50 LOOP
        SELECT sum(CASE WHEN w.success THEN w.result::bigint ELSE 1 END) INTO in_doubt
        FROM run_command_on_workers(
            'SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()'
        ) w;
        EXIT WHEN in_doubt = 0;
        IF attempt = 50 THEN
            RETURN NULL;
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
    SELECT max(e.seq) INTO newest FROM events e;
    UPDATE log_watermark w SET seq = newest WHERE w.seq < newest;
    IF FOUND THEN
        PERFORM pg_notify('positionstore', newest::text);
    END IF;
    RETURN newest;
END
$$;
COMMENT ON FUNCTION publish_watermark() IS
    'Lets readers of the feed go up to the newest fact, once every worker shows all before it, and tells listeners; returns its seq, or NULL where a worker does not answer or still has to commit. Called after each batch. Only in a store on Citus.';
