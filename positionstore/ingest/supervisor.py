"""Keeps a connection to the gateway up, for ever."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from positionstore.dimes.credentials import Credentials
from positionstore.dimes.failures import Verdict
from positionstore.dimes.gateway import PUT_OUT, Connection, End, refused
from positionstore.dimes.handshake import UnreachableError
from positionstore.dimes.recovery import Recovered, RecoverySession, recover
from positionstore.dimes.retrying import TransientError
from positionstore.errors import GatewayError
from positionstore.ingest.backoff import Backoff
from positionstore.ingest.backpressure import Backpressure
from positionstore.ingest.log_throttle import LoggedCauses
from positionstore.log import get_logger
from positionstore.model.facts import Source

_log = get_logger(__name__)

NO_ROOM: Final = "no room for more"
"""Why a connection was left that nothing was wrong with."""

CLOCK_SET: Final = "the clock was set"
"""Why a connection was replaced: its moments were of two clocks."""

_BASE_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 60.0
_PROVEN: Final = 30.0
"""Seconds: who stays connected so long after having been turned away is let in for good."""

Connect = Callable[[], Connection]
Sleep = Callable[[float], Awaitable[None]]
OnConnected = Callable[[], None]


class ConnectionListener(Protocol):
    """Who wants to know when connections begin and end."""

    def began(self, connection: Connection) -> None:
        """The gateway has let a connection in."""
        ...

    def ended(self, connection: Connection, reason: str) -> None:
        """A connection is over."""
        ...

    def recovered(self, connection: Connection, recovered: Recovered) -> None:
        """What was missed before a connection was fetched."""
        ...


class Supervisor:
    """Connects, waits for the end, connects again: a fresh client each time, with full jitter.

    What was emitted while no connection was up is fetched after the new one, where the gateway
    offers that; the hooks are called when that was tried once.

    It ends when it is asked to, or when the credentials are wrong. Every other loss is followed
    by another attempt; each state is logged once, not each attempt. A connection whose
    credentials expire is replaced before they do, one that has seen the clock being set at once:
    the new one is up before the old one goes.

    Args:
        gateway: which gateway.
        base_url: its host.
        credentials: evaluated again for each attempt.
        connect: makes a connection that is not open yet.
        listener: called at every connection's beginning and end.
        on_connected: called after each (re)connection, when the stream is attached.
        missed: the session of a process before this one.
        backpressure: while there is no room for what would come, no connection is held.
        cap: the longest wait between two attempts, seconds.
        random: draws a number from 0 to 1.
        sleep: waits for seconds.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        gateway: Source,
        base_url: str,
        credentials: Credentials,
        *,
        connect: Connect,
        listener: ConnectionListener,
        on_connected: Sequence[OnConnected] = (),
        missed: RecoverySession | None = None,
        backpressure: Backpressure | None = None,
        cap: float,
        random: Callable[[], float] = random.random,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._base_url = base_url
        self._credentials = credentials
        self._connect = connect
        self._listener = listener
        self._on_connected = on_connected
        self._backpressure = backpressure or Backpressure()
        self._backoff = Backoff(base=_BASE_WAIT, cap=cap, random=random)
        self._sleep = sleep
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._open_connections: list[Connection] = []
        self._missed = self._session = missed
        self._recoveries: set[asyncio.Task[None]] = set()
        self._turned_away = 0
        self._proof: asyncio.TimerHandle | None = None
        self._outage_began: float | None = None
        self._causes = LoggedCauses()

    async def run(self) -> None:
        """Keep connected until cancelled.

        Raises:
            CredentialsError: the credentials are refused; another attempt would be too.
        """
        try:
            while True:
                await self._backpressure.until_room()
                self._connection = await self._attach()
                began = self._monotonic()
                end = await self._hold()
                self._lost(end)
                if not end.at_the_door:
                    self._backoff.succeeded(lasted=self._monotonic() - began)
                await self._sleep(self._backoff.draw())
        finally:
            self._prove_nothing()
            for recovery in tuple(self._recoveries):
                recovery.cancel()
            await asyncio.gather(*self._recoveries, return_exceptions=True)
            # Together: each may take its time.
            await asyncio.gather(
                *(self._leave(one, "stopped") for one in tuple(self._open_connections))
            )

    async def _attach(self) -> Connection:
        while True:
            try:
                return await self._open()
            except GatewayError as error:
                asked = self._note_failure(error)
            await self._sleep(asked + self._backoff.draw())

    async def _open(self) -> Connection:
        connection = self._connect()
        await connection.open(self._base_url, self._credentials)
        self._open_connections.append(connection)
        self._listener.began(connection)
        self._note_success()
        if self._missed is None:
            self._call_hooks()
        else:
            recovery = asyncio.ensure_future(self._recover(self._missed, connection))
            self._missed = None
            self._recoveries.add(recovery)
            recovery.add_done_callback(self._recoveries.discard)
        return connection

    def _call_hooks(self) -> None:
        for hook in self._on_connected:
            # Not from here: a hook that fails must not cost the connection.
            asyncio.get_running_loop().call_soon(hook)

    async def _recover(self, session: RecoverySession, connection: Connection) -> None:
        """Fetch what was missed before a connection."""
        recovered = await recover(
            session, self._resume, sleep=self._sleep, on_first_try=self._call_hooks
        )
        if recovered is not None:
            self._listener.recovered(connection, recovered)

    async def _resume(self, session: RecoverySession) -> Recovered | None:
        """Recover a session over a connection of its own, on which nothing else depends."""
        connection = self._connect()
        try:
            await connection.open(self._base_url, self._credentials, resume=session)
            until = connection.connected_at
            if until is None or not connection.has_resumed(session):
                return None
            return Recovered(
                session.seen_until, until, connection.replayed, is_whole=session.replays_all
            )
        finally:
            await connection.close()

    async def _hold(self) -> End:
        """Wait for the end, through as many renewals as it takes."""
        while True:
            current = self._connection
            if current is None:
                raise RuntimeError("there is no connection to hold")
            ended = asyncio.ensure_future(self._end_of(current))
            successor = asyncio.ensure_future(self._open_successor(current))
            try:
                await asyncio.wait({ended, successor}, return_when=asyncio.FIRST_COMPLETED)
                if not successor.done():
                    # Before leaving, which takes a while: a client let in then would have no owner.
                    await _cancelled(successor)
                if not successor.cancelled():
                    self._connection = successor.result()
                    await self._leave(
                        current, CLOCK_SET if current.clock_set.is_set() else "renewed"
                    )
                    continue
                end = ended.result()
                self._connection = None
                await self._leave(current, end.reason)
                if end.reason == PUT_OUT:
                    # Such a session is not kept. To ask for it could end the fresh connection,
                    # too, where a gateway lets in one at a time, and so on for ever.
                    self._session = None
                self._missed = self._session
                return end
            finally:
                await _cancelled(ended)
                await _cancelled(successor)

    async def _end_of(self, connection: Connection) -> End:
        """Wait until a connection ends, or has to because there is no room for what it brings."""
        ended = asyncio.ensure_future(connection.wait())
        full = asyncio.ensure_future(self._backpressure.until_full())
        try:
            await asyncio.wait({ended, full}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else End(NO_ROOM)
        finally:
            ended.cancel()
            full.cancel()

    async def _open_successor(self, connection: Connection) -> Connection:
        """Wait until a connection is to be replaced, and open the one that does so."""
        due = connection.renew_after
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(connection.clock_set.wait())]
        if due is not None:
            waiting.append(asyncio.ensure_future(self._sleep(due)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        backoff = Backoff(
            base=_BASE_WAIT,
            cap=max(_BASE_WAIT, _LONGEST_WAIT if due is None else due / 10),
            random=random.random,
        )
        if connection.clock_set.is_set():
            _log.warning("clock_set", gateway=self._gateway)
            await self._sleep(backoff.draw())  # it may be set all the time
        while True:
            try:
                return await self._open()
            except GatewayError as error:
                asked = self._note_failure(error)
            await self._sleep(asked + backoff.draw())

    async def _leave(self, connection: Connection, reason: str) -> None:
        self._open_connections.remove(connection)
        await connection.close()
        # Where nothing came over it, the session before it still tells all since its own offset.
        self._session = connection.session or self._session
        self._listener.ended(connection, reason)

    def _lost(self, end: End) -> None:
        self._prove_nothing()
        if self._outage_began is None:
            self._outage_began = self._monotonic()
        if end.verdict is Verdict.CREDENTIALS:
            raise refused(self._gateway, end, self._credentials)
        if not end.at_the_door:
            _log.warning("gateway_lost", gateway=self._gateway, reason=end.reason, said=end.words)
            return
        self._turned_away += 1
        if self._causes.is_new(end.words, kind=end.reason):
            # Not clear, and so not acted on: a person has to read it.
            tell = _log.error if end.verdict is Verdict.UNCLEAR else _log.warning
            tell("gateway_turned_away", gateway=self._gateway, reason=end.reason, said=end.words)

    def _note_failure(self, error: GatewayError) -> float:
        """Say what an attempt failed of, once. Returns the seconds that the server asked for."""
        if self._outage_began is None:
            self._outage_began = self._monotonic()
        lasting, kind = False, ""
        if isinstance(error, UnreachableError):
            lasting, kind = error.lasting, error.kind
        if self._causes.is_new(str(error), kind=kind):
            tell = _log.error if lasting else _log.warning
            tell("gateway_unreachable", gateway=self._gateway, cause=str(error))
        return (error.asked or 0.0) if isinstance(error, TransientError) else 0.0

    def _note_success(self) -> None:
        if self._turned_away:
            # It was let in before, too, and turned away then.
            self._prove_nothing()
            self._proof = asyncio.get_running_loop().call_later(_PROVEN, self._connected)
        else:
            self._connected()

    def _connected(self) -> None:
        self._proof = None
        away = {}
        if self._outage_began is not None:
            away = {"seconds_away": round(self._monotonic() - self._outage_began, 1)}
        if attempts := self._causes.repeated:
            away["more_attempts"] = attempts
        self._outage_began = None
        self._turned_away = 0
        self._causes.forget()
        _log.info("gateway_connected", gateway=self._gateway, **away)

    def _prove_nothing(self) -> None:
        if self._proof is not None:
            self._proof.cancel()
            self._proof = None


async def _cancelled(task: asyncio.Future[End] | asyncio.Future[Connection]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
