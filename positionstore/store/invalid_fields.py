"""Fields of ``positions`` that the vendor sent in a form that their columns cannot hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from positionstore.store.queries import queries


@dataclass(frozen=True, slots=True)
class InvalidField:
    """A field of ``positions`` that the vendor sent in a form that its column cannot hold.

    Attributes:
        field: the wire's name for it, with its section; its column is NULL in these rows.
        positions: in how many rows.
        examples: the ids of the first of them.
    """

    field: str
    positions: int
    examples: Sequence[str]


def invalid_fields(connection: psycopg.Connection) -> list[InvalidField]:
    """Return the fields whose value is not of their kind, the most frequent first."""
    with connection.cursor(row_factory=class_row(InvalidField)) as cursor:
        return cursor.execute(queries("invalid_fields")["listed"]).fetchall()
