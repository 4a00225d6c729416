"""The comparison of a position in ``GET /positions`` with its row: pure, by durable fields.

Both sides are brought to one form first: a tuple with a value for each durable field of the
catalogue. An absent field and one of the wrong kind are None, as in the row's columns, so that
what a snapshot of a body would become in ``positions`` compares equal to that body.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from positionstore.dimes.json_exact import sanitize_text
from positionstore.dimes.spelling import SPELLED_FIELDS, Spelling
from positionstore.model.address import one_spelling
from positionstore.model.fields import (
    ADDRESS_FIELDS,
    DURABLE_FIELDS,
    VALUATION_FIELDS,
    Durability,
    Kind,
)
from positionstore.model.timestamps import parse_instant

Value = str | int | bool | datetime | None
Values = tuple[Value, ...]
_ALWAYS: Final = sum(field.durability is Durability.ALWAYS for field in DURABLE_FIELDS)
_LIFECYCLE_FIELDS: Final = frozenset(
    index
    for index, field in enumerate(DURABLE_FIELDS)
    if field.wire_name
    in {
        "status",
        "entry.opened_at",
        "result.closed_at",
        "current.remaining_bps",
        "current.position_token_units",
        "timing.settlement_state",
    }
)
_ADDRESSES: Final = tuple(
    index for index, field in enumerate(DURABLE_FIELDS) if field.wire_name in ADDRESS_FIELDS
)
_VALUED: Final = tuple(SPELLED_FIELDS.index(field) for field in VALUATION_FIELDS)
_LONGEST_INTEGER: Final = 19
"""Digits of a text that is read as a 64-bit integer."""

_LONGEST_UNITS: Final = 1000
"""Characters of a number of units."""

_LARGEST_UNITS: Final = 10**_LONGEST_UNITS
_NUMERIC_DIGITS: Final = 131_072
_NUMERIC_SCALE: Final = 16_383
"""What ``numeric`` holds: digits before the point, and after it."""

_FAR_AWAY: Final = re.compile(r"[eE][-+]?[0-9]{3}")
"""An exponent that the store does not write out: the number stays its text."""

_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
    r"([Zz]|[+-](0[0-9]|1[0-5])(:?[0-9]{2})?)"
)


class DiscrepancyKind(StrEnum):
    """How the store and ``GET /positions`` differ.

    ``MISSING``: REST has the position, the store has not. ``STALE``: something happened to it that
    the store does not know. ``DIVERGENT``: nothing happened, yet other values. ``ABSENT_UPSTREAM``:
    the store has it live, REST does not know it. ``UNREADABLE``: the store has it live, no list
    showed it, and what REST answers for it is no position.
    """

    MISSING = "missing"
    STALE = "stale"
    DIVERGENT = "divergent"
    ABSENT_UPSTREAM = "absent_upstream"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """What a body says: the durable values, and the whole valuation."""

    values: Values
    valuation: Values


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs; the values as text, None where there is none."""

    field: str
    store_value: str | None
    rest_value: str | None


def differences(store: Values, rest: Values, *, closed: bool) -> list[FieldDifference]:
    """Compare the durable values of a position.

    Args:
        store: the row's; its columns as they are will do to tell whether anything differs.
        rest: the body's, from :func:`read_body`.
        closed: whether the body has the closed shape, in which the fees are final too.

    Returns:
        What differs; empty where nothing does.
    """
    count = len(DURABLE_FIELDS) if closed else _ALWAYS
    if store[:count] == rest[:count]:
        return []
    return [
        FieldDifference(field.wire_name, _as_text(mine), _as_text(theirs))
        for field, mine, theirs in zip(DURABLE_FIELDS[:count], store, rest, strict=False)
        if mine != theirs
    ]


def kind_of(store: Values, rest: Values) -> DiscrepancyKind:
    """Say whether something happened to the position, or its values are just others.

    What happens to a position changes its status, a moment, its size or its settlement.
    """
    moved = any(store[index] != rest[index] for index in _LIFECYCLE_FIELDS)
    return DiscrepancyKind.STALE if moved else DiscrepancyKind.DIVERGENT


def values_of_row(columns: Sequence[Any]) -> Values:
    """Return the durable values of a row of ``positions``.

    Args:
        columns: the row's columns of :data:`DURABLE_FIELDS`, in that order.
    """
    return tuple(int(value) if isinstance(value, Decimal) else value for value in columns)


def spelled_alike(row: Spelling, body: Spelling, *, closed: bool) -> bool:
    """Whether a row and a body, each as the wire spells it, say the same of all that counts.

    They do where every spelling is the same. Where one is not, nothing is known: ``1`` and ``"1"``
    are one amount, and :func:`differences` has to decide.

    Args:
        row: the row's durable fields, from
            :func:`~positionstore.store.runs.spelled_rows`.
        body: the body's, as it was listed.
        closed: whether the body has the closed shape, in which the fees are final too.
    """
    count = len(DURABLE_FIELDS) if closed else _ALWAYS
    return row[:count] == body[:count] or row[:count] == _in_one_spelling(body[:count])


def _in_one_spelling(body: Spelling) -> Spelling:
    spelled = list(body)
    for index in _ADDRESSES:
        if isinstance(address := spelled[index], str):
            spelled[index] = one_spelling(address)
    return tuple(spelled)


def spelled_valuation(body: Spelling) -> Values:
    """Return the valuation, exactly, from how a body spells it."""
    return tuple([_CONVERTERS[index](body[index]) for index in _VALUED])


def read_body(body: bytes, spelling: Spelling | None = None) -> ParsedBody:
    """Return the values of a position object, exactly as its row would hold them.

    Args:
        body: the object as it came over the wire; it may hold whatever JSON can.
        spelling: its fields as it spells them, where they were read; they need only be converted.

    Raises:
        TypeError: it is not an object.
        ValueError: it is not JSON.
    """
    if spelling is None:
        values = _values_carefully(body)
    else:
        values = tuple([convert(each) for convert, each in zip(_CONVERTERS, spelling, strict=True)])
    return ParsedBody(values[: len(DURABLE_FIELDS)], tuple([values[index] for index in _VALUED]))


def _values_carefully(body: bytes) -> Values:
    data = json.loads(body, parse_int=_number, parse_float=_number, parse_constant=lambda _: _UNFIT)
    if not isinstance(data, dict):
        raise TypeError("it is not an object")
    values: list[Value] = []
    for field, convert in zip(SPELLED_FIELDS, _CONVERTERS, strict=True):
        found: object = data
        for key in field.path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str):
            found = sanitize_text(found)
        values.append(convert(found))
    return tuple(values)


def _number(spelled: str) -> object:
    """Return the integer that the store makes of a number, or what fits no column.

    Of a number with a fraction, even an empty one, Postgres shows that. What ``numeric`` cannot
    hold, or only at length, is kept as its text.
    """
    if _FAR_AWAY.search(spelled):
        return spelled
    number = Decimal(spelled)
    exponent = int(number.as_tuple().exponent)
    if exponent < -_NUMERIC_SCALE or number.adjusted() >= _NUMERIC_DIGITS:
        return spelled
    if exponent < 0:
        return _UNFIT
    if not number:
        return 0
    return int(number) if number.adjusted() < _LONGEST_UNITS else _UNFIT


def _text(value: object) -> Value:
    return value if isinstance(value, str) else None


def _address(value: object) -> Value:
    return one_spelling(value) if isinstance(value, str) else None


def _flag(value: object) -> Value:
    return value if isinstance(value, bool) else None


def _integer(value: object) -> Value:
    if isinstance(value, str) and len(value.removeprefix("-")) > _LONGEST_INTEGER:
        return None
    number = _units(value)
    return number if isinstance(number, int) and -(2**63) <= number < 2**63 else None


def _units(value: object) -> Value:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        fits = digits.isascii() and digits.isdecimal() and len(value) <= _LONGEST_UNITS
        return int(value) if fits else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -_LARGEST_UNITS < 10 * value < 10 * _LARGEST_UNITS else None
    return None


def _instant(value: object) -> Value:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return None
    try:
        return parse_instant(value)
    except ValueError:
        return None


def _as_text(value: Value) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case _:
            return str(value)


_UNFIT: Final = object()
_CONVERT: Final[dict[Kind, Callable[[object], Value]]] = {
    Kind.TEXT: _text,
    Kind.PIPS: _integer,
    Kind.BPS: _integer,
    Kind.MINUTES: _integer,
    Kind.UNITS: _units,
    Kind.TIME: _instant,
    Kind.FLAG: _flag,
}
_CONVERTERS: Final = tuple(
    _address if field.wire_name in ADDRESS_FIELDS else _CONVERT[field.kind]
    for field in SPELLED_FIELDS
)
