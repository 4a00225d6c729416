"""The fields of a position that are compared or kept, as JSON spells them: read in one typed pass.

Nearly every position has the vendor's usual spelling. One that has not, for example a number with
a fraction, is left to the slow path.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import msgspec

from positionstore.dimes.json_exact import may_hold_nul
from positionstore.model.fields import DURABLE_FIELDS, VALUATION_FIELDS, Field, Kind

Spelling = tuple[str | int | None, ...]
"""Values as JSON spells them, texts and numbers without a fraction; absent and null are None."""

SPELLED_FIELDS: Final[tuple[Field, ...]] = tuple(
    dict.fromkeys((*DURABLE_FIELDS, *VALUATION_FIELDS))
)
"""The fields of a spelling, in its order: those that are compared, then what is kept besides."""

_SCALAR: Final = str | int | None  # and no bool: to Python, true equals 1
_FLAG: Final = bool | None
_TEXTS: Final = {"status": str, "wallet_address": str | None, "result.closed_at": str | None}


def spelled(raw: bytes) -> tuple[Any, Spelling] | None:
    """Return a position object with a ``str`` for an ``id``, and the spelling of its fields.

    Its fields are attributes, those of a section the section's. Of status, wallet and the moment of
    its end it is sure that they are text, where they are there. None where anything is unusual.
    """
    if may_hold_nul(raw):
        return None
    try:
        position = _decoder.decode(raw)
    except (ValueError, RecursionError):
        return None
    if None in _sections(position):
        for name, empty in _EMPTY_SECTIONS.items():
            if getattr(position, name) is None:
                setattr(position, name, empty)
    return position, _fields(position)


def _structs() -> tuple[type[msgspec.Struct], dict[str, msgspec.Struct]]:
    """Make the struct that reads just these fields, and an empty one for each section."""
    members: dict[str, list[Any]] = {"": [("id", str), ("status", str)]}
    for field in SPELLED_FIELDS:
        if field.wire_name != "status":
            kind = _FLAG if field.kind is Kind.FLAG else _TEXTS.get(field.wire_name, _SCALAR)
            members.setdefault(field.section, []).append((field.path[-1], kind, None))
    top = members.pop("")
    sections = {
        name: msgspec.defstruct(name, fields, frozen=True, gc=False)
        for name, fields in members.items()
    }
    empty = {name: struct() for name, struct in sections.items()}
    top += [(name, struct | None, empty[name]) for name, struct in sections.items()]
    return msgspec.defstruct("position", top, gc=False), empty


_Position, _EMPTY_SECTIONS = _structs()
_sections: Final = attrgetter(*_EMPTY_SECTIONS)
_decoder: Final = msgspec.json.Decoder(_Position)
_fields: Final[Callable[[Any], Spelling]] = attrgetter(
    *(field.wire_name for field in SPELLED_FIELDS)
)
