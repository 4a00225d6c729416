-- lz4 takes bodies in half again as fast as pglz does; a server may have been built without it.
-- There the log has its bodies compressed by pglz, for it only grows. In positions, where a body is
-- written anew at each change, that would cost as much as all the rest of the write: a row stays as
-- it is as long as a page holds it. Two such rows fill a page, so that none is left for updates.

DO $$
BEGIN
    IF 'lz4' = ANY (SELECT unnest(enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE events ALTER COLUMN envelope SET COMPRESSION lz4;
        ALTER TABLE positions ALTER COLUMN data SET COMPRESSION lz4;
    ELSE
        ALTER TABLE positions SET (toast_tuple_target = 8160, fillfactor = 100);
    END IF;
END
$$;
