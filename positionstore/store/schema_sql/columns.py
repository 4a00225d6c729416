"""The columns of ``positions`` and what each says of itself.

A field that is added later has its column after all others, since that is where ``ALTER TABLE``
and ``CREATE OR REPLACE VIEW`` can put one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from positionstore.model.fields import FIRST_FIELDS, Durability, Field, Kind

UNITS: Final = "numeric(38,0)"
"""The widest that other tools hold exactly."""

SQL_TYPES: Final = {
    Kind.TEXT: "text",
    Kind.PIPS: "bigint",
    Kind.BPS: "bigint",
    Kind.UNITS: UNITS,
    Kind.MINUTES: "bigint",
    Kind.TIME: "timestamptz",
    Kind.FLAG: "boolean",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``positions`` or of what is made from it.

    Attributes:
        name: its name.
        type: its type in SQL, with the constraints it has in ``positions``.
        comment: its COMMENT.
        is_folded: whether the fold decides it.
    """

    name: str
    type: str
    comment: str
    is_folded: bool = True

    @property
    def plain_type(self) -> str:
        """Its type without constraints."""
        return self.type.split(" ")[0]


_WORD = 'text COLLATE "C" NOT NULL'
_PHASE = Column("phase", _WORD, "pending, live or terminal: by events a position never moves back.")
OWN: Final = {
    "position_id": Column(
        "position_id",
        'text COLLATE "C" PRIMARY KEY',
        "The position's id at the vendor (dm_pos_...).",
    ),
    "status": Column("status", _WORD, "Its status; see position_statuses."),
}
REST: Final = (
    Column(
        "data",
        "jsonb NOT NULL",
        "The whole position object, unknown fields too. What jsonb cannot hold (U+0000, lone"
        " surrogates) stands there as U+FFFD; events.envelope has it to the letter.",
    ),
    Column(
        "misfit_fields",
        "text[] NOT NULL DEFAULT '{}'",
        "Fields whose value was of the wrong kind: NULL in their column, whole in data.",
    ),
    Column("last_event_id", _WORD, "The fact that this row shows: its event_id in events."),
    Column("last_event_type", _WORD, "The type of that fact."),
    Column("last_event_at", "timestamptz NOT NULL", "The created_at of that fact. UTC."),
    Column("source", _WORD, "The source of that fact: partner, customer, import or rest."),
    Column(
        "supersedes_before",
        "timestamptz",
        "Events of this position created up to this moment are overruled by its latest snapshot;"
        " NULL without one.",
    ),
    Column(
        "updated_at",
        "timestamptz NOT NULL",
        "When positionstore received the fact that this row shows. UTC.",
    ),
    Column(
        "verified_at",
        "timestamptz",
        "When a reconciliation last found this row equal to GET /positions. UTC; NULL if never.",
        is_folded=False,
    ),
)
"""The columns of ``positions`` after those of its first fields."""

SEQ: Final = Column(
    "seq",
    "bigint",
    "Commit order: a reader that remembers the last seq it saw misses nothing. Numbers may be"
    " skipped.",
)


def comment_of(field: Field) -> str:
    """Return the COMMENT of a field's column: what it means, its unit, whether it moves."""
    parts = [field.meaning]
    match field.kind:
        case Kind.PIPS:
            parts.append("In pips: 10,000 are 1 USD.")
        case Kind.BPS if "bps" not in field.meaning:
            parts.append("In basis points.")
        case Kind.TIME:
            parts.append("UTC.")
        case _:
            pass
    if field.durability is Durability.NEVER and field.section:
        parts.append("Moves with the market; this is its value at the last fact.")
    return " ".join(parts)


def column_of(field: Field) -> Column:
    """Return the column of a field."""
    return OWN.get(field.column) or Column(field.column, SQL_TYPES[field.kind], comment_of(field))


def valuation_column(field: Field) -> Column:
    """Return the column of a field in the tables of valuations."""
    comment = comment_of(replace(field, durability=Durability.ALWAYS))
    return Column(field.path[-1], SQL_TYPES[field.kind], comment)


def position_columns(added: Sequence[Field]) -> list[Column]:
    """Return the columns of ``positions``, in their order."""
    columns = [column_of(field) for field in FIRST_FIELDS]
    columns = sorted(columns, key=lambda column: column.name not in OWN)
    columns.insert(len(OWN), _PHASE)
    return [*columns, *REST, *map(column_of, added)]


def comments(relation: str, columns: Iterable[Column]) -> str:
    """Return what comments on the columns of a relation."""
    return "\n".join(
        f"COMMENT ON COLUMN {relation}.{column.name} IS {quoted(column.comment)};"
        for column in columns
    )


def quoted(text: str) -> str:
    """Return a text as SQL spells it."""
    return "'" + text.replace("'", "''") + "'"


def in_view(column: Column) -> Column:
    """Return a column as the views have it, which say less of an address."""
    return replace(column, comment=column.comment.replace("; a 0x address in lower case", ""))
