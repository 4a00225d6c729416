-- Rights on what is ours of roles that are not. A grantee of '' is PUBLIC.

-- name: rights
-- Each privilege on a table, a column, a sequence, a function or the schema that was granted to a role
-- which is neither its owner nor the log's, nor this one, nor a superuser, nor one of these names. The
-- parts of a name stand as SQL wants them.
WITH ours AS (
    SELECT oid, relname, relkind, relowner, relacl
    FROM pg_class
    WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relname = ANY (%(relations)s)
        AND relkind IN ('r', 'p', 'v', 'm')
),
granted AS (
    SELECT 'TABLE' AS kind, relname::text AS name, NULL::text AS col, relowner AS owner, relacl AS acl
    FROM ours
    UNION ALL
    SELECT 'COLUMN', o.relname, a.attname, o.relowner, a.attacl
    FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
    WHERE a.attacl IS NOT NULL
    UNION ALL
    SELECT 'SEQUENCE', s.relname, NULL, s.relowner, s.relacl
    FROM ours o
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = o.oid
        AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    UNION ALL
    SELECT 'FUNCTION', oid::regprocedure::text, NULL, proowner, proacl
    FROM pg_proc
    WHERE pronamespace = quote_ident(current_schema())::regnamespace AND proname = ANY (%(functions)s)
    UNION ALL
    SELECT 'SCHEMA', nspname, NULL, nspowner, nspacl
    FROM pg_namespace WHERE nspname = current_schema()
)
SELECT
    g.kind,
    CASE
        WHEN g.kind = 'FUNCTION' THEN g.name
        WHEN g.kind = 'SCHEMA' THEN quote_ident(g.name)
        ELSE quote_ident(current_schema()) || '.' || quote_ident(g.name)
    END,
    quote_ident(g.col),
    a.privilege_type,
    coalesce(grantee.rolname, ''),
    CASE WHEN a.grantor <> g.owner THEN pg_get_userbyid(a.grantor) END,
    a.is_grantable
FROM granted g
CROSS JOIN LATERAL aclexplode(g.acl) a
LEFT JOIN pg_roles grantee ON grantee.oid = a.grantee
WHERE a.grantee <> g.owner
    AND (g.kind, a.privilege_type) <> ('SCHEMA', 'USAGE') -- without one on a table, it is none
    AND (g.kind <> 'FUNCTION' OR a.grantee <> 0) -- which is so by default
    AND a.grantee <> (SELECT relowner FROM ours WHERE relname = 'events')
    AND (a.grantee = 0 OR grantee.rolname IS NOT NULL)
    AND coalesce(grantee.rolname, '') <> ALL (%(names)s)
    AND coalesce(grantee.rolname, '') <> current_user
    AND NOT coalesce(grantee.rolsuper, false)
ORDER BY
    5, array_position(ARRAY['TABLE', 'COLUMN', 'SEQUENCE', 'SCHEMA', 'FUNCTION'], g.kind), 2, 3, 4;

-- name: members
-- Who may act as one of these roles, or write every table of the server, and is no administrator: none
-- who may make roles, who owns the database, or who may let others in.
SELECT r.rolname, m.rolname, r.rolname = ANY (%(ours)s)
FROM pg_auth_members a
JOIN pg_roles r ON r.oid = a.roleid
JOIN pg_roles m ON m.oid = a.member
WHERE (r.rolname = ANY (%(ours)s) OR r.rolname IN ('pg_write_all_data', 'pg_maintain'))
    AND m.rolname <> ALL (%(names)s) AND m.rolname <> current_user
    AND NOT m.rolsuper AND NOT m.rolcreaterole AND NOT a.admin_option
    AND m.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database())
ORDER BY 2, 1;

-- name: defaults
-- What roles that make tables here, the log's owner and this one, have said that others may do with
-- each table and sequence to come.
SELECT
    pg_get_userbyid(d.defaclrole),
    CASE WHEN d.defaclnamespace <> 0 THEN quote_ident(current_schema()) END,
    CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' ELSE 'SEQUENCES' END,
    a.privilege_type,
    coalesce(grantee.rolname, '')
FROM pg_default_acl d
CROSS JOIN LATERAL aclexplode(d.defaclacl) a
LEFT JOIN pg_roles grantee ON grantee.oid = a.grantee
WHERE d.defaclobjtype IN ('r', 'S')
    AND d.defaclnamespace IN (0, quote_ident(current_schema())::regnamespace)
    AND d.defaclrole IN (
        current_user::regrole,
        (SELECT relowner FROM pg_class
         WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relname = 'events')
    )
    AND a.grantee <> d.defaclrole
    AND (a.grantee = 0 OR grantee.rolname IS NOT NULL)
    AND coalesce(grantee.rolname, '') <> ALL (%(names)s)
    AND coalesce(grantee.rolname, '') <> current_user
    AND NOT coalesce(grantee.rolsuper, false)
ORDER BY 5, 1, 2, 3, 4;
