"""Reads every frame of an Engine.IO connection before the library does.

The tap takes every event out of the stream, at once and in order, and lets the few frames that
keep the connection going (open, ping, close, and Socket.IO's connect) pass on to python-socketio.
It also sees what the library does not report: the time of the last frame of any kind, and a
disconnect right after a connect.

Nothing here does I/O or raises: an invalid frame becomes a
:class:`~positionstore.model.facts.Rejected`.

Source: the Engine.IO protocol, revision 4, and the Socket.IO protocol, revision 5.
"""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from positionstore.dimes.jumps import ClockJumpDetector
from positionstore.dimes.packets import (
    EVENT,
    Unpacker,
    has_offset,
    is_never_replayed,
    offset_of,
    without_offset,
)
from positionstore.dimes.recovery import Replay
from positionstore.model.facts import Event, Reason, Rejected
from positionstore.redaction import redacted

_CONTROL: Final = re.compile(
    r"(?P<kind>4[014])(?:(?P<namespace>/[^,]*)(?:,|\Z))?(?P<body>.*)", re.DOTALL
)
_ATTACHMENTS: Final = re.compile(r"45(?P<count>[0-9]{1,9})-")
_SEPARATOR: Final = "\x1e"
_MOST_BINARY: Final = 16 * 1024 * 1024
_MOST_ATTACHMENTS: Final = 1_000
"""A packet may announce a billion of them; it is not waited for longer than this."""

_ENGINE: Final = frozenset("01236")
_TELLING: Final = '"unauthorized"'
"""An event whose name says what is wrong, and is kept with its arguments."""

_ERRORS: Final = ('"error"', '"exception"', _TELLING)
_OLD_GREETING: Final = "40"
"""A server of Socket.IO 2 joins every client to the namespace ``/``, unasked."""

Deliver = Callable[[str | Rejected, datetime], None]
"""Takes an event's packet, or what is wrong with a frame, and the time it was received."""


class _Connected(msgspec.Struct):
    pid: str | None = None


class FrameFilter:
    """One connection's frames, sorted.

    Args:
        namespace: the namespace to join.
        deliver: takes each event's packet.
        jumps: the time, and whether the clock was set meanwhile.
        on_connected: called when the gateway has let us into the namespace, with the time.
        on_error: called with the arguments of an ``error`` event, a JSON array. An ``exception``
            event (NestJS) and an ``unauthorized`` event count too, unless they are envelopes.
        on_refused: called with the body of a refused namespace, JSON.
        on_old_server: called when the server turns out to speak the protocol of Socket.IO 2.
        on_disconnected: called when the gateway has disconnected us from the namespace.
        on_jump: called when the clock was set since the last frame.
        replay: what the gateway has shown of what it would send again; is kept up to date.

    Attributes:
        last_frame_at: when the last frame of any kind was received; None before the first. After a
            jump of the clock it does not change: the time in between is unknown.
        events: how many events were taken.
        pid: the private id of a session that can be recovered; None if the gateway does not
            offer that, or has not let us in yet. A secret.
        patience: after how many seconds without an answer the gateway gives a connection up
            (``pingInterval`` and ``pingTimeout``); None before it has said so.
    """

    def __init__(
        self,
        namespace: str,
        *,
        deliver: Deliver,
        jumps: ClockJumpDetector,
        on_connected: Callable[[datetime], None],
        on_error: Callable[[str], None],
        on_refused: Callable[[str], None],
        on_disconnected: Callable[[], None],
        on_old_server: Callable[[], None],
        on_jump: Callable[[], None],
        replay: Replay,
    ) -> None:
        self.last_frame_at: datetime | None = None
        self.events = 0
        self.pid: str | None = None
        self.patience: float | None = None
        self._last_with_offset: str | None = None
        self._namespace = namespace
        self._unpacker = Unpacker(namespace)
        self._event = f"{EVENT}{namespace},["
        self._deliver = deliver
        self._jumps = jumps
        self._has_jumped = False
        self._on_connected = on_connected
        self._on_error = on_error
        self._on_refused = on_refused
        self._on_disconnected = on_disconnected
        self._on_old_server = on_old_server
        self._on_jump = on_jump
        self._replay = replay
        self._binary: list[str] = []
        self._binary_length = self._missing = 0

    @property
    def offset(self) -> str | None:
        """The offset of the last event; None if the gateway gave none. A secret."""
        packet = self._last_with_offset
        return None if packet is None else offset_of(packet)

    def take(self, frame: str | bytes) -> bool:
        """Take a frame. Returns whether it was kept; the others belong to the library."""
        at, jumped = self._jumps.look()
        kept = True
        try:
            if isinstance(frame, str) and frame.startswith(self._event):
                if frame.startswith(_ERRORS, len(self._event)):
                    self._error(frame, at)
                else:
                    self.events += 1
                    self._deliver(frame, at)
            else:
                kept = self._sort(frame, at)
        except Exception as error:  # noqa: BLE001 - whatever a frame does to us, it is kept
            what = f"It could not be handled: {error.__class__.__name__}."
            self._deliver(Rejected(_raw(frame), Reason.INTERNAL_ERROR, what), at)
        if isinstance(frame, str):
            if has_offset(frame):
                self._last_with_offset = frame
            elif self.pid is not None and self._replay.of_all:
                self._replay.of_all = not is_never_replayed(frame)
        # Only now: who reads this time may rely on all up to it having been delivered.
        if jumped or self._has_jumped:
            self._note(at, jumped=jumped)
        else:
            self.last_frame_at = at
        return kept

    def _note(self, at: datetime, *, jumped: bool) -> None:
        if jumped:
            self._has_jumped = True
            self._on_jump()
        if not self._has_jumped:
            self.last_frame_at = at

    def prove_alive(self) -> None:
        """A ping or the answer to one came, below Engine.IO: the other side is alive."""
        at, jumped = self._jumps.look()
        self._note(at, jumped=jumped)

    def flush(self) -> None:
        """The connection has ended: keep an incomplete binary packet."""
        if self._binary:
            self._deliver_binary(self.last_frame_at or self._jumps.look()[0])

    def _sort(self, frame: str | bytes, at: datetime) -> bool:
        if isinstance(frame, bytes):
            self._attachment(frame, at)
            return True
        if frame[:1] in _ENGINE and frame:
            return self._engine(frame, at)
        if frame.startswith(EVENT):
            self.events += 1
            self._deliver(frame, at)
            return True
        if (header := _ATTACHMENTS.match(frame)) is not None:
            self.flush()
            self._binary, self._binary_length = [frame], len(frame)
            self._missing = min(int(header["count"]), _MOST_ATTACHMENTS)
            if not self._missing:
                self._deliver_binary(at)
            return True
        control = _CONTROL.fullmatch(frame)
        if control is None:
            self._reject(frame, Reason.WRONG_ARGUMENTS, "It is no packet of a gateway.", at)
            return True
        return self._control(control, frame, at)

    def _engine(self, frame: str, at: datetime) -> bool:
        if frame[0] != "0":
            return False
        try:
            opened = msgspec.json.decode(frame[1:], type=dict[str, object])
        except (ValueError, RecursionError):
            self._reject(frame, Reason.NOT_JSON, "It opens a connection without an object.", at)
            return True
        parts = [opened.get("pingInterval"), opened.get("pingTimeout")]
        self.patience = sum(part for part in parts if isinstance(part, int)) / 1000
        return False

    def _control(self, control: re.Match[str], frame: str, at: datetime) -> bool:
        body = control["body"]
        if frame == _OLD_GREETING:
            self._on_old_server()
        elif (control["namespace"] or "/") != self._namespace:
            detail = f"It concerns namespace {redacted(control['namespace'] or '/')}."
            self._reject(frame, Reason.WRONG_ARGUMENTS, detail, at)
        elif body and not _is_json_object(body) and control["kind"] != "44":
            self._reject(frame, Reason.NOT_JSON, "It says no JSON object.", at)
        elif control["kind"] == "40":
            self.pid = _pid_in(body)
            self._on_connected(at)
            return False
        elif control["kind"] == "41":
            self._on_disconnected()
        else:
            self._on_refused(body)
        return True

    def _error(self, frame: str, at: datetime) -> None:
        # An envelope is an event under any name.
        if isinstance(self._unpacker.unpack(frame.encode()), Event):
            self.events += 1
            self._deliver(frame, at)
            return
        text = without_offset(frame, recoverable=self.pid is not None)
        if text.startswith(_TELLING, len(self._event)):
            self._on_error(text[len(self._event) - 1 :])
            return
        name = next(each for each in _ERRORS if text.startswith(each, len(self._event)))
        self._on_error("[" + text[len(self._event) + len(name) :].lstrip(" ,"))

    def _attachment(self, frame: bytes, at: datetime) -> None:
        self._binary.append("b" + base64.b64encode(frame).decode())
        self._binary_length += len(self._binary[-1])
        self._missing -= 1
        if self._missing <= 0 or self._binary_length > _MOST_BINARY:
            self._deliver_binary(at)

    def _deliver_binary(self, at: datetime) -> None:
        # The form that Engine.IO itself gives to several packets in one text.
        whole = _SEPARATOR.join(self._binary)
        self._binary, self._binary_length, self._missing = [], 0, 0
        detail = "It carries binary data, which no position has."
        self._reject(whole, Reason.BINARY_ATTACHMENT, detail, at)

    def _reject(self, frame: str, reason: Reason, detail: str, at: datetime) -> None:
        self._deliver(Rejected(_raw(frame), reason, detail), at)


def _raw(frame: str | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.encode(errors="surrogatepass")


def _pid_in(body: str) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Connected).pid if body else None
    except (ValueError, RecursionError):
        return None


def _is_json_object(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, object])
    except (ValueError, RecursionError):
        return False
    return True
