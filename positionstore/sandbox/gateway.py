"""The two Socket.IO gateways: their clients, and how events reach them."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from engineio.packet import MESSAGE, Packet

from positionstore.sandbox.clock import Clock
from positionstore.sandbox.credentials import Credentials, CredentialsRefusedError, Scope
from positionstore.sandbox.faults import Faults
from positionstore.sandbox.greeting import Greeting, GreetingServer
from positionstore.sandbox.recovery import Emitted, SavedSession, SessionStore
from positionstore.sandbox.sessions import Session, watch

PARTNER_NAMESPACE = "/v1/ws/prediction-markets/positions"
CUSTOMER_NAMESPACE = "/v1/ws/prediction-markets/customer-positions"
ENGINE_PATH = "/socket.io"

_EVENT, _BINARY_EVENT = 2, 5
_FINAL = frozenset({"server disconnect", "client disconnect"})
"""How a connection ends that cannot be recovered."""


@dataclass(frozen=True, slots=True)
class Client:
    """A connected client with valid credentials."""

    sid: str
    engine_sid: str
    namespace: str
    scope: Scope
    session: SavedSession | None = None
    recovered: bool = False


class Gateway:
    """Both namespaces on one Socket.IO server.

    Args:
        credentials: the accepted credentials.
        clock: the server's time, microseconds since 1970.
        ping_interval: seconds between pings; with ``ping_timeout`` it decides after how long a
            dead connection is noticed. The defaults are Node's.
        ping_timeout: seconds to wait for the answer to a ping.
        faults: the failure modes of connection state recovery in force.
        recovery_window: seconds for which a lost connection can be recovered; 0 is never.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        ping_interval: float = 25,
        ping_timeout: float = 20,
        faults: Faults,
        recovery_window: float = 0,
    ) -> None:
        self.clients: dict[str, Client] = {}
        self.sessions: dict[str, Session] = {}
        self.refused = 0
        self._credentials = credentials
        self._clock = clock
        self._transports: dict[str, web.Request] = {}
        # As the vendor's text says, bad credentials are reported by an event, so the connection has
        # to stand before they are looked at.
        self._faults = faults
        self._memory = SessionStore(clock, recovery_window, faults)
        self._joining: dict[str, tuple[SavedSession | None, list[Emitted] | None]] = {}
        self._sio = GreetingServer(
            self._greet,
            async_mode="aiohttp",
            always_connect=True,
            namespaces=[PARTNER_NAMESPACE, CUSTOMER_NAMESPACE],
            cors_allowed_origins="*",
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
        )
        # It forgets the tasks it starts; a client's next ping, for one, outlives the client.
        self._background: set[asyncio.Task[object]] = set()
        self._sio.eio.start_background_task = self._start
        for namespace in (PARTNER_NAMESPACE, CUSTOMER_NAMESPACE):
            self._listen(namespace)

    def attach(self, app: web.Application) -> None:
        """Serve the gateways from an application."""
        self._sio.attach(app, socketio_path=ENGINE_PATH)

    async def close(self) -> None:
        """End the server's background tasks; its connections must have been ended before."""
        while self._background:
            for task in self._background:
                task.cancel()
            await asyncio.wait(self._background)

    def _start(
        self,
        target: Callable[..., Coroutine[object, object, object]],
        *args: object,
        **named: object,
    ) -> asyncio.Task[object]:
        task = asyncio.create_task(target(*args, **named))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def watch(self, request: web.Request) -> None:
        """Record which TCP connection a client's transport has moved to."""
        if request.query.get("transport") == "websocket" and "sid" in request.query:
            self._transports[request.query["sid"]] = request

    def _listen(self, namespace: str) -> None:
        async def connect(sid: str, environ: dict[str, object], auth: object) -> None:
            await self._connected(namespace, sid, environ, auth)

        async def disconnect(sid: str, reason: str) -> None:
            client = self.clients.pop(sid, None)
            if client is not None:
                self.sessions[sid].connected = False
                self._transports.pop(client.engine_sid, None)
                if client.session is not None and reason not in _FINAL:
                    self._memory.save(client.session)

        self._sio.on("connect", connect, namespace=namespace)
        self._sio.on("disconnect", disconnect, namespace=namespace)

    async def _connected(
        self, namespace: str, sid: str, environ: dict[str, object], auth: object
    ) -> None:
        try:
            scope = self._authenticate(namespace, str(environ.get("HTTP_AUTHORIZATION", "")), auth)
        except CredentialsRefusedError as refusal:
            self.refused += 1
            error = {
                "type": "authentication_error",
                "code": refusal.code,
                "message": str(refusal),
            }
            arguments = (error, self._memory.next_offset()) if self._memory.is_on else error
            await self._sio.emit("error", arguments, to=sid, namespace=namespace)
            await self._sio.disconnect(sid, namespace=namespace)
            return
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, namespace)
        if engine_sid is None:
            return
        request = environ["aiohttp.request"]
        if isinstance(request, web.Request):
            self._transports.setdefault(engine_sid, request)
        session = Session(sid, namespace, str(environ.get("HTTP_VIA", "")))
        saved, missed = self._joining.pop(sid, (None, None))
        if missed is not None:
            session.recovered, session.replayed = True, len(missed)
        self.clients[sid] = Client(sid, engine_sid, namespace, scope, saved, session.recovered)
        self.sessions[sid] = session
        watch(self._sio.eio.sockets[engine_sid], session)

    def _authenticate(self, namespace: str, header: str, auth: object) -> Scope:
        scheme, _, secret = header.partition(" ")
        fields = auth if isinstance(auth, Mapping) else {}
        if namespace == PARTNER_NAMESPACE:
            key = fields.get("apiKey") or (secret if scheme.lower() == "api-key" else "")
            if not key:
                raise CredentialsRefusedError("missing_credentials", "An API key is required.")
            return Scope(self._credentials.partner_of(str(key)))
        token = fields.get("token") or (secret if scheme.lower() == "bearer" else "")
        if not token:
            raise CredentialsRefusedError("missing_credentials", "A user token is required.")
        return self._credentials.scope_of(str(token), self._clock.now())

    async def send(
        self,
        event: str,
        arguments: str,
        *,
        partner: int | None = None,
        wallet: str | None = None,
        attachments: Sequence[bytes] = (),
    ) -> list[str]:
        """Send an event to all clients that may see it.

        Args:
            event: the event's name, as JSON text.
            arguments: the arguments' JSON texts, joined by commas; sent as they are.
            partner: the partner whose event it is; None sends to every partner.
            wallet: the customer whose event it is; None sends to every customer.
            attachments: binary attachments that the arguments' placeholders point to.

        Returns:
            The session ids of the clients whose connection accepted it.
        """
        if self._memory.is_on:
            arguments = self._memory.remember(
                event, arguments, partner=partner, wallet=wallet, attachments=attachments
            )
        reached: list[str] = []
        frames: dict[str, list[Packet]] = {}
        for client in list(self.clients.values()):
            if not client.scope.may_see(partner, wallet):
                continue
            if client.recovered and self._faults.recovered_deaf:
                continue
            if client.namespace not in frames:
                frames[client.namespace] = packets(client.namespace, event, arguments, attachments)
            engine = self._sio.eio.sockets.get(client.engine_sid)
            if engine is None or engine.closed or engine.closing:
                continue
            for packet in frames[client.namespace]:
                await engine.send(packet)
            self.sessions[client.sid].sent += 1
            reached.append(client.sid)
        return reached

    async def send_text(self, text: str) -> None:
        """Send every client an Engine.IO message that need not be a Socket.IO packet."""
        for client in list(self.clients.values()):
            await self._sio.eio.send(client.engine_sid, text)

    async def disconnect(self, how: str = "server") -> int:
        """Disconnect every client.

        Args:
            how: ``server`` sends the disconnect packet, ``transport`` cuts the connection,
                ``half-open`` ends it only for the client: the server believes in it until a ping
                has gone unanswered.

        Returns:
            How many clients there were.
        """
        clients = list(self.clients.values())
        for client in clients:
            if how == "server":
                await self._sio.disconnect(client.sid, namespace=client.namespace)
                continue
            request = self._transports.get(client.engine_sid)
            if how == "half-open":
                await self._leave_half_open(client, request)
            elif request is not None and request.transport is not None:
                request.transport.abort()
            elif engine := self._sio.eio.sockets.get(client.engine_sid):
                await engine.close(wait=False)  # or until it has read all: it may never
        return len(clients)

    async def _leave_half_open(self, client: Client, request: web.Request | None) -> None:
        engine = self._sio.eio.sockets.get(client.engine_sid)
        if engine is None or request is None or request.transport is None:
            return

        async def nowhere(_: Packet) -> None:
            pass

        engine.send = nowhere
        request.transport.pause_reading()
        # Not through the transport, which would notice that it is closing.
        with contextlib.suppress(OSError):
            request.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)

    def _greet(self, sid: str, engine_sid: str, namespace: str, auth: object) -> Greeting:
        """What the CONNECT answer says, and what is sent before it."""
        if not self._memory.is_on:
            return Greeting({"sid": sid}, [])
        header = str(self._sio.environ[engine_sid].get("HTTP_AUTHORIZATION", ""))
        try:
            scope = self._authenticate(namespace, header, auth)
        except CredentialsRefusedError:
            # As with the official server, a client refused afterwards has a session too.
            return Greeting({"sid": sid, "pid": self._memory.new_pid()}, [])
        found = self._memory.restore(auth, namespace, scope)
        if found is None:
            session = SavedSession(self._memory.new_pid(), sid, namespace, scope)
            self._joining[sid] = session, None
            return Greeting({"sid": sid, "pid": session.pid}, [])
        session, missed = found
        self._joining[sid] = found
        before = [
            packet
            for each in missed
            for packet in packets(namespace, each.event, each.arguments, each.attachments)
        ]
        return Greeting({"sid": session.sid, "pid": session.pid}, before)


def packets(
    namespace: str, event: str, arguments: str, attachments: Sequence[bytes]
) -> list[Packet]:
    """The Engine.IO packets of an event."""
    text = frame(namespace, event, arguments, len(attachments))
    return [Packet(MESSAGE, data=part) for part in (text, *attachments)]


def frame(namespace: str, event: str, arguments: str, attachments: int = 0) -> str:
    """The text of a Socket.IO event packet."""
    kind = f"{_BINARY_EVENT}{attachments}-" if attachments else f"{_EVENT}"
    comma = "," if arguments else ""
    return f"{kind}{namespace},[{event}{comma}{arguments}]"
