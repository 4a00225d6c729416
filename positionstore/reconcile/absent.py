"""Keys that a body lacks: what it does not speak of is no difference, and is not erased.

A body of an open position lacks what only an ended one has, and the reverse: that is its shape, and
what the row has there goes. Any other key may be missing because a list is shorter than the answer
for one position is, or because it is left out where the vendor has changed something.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from positionstore.model.fields import DURABLE_FIELDS, FIELDS, Field, Kind, Shape
from positionstore.reconcile.compare import Values

CARRIED_FIELDS: Final = tuple(
    each for each in FIELDS if each.column not in {"position_id", "status"}
)
"""The fields that a snapshot can carry."""


def absent_fields(body: bytes, *, closed: bool) -> frozenset[str]:
    """Return the columns of the fields whose key a body lacks, though its shape has them.

    Args:
        body: a position object.
        closed: whether it has the closed shape.
    """
    shape = Shape.CLOSED if closed else Shape.LIVE
    unread: Callable[[str], None] = lambda _: None  # noqa: E731 - a value, given three times
    data = json.loads(body, parse_int=unread, parse_float=unread, parse_constant=unread)
    return frozenset(
        field.column for field in CARRIED_FIELDS if shape in field.shapes and _lacks(data, field)
    )


def unchanged_where_absent(store: Values, rest: Values, absent: frozenset[str]) -> Values:
    """Return the durable values of a body, with the store's where it does not speak of a field."""
    return tuple(
        [
            mine if field.column in absent else theirs
            for field, mine, theirs in zip(DURABLE_FIELDS, store, rest, strict=True)
        ]
    )


def carried(columns: Sequence[Any], absent: frozenset[str]) -> bytes:
    """Return what a snapshot has to carry so that nothing is erased, as JSON; empty if nothing.

    Args:
        columns: the row's columns of :data:`CARRIED_FIELDS`, in that order.
        absent: the columns of the fields that the body does not speak of.
    """
    found: dict[str, Any] = {}
    for field, value in zip(CARRIED_FIELDS, columns, strict=True):
        if field.column not in absent or value is None:
            continue
        section = found.setdefault(field.section, {}) if field.section else found
        section[field.path[-1]] = _as_wire(field, value)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode() if found else b""


def _lacks(data: object, field: Field) -> bool:
    for key in field.path:
        if not isinstance(data, dict):
            return False  # it speaks of the section, though not as it should
        if key not in data:
            return True
        data = data[key]
    return False


def _as_wire(field: Field, value: Any) -> str | int | bool:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal) or field.kind is Kind.PIPS:
        return str(int(value))
    if isinstance(value, str | int):
        return value
    raise TypeError(f"{field.column} holds a {type(value).__name__}")
