-- Migrations.

-- name: holders
-- Which other sessions hold a lock on something of the schema, the one that began first in front:
-- a migration waits for one of them. Of others' sessions not everybody may see when they began.
SELECT
    format('session %s (%s)', l.pid, concat_ws(', ', a.usename, nullif(a.application_name, '')))
FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND c.relnamespace = quote_ident(current_schema())::regnamespace
  AND l.granted
  AND l.pid <> pg_backend_pid()
GROUP BY l.pid, a.usename, a.application_name, a.xact_start
ORDER BY a.xact_start, l.pid
LIMIT 3;
