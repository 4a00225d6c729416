-- What stands of the roles, and of what they may do. A grantee of '' is PUBLIC.

-- name: recorded
-- The owner of the log.
SELECT pg_get_userbyid(relowner) FROM pg_class
WHERE relname = 'events' AND relnamespace = quote_ident(current_schema())::regnamespace;

-- name: existing
-- Which of these roles there are.
SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s);

-- name: may_act_as
-- Whether this role may act as another; since 16 a membership may come without that right.
SELECT pg_has_role(
    %(name)s, CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END
);

-- name: relations
-- Each table, view and sequence of its own: its owner, and who has which privilege.
SELECT
    relname,
    pg_get_userbyid(relowner),
    ARRAY(
        SELECT ARRAY[CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type]
        FROM aclexplode(coalesce(relacl, acldefault('r', relowner)))
    )
FROM pg_class
WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
ORDER BY relname;

-- name: functions
-- The same of each function.
SELECT
    proname,
    format('%I.%I(%s)', current_schema(), proname, pg_get_function_identity_arguments(oid)),
    pg_get_userbyid(proowner),
    ARRAY(
        SELECT ARRAY[CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type]
        FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
    )
FROM pg_proc
WHERE pronamespace = quote_ident(current_schema())::regnamespace
ORDER BY 2;

-- name: types
-- The owner of each type that is not a table's.
SELECT typname, pg_get_userbyid(typowner)
FROM pg_type
WHERE typnamespace = quote_ident(current_schema())::regnamespace AND typname = ANY (%(names)s)
ORDER BY typname;

-- name: surroundings
-- The database and the schema: what they are called, and who has which privilege on them.
SELECT
    current_database(),
    current_schema(),
    (
        SELECT array_agg(ARRAY[
            CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type
        ])
        FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.datname = current_database()
    ),
    (
        SELECT array_agg(ARRAY[
            CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type
        ])
        FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
        WHERE n.nspname = current_schema()
    );

-- name: is_member
-- Whether a role, or else this one, has what another may do; no row where there is none of that name.
SELECT pg_has_role(m.oid, r.oid, 'USAGE')
FROM pg_roles r, pg_roles m
WHERE r.rolname = %(role)s AND m.rolname = coalesce(%(member)s::text, current_user);

-- name: models
-- The builder's schema: whether it is its owner, the reader gets in and reads the tables to come; and the
-- tables and views in it that are another's. No row where there is no such schema.
SELECT
    pg_get_userbyid(n.nspowner) = %(builder)s,
    EXISTS (
        SELECT FROM aclexplode(n.nspacl) a
        WHERE a.privilege_type = 'USAGE' AND pg_get_userbyid(a.grantee) = %(reader)s
    ),
    EXISTS (
        SELECT FROM pg_default_acl d, aclexplode(d.defaclacl) a
        WHERE d.defaclnamespace = n.oid AND d.defaclobjtype = 'r' AND a.privilege_type = 'SELECT'
          AND pg_get_userbyid(d.defaclrole) = %(builder)s AND pg_get_userbyid(a.grantee) = %(reader)s
    ),
    ARRAY(
        SELECT relname::text FROM pg_class
        WHERE relnamespace = n.oid AND relkind IN ('r', 'p', 'v', 'm')
          AND pg_get_userbyid(relowner) <> %(builder)s
        ORDER BY 1
    )
FROM pg_namespace n
WHERE n.nspname = %(schema)s;

-- name: role_settings
-- What is set for a role, everywhere or in this database: names alone.
SELECT lower(split_part(setting, '=', 1))
FROM pg_db_role_setting s
JOIN pg_roles r ON r.oid = s.setrole
CROSS JOIN unnest(s.setconfig) setting
WHERE r.rolname = %(name)s
  AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()));

-- name: default_privileges
-- Whether functions that a role makes are everybody's to call.
SELECT NOT EXISTS (
    SELECT FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole
    WHERE r.rolname = %(name)s AND d.defaclobjtype = 'f' AND d.defaclnamespace = 0
);

-- name: open_doors
-- Functions of PostgreSQL's own that anybody may call, and that would let a reader write (large
-- objects) or hold up the service (advisory locks, of which the appenders' is one).
SELECT
    format('pg_catalog.%I(%s)', proname, pg_get_function_identity_arguments(oid)),
    proname ~ 'advisory',
    ARRAY(
        SELECT ARRAY[CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type]
        FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
    )
FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
  AND (
    proname ~ '^pg_(try_)?advisory_(xact_)?lock'
    OR proname IN (
        'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_open', 'lo_put', 'lo_truncate',
        'lo_truncate64', 'lo_unlink', 'lowrite'
    )
  )
ORDER BY 1;
