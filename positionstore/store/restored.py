"""What a restore may leave otherwise than the migrations made it: found, and put right.

A dump carries the schema, but not what the server can do, nor that a trigger works for every
session where it was restored with ``--disable-triggers``.

Source: the PostgreSQL manual, "pg_dump" (``--disable-triggers``), "ALTER TABLE" (``ENABLE ALWAYS
TRIGGER``, ``SET COMPRESSION``).
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import psycopg
from psycopg import sql

from positionstore.store.queries import queries

_TRIGGERS: Final = ("events_are_append_only", "events_leave_for_an_archive")


class Guard(StrEnum):
    """How the trigger stands that keeps the log append-only.

    ``WHOLE``: as it should. ``RESTS``: it sleeps in a session that plays a replica. ``OFF``: it is
    disabled. ``MISSING``: the restore left it out.
    """

    WHOLE = "whole"
    RESTS = "rests"
    OFF = "off"
    MISSING = "missing"


def guard(connection: psycopg.Connection) -> Guard:
    """Return how the trigger stands that keeps the log append-only."""
    row = connection.execute(queries("restored")["guard"]).fetchone()
    return Guard(row[0]) if row else Guard.MISSING


def remedy(guard: Guard) -> str | None:
    """Return what is wrong with the trigger and what to do, in one line; None where all is well."""
    match guard:
        case Guard.WHOLE:
            return None
        case Guard.MISSING:
            return (
                "the trigger events_are_append_only, which keeps the log append-only, is missing: "
                "restore the schema again"
            )
        case _:
            return (
                "the trigger that keeps the log append-only does not work for every session, as "
                "after a restore with --disable-triggers: run `positionstore migrate`"
            )


def enable_guard(connection: psycopg.Connection) -> None:
    """Let the triggers of the log work for every session."""
    for name in _TRIGGERS:  # one statement each: Citus takes no two at once
        connection.execute(queries("restored")["enable_guard"].format(trigger=sql.Identifier(name)))


def put_right(connection: psycopg.Connection) -> Iterator[str]:
    """Bring the store in line with the server at hand; yield a line for each thing changed.

    Args:
        connection: of the tables' owner, in the transaction of a migration.
    """
    ours = queries("restored")
    if guard(connection) in {Guard.RESTS, Guard.OFF}:
        enable_guard(connection)
        yield "The log's trigger did not work for every session, as after a restore; now it does."
    has_lz4, is_for_none = connection.execute(ours["has_lz4"]).fetchone() or (False, True)
    if has_lz4 and is_for_none:
        connection.execute(ours["layout_with_lz4"])
        yield "The server has lz4: bodies of positions are compressed from now on."
    elif not has_lz4 and not is_for_none:
        connection.execute(ours["layout_without_lz4"])
        yield "The server has no lz4: bodies of positions are left uncompressed from now on."
