"""The page that says who may do what in the database."""

from positionstore.store.access import FUNCTIONS, RELATIONS, Privileges
from positionstore.store.grants import READER_CONNECTIONS, READER_LIMITS, READER_SETTINGS

ROLES = """\
# Roles

<!-- Made by scripts/docs.py from positionstore/store/access.py; edit either, and run this. -->

Three roles, each with no more rights than its work needs:

| role | for | may |
| --- | --- | --- |
| owner | `positionstore migrate`, by hand or at a release | change the schema, and add rows to `position_statuses` and `event_types` |
| writer | the service and every command that writes | append to the log, project, keep sessions, runs and quarantine; make temporary tables |
| reader | people, notebooks, dashboards | select what is marked below, and call the functions |

The writer cannot change or remove a fact, empty a table, change the schema or a trigger, or act
as anybody else. The reader cannot write anything at all: not even a temporary table or a large
object, and it cannot take the lock by which appenders take turns. No function and no view runs
with its owner's rights. What is named nowhere on this page, neither of the two can touch.

## On the embedded server

There is nothing to do. Commands work as the writer, migrations are made by the server's
superuser, and `positionstore db url` prints the reader's URL. The passwords lie in
`postgres/roles/` under the data directory, readable for its owner alone.

## On a server of your own

Once, with the `DATABASE_URL` of a superuser, or of a role that may make roles (`CREATEROLE`) and
owns the database and what is in it:

    positionstore roles --directory /etc/positionstore

It makes `positionstore_owner`, `positionstore_writer` and `positionstore_reader`, hands the
schema's objects to the owner, grants what is said below, and takes from `PUBLIC` the right to
connect to this database. Passwords are made at random, hashed before they are sent, and shown
nowhere: the URL of each role is in a file of mode 0600, and the service is pointed to the
writer's:

    DATABASE_URL_FILE=/etc/positionstore/positionstore_writer.url

An upgrade migrates as the owner: `DATABASE_URL_FILE=/etc/positionstore/positionstore_owner.url
positionstore migrate`. Whoever migrates, what a migration makes is granted within its
transaction. [Operations](operations.md) has the service's unit; what each table and column means
is told in [the schema](schema.md).

- `positionstore roles` may be run at any time. It does what is missing and takes back what was
  granted by mistake to one of the three or to `PUBLIC`; what stands is left alone, passwords and
  `ALTER ROLE ... SET` included. Other roles are named and left alone: see
  [below](#other-roles).
- `--print` prints the SQL that is missing, for a review or for somebody else to execute. It holds
  no password; `\\password positionstore_writer` in psql sets one.
- `--new-password reader` replaces a password.
- A second store on the same server wants names of its own: `--prefix desk2`.
- Only a superuser can take PostgreSQL's own functions for advisory locks and large objects from
  `PUBLIC`, and limit the reader's temporary files. Without one the command says so; a reader can
  then hold up the ingester by taking its lock, on purpose.
- A monitoring tool that connected as anybody wants `GRANT CONNECT ON DATABASE ... TO` its role.
- Let analysts in as the reader itself, or as roles of their own: `CREATE ROLE ana LOGIN IN ROLE
  positionstore_reader`. A role of their own does not inherit the settings below: set them for it
  too.

## Other roles

A hosted service may grant on each new table to roles of its own, `ALTER DEFAULT PRIVILEGES ...
GRANT SELECT, INSERT, DELETE, TRUNCATE ON TABLES TO anon` for instance, and a grant by hand is soon
forgotten. `positionstore roles`, `positionstore check` and `positionstore status` name such roles,
and the first two print the SQL that takes the rights back. They do not execute it.

| right | what it counts as |
| --- | --- |
| to change a table, a view, a column or a sequence (`INSERT`, `UPDATE`, `DELETE`, `TRUNCATE`, `TRIGGER`, `REFERENCES`, `MAINTAIN`, `USAGE` of a sequence), to make things in the schema, to act as the owner or the writer | a fault: `check` exits 3 |
| to change what a migration makes later, by default privileges of the log's owner or of the role that looks | told, with the statement |
| to read; to call a function, which lends no rights; to write every table of the server (`pg_write_all_data`, `pg_maintain`), which its administrator gave | told |

Not named are the log's owner, superusers, the three roles, the role of `DATABASE_URL`, and
administrators (`CREATEROLE`, the database's owner) for being members of the owner or the writer.
`positionstore roles --print` prints these statements behind its own, each under a comment: strike
out what you want to keep. Where one role alone works with the store, all but that one are others.

`positionstore check` also sees whether the writer (without the three roles: the role of
`DATABASE_URL`) may do all that it needs and cannot change the log, and prints the missing `GRANT`.

## Readers of your own

A role that may select from the tables may read every view and call every function that reads:

    GRANT CONNECT ON DATABASE positions TO ana;
    GRANT USAGE ON SCHEMA public TO ana;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO ana;

Views are `security_invoker`: a view shows its reader what that role may select from the tables
behind it, and no more. So the functions that views call are everybody's to execute; they read
what their caller may read. Each function has a search path of its own, or names that depend on
none, so that no object of a caller's can take the place of what it reads.

Row security therefore holds through the views and functions too. To show a desk only its wallets:

    ALTER ROLE positionstore_writer BYPASSRLS;
    ALTER TABLE positions ENABLE ROW LEVEL SECURITY;
    CREATE POLICY desk ON positions FOR SELECT TO ana
        USING (wallet_address IN ('0xabc', '0xdef'));
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    CREATE POLICY desk ON events FOR SELECT TO ana
        USING (position_id IN (SELECT position_id FROM positions));

The other tables want policies as well where they are granted (`valuations`, `valuation_history`,
`discrepancies`, `quarantine`). The writer must see every row, or it would take hidden ones for
missing: without `BYPASSRLS`, which a superuser grants, it ends with an error and writes nothing.
The owner of the tables passes by their policies; `positionstore_reader` needs one of its own.

## The reader's safety

| setting of the reader | value | why |
| --- | --- | --- |
{settings}

A client can change the first {soft} of these for its session: they guard against accidents. What
a reader cannot do at all, it has no right to. It has at most {connections} connections at once.
Change a value with `ALTER ROLE positionstore_reader SET ...`; it stays.

A report blocks nobody: appending, projecting and `rebuild` change rows, and a reader goes on
seeing those that stood when its statement (or, in `REPEATABLE READ`, its transaction) began. A
migration that changes a table has to wait for the transactions that read it. It waits for two
seconds at a time, so that nobody queues up behind it for longer, gives way with nothing changed,
and tries again, for a quarter of an hour (`positionstore migrate --wait`); it says which session
it waits for.

## Tables and views

| name | writer | reader |
| --- | --- | --- |
{relations}

## Functions

What reads or computes is everybody's to call, with the caller's own rights.

| name | writer | reader |
| --- | --- | --- |
{functions}
"""  # noqa: E501 - a row of a table is one line

_WHY = {
    "statement_timeout": "no report runs for ever",
    "idle_in_transaction_session_timeout": "a forgotten transaction holds up nobody",
    "transaction_timeout": "nor does one of many short statements (PostgreSQL 17 and newer)",
    "lock_timeout": "while a migration is at work it fails rather than hangs",
    "default_transaction_read_only": "a slip is refused with a plain message",
    "timezone": "a day is a day of the views",
    "temp_file_limit": "a report cannot fill the disk",
}


def roles_page() -> str:
    """Return docs/roles.md."""

    def rows(objects: dict[str, Privileges]) -> str:
        return "\n".join(
            f"| `{name}` | {_privileges(access.writer)} | {_privileges(access.reader)} |"
            for name, access in objects.items()
        )

    values = {name: value for name, (value, _) in READER_SETTINGS.items()} | READER_LIMITS
    return ROLES.format(
        settings="\n".join(
            f"| `{name}` | `{value}` | {_WHY[name]} |" for name, value in values.items()
        ),
        soft=len(READER_SETTINGS),
        connections=READER_CONNECTIONS,
        relations=rows(RELATIONS),
        functions=rows(FUNCTIONS),
    )


def _privileges(privileges: frozenset[str]) -> str:
    order = ("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE")
    return ", ".join(name.lower() for name in order if name in privileges) or "–"
