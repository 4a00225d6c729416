-- lz4 takes bodies in half again as fast as pglz does; a server may have been built without it.

DO $$
BEGIN
    IF 'lz4' = ANY (SELECT unnest(enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE events ALTER COLUMN envelope SET COMPRESSION lz4;
        ALTER TABLE positions ALTER COLUMN data SET COMPRESSION lz4;
    END IF;
END
$$;
