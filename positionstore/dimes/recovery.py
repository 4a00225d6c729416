"""Fetches the events of an outage from a gateway with connection state recovery.

Such a gateway sends a private session id (``pid``) when it accepts a connection, and adds an offset
to each event. A client that sends both again, with its credentials, receives the missed events
before the gateway's answer. The session was recovered if that answer has the same ``pid``.

A recovered socket can stop receiving events after another outage (socket.io #4880). So the live
connection is always a fresh one, opened first, and the session is recovered over a second one,
which is closed at once. If the server still believes in the old connection, it does not recover
the session; it is asked again when it must have given that connection up.

``pid`` and offset are secrets while the gateway remembers the session.

Source: ``Connection state recovery`` of the Socket.IO documentation, and socket.io 4.8.4.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from positionstore.errors import CredentialsError, GatewayError
from positionstore.log import get_logger

_log = get_logger(__name__)

MOST_PATIENCE: Final = 600.0
"""The longest wait for a server to give an old connection up, seconds, whatever it announces."""


@dataclass(slots=True)
class Replay:
    """What a gateway has shown, over all connections to it, of what it would send again.

    Attributes:
        of_all: whether that is each event so far.
    """

    of_all: bool = True


@dataclass(frozen=True, slots=True)
class RecoverySession:
    """The session of a lost connection, to fetch its missed events with.

    Attributes:
        pid: the gateway's private id of the session. A secret.
        offset: the offset of the last event received. A secret.
        seen_until: everything emitted up to this moment was received, UTC.
        patience: seconds after which the gateway gives up a connection that does not answer.
        replays_all: whether the gateway has sent only events that it would send again.
    """

    pid: str = field(repr=False)
    offset: str = field(repr=False)
    seen_until: datetime
    patience: float
    replays_all: bool = True


@dataclass(frozen=True, slots=True)
class Recovered:
    """A period whose missed events were fetched.

    Attributes:
        since: the last proof of life before it, UTC.
        until: when the gateway had sent everything, UTC.
        events: the number of events.
        is_whole: whether these are all events that were missed, so that no run needs to repair it.
    """

    since: datetime
    until: datetime
    events: int
    is_whole: bool = True

    def joined(self, other: "Recovered | None") -> "Recovered":
        """Return both periods as one.

        If they do not meet, the earlier period is left out and its gap needs repair, since the time
        in between is unknown. Its events are counted.
        """
        if other is None:
            return self
        if self.since > other.until or other.since > self.until:
            later = self if self.since > other.since else other
            return Recovered(later.since, later.until, self.events + other.events)
        since, until = min(self.since, other.since), max(self.until, other.until)
        return Recovered(since, until, self.events + other.events)


Attempt = Callable[[RecoverySession], Awaitable[Recovered | None]]
"""Tries once over a connection of its own; None if the gateway did not recover the session."""


async def recover(
    session: RecoverySession,
    attempt: Attempt,
    *,
    sleep: Callable[[float], Awaitable[None]],
    on_first_try: Callable[[], None],
) -> Recovered | None:
    """Fetch what was missed since a connection was lost.

    Args:
        session: that connection's session.
        attempt: makes one attempt.
        sleep: waits for seconds.
        on_first_try: called after the first attempt, whatever its result.

    Returns:
        The period; None if the gateway does not remember the session.
    """
    try:
        recovered = await _try(session, attempt)
    finally:
        on_first_try()
    if recovered is None:
        await sleep(min(session.patience, MOST_PATIENCE))
        recovered = await _try(session, attempt)
    if recovered is None:
        _log.info("session_not_recovered", since=session.seen_until.isoformat())
    elif recovered.is_whole:
        _log.info("session_recovered", since=recovered.since.isoformat(), events=recovered.events)
    else:
        since = recovered.since.isoformat()
        _log.info("session_recovered_in_part", since=since, events=recovered.events)
    return recovered


async def _try(session: RecoverySession, attempt: Attempt) -> Recovered | None:
    try:
        return await attempt(session)
    except (GatewayError, CredentialsError):
        # The fresh connection is up, or tells what is wrong: this one is a courtesy.
        return None
