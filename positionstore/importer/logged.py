"""Reads a line: an envelope, a row of another store's log, or a captured packet.

A row is what ``positionstore export events`` and ``tail --json`` write. It has what the envelope
lacks: when the fact was received, its source, and what a snapshot overrules. Everything else is
read from the envelope, as if it had just arrived.
"""

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from positionstore.dimes.decoder import decode
from positionstore.dimes.json_exact import InvalidInput, sanitize_text
from positionstore.dimes.packets import Unpacker
from positionstore.model.facts import (
    RETRACTION_TYPE,
    SNAPSHOT_TYPE,
    Event,
    Reason,
    Rejected,
    Retraction,
    Source,
)
from positionstore.model.timestamps import parse_instant

AROUND_AN_ENVELOPE: Final = 256 * 1024
"""Bytes that a row or a packet may have around its envelope."""

ROW: Final = b'{"seq":'
"""How an unchanged row of a log begins."""
_PACKET: Final = re.compile(rb"(?:42(?P<namespace>/[^,\[]{0,200},)?(?P<ack>[0-9]{0,20}))?\[")
_RETRACTION_ID: Final = re.compile(r"ret_[0-9a-f]{32}")

_SNAPSHOT: Final = SNAPSHOT_TYPE.encode()
_REST: Final = Source.REST.value.encode()
_USUAL: Final = re.compile(
    rb"""
    \{"id":\ ?"[^"\\]*",\ ?"type":\ ?"([^"\\]*)",\ ?"created_at":\ ?"[^"\\]*",
    \ ?"data":\ ?\{"id":\ ?"([^"\\]*)"(?:,\ ?"status":\ ?"([^"\\]*)")?
    """,
    re.VERBOSE,
)
_STATUS: Final = re.compile(rb'"status":\ ?"([^"\\]*)"')
_USUAL_ROW: Final = re.compile(
    rb"""
    \{"seq":[0-9]+,"event_id":"[^"\\]*","position_id":"([^"\\]*)",
    "type":"[^"\\]*","status":"([^"\\]*)","created_at":"[^"\\]*",
    "received_at":"[^"\\]*","source":"([^"\\]*)",
    """,
    re.VERBOSE,
)


class Logged(msgspec.Struct, frozen=True):
    """A fact of another store's log.

    Attributes:
        what: the event (also for a snapshot), or the retraction.
        received_at: when that store received it, UTC; None if the line does not say.
        source: its source there.
        supersedes_before: for a snapshot, what it overrules, UTC.
    """

    what: Event | Retraction
    received_at: datetime | None
    source: Source
    supersedes_before: datetime | None = None


Line = Event | Rejected | Logged
"""What a line is."""


class IncompleteSnapshotError(Exception):
    """A snapshot without ``supersedes_before``; guessing it would change positions."""


class _Row(msgspec.Struct):
    type: str
    received_at: str
    source: Source
    envelope: msgspec.Raw
    supersedes_before: str | None = None


class _Named(msgspec.Struct):
    position_id: str
    retracts: str
    reason: str


class _RetractionEnvelope(msgspec.Struct):
    data: _Named


_row_decoder: Final = msgspec.json.Decoder(_Row)
_retraction_decoder: Final = msgspec.json.Decoder(_RetractionEnvelope)
_json: Final = json.JSONDecoder(parse_float=str, parse_int=str)


def read_line(line: bytes) -> Line:
    """Read a line that is not blank.

    Raises:
        IncompleteSnapshotError: it is a snapshot without its ``supersedes_before``.
    """
    if line.startswith(ROW) and (row := _of_a_row(line)) is not None:
        return row
    what = decode(line)
    if isinstance(what, Event):
        if what.type in {SNAPSHOT_TYPE, RETRACTION_TYPE}:
            return _of_this_store(what)
        return what
    if line.startswith(b"{"):
        return _of_a_row(line) or what
    return _of_a_packet(line) or what


def subject_of(line: bytes) -> tuple[bytes, bytes]:
    """Return the position that a line seems to speak of, and its status; each empty if none.

    Usual lines are only looked at. That finds a wrong position where a key stands twice in an
    object; then of two events with one id the later one in the file may be the one that counts.

    Raises:
        IncompleteSnapshotError: it is a snapshot without its ``supersedes_before``.
    """
    if (usual := _USUAL.match(line)) is not None:
        type_, position, status = usual.groups()
        if type_ != _SNAPSHOT:
            if status is None and (later := _STATUS.search(line, usual.end())) is not None:
                status = later[1]
            return position, status or b""
    elif (row := _USUAL_ROW.match(line)) is not None:
        position, status, source = row.groups()
        if source != _REST:
            return position, status
    what = read_line(line)
    fact = what.what if isinstance(what, Logged) else what
    if isinstance(fact, Rejected):
        return b"", b""
    said = fact.status if isinstance(fact, Event) else None
    return fact.position_id.encode(), (said or "").encode()


def retraction_of(event: Event) -> Retraction | None:
    """Return the retraction in an envelope; None if it is not one of ours."""
    if event.type != RETRACTION_TYPE or not _RETRACTION_ID.fullmatch(event.event_id):
        return None
    try:
        named = _retraction_decoder.decode(event.envelope).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    parts = (named.position_id, named.retracts, named.reason)
    if not all(parts) or any(sanitize_text(part) != part for part in parts):
        return None
    retraction = Retraction(*parts, event.created_at)
    # Its id depends on its content: another id means a foreign or changed envelope.
    return retraction if retraction.event_id == event.event_id else None


def _of_this_store(event: Event) -> Line:
    """Return the fact of an envelope whose type is reserved for our own facts."""
    if event.type == SNAPSHOT_TYPE:
        raise IncompleteSnapshotError
    retraction = retraction_of(event)
    return event if retraction is None else Logged(retraction, None, Source.IMPORT)


def _of_a_row(line: bytes) -> Logged | Rejected | None:
    try:
        row, envelope = _row(line)
    except (ValueError, RecursionError):
        return None
    what = decode(envelope)
    try:
        return _logged(row, what)
    except InvalidInput as flaw:
        return Rejected(line, flaw.reason, f"This row of a log cannot be used: {flaw.detail}")


def _logged(row: _Row, what: Event | Rejected) -> Logged:
    """Return the fact in a row whose envelope says ``what``."""
    if isinstance(what, Rejected):
        raise InvalidInput(what.reason, what.detail)
    if sanitize_text(row.type) != what.type:
        raise InvalidInput(Reason.BAD_TYPE, "its envelope has another type.")
    try:
        received_at = parse_instant(row.received_at)
        before = None if row.supersedes_before is None else parse_instant(row.supersedes_before)
    except ValueError as error:
        raise InvalidInput(Reason.BAD_DATA, f"a moment: {error}.") from None
    if row.source is Source.REST:
        if before is None:
            raise IncompleteSnapshotError
        if what.status is None or before > what.created_at:
            raise InvalidInput(Reason.BAD_DATA, "it is from REST, and no snapshot.")
        return Logged(what, received_at, row.source, before)
    retraction = retraction_of(what) if row.source is Source.IMPORT else None
    return Logged(retraction or what, received_at, row.source)


def _row(line: bytes) -> tuple[_Row, bytes]:
    """Return a row of a log and its envelope.

    Raises:
        ValueError: it is not a row.
    """
    try:
        row = _row_decoder.decode(line)
    except msgspec.MsgspecError:
        # A lone surrogate somewhere in the envelope is no fault of it, and msgspec takes none.
        text = line.decode()
        key = '"envelope":'
        if (start := text.index(key) + len(key)) and text[start] == " ":
            start += 1
        _, end = _json.raw_decode(text, start)
        row = _row_decoder.decode(text[:start] + "null" + text[end:])
        return row, text[start:end].encode()
    return row, bytes(row.envelope)


def _of_a_packet(line: bytes) -> Event | None:
    """Return the event in a packet, or in the array of its name and its envelope."""
    match = _PACKET.match(line)
    if match is None:
        return None
    namespace = (match["namespace"] or b"/,").decode(errors="replace")
    packet = f"42{namespace}".encode() + line[match.end() - 1 :]
    what = _unpacker(namespace[:-1]).unpack(packet)
    if not isinstance(what, Event):
        return None
    envelope = what.envelope.strip()
    return (
        what
        if len(envelope) == len(what.envelope)
        else msgspec.structs.replace(what, envelope=envelope)
    )


@lru_cache(maxsize=16)
def _unpacker(namespace: str) -> Unpacker:
    return Unpacker(namespace)
