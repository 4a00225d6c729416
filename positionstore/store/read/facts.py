"""The facts of the log with what each says of its position, column by column, for a lake."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from positionstore.model.fields import FIELDS, FOLDED_COLUMNS, Field
from positionstore.store import archived
from positionstore.store.engine import hints
from positionstore.store.queries import queries
from positionstore.store.read.query import ReadQuery, described
from positionstore.store.schema_sql.facts import of_body

FACTS: Final = "facts"
"""What they are called."""

BODY_FIELDS: Final[tuple[Field, ...]] = tuple(
    each for each in FIELDS if each.column not in {"position_id", "status"}
)
"""The fields that a fact has in columns of their own, besides those of the log."""

POSITION_COLUMNS: Final[tuple[str, ...]] = tuple(
    "data_md5" if name == "data" else name for name in FOLDED_COLUMNS
)
"""The columns of ``positions`` that the fold decides; of ``data`` its MD5 in hexadecimal digits."""

OF_A_BODY: Final = frozenset({*(each.column for each in BODY_FIELDS), "misfit_fields", "data_md5"})
"""The columns of a fact that come out of its envelope."""

_TOLD_OTHERWISE: Final = {"position_id", "misfit_fields", "data_md5"}


def of_facts(connection: psycopg.Connection, *, after: int, until: int) -> ReadQuery:
    """Return the facts whose seq is greater than ``after``, up to ``until``, in order.

    Raises:
        StoreRefusedError: some of them are in an archive.
    """
    archived.refuse_behind(connection, after)
    fields = _listed("f", (each.column for each in BODY_FIELDS))
    query = queries("facts")["between"].format(
        after=after, until=until, fields=fields, **hints(connection)
    )
    return ReadQuery(FACTS, query, described(connection, query.as_string(connection)), "seq")


def of_positions(connection: psycopg.Connection, *, seq: int) -> ReadQuery:
    """Return the rows of ``positions``, and of each whether a fact after a seq may have changed it.

    Args:
        connection: to the store.
        seq: the last one that a lake holds.
    """
    fields = _listed("p", (name for name in POSITION_COLUMNS if name not in _TOLD_OTHERWISE))
    query = queries("facts")["positions"].format(seq=seq, fields=fields)
    return ReadQuery("positions", query, described(connection, query.as_string(connection)))


def is_there(connection: psycopg.Connection, seq: int, event_id: str) -> bool:
    """Whether a fact is in the log, or may have been before an archive took it."""
    values = {"seq": seq, "event_id": event_id}
    row = connection.execute(queries("facts")["is_there"], values).fetchone()
    if row is None:
        row = connection.execute(queries("facts")["may_be_archived"], {"seq": seq}).fetchone()
    return bool(row and row[0])


def of_envelopes(
    connection: psycopg.Connection,
    envelopes: Sequence[str],
    supersede: Sequence[datetime | None],
) -> list[dict[str, Any]]:
    """Return what some envelopes say of their positions, as :func:`of_facts` has it.

    Args:
        connection: to the store, whose functions read them; its log is not asked.
        envelopes: JSON texts.
        supersede: of each that is a snapshot what it overrules, UTC.
    """
    # It is made of names and types alone, from the catalogue of fields.
    pieces = {name: sql.SQL(text) for name, text in _of_body().items()}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            queries("facts")["bodies"].format(**pieces),
            {"envelopes": list(envelopes), "supersede": list(supersede)},
        ).fetchall()


@cache
def _of_body() -> dict[str, str]:
    return of_body(BODY_FIELDS)


def statuses(connection: psycopg.Connection) -> list[tuple[str, str, int]]:
    """Return each known status with its phase and its precedence."""
    return connection.execute(queries("facts")["statuses"]).fetchall()


def types(connection: psycopg.Connection) -> list[tuple[str, int]]:
    """Return each known type with its precedence."""
    return connection.execute(queries("facts")["types"]).fetchall()


def _listed(table: str, names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)
