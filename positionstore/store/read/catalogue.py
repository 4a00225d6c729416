"""What there is to read, with what the schema says of it."""

from dataclasses import dataclass

import psycopg

from positionstore.store.queries import queries


@dataclass(frozen=True, slots=True)
class Described:
    """A column, or a function's arguments.

    Attributes:
        name: its name.
        type: its type.
        comment: what it is, empty where nothing says so.
    """

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that this role may read.

    Attributes:
        name: its name.
        is_view: whether it is a view.
        comment: what its rows are.
        columns: its columns.
    """

    name: str
    is_view: bool
    comment: str
    columns: tuple[Described, ...]


def documented(connection: psycopg.Connection) -> list[Relation]:
    """Return the tables and views with a comment, views first."""
    return [
        Relation(name, is_view, comment, tuple(Described(*column) for column in columns))
        for name, is_view, comment, columns in connection.execute(queries("query")["documented"])
    ]
