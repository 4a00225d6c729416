"""What is missing of the roles and of their rights, as statements.

Each part asks the database what stands and yields what is missing, so that to execute a part twice
is to execute it once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql

from positionstore.store.access import (
    FUNCTIONS,
    FUNCTIONS_ON_CITUS,
    RELATIONS,
    RELATIONS_ON_CITUS,
    TYPES,
    Privileges,
)
from positionstore.store.engine import is_distributed
from positionstore.store.queries import queries

READER_CONNECTIONS: Final = 30
"""How many connections readers may have at once: the service shall never find none left."""

BUILDER_CONNECTIONS: Final = 10
"""The same of those who build models."""

_SINCE_17: Final = 170_000
READER_SETTINGS: Final[dict[str, tuple[str, int]]] = {
    "statement_timeout": ("5min", 0),
    "idle_in_transaction_session_timeout": ("5min", 0),
    "transaction_timeout": ("30min", _SINCE_17),
    "lock_timeout": ("10s", 0),
    "default_transaction_read_only": ("on", 0),
    "timezone": ("UTC", 0),
}
"""What the reader begins with, and from which version of PostgreSQL on."""

BUILDER_SETTINGS: Final[dict[str, tuple[str, int]]] = {
    **{name: each for name, each in READER_SETTINGS.items() if not name.startswith("default_")},
    "statement_timeout": ("1h", 0),
    "transaction_timeout": ("2h", _SINCE_17),
}
"""What the builder begins with: it writes, and takes longer."""

LIMITS: Final = {"temp_file_limit": "10GB"}
"""The same of both, which only a superuser can set and they cannot change."""

_RELATIONS: Final = RELATIONS | RELATIONS_ON_CITUS
_FUNCTIONS: Final = FUNCTIONS | FUNCTIONS_ON_CITUS

_Grants = Iterable[tuple[str, str]]


class Role(StrEnum):
    """What a role is for."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"
    BUILDER = "builder"


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a store.

    Attributes:
        prefix: what their names begin with.
        has_builder: whether the builder is one of them; stores made before there was one lack it
            until ``positionstore roles`` runs again.
    """

    prefix: str
    has_builder: bool = True

    def name(self, role: Role) -> str:
        """Return what a role is called in the database."""
        return f"{self.prefix}_{role}"

    @property
    def names(self) -> list[str]:
        """The names of all of them."""
        return [self.name(role) for role in Role if self.has_builder or role is not Role.BUILDER]

    @property
    def models(self) -> str:
        """What the builder's schema is called."""
        return f"{self.prefix}_models"


def missing_roles(connection: psycopg.Connection, roles: Roles) -> list[str]:
    """Return the names of the roles that there are not."""
    found = connection.execute(queries("roles")["existing"], {"names": roles.names})
    existing = {name for (name,) in found}
    return [name for name in roles.names if name not in existing]


def is_superuser(connection: psycopg.Connection) -> bool:
    """Say whether this role is a superuser."""
    return connection.info.parameter_status("is_superuser") == "on"


def _roles(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    limits = {
        roles.name(Role.READER): READER_CONNECTIONS,
        roles.name(Role.BUILDER): BUILDER_CONNECTIONS,
    }
    for name in missing_roles(connection, roles):
        yield sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT {}").format(
            sql.Identifier(name), sql.Literal(limits.get(name, -1))
        )
    if not is_superuser(connection):
        # A role that hands something to another has to be one of its members.
        for role in (Role.OWNER, Role.BUILDER):
            yield from _membership(connection, roles.name(role), None)
    # A member reads what the reader reads, under the same policies of row security.
    yield from _membership(connection, roles.name(Role.READER), roles.name(Role.BUILDER))


def _membership(
    connection: psycopg.Connection, role: str, member: str | None
) -> Iterator[sql.Composed]:
    given = {"role": role, "member": member}
    if connection.execute(queries("roles")["is_member"], given).fetchone() != (True,):
        yield sql.SQL("GRANT {} TO {}").format(
            sql.Identifier(role), sql.Identifier(member) if member else sql.SQL("CURRENT_USER")
        )


def _settings(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    version = connection.info.server_version
    for role, settings in ((Role.READER, READER_SETTINGS), (Role.BUILDER, BUILDER_SETTINGS)):
        wanted = {name: value for name, (value, since) in settings.items() if version >= since}
        yield from _set_for(connection, roles.name(role), wanted)


def _limits(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    for role in (Role.READER, Role.BUILDER):
        yield from _set_for(connection, roles.name(role), LIMITS)


def _set_for(
    connection: psycopg.Connection, role: str, settings: Mapping[str, str]
) -> Iterator[sql.Composed]:
    known = set(connection.execute(queries("roles")["role_settings"], {"name": role}).fetchall())
    for name, value in settings.items():
        if (name,) not in known:
            yield sql.SQL("ALTER ROLE {} SET {} = {}").format(
                sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
            )


def _models(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    """Make the builder's schema, which all readers of the store may read."""
    builder, reader, schema = map(
        sql.Identifier, (roles.name(Role.BUILDER), roles.name(Role.READER), roles.models)
    )
    given = {
        "schema": roles.models,
        "builder": roles.name(Role.BUILDER),
        "reader": roles.name(Role.READER),
    }
    row = connection.execute(queries("roles")["models"], given).fetchone()
    is_owner, is_open, is_read, others = row or (False, False, False, [])
    if row is None:
        yield sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(schema, builder)
    elif not is_owner:
        yield sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(schema, builder)
    for name in others:  # as after a restore
        yield sql.SQL("ALTER TABLE {}.{} OWNER TO {}").format(schema, sql.Identifier(name), builder)
    if not is_open:
        yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, reader)
    if not is_read:
        yield sql.SQL(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}"
        ).format(builder, schema, reader)


def _search_path(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    database, schema, *_ = _surrounded(connection)
    for name in roles.names:
        known = connection.execute(queries("roles")["role_settings"], {"name": name})
        if schema != "public" and ("search_path",) not in known.fetchall():
            yield sql.SQL("ALTER ROLE {} IN DATABASE {} SET search_path = {}").format(
                sql.Identifier(name), sql.Identifier(database), sql.Identifier(schema)
            )


def _surroundings(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    database, schema, on_database, on_schema = _surrounded(connection)
    yield from _differences(
        roles,
        sql.SQL("DATABASE {}").format(sql.Identifier(database)),
        on_database,
        {Role.OWNER: {"CONNECT", "TEMPORARY"}, Role.WRITER: {"CONNECT", "TEMPORARY"}}
        | {Role.READER: {"CONNECT"}, Role.BUILDER: {"CONNECT", "TEMPORARY"}},
    )
    yield from _differences(
        roles,
        sql.SQL("SCHEMA {}").format(sql.Identifier(schema)),
        on_schema,
        {Role.OWNER: {"USAGE", "CREATE"}, Role.WRITER: {"USAGE"}, Role.READER: {"USAGE"}}
        | {Role.BUILDER: set()},
        of_public={"USAGE"} if schema == "public" else set(),
    )


def _surrounded(connection: psycopg.Connection) -> tuple[str, str, _Grants, _Grants]:
    row = connection.execute(queries("roles")["surroundings"]).fetchone()
    if row is None:
        raise AssertionError("a SELECT without FROM has a row")
    database, schema, on_database, on_schema = row
    return database, schema, on_database, on_schema


def _defaults(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    owner = roles.name(Role.OWNER)
    row = connection.execute(queries("roles")["default_privileges"], {"name": owner}).fetchone()
    if row and row[0]:
        # Not even for a moment, and not on what is made by hand.
        yield sql.SQL(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
        ).format(sql.Identifier(owner))


def _owners(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    owner = roles.name(Role.OWNER)
    _, schema, *_ = _surrounded(connection)

    def hand_over(kind: str, called: sql.Composable) -> sql.Composed:
        return sql.SQL("ALTER {} {} OWNER TO {}").format(
            _raw(kind),
            called,
            sql.Identifier(owner),
        )

    for name, has, _ in connection.execute(queries("roles")["relations"]).fetchall():
        if name in _RELATIONS and has != owner:
            yield hand_over("TABLE", sql.Identifier(schema, name))
    for name, has in connection.execute(queries("roles")["types"], {"names": list(TYPES)}):
        if has != owner:
            yield hand_over("TYPE", sql.Identifier(schema, name))
    for name, called, has, _ in connection.execute(queries("roles")["functions"]).fetchall():
        if name in _FUNCTIONS and has != owner:
            yield hand_over("FUNCTION", _raw(called))


def _grants(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    _, schema, *_ = _surrounded(connection)
    for name, _, grants in connection.execute(queries("roles")["relations"]).fetchall():
        if name in _RELATIONS:
            called = sql.SQL("TABLE {}").format(sql.Identifier(schema, name))
            yield from _differences(roles, called, grants, _wanted(_RELATIONS[name]))
    for name, called, _, grants in connection.execute(queries("roles")["functions"]).fetchall():
        if name in _FUNCTIONS:
            on = sql.SQL("FUNCTION {}").format(_raw(called))
            access = _FUNCTIONS[name]
            yield from _differences(
                roles, on, grants, _wanted(access), of_public=access.public, is_for_public=True
            )
    if is_distributed(connection):
        # There an INSERT of a query draws numbers with the rights of who runs it.
        named = {"role": roles.name(Role.WRITER)}
        for (sequence,) in connection.execute(queries("citus")["lacking_sequence"], named):
            yield sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(
                _raw(sequence), sql.Identifier(roles.name(Role.WRITER))
            )


def _wanted(access: Privileges) -> dict[Role, set[str]]:
    # The builder has what it has as a member of the reader.
    return {Role.WRITER: set(access.writer), Role.READER: set(access.reader), Role.BUILDER: set()}


def _close_doors(connection: psycopg.Connection, roles: Roles) -> Iterator[sql.Composed]:
    for called, is_lock, grants in connection.execute(queries("roles")["open_doors"]).fetchall():
        lockers: set[str] = {"EXECUTE"} if is_lock else set()
        yield from _differences(
            roles,
            sql.SQL("FUNCTION {}").format(_raw(called)),
            grants,
            {Role.OWNER: lockers, Role.WRITER: lockers, Role.READER: set(), Role.BUILDER: set()},
        )


def _differences(
    roles: Roles,
    on: sql.Composed,
    grants: _Grants,
    wanted: Mapping[Role, set[str]],
    *,
    of_public: Iterable[str] = (),
    is_for_public: bool = False,
) -> Iterator[sql.Composed]:
    """Grant what is missing and revoke what is too much, of these roles and of PUBLIC.

    PUBLIC may have less than ``of_public``, and is granted it only where ``is_for_public``.
    """
    grantees: dict[str, tuple[sql.Composable, set[str]]] = {
        "": (sql.SQL("PUBLIC"), set(of_public)),
        **{
            roles.name(role): (sql.Identifier(roles.name(role)), privileges)
            for role, privileges in wanted.items()
            if roles.name(role) in roles.names
        },
    }
    for grantee, (called, should) in grantees.items():
        has = {privilege for name, privilege in grants if name == grantee}
        for words, privileges in (
            ("REVOKE {} ON {} FROM {}", has - should),
            ("GRANT {} ON {} TO {}", should - has),
        ):
            if privileges and (grantee or is_for_public or words.startswith("REVOKE")):
                yield _raw(words).format(
                    sql.SQL(", ").join(map(_raw, sorted(privileges))), on, called
                )


def _raw(text: str) -> sql.SQL:
    # A word of ours or PostgreSQL's own, or a name that PostgreSQL has quoted.
    return sql.SQL(text)


Part = Callable[[psycopg.Connection, Roles], Iterator[sql.Composed]]
"""A part of what is missing."""

ON_OBJECTS: Final[tuple[Part, ...]] = (_owners, _grants)
"""What a migration ends with."""

AFTER_THE_ROLES: Final[tuple[Part, ...]] = (_surroundings, *ON_OBJECTS)
"""What must hold once the roles exist; grants made by hand can change it."""

FOR_ADMINISTRATORS: Final[tuple[Part, ...]] = (
    _roles,
    _settings,
    _search_path,
    _surroundings,
    _models,
    _defaults,
    *ON_OBJECTS,
)
"""What there is to do, in this order; none of it has to be seen by the queries of the next."""

FOR_SUPERUSERS: Final[tuple[Part, ...]] = (_limits, _close_doors)
"""The same, which no other role may do."""
