-- What a restore may leave otherwise than the migrations made it.

-- name: guard
-- Whether the log's triggers are there, and work also for a session that plays a replica: a restore
-- with --disable-triggers enables them as ordinary ones afterwards.
SELECT CASE
    WHEN count(*) < 2 THEN 'missing'
    WHEN bool_or(tgenabled = 'D') THEN 'off'
    WHEN bool_and(tgenabled = 'A') THEN 'whole'
    ELSE 'rests'
END
FROM pg_trigger
WHERE tgrelid = 'events'::regclass
  AND tgname IN ('events_are_append_only', 'events_leave_for_an_archive');

-- name: enable_guard
-- Let a trigger of the log work for every session.
ALTER TABLE events ENABLE ALWAYS TRIGGER {trigger};

-- name: has_lz4
-- Whether the server was built with lz4, and whether positions is laid out for one that was not.
SELECT
    EXISTS (SELECT FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) AS has_lz4,
    EXISTS (SELECT FROM pg_class
        WHERE oid = 'positions'::regclass
          AND reloptions @> ARRAY['toast_tuple_target=8160']) AS is_for_none;

-- name: layout_with_lz4
-- Bodies are compressed, so that a page has room for updates.
ALTER TABLE positions RESET (toast_tuple_target), SET (fillfactor = 70);

-- name: layout_without_lz4
-- A body stays as it is as long as a page holds it; two such rows fill a page.
ALTER TABLE positions SET (toast_tuple_target = 8160, fillfactor = 100);
