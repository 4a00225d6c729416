-- What can be read out of the store.

-- name: relations
-- The tables and views of the store's schema that this role may read.
SELECT relname
FROM pg_class
WHERE relnamespace = quote_ident(current_schema())::regnamespace
  AND relkind IN ('r', 'p', 'v', 'm')
  AND relname <> 'alembic_version'
  AND has_table_privilege(oid, 'SELECT')
ORDER BY relname;

-- name: newest_seq
-- The last seq of the log; none where it is empty.
SELECT max(seq) FROM events;

-- name: documented
-- The tables and views of the store's schema that this role may read and that have a comment, views
-- first, with their columns: name, type and comment.
SELECT
    c.relname::text,
    c.relkind IN ('v', 'm'),
    obj_description(c.oid, 'pg_class'),
    (
        SELECT array_agg(
            ARRAY[a.attname::text, format_type(a.atttypid, a.atttypmod),
                  coalesce(col_description(c.oid, a.attnum), '')]
            ORDER BY a.attnum
        )
        FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    )
FROM pg_class c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND c.relkind IN ('r', 'p', 'v', 'm')
  AND obj_description(c.oid, 'pg_class') IS NOT NULL
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 2 DESC, 1;
