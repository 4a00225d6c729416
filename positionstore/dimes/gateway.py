"""One connection to a gateway: from the handshake to its end.

python-socketio speaks the protocol. It does not reconnect here; every connection has a new client.
It creates a task and a timer for each message, which is too slow for a burst, and swallows
exceptions of handlers. So the WebSocket it reads from is one of ours (aiohttp takes the
class as an option): a :class:`~positionstore.dimes.frames.FrameFilter` sees every frame first,
takes the events, and passes on the frames that keep the connection alive.

Source: the vendor's document, "Partner gateway", "Customer gateway", "Authentication errors".
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Self

import aiohttp
import socketio

from positionstore.dimes.complaint import complaint
from positionstore.dimes.credentials import Credentials
from positionstore.dimes.failures import GatewayFailure, Verdict, classify
from positionstore.dimes.frames import Deliver, FrameFilter
from positionstore.dimes.handshake import (
    LOST,
    SOCKETIO_2,
    Answer,
    UnreachableError,
    not_let_in,
    not_opened,
    not_reached,
)
from positionstore.dimes.http import causes, distrust, trusted
from positionstore.dimes.jumps import ClockJumpDetector
from positionstore.dimes.pinger import Pinger
from positionstore.dimes.proxy import Proxy, proxy_for, proxy_trouble
from positionstore.dimes.recovery import RecoverySession, Replay
from positionstore.errors import CredentialsError
from positionstore.model.facts import Source
from positionstore.settings import Settings

NAMESPACES: Final = {
    Source.PARTNER: "/v1/ws/prediction-markets/positions",
    Source.CUSTOMER: "/v1/ws/prediction-markets/customer-positions",
}
MAX_MESSAGE: Final = 256 * 1024 * 1024
"""The longest message that is taken, in bytes; a longer one would end the connection."""

_WINDOW_BITS: Final = 15  # the widest that permessage-deflate knows
_PING: Final = "2"
"""The Engine.IO packet that a server sends to hear whether we are there."""

PUT_OUT: Final = "disconnected by the gateway"
"""How a connection ended that the gateway did not want any more; it forgets the session, too."""

_HANDSHAKE_TIMEOUT: Final = 30.0
_CLOSE_TIMEOUT: Final = 2.0
_AT_THE_DOOR: Final = 30.0
"""For how many seconds after its start a connection may still be turned away."""

# Both libraries attach handlers of their own to standard error, and log what they send.
_silent: Final = logging.getLogger("positionstore.silent")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.setLevel(logging.CRITICAL + 1)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """The options of a WebSocket.

    Attributes:
        proxy: the proxy; None for a direct connection.
        ping_every: seconds of silence after which the other side is pinged.
        compression: whether to request permessage-deflate.
    """

    proxy: Proxy | None = None
    ping_every: float = 15.0
    compression: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the options of the settings.

        Raises:
            ConfigurationError: the URL of the proxy is invalid.
        """
        return cls(proxy_for(settings), settings.ping_every, settings.stream_compression)


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended.

    Attributes:
        reason: a few words, for a log line or a table.
        verdict: whether the credentials are to blame.
        words: the gateway's text, without secrets; may be empty.
        at_the_door: whether the gateway refused us, before or soon after the start.
    """

    reason: str
    verdict: Verdict = Verdict.PASSING
    words: str = ""
    at_the_door: bool = False


class Connection:
    """A connection to a gateway.

    Args:
        gateway: the gateway.
        deliver: takes each event's packet, or what is wrong with a frame.
        on_error: takes the text of an ``error`` event.
        taken: awaited after each kept frame, before the next is read.
        before_ping: awaited before a ping of the server is answered.
        options: the options of the WebSocket.
        replay: what earlier connections have shown of what the gateway would send again.
        clock: the current time, UTC.
        monotonic: a monotonic clock, seconds.

    Raises:
        ConfigurationError: ``SSL_CERT_FILE`` names no certificates.

    Attributes:
        gateway: the gateway.
        connected_at: when the gateway accepted us, UTC; None before.
        renew_after: seconds after which it should be replaced by one with new credentials.
        replayed: how many events had arrived when the gateway accepted us: those of a recovered
            session.
        clock_set: set when the clock was set. The connection should then be replaced: it is no
            longer a proof of life, since it would span time that never was, or hide some.
    """

    def __init__(
        self,
        gateway: Source,
        *,
        deliver: Deliver,
        on_error: Callable[[str], None],
        taken: Callable[[], Awaitable[None]] | None = None,
        before_ping: Callable[[], Awaitable[None]] | None = None,
        options: SocketOptions = SocketOptions(),
        replay: Replay | None = None,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._taken = taken
        self._replay = replay or Replay()
        self._proxy = options.proxy
        self._pinger = Pinger(
            options.ping_every, on_silence=lambda: self._finish(End("no answer to a ping"))
        )
        self._before_ping = before_ping
        self._trust = trusted()
        self.gateway = gateway
        self.connected_at: datetime | None = None
        self.renew_after: float | None = None
        self.replayed = 0
        self.clock_set = asyncio.Event()
        self._on_error = on_error
        self._clock = clock
        loop = asyncio.get_running_loop()
        self._entered: asyncio.Future[End | None] = loop.create_future()
        self._ended: asyncio.Future[End | None] = loop.create_future()
        self._who = f"The {gateway} gateway"
        self._shown: tuple[str, ...] = ()
        self._error: GatewayFailure | None = None
        self._events_before_error = 0
        self._of_tokens = {Verdict.STALE: Verdict.UNCLEAR, Verdict.TOKEN: Verdict.UNCLEAR}
        self._minted = False
        self._answer = Answer()
        self._tap = FrameFilter(
            NAMESPACES[gateway],
            deliver=deliver,
            jumps=ClockJumpDetector(clock, monotonic),
            on_connected=self._let_in,
            on_error=self._note_error,
            on_refused=self._turn_away,
            on_disconnected=self._put_out,
            on_old_server=self._too_old,
            on_jump=self.clock_set.set,
            replay=self._replay,
        )
        self._http: aiohttp.ClientSession | None = None
        self._responses: list[aiohttp.ClientResponse] = []
        self._client = socketio.AsyncClient(
            reconnection=False,
            handle_sigint=False,
            logger=_silent,
            engineio_logger=_silent,
            http_session=self._open_http,
            websocket_extra_options={
                "max_msg_size": MAX_MESSAGE,
                # Pongs are ours to see: they prove that the other side is alive.
                "autoping": False,
                "compress": _WINDOW_BITS if options.compression else 0,
                **({} if options.proxy is None else {"proxy": options.proxy.url}),
            },
        )
        # '*' does not receive it.
        self._client.on("disconnect", self._dropped, namespace=NAMESPACES[gateway])

    @property
    def last_packet_at(self) -> datetime | None:
        """When the last packet of any kind was received, pings included; UTC."""
        return self._tap.last_frame_at

    @property
    def session(self) -> RecoverySession | None:
        """The session to fetch later events with; None if it cannot be recovered."""
        # The offset last: everything up to it was delivered before it was noted.
        pid, patience, seen_until = self._tap.pid, self._tap.patience, self.last_packet_at
        offset = self._tap.offset
        if pid is None or offset is None or patience is None or seen_until is None:
            return None
        return RecoverySession(pid, offset, seen_until, patience, replays_all=self._replay.of_all)

    def has_resumed(self, session: RecoverySession) -> bool:
        """Whether the gateway has recovered this session."""
        return self._tap.pid == session.pid

    @property
    def events(self) -> int:
        """How many events have been received."""
        return self._tap.events

    async def open(
        self, base_url: str, credentials: Credentials, *, resume: RecoverySession | None = None
    ) -> None:
        """Connect, and wait until the gateway has accepted us.

        Args:
            base_url: the gateway's host.
            credentials: the credentials.
            resume: the session whose missed events are requested.

        Raises:
            CredentialsError: the credentials are refused.
            GatewayError: the gateway cannot be reached, or does not accept us at the moment.
        """
        handshake = await credentials.handshake()
        self.renew_after = handshake.renew_after
        secrets = {} if resume is None else {"pid": resume.pid, "offset": resume.offset}
        self._of_tokens = {
            Verdict.STALE: credentials.when_stale,
            Verdict.TOKEN: credentials.when_invalid,
        }
        self._minted = credentials.when_stale is Verdict.PASSING
        shown = (*handshake.auth.values(), *handshake.headers.values())
        self._shown = tuple(value.rpartition(" ")[2] for value in shown)
        try:
            async with asyncio.timeout(_HANDSHAKE_TIMEOUT):
                await self._client.connect(
                    base_url,
                    headers=dict(handshake.headers),
                    auth={**handshake.auth, **secrets},
                    transports=["websocket"],
                    namespaces=[NAMESPACES[self.gateway]],
                    wait=False,
                )
                await asyncio.wait(
                    {self._entered, self._ended}, return_when=asyncio.FIRST_COMPLETED
                )
        except TimeoutError:
            end = self._refusal("no answer in time")
            await self.close()
            if end.verdict is Verdict.CREDENTIALS:
                raise refused(self.gateway, end, credentials) from None
            said = f" ({end.words})" if end.words else ""
            raise UnreachableError(
                f"{self._who} did not answer within {_HANDSHAKE_TIMEOUT:.0f} s{said}.",
                kind="timeout",
            ) from None
        except Exception as error:  # noqa: BLE001 - no fault of a library may end the process
            await self.close()
            self._explain(error, base_url, credentials, shown=bool(handshake.headers))
        except asyncio.CancelledError:
            await self.close()
            raise
        if not self._entered.done():
            end = self._ended.result() or End(LOST)
            await self.close()
            if end.verdict is Verdict.CREDENTIALS:
                raise refused(self.gateway, end, credentials)
            raise not_let_in(
                self._who,
                reason=end.reason,
                words=end.words,
                unclear=end.verdict is Verdict.UNCLEAR,
            )

    async def wait(self) -> End:
        """Wait until the connection ends, and return how."""
        await asyncio.wait({self._ended})
        return self._ended.result() or End(LOST)

    async def close(self) -> None:
        """Disconnect, within a few seconds whatever the other side does."""
        self._finish(End("closed by us"))
        try:
            await self._pinger.stop()
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._client.disconnect()
        except Exception:  # noqa: BLE001, S110 - it ends either way, by the next lines
            pass
        finally:
            for response in self._responses:
                # Of a WebSocket that was lost, or never said a word, neither library does it.
                response.close()
            if self._http is not None:
                await self._http.close()

    def _take(self, message: aiohttp.WSMessage) -> bool:
        """Take a frame; return whether it was kept, or belongs to the library."""
        if message.type is aiohttp.WSMsgType.TEXT:
            return self._tap.take(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            # It was understood as far as it can be, and is no matter of engine.io.
            self._tap.take(message.data)
            return True
        if message.type in {aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG}:
            self._tap.prove_alive()
            return True
        self._finish(None)
        return False

    async def _hold_back(self, message: aiohttp.WSMessage, *, kept: bool) -> None:
        """Let no more be read, and no ping be answered, before that is allowed."""
        if kept and self._taken is not None:
            await self._taken()
        elif message.data == _PING and self._before_ping is not None:
            await self._before_ping()

    def _open_http(self) -> aiohttp.ClientSession:
        finish, take, responses = self._finish, self._take, self._responses
        pinger = self._pinger
        holds_back = self._taken is not None or self._before_ping is not None
        hold_back = self._hold_back

        class TappedWebSocket(aiohttp.ClientWebSocketResponse):
            """A WebSocket that takes the events before engine.io sees them."""

            def __init__(self, *args: Any, **options: Any) -> None:  # aiohttp's own, whatever it is
                super().__init__(*args, **options)
                responses.append(self._response)
                pinger.start(self.ping)

            # The overloads tell the types of text apart, which makes no difference here.
            async def receive(self, timeout: float | None = None) -> aiohttp.WSMessage:  # noqa: ASYNC109 - aiohttp's name
                while True:
                    try:
                        with pinger:
                            message = await super().receive(timeout)
                    except asyncio.CancelledError:
                        # engine.io cancels its read when no ping has come.
                        finish(End("ping timeout"))
                        raise
                    if message.type is aiohttp.WSMsgType.PING:
                        await self.pong(message.data)
                    kept = take(message)
                    if holds_back:
                        await hold_back(message, kept=kept)
                    if not kept:
                        return message

        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._trust),
            ws_response_class=TappedWebSocket,
            trace_configs=[self._answer.trace()],
        )
        return self._http

    def _let_in(self, at: datetime) -> None:
        if not self._entered.done() and not self._ended.done():
            self.connected_at = at
            self.replayed = self._tap.events
            self._entered.set_result(None)

    def _note_error(self, arguments: str) -> None:
        failure = self._classify(arguments)
        self._on_error(failure.words)
        # A clear one counts, whatever comes after it.
        if self._error is None or self._error.verdict is not Verdict.CREDENTIALS:
            self._error = failure
            self._events_before_error = self._tap.events

    def _turn_away(self, body: str) -> None:
        failure = self._classify(body)
        before = self._refusal("refused by the gateway")
        if before.verdict is Verdict.CREDENTIALS:
            self._finish(before)
        else:
            self._finish(End("refused by the gateway", failure.verdict, failure.words, True))

    def _too_old(self) -> None:
        self._finish(End(SOCKETIO_2))

    def _put_out(self) -> None:
        self._finish(self._refusal(PUT_OUT))

    def _dropped(self, *_: object) -> None:
        self._finish(None)

    def _finish(self, end: End | None) -> None:
        if self._ended.done():
            return
        if end is None:
            # Who was refused may see the transport go before the disconnect.
            end = self._refusal(LOST)
        self._tap.flush()
        self._ended.set_result(end)

    def _classify(self, body: str) -> GatewayFailure:
        for secret in self._shown:
            body = body.replace(secret, "***")
        failure = classify(body)
        verdict = self._of_tokens.get(failure.verdict, failure.verdict)
        return GatewayFailure(verdict, failure.words)

    def _refusal(self, reason: str) -> End:
        """Return an end, considering an ``error`` event before it.

        It counts if the connection had just begun and no event came after it.
        """
        if self._error is None:
            return End(reason)
        verdict, words = self._error.verdict, self._error.words
        if self._tap.events > self._events_before_error:
            return End(reason, words=words)
        if self.connected_at is not None:
            age = (self._clock() - self.connected_at).total_seconds()
            if age >= min(_AT_THE_DOOR, self.renew_after or _AT_THE_DOOR):
                return End(reason, words=words)
        return End(reason, verdict, words, at_the_door=True)

    def _explain(
        self, error: Exception, base_url: str, credentials: Credentials, *, shown: bool
    ) -> NoReturn:
        status = self._answer.status
        if status and status != 101:
            for secret in self._shown:
                self._answer.body = self._answer.body.replace(secret.encode(), b"***")
            failure = classify(self._answer.body)
            verdict = self._of_tokens.get(failure.verdict, failure.verdict)
            # A minted token is replaced by the next attempt.
            doubted = verdict is not failure.verdict and self._minted
            # A key in the payload was not sent yet.
            if shown and (
                (status == 401 and not doubted)
                or (status == 403 and verdict is Verdict.CREDENTIALS)
            ):
                said = complaint(status, self._answer.body)
                end = End("refused", Verdict.CREDENTIALS, f"HTTP {said}")
                raise refused(self.gateway, end, credentials) from None
            raise not_opened(
                self._who, self._answer, base_url, shown=shown, now=self._clock()
            ) from None
        if trouble := proxy_trouble(self._proxy, error):
            raise trouble from None
        if distrusted := distrust(f"{self._who} cannot be reached", error):
            raise distrusted from None
        raise not_reached(self._who, causes(error), base_url) from None


def refused(gateway: Source, end: End, credentials: Credentials) -> CredentialsError:
    """Return the error that says in one line what to check."""
    what = "API key" if gateway is Source.PARTNER else "user token"
    said = f" ({end.words})" if end.words else ""
    return CredentialsError(
        f"The {gateway} gateway refused the {what}{said}.", remedy=credentials.refused
    )
