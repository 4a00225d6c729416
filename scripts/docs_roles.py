"""The page of the database roles and their privileges."""

from positionstore.store.access import FUNCTIONS, RELATIONS, Privileges
from positionstore.store.grants import (
    BUILDER_CONNECTIONS,
    BUILDER_SETTINGS,
    LIMITS,
    READER_CONNECTIONS,
    READER_SETTINGS,
)

ROLES = """\
# Roles

<!-- Made by scripts/docs.py from positionstore/store/access.py; edit them, and run this. -->

Four roles, each with only the privileges it needs:

| role | used for | may |
| --- | --- | --- |
| owner | `positionstore migrate`, by hand or in a deployment | change the schema, and add rows to `position_statuses` and `event_types` |
| writer | the service and every command that writes | append to the log, project, record sessions, runs and quarantine; create temporary tables |
| reader | people, notebooks, dashboards | read the tables and views marked below, and call the functions |
| builder | [dbt](dbt.md), and others who build tables from the store's | read the same, create temporary tables, and own the schema `positionstore_models` |

The writer cannot change or delete a fact, truncate a table, change the schema or a trigger, or act
as another role. The reader cannot write anything, not even a temporary table or a large object, and
cannot take the appenders' lock. The builder is a member of the reader, can write only in its own schema
and in temporary tables, and the reader reads what it builds. No function or view runs with its owner's
privileges. None of these roles can use an object of the store that is not listed on this page.

## On the embedded server

There is nothing to do. Commands use the writer, migrations the server's superuser, and
`positionstore db url` prints the reader's URL, with `--as builder` the builder's. The passwords are in `postgres/roles/` in the data
directory, readable only by its owner.

## On a server of your own

Run this once, with the `DATABASE_URL` of a superuser or of a role that may create roles
(`CREATEROLE`) and owns the database and its objects:

    positionstore roles --directory /etc/positionstore

It creates `positionstore_owner`, `positionstore_writer`, `positionstore_reader`, `positionstore_builder` and the
schema `positionstore_models`, makes the owner the owner of the schema's objects, grants the privileges listed below, and revokes `CONNECT` on this
database from `PUBLIC`. Passwords are random, hashed before they are sent, and never shown. The URL
of each role is in a file of mode 0600. Give the service the writer's:

    DATABASE_URL_FILE=/etc/positionstore/positionstore_writer.url

To [upgrade](upgrade.md), migrate as the owner:
`DATABASE_URL_FILE=/etc/positionstore/positionstore_owner.url positionstore migrate`. A migration grants
the privileges on new objects in its own transaction. [Operations](operations.md) has the service's
unit, [the schema](schema.md) explains each table and column.

- You can run `positionstore roles` at any time. It grants what is missing and revokes what was
  granted by mistake to these roles or to `PUBLIC`. Everything else stays, including passwords
  and `ALTER ROLE ... SET`. Other roles are reported but not changed: see [below](#other-roles).
- `--print` prints the missing SQL, for a review or for an administrator to execute. It contains no
  password; set one with `\\password positionstore_writer` in psql.
- `--new-password reader` replaces a password.
- A second store on the same server needs other names: `--prefix desk2`. Its models are in `desk2_models`.
- A store whose roles were made by an earlier version has no builder until you run the command again, and works
  without one.
- Only a superuser can revoke PostgreSQL's functions for advisory locks and large objects from
  `PUBLIC`, and limit the reader's temporary files. Otherwise the command says so; a reader could
  then block the ingester on purpose by taking its lock.
- A monitoring tool that connects as another role needs `GRANT CONNECT ON DATABASE ... TO` that role.
- Analysts may use the reader itself, or roles of their own: `CREATE ROLE ana LOGIN IN ROLE
  positionstore_reader`. Such a role does not inherit the settings below; set them for it, too.

## Other roles

A hosted service may grant privileges on each new table to its own roles, for example `ALTER DEFAULT
PRIVILEGES ... GRANT SELECT, INSERT, DELETE, TRUNCATE ON TABLES TO anon`, and manual grants are easily
forgotten. `positionstore roles`, `positionstore check` and `positionstore status` report such roles.
The first two also print the SQL that revokes the privileges, and do not execute it.

| privilege | reported as |
| --- | --- |
| to change a table, a view, a column or a sequence (`INSERT`, `UPDATE`, `DELETE`, `TRUNCATE`, `TRIGGER`, `REFERENCES`, `MAINTAIN`, `USAGE` of a sequence), to create objects in the schema, to act as the owner or the writer | a fault: `check` exits with code 3 |
| to change objects of later migrations, through default privileges of the log's owner or of the role that runs the command | a note, with the statement |
| to read; to call a function, which lends no privileges; to write every table of the server (`pg_write_all_data`, `pg_maintain`), which its administrator granted | a note |

Not reported are the log's owner, superusers, the store's own roles, the role of `DATABASE_URL`, and
administrators (`CREATEROLE`, the database's owner) that are members of the owner or the writer.
`positionstore roles --print` prints these statements after its own, each with a comment: remove those
you do not want. If only one role works with the store, all others are reported.

`positionstore check` also verifies that the writer (without roles of the store: the role of
`DATABASE_URL`) has all privileges it needs and cannot change the log, and prints the missing `GRANT`.

## Readers of your own

A role that may select from the tables can read every view and call every function:

    GRANT CONNECT ON DATABASE positions TO ana;
    GRANT USAGE ON SCHEMA public TO ana;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO ana;

Views are `security_invoker`: a view shows what its reader may select from the underlying tables. The
functions that views call may be executed by all roles; they read what their caller may read. Each
function has a fixed search path or qualified names, so a caller's objects cannot replace what it
reads.

Row security therefore also applies to the views and functions. To show a desk only its wallets:

    ALTER ROLE positionstore_writer BYPASSRLS;
    ALTER TABLE positions ENABLE ROW LEVEL SECURITY;
    CREATE POLICY desk ON positions FOR SELECT TO ana
        USING (wallet_address IN ('0xabc', '0xdef'));
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    CREATE POLICY desk ON events FOR SELECT TO ana
        USING (position_id IN (SELECT position_id FROM positions));

Other tables that you grant need policies as well (`valuations`, `valuation_history`, `discrepancies`,
`quarantine`). The writer must see every row, or it would take hidden rows for missing ones. Without
`BYPASSRLS`, which a superuser grants, it fails with an error and writes nothing. Policies do not apply
to the owner of the tables; `positionstore_reader` needs one.

## Limits of the reader and the builder

| setting | reader | builder | why |
| --- | --- | --- | --- |
{settings}

A client can change the first {soft} of these for its session; they protect against accidents. The
actual protection are the missing privileges. The reader may have {connections} connections at once, the builder
{building}. Values that you change with `ALTER ROLE positionstore_reader SET ...` are kept.

No timeout ends a statement that waits for its own client, such as a notebook that has stopped in the middle of its
rows, and `VACUUM` keeps what that statement might still read (PostgreSQL 18.6). This lists those that have run for an
hour; a backup of a large table looks the same. `SELECT pg_terminate_backend(pid)` ends one, as a superuser or a member
of `pg_signal_backend`.

```sql
SELECT pid, usename, application_name, query_start, wait_event
FROM pg_stat_activity
WHERE state = 'active' AND wait_event IN ('ClientRead', 'ClientWrite')
  AND backend_type = 'client backend' AND query_start < now() - interval '1 hour';
```

The builder's schema is not the store's: no command but `positionstore roles` looks at it, and it can be dropped
and built again. Its size is not limited. A view of the builder over the store's tables or views can stop a later
`positionstore migrate`, which names it and changes nothing; build tables.

A report blocks no writer: appending, projecting and `rebuild` change rows, and a reader sees the rows
as of the start of its statement (in `REPEATABLE READ`, of its transaction). A migration that changes a
table has to wait for transactions that read it. It waits two seconds at a time, so that other sessions
do not queue behind it for longer, then gives up its lock with nothing changed and tries again for a
quarter of an hour (`positionstore migrate --wait`). It names the session that it waits for.

## Tables and views

| name | writer | reader |
| --- | --- | --- |
{relations}

## Functions

All roles may call functions that read or compute; they run with the caller's privileges.

| name | writer | reader |
| --- | --- | --- |
{functions}
"""  # noqa: E501 - a row of a table is one line

_WHY = {
    "statement_timeout": "ends long reports",
    "idle_in_transaction_session_timeout": "a forgotten transaction does not block others",
    "transaction_timeout": "the same for one with many short statements (PostgreSQL 17 and newer)",
    "lock_timeout": "fails rather than hangs during a migration",
    "default_transaction_read_only": "an accidental write fails with a clear message",
    "timezone": "days match those of the views",
    "temp_file_limit": "a report cannot fill the disk",
}


def roles_page() -> str:
    """Return docs/roles.md."""

    def rows(objects: dict[str, Privileges]) -> str:
        return "\n".join(
            f"| `{name}` | {_privileges(access.writer)} | {_privileges(access.reader)} |"
            for name, access in objects.items()
        )

    def of(role: dict[str, tuple[str, int]]) -> dict[str, str]:
        return {name: f"`{value}`" for name, (value, _) in role.items()} | {
            name: f"`{value}`" for name, value in LIMITS.items()
        }

    reader, builder = of(READER_SETTINGS), of(BUILDER_SETTINGS)
    return ROLES.format(
        settings="\n".join(
            f"| `{name}` | {value} | {builder.get(name, '–')} | {_WHY[name]} |"
            for name, value in reader.items()
        ),
        soft=len(READER_SETTINGS),
        connections=READER_CONNECTIONS,
        building=BUILDER_CONNECTIONS,
        relations=rows(RELATIONS),
        functions=rows(FUNCTIONS),
    )


def _privileges(privileges: frozenset[str]) -> str:
    order = ("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE")
    return ", ".join(name.lower() for name in order if name in privileges) or "–"
