"""The two Socket.IO gateways: who is connected, and how events reach them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

import socketio
from aiohttp import web
from engineio.packet import MESSAGE, Packet

from positionstore.sandbox.clock import Clock
from positionstore.sandbox.credentials import Credentials, CredentialsRefusedError, Scope
from positionstore.sandbox.sessions import Session, watch

PARTNER_NAMESPACE = "/v1/ws/prediction-markets/positions"
CUSTOMER_NAMESPACE = "/v1/ws/prediction-markets/customer-positions"
ENGINE_PATH = "/socket.io"

_EVENT, _BINARY_EVENT = 2, 5


@dataclass(frozen=True, slots=True)
class Client:
    """A connected client that has shown good credentials."""

    sid: str
    engine_sid: str
    namespace: str
    scope: Scope

    def may_see(self, partner: int | None, wallet: str | None) -> bool:
        """Whether an event of a partner's customer is for this client; None is for everybody."""
        if partner is not None and self.scope.partner != partner:
            return False
        return wallet is None or self.scope.wallet in {None, wallet.lower()}


class Gateway:
    """Both namespaces on one Socket.IO server.

    Args:
        credentials: who is let in.
        clock: tells the server's time, microseconds since 1970.
        ping_interval: seconds between pings; with ``ping_timeout`` it decides after how long a
            dead connection is noticed. The defaults are Node's.
        ping_timeout: seconds to wait for the answer to a ping.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        ping_interval: float = 25,
        ping_timeout: float = 20,
    ) -> None:
        self.clients: dict[str, Client] = {}
        self.sessions: dict[str, Session] = {}
        self.refused = 0
        self._credentials = credentials
        self._clock = clock
        self._transports: dict[str, web.Request] = {}
        # As the vendor's text says, bad credentials are told by an event, so the connection has
        # to stand before they are looked at.
        self._sio = socketio.AsyncServer(
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
        """Note which TCP connection a client's transport has been moved to."""
        if request.query.get("transport") == "websocket" and "sid" in request.query:
            self._transports[request.query["sid"]] = request

    def _listen(self, namespace: str) -> None:
        async def connect(sid: str, environ: dict[str, object], auth: object) -> None:
            await self._connected(namespace, sid, environ, auth)

        async def disconnect(sid: str, *_: object) -> None:
            client = self.clients.pop(sid, None)
            if client is not None:
                self.sessions[sid].connected = False
                self._transports.pop(client.engine_sid, None)

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
            await self._sio.emit("error", error, to=sid, namespace=namespace)
            await self._sio.disconnect(sid, namespace=namespace)
            return
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, namespace)
        if engine_sid is None:
            return
        request = environ["aiohttp.request"]
        if isinstance(request, web.Request):
            self._transports.setdefault(engine_sid, request)
        self.clients[sid] = Client(sid, engine_sid, namespace, scope)
        session = Session(sid, namespace, str(environ.get("HTTP_VIA", "")))
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
        """Send an event to all who may see it.

        Args:
            event: the event's name, as JSON text.
            arguments: the arguments' JSON texts, joined by commas; sent as they are.
            partner: the partner whose event it is; None sends to every partner.
            wallet: the customer whose event it is; None sends to every customer.
            attachments: binary attachments that the arguments' placeholders point to.

        Returns:
            The session ids of the clients whose connection took it.
        """
        reached: list[str] = []
        frames: dict[str, list[Packet]] = {}
        for client in list(self.clients.values()):
            if not client.may_see(partner, wallet):
                continue
            if client.namespace not in frames:
                text = frame(client.namespace, event, arguments, len(attachments))
                frames[client.namespace] = [
                    Packet(MESSAGE, data=part) for part in (text, *attachments)
                ]
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
            how: ``server`` sends the disconnect packet, ``transport`` cuts the connection.

        Returns:
            How many clients there were.
        """
        clients = list(self.clients.values())
        for client in clients:
            if how == "server":
                await self._sio.disconnect(client.sid, namespace=client.namespace)
                continue
            request = self._transports.get(client.engine_sid)
            if request is not None and request.transport is not None:
                request.transport.abort()
            elif engine := self._sio.eio.sockets.get(client.engine_sid):
                await engine.close(wait=False)  # or until it has read all: it may never
        return len(clients)


def frame(namespace: str, event: str, arguments: str, attachments: int = 0) -> str:
    """The text of a Socket.IO event packet."""
    kind = f"{_BINARY_EVENT}{attachments}-" if attachments else f"{_EVENT}"
    comma = "," if arguments else ""
    return f"{kind}{namespace},[{event}{comma}{arguments}]"
