"""Exact JSON: numbers never become floats, and errors are described in words.

The slow path for input from the wire, shared by events and REST answers. It implements every rule;
the fast paths fall back on it.
"""

import json
import re
from itertools import accumulate
from typing import Final, NoReturn

from positionstore.model.facts import LONGEST_ENVELOPE, Reason

MAX_DEPTH: Final = 500
"""How deeply an envelope may nest; Postgres and most readers parse JSON recursively."""

_NEVER_DEEP: Final = MAX_DEPTH * len('{"":}')
"""Bytes of JSON without arrays that cannot nest deeper, and need not be looked at."""

LONGEST_ID: Final = 1000
"""How long an id may be, in bytes: a key of Postgres holds two such ids, and no longer ones."""

SURELY_SHORT: Final = LONGEST_ID // 4
"""A string of so many characters is within ``LONGEST_ID``, whatever they are."""

_DEEPER: Final = f"It nests deeper than {MAX_DEPTH} levels."


class Number(str):
    """A JSON number, as its text; distinguished from a JSON string by its type."""

    __slots__ = ()


class InvalidInput(Exception):  # noqa: N818 - it is caught by its reader and never reaches a user
    """Why an input is invalid.

    Attributes:
        reason: for programs.
        detail: for people.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


_NAMES: Final[dict[type, str]] = {
    Number: "a number",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
    list: "an array",
    dict: "an object",
}
_BLOCK: Final = 16 * 1024
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(_STEP))
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def parse(text: str) -> object:
    """Return the value that a JSON text holds, each number as a :class:`Number`.

    Raises:
        Flaw: it is not JSON, or nests too deeply to be read.
    """
    try:
        # Numbers stay the text they are: a float would lose digits, an int has a length limit.
        value: object = json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise InvalidInput(Reason.TOO_DEEP, _DEEPER) from None
    except ValueError as error:
        raise InvalidInput(Reason.NOT_JSON, f"It is not JSON: {error}.") from None
    return value


def beyond_bounds(raw: bytes, *, depth: int = MAX_DEPTH) -> InvalidInput | None:
    """Return what is wrong with a JSON text that is too long or nested too deeply."""
    if len(raw) > LONGEST_ENVELOPE:
        return InvalidInput(Reason.TOO_LONG, f"It is longer than {LONGEST_ENVELOPE:,} bytes.")
    if _opens_more_than(depth, raw) and _nests_deeper(raw, depth):
        return InvalidInput(Reason.TOO_DEEP, _DEEPER)
    return None


def is_plain(raw: bytes) -> bool:
    """Whether a text, if it is JSON, is UTF-8, within bounds, and has no escape; most are.

    It is asked of every envelope, and costs a third of asking for each of the three.
    """
    return (
        raw.isascii()
        and b"\\" not in raw
        and b"[" not in raw
        and (len(raw) < _NEVER_DEEP or beyond_bounds(raw) is None)
    )


def may_hold_nul(raw: bytes) -> bool:
    """Whether a JSON text may contain U+0000."""
    # To look for one byte is a twentieth of the work, and most texts have no escape at all.
    return b"\\" in raw and b"\\u0000" in raw


def string(mapping: dict[str, object], key: str) -> str | None:
    """Return the string under a key; None if there is none or something else."""
    value = mapping.get(key)
    return value if isinstance(value, str) and not isinstance(value, Number) else None


def sanitize_text(text: str) -> str:
    """Return ``text`` with U+FFFD for what a Postgres ``text`` cannot hold."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def found(mapping: dict[str, object], key: str) -> str:
    """Describe the value of a key, for people."""
    return name(mapping[key]) if key in mapping else "missing"


def name(value: object) -> str:
    """Describe a value, for people."""
    return "an empty string" if value == "" else _NAMES[type(value)]


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _opens_more_than(depth: int, raw: bytes) -> bool:
    """Whether there are more opening brackets than that, including those in strings."""
    # Most bodies have no array at all, and to look for a byte is less work than to count it.
    arrays = raw.count(b"[") if b"[" in raw else 0
    return raw.count(b"{") + arrays > depth


def _nests_deeper(raw: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than that; for invalid JSON the result is undefined."""
    depth = start = 0
    in_string = False
    while start < len(raw):
        # By blocks, for a piece between two quotes takes ten times the memory of what is in it.
        block = raw[start : start + _BLOCK]
        if (len(block) - len(block.rstrip(b"\\"))) % 2:
            block = raw[start : start + _BLOCK + 1]  # an escape is not cut apart
        start += len(block)
        pieces = block.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = b"".join(pieces[in_string::2])
        in_string ^= len(pieces) % 2 == 0
        brackets = outside.translate(None, delete=_ALL_BUT_BRACKETS)
        depths = list(accumulate(map(_STEP.__getitem__, brackets), initial=depth))
        if max(depths) > limit:
            return True
        depth = depths[-1]
    return False


def checked_id(value: str, what: str) -> str:
    """Return an id as Postgres can store it.

    Raises:
        Flaw: it is too long to be a key.
    """
    stored = sanitize_text(value)
    if len(stored.encode()) > LONGEST_ID:
        raise InvalidInput(Reason.BAD_ID, f"{what} is longer than {LONGEST_ID} bytes.")
    return stored
