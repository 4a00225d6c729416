"""Decodes raw bytes into an :class:`~positionstore.model.facts.Event`, or says what is wrong.

The decoder is exact: it reads the few strings that make an envelope and keeps the rest as the
bytes they were, so that no number ever passes through a float.

Nearly every envelope takes the fast path: one typed pass that also validates what it skips.
Everything else (a notification, an unusual escape, a broken frame) takes the slow path, which
implements every rule and says what is wrong.

Source: the vendor's document, "Event envelope".
"""

from typing import Final

import msgspec

from positionstore.dimes.json_exact import (
    SURELY_SHORT,
    InvalidInput,
    beyond_bounds,
    checked_id,
    found,
    is_plain,
    may_hold_nul,
    name,
    parse,
    sanitize_text,
    string,
)
from positionstore.model.facts import Event, Reason, Rejected
from positionstore.model.timestamps import parse_instant

POSITION_ID_PREFIX: Final = "dm_pos_"


class _Position(msgspec.Struct, gc=False):
    id: str
    status: str


class _Envelope(msgspec.Struct, gc=False):
    id: str
    type: str
    created_at: str
    data: _Position


_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode


def decode(raw: bytes) -> Event | Rejected:
    """Read one envelope.

    A valid envelope is an object whose ``id`` and ``type`` are non-empty strings, whose
    ``created_at`` is an ISO 8601 instant with an offset, and whose ``data`` is an object. ``data``
    is a position when its ``id`` is a non-empty string and its ``status`` a string. Any other
    ``data`` is a notification: its event has no status, and the position it names, if any.

    In the strings taken out of the envelope, what a Postgres ``text`` cannot hold (U+0000, lone
    surrogates) becomes U+FFFD; the envelope itself is kept unchanged.
    """
    if not is_plain(raw):
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            return Rejected(raw, Reason.NOT_UTF8, f"It is not UTF-8 at byte {error.start}.")
        if (flaw := beyond_bounds(raw)) is not None:
            return Rejected(raw, flaw.reason, flaw.detail)
        if may_hold_nul(raw):
            return _decode_carefully(raw)
    try:
        envelope = _decode_envelope(raw)
        created_at = parse_instant(envelope.created_at)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _decode_carefully(raw)
    data = envelope.data
    if 0 < len(envelope.id) <= SURELY_SHORT and 0 < len(data.id) <= SURELY_SHORT and envelope.type:
        return Event(envelope.id, envelope.type, created_at, data.id, data.status, raw)
    return _decode_carefully(raw)


def _decode_carefully(raw: bytes) -> Event | Rejected:
    if (beyond := beyond_bounds(raw)) is not None:
        return Rejected(raw, beyond.reason, beyond.detail)
    try:
        return _read(raw, raw.decode())
    except InvalidInput as flaw:
        return Rejected(raw, flaw.reason, flaw.detail)


def _read(raw: bytes, text: str) -> Event:
    envelope = parse(text)
    if not isinstance(envelope, dict):
        raise InvalidInput(Reason.NOT_AN_OBJECT, f"It is {name(envelope)}, not an object.")
    event_id, event_type = string(envelope, "id"), string(envelope, "type")
    if not event_id:
        raise InvalidInput(Reason.BAD_ID, f"id is {found(envelope, 'id')}.")
    if not event_type:
        raise InvalidInput(Reason.BAD_TYPE, f"type is {found(envelope, 'type')}.")
    moment = string(envelope, "created_at")
    if moment is None:
        raise InvalidInput(Reason.BAD_CREATED_AT, f"created_at is {found(envelope, 'created_at')}.")
    try:
        created_at = parse_instant(moment)
    except ValueError as error:
        raise InvalidInput(Reason.BAD_CREATED_AT, f"created_at cannot be used: {error}.") from None
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise InvalidInput(Reason.BAD_DATA, f"data is {found(envelope, 'data')}, not an object.")
    position_id, status = _position_of(data)
    return Event(
        checked_id(event_id, "id"),
        sanitize_text(event_type),
        created_at,
        checked_id(position_id, "The position's id"),
        None if status is None else sanitize_text(status),
        raw,
    )


def _position_of(data: dict[str, object]) -> tuple[str, str | None]:
    own, status = string(data, "id"), string(data, "status")
    if own and status is not None:
        return own, status
    params = data.get("params")
    named = string(params, "position_id") if isinstance(params, dict) else None
    if named or (named := string(data, "position_id")):
        return named, None
    return own if own and own.startswith(POSITION_ID_PREFIX) else "", None
