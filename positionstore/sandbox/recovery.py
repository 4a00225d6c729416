"""Connection state recovery, as the official Socket.IO server has it since 4.6.

If enabled, the CONNECT answer has a private session id (``pid``), each event has an offset after
its arguments, and a client that sends both again receives what it missed before the CONNECT
answer.

Source: ``Connection state recovery`` of the Socket.IO documentation, and socket.io 4.8.4.
"""

import json
import secrets
import string
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from positionstore.sandbox.clock import Clock
from positionstore.sandbox.credentials import Scope
from positionstore.sandbox.faults import Faults

PID_PREFIX: Final = "sbx_pid_"
"""How each private session id of the sandbox begins, for tests that look for secrets."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase + "-_"


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that can be sent again.

    Attributes:
        offset: its offset.
        at: when it was emitted, microseconds since 1970.
        event: its name, as JSON text.
        arguments: the arguments' JSON texts with the offset behind them, joined by commas.
        partner: the partner; None for all.
        wallet: the customer; None for all.
        attachments: its binary attachments.
    """

    offset: str
    at: int
    event: str
    arguments: str
    partner: int | None
    wallet: str | None
    attachments: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class SavedSession:
    """What the server remembers of a client.

    Attributes:
        pid: the private session id.
        sid: the first session id of the client.
        namespace: the gateway.
        scope: what the client may see.
        ended_at: when its connection ended, microseconds since 1970.
    """

    pid: str
    sid: str
    namespace: str
    scope: Scope
    ended_at: int = 0


class SessionStore:
    """The server's memory of recent events and of clients whose connection was lost.

    Args:
        clock: the server's time.
        window: for how many seconds both are remembered; 0 switches recovery off.
        faults: the failure modes in force.
    """

    def __init__(self, clock: Clock, window: float, faults: Faults) -> None:
        self.window = window
        self._clock = clock
        self._faults = faults
        self._emitted: deque[Emitted] = deque()
        self._sessions: dict[str, SavedSession] = {}
        self._last_moment = -1
        self._repeated = 0

    @property
    def is_on(self) -> bool:
        """Whether clients can recover at all."""
        return self.window > 0

    @staticmethod
    def new_pid() -> str:
        """Return an unguessable private session id."""
        return PID_PREFIX + secrets.token_urlsafe(12)

    def next_offset(self) -> str:
        """Return a new offset, in the format of the active adapter."""
        moment = self._clock.now() // 1000
        if moment == self._last_moment:
            self._repeated += 1
        else:
            self._last_moment, self._repeated = moment, 0
        if self._faults.recovery_adapter == "redis-streams":
            return f"{moment}-{self._repeated}"
        text = ""
        while moment:
            moment, digit = divmod(moment, len(_ALPHABET))
            text = _ALPHABET[digit] + text
        return f"{text}.{self._repeated - 1}" if self._repeated else text

    def remember(
        self,
        event: str,
        arguments: str,
        *,
        partner: int | None,
        wallet: str | None,
        attachments: Sequence[bytes] = (),
    ) -> str:
        """Keep an event; return its arguments with the offset behind them."""
        offset = self.next_offset()
        carried = f"{arguments}{',' if arguments else ''}{json.dumps(offset)}"
        now = self._clock.now()
        self._emitted.append(
            Emitted(offset, now, event, carried, partner, wallet, tuple(attachments))
        )
        while self._emitted and self._is_over(self._emitted[0].at):
            self._emitted.popleft()
        return carried

    def save(self, session: SavedSession) -> None:
        """Keep a client's session, whose connection has just been lost."""
        for each in [each for each in self._sessions.values() if self._is_over(each.ended_at)]:
            del self._sessions[each.pid]
        self._sessions[session.pid] = replace(session, ended_at=self._clock.now())

    def restore(
        self, auth: object, namespace: str, scope: Scope
    ) -> tuple[SavedSession, list[Emitted]] | None:
        """Return the session a client asks for and what it missed; None if unavailable.

        Args:
            auth: the CONNECT payload.
            namespace: the gateway.
            scope: what the client's credentials let it see.
        """
        fields = auth if isinstance(auth, Mapping) else {}
        pid, offset = fields.get("pid"), fields.get("offset")
        if self._faults.recovery_forgets or not (isinstance(pid, str) and isinstance(offset, str)):
            return None
        session = self._sessions.get(pid)
        if session is None or (session.namespace, session.scope) != (namespace, scope):
            return None
        if self._faults.recovery_adapter == "redis-streams":
            del self._sessions[pid]  # it can be had once, whatever comes of it
        if self._is_over(session.ended_at):
            return None
        emitted = list(self._emitted)
        for number, each in enumerate(emitted):
            if each.offset == offset and not self._is_over(each.at):
                missed = emitted[number + 1 :]
                return session, [it for it in missed if scope.may_see(it.partner, it.wallet)]
        return None

    def _is_over(self, moment: int) -> bool:
        return moment < self._clock.now() - round(self.window * 1_000_000)
