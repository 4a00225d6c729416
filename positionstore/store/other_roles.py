"""Rights on the store of roles that are not its own.

A hosted service may grant on each new table to roles of its own (``ALTER DEFAULT PRIVILEGES``), and
an operator may grant by hand. To read is what an operator may allow. Any right to change something
is a fault: the log is append-only for the store's own roles alone, and a projection that another
writes to is not the fold of the log.

The owner of the log, superusers, the store's roles and the role of the connection are not named,
nor are administrators (``CREATEROLE``, the database's owner) for being members of a role of ours.

Source: the PostgreSQL manual, "Privileges", "pg_default_acl".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from positionstore.store.access import FUNCTIONS, RELATIONS
from positionstore.store.grants import Role, Roles
from positionstore.store.queries import queries

_READS: Final = "SELECT"
_PUBLIC: Final = "PUBLIC"

_NAMED_AT_MOST: Final = 2

_IN_FRONT: Final = ("events", "positions")
"""What a person looks for first."""


class Weight(StrEnum):
    """How much a right matters.

    ``FAULT``: with it a role can change something of the store. ``TO_COME``: it is one to change
    what the next migration makes. ``ALLOWED``: an operator may grant it.
    """

    FAULT = "fault"
    TO_COME = "to_come"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class OtherRight:
    """What a role that is none of the store's own may do with it.

    Attributes:
        role: its name; ``PUBLIC`` for every role of the server.
        may: what it may do, in a few words.
        weight: how much that matters.
        statement: the SQL that takes it away.
    """

    role: str
    may: str
    weight: Weight
    statement: str


class _Granted(NamedTuple):
    """A privilege on one object; names as SQL wants them."""

    kind: str
    name: str
    column: str | None
    privilege: str
    grantee: str
    grantor: str | None
    is_grantable: bool


class _Alike(NamedTuple):
    """What objects with the same privileges have in common; the grantor where not the owner."""

    grantee: str
    kind: str
    weight: Weight
    grantor: str | None
    privileges: tuple[str, ...] = ()
    cascade: bool = False


def other_rights(connection: psycopg.Connection, roles: Roles | None) -> list[OtherRight]:
    """Return the rights of other roles, the faults first.

    Args:
        connection: of any role; the catalogue is everybody's to read.
        roles: the store's own; None where the log's owner alone works with it.
    """
    names = roles.names if roles else []
    found = [
        *_on_objects(connection, names),
        *_members(connection, roles, names),
        *_defaults(connection, names),
    ]
    return sorted(found, key=lambda right: list(Weight).index(right.weight))


def at_fault(rights: Iterable[OtherRight]) -> list[str]:
    """Return the roles that can change something of the store, each once."""
    return list(dict.fromkeys(right.role for right in rights if right.weight is Weight.FAULT))


def _on_objects(connection: psycopg.Connection, names: list[str]) -> Iterator[OtherRight]:
    given = {
        "relations": list(RELATIONS),
        # What everybody may call tells nothing.
        "functions": [name for name, access in FUNCTIONS.items() if not access.public],
        "names": names,
    }
    objects: dict[tuple[_Alike, str], list[_Granted]] = defaultdict(list)
    for row in connection.execute(queries("other_roles")["rights"], given):
        each = _Granted(*row)
        # A function of ours runs with its caller's rights, and lends none.
        is_harmless = each.kind == "FUNCTION" or each.privilege == _READS
        weight = Weight.ALLOWED if is_harmless else Weight.FAULT
        alike = _Alike(each.grantee, each.kind, weight, each.grantor)
        objects[alike, each.name].append(each)
    together: dict[_Alike, list[str]] = defaultdict(list)
    for (alike, name), parts in objects.items():
        privileges = tuple(_privileges(parts))
        cascade = any(each.is_grantable for each in parts)
        together[alike._replace(privileges=privileges, cascade=cascade)].append(name)
    for alike, called in together.items():
        yield _taken_back(connection, alike, called)


def _privileges(parts: Iterable[_Granted]) -> Iterator[str]:
    """Yield each privilege on an object, with the columns where it is on columns."""
    columns: dict[str, list[str]] = defaultdict(list)
    for each in parts:
        columns[each.privilege] += [each.column] if each.column else []
    for privilege, names in sorted(columns.items()):
        yield f"{privilege} ({', '.join(names)})" if names else privilege


def _taken_back(connection: psycopg.Connection, alike: _Alike, called: list[str]) -> OtherRight:
    on = "TABLE" if alike.kind == "COLUMN" else alike.kind
    privileges = ", ".join(alike.privileges)
    # What a role has given on goes with its own right to give it.
    of, option = (alike.grantor, "GRANT OPTION FOR ") if alike.grantor else (alike.grantee, "")
    cascade = " CASCADE" if option or alike.cascade else ""
    return OtherRight(
        alike.grantee or _PUBLIC,
        f"{privileges} on {_listed(called)}",
        alike.weight,
        f"REVOKE {option}{privileges} ON {on} {', '.join(called)} "
        f"FROM {_quoted(connection, of)}{cascade}",
    )


def _members(
    connection: psycopg.Connection, roles: Roles | None, names: list[str]
) -> Iterator[OtherRight]:
    if roles:
        ours = [roles.name(Role.OWNER), roles.name(Role.WRITER)]
    else:
        ours = [name for (name,) in connection.execute(queries("roles")["recorded"])]
    given = {"ours": ours, "names": names}
    for role, member, is_ours in connection.execute(queries("other_roles")["members"], given):
        yield OtherRight(
            member,
            f"what {role} may, as a member of it",
            # To write every table of the server is what its administrator has given.
            Weight.FAULT if is_ours else Weight.ALLOWED,
            f"REVOKE {_quoted(connection, role)} FROM {_quoted(connection, member)}",
        )


def _defaults(connection: psycopg.Connection, names: list[str]) -> Iterator[OtherRight]:
    to_come: dict[tuple[str, str | None, str, str], list[str]] = defaultdict(list)
    for maker, schema, kind, privilege, grantee in connection.execute(
        queries("other_roles")["defaults"], {"names": names}
    ):
        if privilege != _READS:
            to_come[maker, schema, kind, grantee].append(privilege)
    for (maker, schema, kind, grantee), privileges in to_come.items():
        within = f" IN SCHEMA {schema}" if schema else ""
        yield OtherRight(
            grantee or _PUBLIC,
            f"{', '.join(privileges)} on {kind.lower()} that {maker} makes from now on",
            Weight.TO_COME,
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {_quoted(connection, maker)}{within} "
            f"REVOKE {', '.join(privileges)} ON {kind} FROM {_quoted(connection, grantee)}",
        )


def _listed(called: list[str]) -> str:
    ordered = sorted(called, key=lambda name: (name.rpartition(".")[2] not in _IN_FRONT, name))
    shown = ", ".join(ordered[:_NAMED_AT_MOST])
    more = len(ordered) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _quoted(connection: psycopg.Connection, role: str) -> str:
    return sql.Identifier(role).as_string(connection) if role else _PUBLIC
