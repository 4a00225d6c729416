-- The store's schema, and what is in it.

-- name: schema
-- Which schema things are made in; whether there is a version table in it; and whether the log is
-- there, as every revision of the store has it.
SELECT
    current_schema(),
    EXISTS (
        SELECT FROM pg_class
        WHERE relname = 'alembic_version' AND relnamespace = s.schema
    ),
    EXISTS (
        SELECT FROM pg_class c
        WHERE c.relname = 'events' AND c.relnamespace = s.schema
          AND (
            SELECT count(*) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
              AND attname IN ('seq', 'event_id', 'position_id', 'received_at', 'envelope')
          ) = 5
    )
FROM (SELECT quote_ident(current_schema())::regnamespace AS schema) s;

-- name: taken
-- Which of these names something in the schema has.
SELECT relname FROM pg_class
WHERE relname = ANY (%(names)s) AND relnamespace = quote_ident(current_schema())::regnamespace
UNION
SELECT proname FROM pg_proc
WHERE proname = ANY (%(names)s) AND pronamespace = quote_ident(current_schema())::regnamespace
UNION
SELECT typname FROM pg_type
WHERE typname = ANY (%(names)s) AND typnamespace = quote_ident(current_schema())::regnamespace
ORDER BY 1;

-- name: exists
-- Whether there is a schema of this name.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(name)s);

-- name: not_for_us
-- The first schema that search_path names and that is there, but not for this role. The path may be the
-- name of one alone, which may hold a comma.
SELECT nspname
FROM (
    SELECT current_setting('search_path') AS part, 0 AS place
    UNION ALL
    SELECT part, place
    FROM regexp_split_to_table(current_setting('search_path'), ', *') WITH ORDINALITY s(part, place)
) p
JOIN pg_namespace ON
    part IN (quote_ident(nspname), '"' || replace(nspname, '"', '""') || '"')
    OR (part = '"$user"' AND nspname = current_user)
WHERE NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
ORDER BY place
LIMIT 1;
