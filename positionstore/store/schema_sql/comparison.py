"""The parts of the statement ``compare`` that name each field: bodies of REST beside their rows.

In them ``i`` is a body and its circumstances, ``s`` the columns of the snapshot that it would be,
``p`` its row of ``positions``, and ``f`` another fact of the position.
"""

from collections.abc import Callable, Iterable
from typing import Final, LiteralString

from positionstore.model.fields import (
    DURABLE_FIELDS,
    FIELDS,
    VALUATION_FIELDS,
    Durability,
    Field,
    Kind,
)
from positionstore.store.schema_sql import facts
from positionstore.store.schema_sql.columns import quoted

_PROJECTED: Final = [
    each for each in dict.fromkeys((*DURABLE_FIELDS, *VALUATION_FIELDS)) if each.column != "status"
]
_BESIDE_ID: Final = [each for each in FIELDS if each.path != ("id",)]
_MOVES: Final = frozenset(
    {
        "status",
        "entry.opened_at",
        "result.closed_at",
        "current.remaining_bps",
        "current.position_token_units",
        "timing.settlement_state",
    }
)
"""What happens to a position changes one of these; if it changes others, they just differ."""

_BARE: Final = {Kind.BPS, Kind.MINUTES, Kind.FLAG}
"""Kinds of fields that are not strings in JSON."""


def pieces() -> dict[str, LiteralString]:
    """Return the parts, by their names in the statement."""
    return {
        "values": f"    i.status,\n{facts.values(_PROJECTED)}",
        "parts": facts.parts(_PROJECTED),
        "row_differs": _differs("p", "s"),
        "past_equals": f"NOT ({_differs('f', 's')})",
        "table": _table(),
        "carried": ", ".join(
            f"'{section}', jsonb_object_agg(v.key, v.wire)"
            f" FILTER (WHERE v.is_kept AND v.section = '{section}')"
            for section in dict.fromkeys(field.section for field in FIELDS if field.section)
        ),
        "valuation": ", ".join(f"s.{field.column}" for field in VALUATION_FIELDS),
    }


def _differs(one: str, other: str) -> str:
    """Return whether durable fields differ, those that are final in the closed shape included."""

    def row(of: str, fields: Iterable[Field]) -> str:
        return f"({', '.join(f'{of}.{field.column}' for field in fields)})"

    always = [field for field in DURABLE_FIELDS if field.durability is Durability.ALWAYS]
    closed = [field for field in DURABLE_FIELDS if field.durability is Durability.CLOSED]
    return (
        f"{row(one, always)} IS DISTINCT FROM {row(other, always)}"
        f" OR (i.has_ended AND {row(one, closed)} IS DISTINCT FROM {row(other, closed)})"
    )


def _table() -> str:
    """Return a row for each field, by arrays: of constant ones and of both sides as text."""

    def array(write: Callable[[Field], str]) -> str:
        return f"            ARRAY[{', '.join(map(write, _BESIDE_ID))}]"

    return ",\n".join(
        [
            array(lambda field: quoted(field.wire_name)),
            array(lambda field: quoted(field.section)),
            array(lambda field: quoted(field.path[-1])),
            array(lambda field: quoted("+".join(sorted(field.shapes)))),
            array(lambda field: quoted(field.durability)),
            array(lambda field: str(field.wire_name in _MOVES).lower()),
            array(lambda field: str(field.kind in _BARE).lower()),
            array(lambda field: _text("p", field)),
            array(lambda field: _text("s", field) if field in DURABLE_FIELDS else "NULL"),
        ]
    )


def _text(of: str, field: Field) -> str:
    column = f"{of}.{field.column}"
    if field.kind is Kind.TIME:
        return f"replace(to_char({column}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00'), '.000000', '')"
    return column if field.kind is Kind.TEXT else f"{column}::text"
