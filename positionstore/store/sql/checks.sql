-- Whether a role can do its work.

-- name: lacking
-- Of these privileges on tables, functions, the schema and the database, those that a role lacks; each as
-- GRANT names it.
SELECT t.privilege || ' ON TABLE ' || quote_ident(current_schema()) || '.' || quote_ident(t.name)
FROM unnest(%(tables)s::text[], %(privileges)s::text[]) t(name, privilege)
JOIN pg_class c ON c.relname = t.name AND c.relnamespace = quote_ident(current_schema())::regnamespace
WHERE NOT has_table_privilege(%(role)s, c.oid, t.privilege)
UNION ALL
SELECT 'EXECUTE ON FUNCTION ' || oid::regprocedure
FROM pg_proc
WHERE pronamespace = quote_ident(current_schema())::regnamespace AND proname = ANY (%(functions)s)
    AND NOT has_function_privilege(%(role)s, oid, 'EXECUTE')
UNION ALL
SELECT 'USAGE ON SCHEMA ' || quote_ident(current_schema())
WHERE NOT has_schema_privilege(%(role)s, current_schema(), 'USAGE')
UNION ALL
SELECT 'TEMPORARY ON DATABASE ' || quote_ident(current_database())
WHERE NOT has_database_privilege(%(role)s, current_database(), 'TEMPORARY')
ORDER BY 1;

-- name: owns_the_log
-- Whether a role owns the log, or may do what its owner may; a superuser may.
SELECT pg_has_role(%(role)s, relowner, 'USAGE')
FROM pg_class
WHERE relname = 'events' AND relnamespace = quote_ident(current_schema())::regnamespace;

-- name: hidden
-- Of which of these tables row security may hide rows from a role.
SELECT c.relname
FROM pg_class c
JOIN pg_roles r ON r.rolname = %(role)s AND NOT r.rolsuper AND NOT r.rolbypassrls
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
    AND c.relname = ANY (%(tables)s) AND c.relrowsecurity
    AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE'))
ORDER BY 1;

-- name: may_change_the_log
-- With which privileges a role could change or remove a fact, were it not for the trigger; and the
-- log's name.
SELECT p.privilege, l.log
FROM unnest(ARRAY['DELETE', 'TRIGGER', 'TRUNCATE', 'UPDATE']) p(privilege)
CROSS JOIN (SELECT quote_ident(current_schema()) || '.events') l(log)
WHERE has_table_privilege(%(role)s, l.log, p.privilege)
    OR (p.privilege = 'UPDATE' AND has_any_column_privilege(%(role)s, l.log, p.privilege));
