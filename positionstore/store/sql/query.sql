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
