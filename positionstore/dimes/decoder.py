"""Raw bytes in, an :class:`~positionstore.facts.Event` or what is wrong with them out.

The decoder is exact: it reads the few strings that make an envelope and keeps the rest as the
bytes they were, so that no number ever passes through a float.

Nearly every envelope takes the short way: one typed pass that also validates all that it
skips. Whatever that pass does not like (a notification, an odd escape, a broken frame) takes
the careful way, which knows every rule and says what is wrong.

Source: the vendor's document, "Event envelope".
"""

import json
import re
from itertools import accumulate
from typing import Final, NoReturn

import msgspec

from positionstore.dimes.instant import parse_instant
from positionstore.facts import Event, Reason, Rejected

MAX_DEPTH: Final = 500
"""How deeply an envelope may nest; Postgres and most readers parse JSON recursively."""

POSITION_ID_PREFIX: Final = "dm_pos_"


class _Position(msgspec.Struct):
    id: str
    status: str


class _Envelope(msgspec.Struct):
    id: str
    type: str
    created_at: str
    data: _Position


class _Number(str):
    """A JSON number, as its text; told apart from a JSON string by its type."""

    __slots__ = ()


_NAMES: Final[dict[type, str]] = {
    _Number: "a number",
    str: "a string",
    bool: "a boolean",
    type(None): "null",
    list: "an array",
    dict: "an object",
}
_DEEPER: Final = f"It nests deeper than {MAX_DEPTH} levels."
_envelope_decoder: Final = msgspec.json.Decoder(_Envelope)
# Possessive, so that a string of megabytes costs no memory and a hostile one no time.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(_STEP))
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def decode(raw: bytes) -> Event | Rejected:
    """Read one envelope.

    Valid is an object whose ``id`` and ``type`` are non-empty strings, whose ``created_at`` is an
    ISO 8601 instant with an offset, and whose ``data`` is an object. ``data`` is a position when
    its ``id`` is a non-empty string and its ``status`` a string. Any other ``data`` is a
    notification: its event has no status, and the position it names, if any.

    In the strings taken out of the envelope, what a Postgres ``text`` cannot hold (U+0000, lone
    surrogates) becomes U+FFFD; the envelope itself is kept as it came.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Rejected(raw, Reason.NOT_UTF8, f"It is not UTF-8 at byte {error.start}.")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and _depth(raw) > MAX_DEPTH:
        return Rejected(raw, Reason.TOO_DEEP, _DEEPER)
    if b"\\u0000" in raw:
        return _decode_carefully(raw, text)
    try:
        envelope = _envelope_decoder.decode(raw)
        created_at = parse_instant(envelope.created_at)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _decode_carefully(raw, text)
    data = envelope.data
    if not (envelope.id and envelope.type and data.id):
        return _decode_carefully(raw, text)
    return Event(envelope.id, envelope.type, created_at, data.id, data.status, raw)


def _decode_carefully(raw: bytes, text: str) -> Event | Rejected:
    try:
        return _read(raw, text)
    except _Flaw as flaw:
        return Rejected(raw, flaw.reason, flaw.detail)


class _Flaw(Exception):  # noqa: N818 - it never leaves this module
    """Why an input is no event."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _read(raw: bytes, text: str) -> Event:
    envelope = _parse(text)
    if not isinstance(envelope, dict):
        raise _Flaw(Reason.NOT_AN_OBJECT, f"It is {_name(envelope)}, not an object.")
    event_id, event_type = _string(envelope, "id"), _string(envelope, "type")
    if not event_id:
        raise _Flaw(Reason.BAD_ID, f"id is {_found(envelope, 'id')}.")
    if not event_type:
        raise _Flaw(Reason.BAD_TYPE, f"type is {_found(envelope, 'type')}.")
    moment = _string(envelope, "created_at")
    if moment is None:
        raise _Flaw(Reason.BAD_CREATED_AT, f"created_at is {_found(envelope, 'created_at')}.")
    try:
        created_at = parse_instant(moment)
    except ValueError as error:
        raise _Flaw(Reason.BAD_CREATED_AT, f"created_at cannot be used: {error}.") from None
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise _Flaw(Reason.BAD_DATA, f"data is {_found(envelope, 'data')}, not an object.")
    position_id, status = _position_of(data)
    return Event(
        _storable(event_id),
        _storable(event_type),
        created_at,
        _storable(position_id),
        None if status is None else _storable(status),
        raw,
    )


def _parse(text: str) -> object:
    try:
        # Numbers stay the text they are: a float would lose digits, an int has a length limit.
        value: object = json.loads(
            text, parse_float=_Number, parse_int=_Number, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise _Flaw(Reason.TOO_DEEP, _DEEPER) from None
    except ValueError as error:
        raise _Flaw(Reason.NOT_JSON, f"It is not JSON: {error}.") from None
    return value


def _position_of(data: dict[str, object]) -> tuple[str, str | None]:
    own, status = _string(data, "id"), _string(data, "status")
    if own and status is not None:
        return own, status
    params = data.get("params")
    named = _string(params, "position_id") if isinstance(params, dict) else None
    if named or (named := _string(data, "position_id")):
        return named, None
    return own if own and own.startswith(POSITION_ID_PREFIX) else "", None


def _string(mapping: dict[str, object], key: str) -> str | None:
    value = mapping.get(key)
    return value if isinstance(value, str) and not isinstance(value, _Number) else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _found(envelope: dict[str, object], key: str) -> str:
    return _name(envelope[key]) if key in envelope else "missing"


def _name(value: object) -> str:
    return "an empty string" if value == "" else _NAMES[type(value)]


def _depth(raw: bytes) -> int:
    brackets = _STRING.sub(b"", raw).translate(None, delete=_ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
