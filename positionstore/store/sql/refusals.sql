-- What a role that was refused something lacks.

-- name: to_migrate
-- The schema; whether this role may make things in it; and the log's owner, where this role has not
-- the rights of that one.
SELECT
    current_schema(),
    has_schema_privilege(current_schema(), 'CREATE'),
    (
        SELECT pg_get_userbyid(relowner)
        FROM pg_class
        WHERE relname = 'events' AND relnamespace = quote_ident(current_schema())::regnamespace
            AND NOT pg_has_role(relowner, 'USAGE')
    );
