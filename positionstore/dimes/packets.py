"""Decodes Socket.IO packets into events, without changing their text.

A gateway sends ``42<namespace>,["<name>",<envelope>]``; one with connection state recovery adds an
offset, ``42<namespace>,["<name>",<envelope>,"<offset>"]``. The envelope is cut out as
bytes. Any other packet (no argument, two envelopes, an array, a broken text) becomes a
:class:`~positionstore.model.facts.Rejected` that keeps it whole.

Source: the Socket.IO protocol, revision 5, and the vendor's document, "Event envelope".
"""

import json
import re
from typing import Final, NoReturn

from positionstore.dimes.decoder import decode
from positionstore.model.facts import Event, Reason, Rejected
from positionstore.redaction import redacted

EVENT: Final = "42"
"""How an event's packet begins: the Engine.IO type *message*, the Socket.IO type *event*."""

_OFFSET: Final = re.compile(rb',"[ !#-\[\]-~]*"\]')
"""An offset in plain characters behind an envelope. Others are read with care."""

_BLANK: Final = frozenset(" \t\n\r")
_HEADER: Final = re.compile(
    r"4(?:2|(?P<attachments>5[0-9]+-))(?:(?P<namespace>/[^,]*)(?:,|\Z))?(?P<ack>[0-9]*)"
)
"""An event's packet up to its arguments."""


class Unpacker:
    """Reads the event packets of one namespace.

    Args:
        namespace: the namespace that was joined, with its leading slash.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._head = f'{EVENT}{namespace},["'.encode()

    def unpack(self, packet: bytes) -> Event | Rejected:
        """Return the event in a packet, or what is wrong with it.

        The event's name on the wire is ignored: the envelope's ``type`` counts, so unknown names
        are events too. An event with an acknowledgement is accepted; none is sent, since it is not
        in the log yet.
        """
        if packet.startswith(self._head) and packet.endswith(b"]"):
            name = len(self._head)
            quote = packet.find(b'"', name)
            if packet[quote + 1 : quote + 2] == b"," and b"\\" not in packet[name:quote]:
                end = len(packet) - 1
                if packet.endswith(b'"]'):
                    end = packet.rfind(b'},"') + 1
                    if _OFFSET.fullmatch(packet, end) is None:
                        return self._unpack_carefully(packet)
                what = decode(packet[quote + 2 : end])
                if isinstance(what, Event):
                    return what
        return self._unpack_carefully(packet)

    def _unpack_carefully(self, packet: bytes) -> Event | Rejected:
        try:
            argument = self._argument(packet.decode())
        except _MalformedError as error:
            return Rejected(packet, error.reason, str(error))
        except UnicodeDecodeError as error:
            return Rejected(packet, Reason.NOT_UTF8, f"It is not UTF-8 at byte {error.start}.")
        except RecursionError:
            return Rejected(packet, Reason.TOO_DEEP, "It nests too deeply to be read.")
        except ValueError as error:
            return Rejected(packet, Reason.NOT_JSON, f"Its arguments are no JSON: {error}.")
        what = decode(argument.encode())
        if isinstance(what, Rejected) and not argument.startswith("{"):
            # Without its packet, such a value would say nothing.
            return Rejected(packet, what.reason, what.detail)
        return what

    def _argument(self, packet: str) -> str:
        header = _HEADER.match(packet)
        if header is None or header["attachments"]:
            raise _MalformedError(Reason.WRONG_ARGUMENTS, "It is not an event packet.")
        if (namespace := header["namespace"] or "/") != self._namespace:
            raise _MalformedError(
                Reason.WRONG_ARGUMENTS, f"It came on namespace {redacted(namespace)}."
            )
        values = _elements(packet, header.end())
        if not values or not values[0].startswith('"'):
            raise _MalformedError(Reason.WRONG_ARGUMENTS, "It has no event name.")
        if len(values) < 2:
            raise _MalformedError(Reason.WRONG_ARGUMENTS, "It has no argument.")
        if any(value.startswith("{") for value in values[2:]):
            raise _MalformedError(
                Reason.WRONG_ARGUMENTS, f"It has {len(values) - 1} arguments, not one envelope."
            )
        return values[1]


def has_offset(packet: str) -> bool:
    """Whether a packet has an offset; quick where it is an envelope with one behind it."""
    if not packet.endswith('"]'):
        return False
    behind_an_object = packet.startswith('},"', packet.rfind('"', 0, -2) - 2)
    # An id to acknowledge would stand before the bracket.
    is_plain = packet.startswith(EVENT) and packet.startswith(',["', packet.find("[") - 1)
    return (is_plain and behind_an_object) or offset_of(packet) is not None


def offset_of(packet: str) -> str | None:
    """Return the offset in a packet of a gateway with connection state recovery.

    It is the last argument if that is a string and stands behind another one; its format depends on
    the server's adapter. A server adds none to an event that asks for an acknowledgement, nor to a
    volatile one, whose only argument may be a text: an older offset is safe, and that one is not.
    """
    header = _HEADER.match(packet)
    if header is None or header["ack"]:
        return None
    values = _readable_elements(packet, header.end())
    is_there = len(values) > 2 and values[-1].startswith('"')
    return str(json.loads(values[-1])) if is_there else None


def is_never_replayed(packet: str) -> bool:
    """Whether a packet without an offset is an event of ours that recovery would leave out.

    A gateway with connection state recovery adds an offset to each event that it would send again:
    not to a volatile one, nor to one that asks for an acknowledgement. An event without an object
    says nothing of a position.

    Source: the in-memory adapter of socket.io 4.8.4.
    """
    header = _HEADER.match(packet)
    values = [] if header is None else _readable_elements(packet, header.end())
    return len(values) > 1 and values[1].startswith("{")


def without_offset(packet: str, *, recoverable: bool) -> str:
    """Return a packet without the offset behind its arguments, for quoting it.

    Args:
        packet: an event's packet.
        recoverable: whether the gateway is known to add offsets. Otherwise a final string counts
            as one if it follows an object.
    """
    start = packet.find("[")
    values = _readable_elements(packet, start) if start >= 0 else []
    strings = len(values) > 1 and values[-1].startswith('"')
    if strings and (recoverable or values[-2].startswith("{")):
        return f"{packet[:start]}[{','.join(values[:-1])}]"
    return packet


class _MalformedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _readable_elements(text: str, start: int) -> list[str]:
    """Return the exact texts of a JSON array's elements; none if it cannot be read."""
    try:
        return _elements(text, start)
    except (ValueError, RecursionError):
        return []


def _elements(text: str, start: int) -> list[str]:
    """Return the exact texts of a JSON array's elements; none if it is not an array."""
    at = _skip(text, start)
    if not text.startswith("[", at):
        if text[at:].strip():
            _scan(text, at)
        return []
    elements: list[str] = []
    at = _skip(text, at + 1)
    if not text.startswith("]", at):
        while True:
            end = _scan(text, at)
            elements.append(text[at:end])
            at = _skip(text, end)
            if not text.startswith(",", at):
                break
            at = _skip(text, at + 1)
    if not text.startswith("]", at):
        raise ValueError(f"the array does not end at character {at}")
    if text[at + 1 :].strip():
        raise ValueError(f"something follows the array at character {at + 1}")
    return elements


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _BLANK:
        at += 1
    return at


def _scan(text: str, at: int) -> int:
    _, end = _decoder.raw_decode(text, at)
    return end


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


# Numbers are only skipped: neither a float's digits nor an int's length may matter.
_decoder: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)
