"""The sandbox itself: one process on 127.0.0.1 with the gateways, the REST API and a world."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec
from aiohttp import web

from positionstore.errors import ConfigurationError
from positionstore.sandbox import wire
from positionstore.sandbox.clock import Clock
from positionstore.sandbox.control import ControlApi
from positionstore.sandbox.credentials import Credentials
from positionstore.sandbox.faults import Faults, Outbox
from positionstore.sandbox.gateway import (
    CUSTOMER_NAMESPACE,
    ENGINE_PATH,
    PARTNER_NAMESPACE,
    Client,
    Gateway,
)
from positionstore.sandbox.recording import Record, Recorder, raw
from positionstore.sandbox.rest import RestApi
from positionstore.sandbox.serving import Serving
from positionstore.sandbox.sessions import Session
from positionstore.sandbox.world import Emission, World, micros

_MAX_SLEEP = 0.05
_MIN_SLEEP = 0.001


@dataclass(slots=True)
class Options:
    """The options of a sandbox.

    Attributes:
        seed: decides the world, the keys and the faults.
        port: the port on 127.0.0.1; 0 selects a free one.
        rate: events per second, on average.
        positions: the number of positions alive at a time.
        partners: how many partners there are; the first has nine tenths of the positions.
        wallets: how many customers there are; None chooses by the number of positions.
        start: the first moment of the server's clock; None is now.
        warm_up: seconds that the world has run before ``start``; those events were not sent, but
            REST knows their outcome.
        ticking: whether time passes and events come by themselves; otherwise only
            :meth:`Sandbox.step` and :meth:`Sandbox.advance` move the world.
        token_life: the lifetime of a user token in seconds.
        api_key_lists: whether an API key may read positions over REST.
        ping_interval: seconds between Engine.IO pings.
        ping_timeout: seconds a client has to answer a ping.
        recovery: whether the gateways offer connection state recovery.
        recovery_window: for how many seconds a lost connection can be recovered.
        record: the JSON Lines file to record into.
        keep_records: whether records are kept in memory, too.
        remember: for how many seconds past states are kept, for a lagging replica.
        faults: the faults at the start.
    """

    seed: int = 0
    port: int = 0
    rate: float = 20.0
    positions: int = 200
    partners: int = 2
    wallets: int | None = None
    start: datetime | None = None
    warm_up: float = 0.0
    ticking: bool = True
    token_life: float = 3600.0
    api_key_lists: bool = False
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    recovery: bool = False
    recovery_window: float = 120.0
    record: Path | None = None
    keep_records: bool = True
    remember: float = 300.0
    faults: Faults = field(default_factory=Faults)


class Sandbox:
    """A local gateway and REST API; an async context manager that serves while it is open.

    Example::

        async with Sandbox(Options(seed=7, ticking=False)) as sandbox:
            ...  # connect a client to sandbox.url with sandbox.api_key
            await sandbox.wait_for_clients(1)
            await sandbox.step(100)

    Args:
        options: its options.

    Raises:
        ConfigurationError: on entering, if the port is in use or the recording cannot be written.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options = options or Options()
        start = options.start or datetime.now(UTC)
        self.world = World(
            seed=options.seed,
            start=start - timedelta(seconds=options.warm_up),
            positions=options.positions,
            rate=options.rate,
            partners=options.partners,
            wallets=options.wallets,
            remember=options.remember,
        )
        self.faults = options.faults
        self.credentials = Credentials(
            seed=options.seed,
            partners=options.partners,
            token_life=options.token_life,
            faults=self.faults,
        )
        self.port = options.port
        self._clock = Clock(micros(start), running=options.ticking)
        self._outbox = Outbox(self.faults, options.seed)
        self._gateway = Gateway(
            self.credentials,
            self._clock,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_timeout,
            faults=self.faults,
            recovery_window=options.recovery_window if options.recovery else 0,
        )
        self._rest = RestApi(
            world=self.world,
            credentials=self.credentials,
            faults=self.faults,
            outbox=self._outbox,
            clock=self._clock,
            api_key_lists=options.api_key_lists,
            push=self._push_samples,
            catch_up=self._catch_up,
        )
        self._recorder = Recorder(None, keep=options.keep_records)
        self._quiet = False
        self._happened = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._serving = Serving()
        self._next_disconnect: int | None = None
        self._delivering = asyncio.Lock()
        for _ in self.world.advance_to(micros(start)):
            pass

    # --- what a test or a person needs to connect -----------------------------------------

    @property
    def url(self) -> str:
        """The base URL of the REST API and the gateways."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_key(self) -> str:
        """The first partner's first API key."""
        return self.credentials.keys[0][0]

    @property
    def wallets(self) -> tuple[str, ...]:
        """The customers' wallets."""
        return self.world.wallets

    @property
    def clients(self) -> list[Client]:
        """The clients that are connected and authenticated."""
        return list(self._gateway.clients.values())

    @property
    def sessions(self) -> list[Session]:
        """Every client's connection so far, with how much it has read."""
        return list(self._gateway.sessions.values())

    @property
    def records(self) -> list[Record]:
        """The records so far."""
        return self._recorder.records

    def now(self) -> datetime:
        """The server's time."""
        return datetime.fromtimestamp(self._clock.now() / 1e6, tz=UTC)

    def mint_token(self, wallet: str, partner: int = 0) -> str:
        """A user token for a customer of a partner, as ``POST /tokens`` would give it."""
        return self.credentials.mint(partner, wallet, self._clock.now())[0]

    def stats(self) -> dict[str, int]:
        """The counts so far."""
        return {
            "delivered": self._recorder.counts["delivered"],
            "unheard": self._recorder.counts["unheard"],
            "lost": self._recorder.counts["lost"],
            "happened": self._happened,
            "waiting": len(self._outbox),
            "clients": len(self._gateway.clients),
            "refused_clients": self._gateway.refused,
            "recovered_clients": sum(each.recovered for each in self.sessions),
            "replayed": sum(each.replayed for each in self.sessions),
            "rest_requests": self._rest.requests,
            "positions": len(self.world.book().created),
        }

    # --- serving --------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        listener = _listen(self.options.port)
        try:
            self._recorder = Recorder(self.options.record, keep=self.options.keep_records)
        except ConfigurationError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        app = web.Application(
            middlewares=[self._serving.watch, self._rest.middleware, self._engine_middleware]
        )
        app.on_response_prepare.append(self._rest.stamp)
        self._gateway.attach(app)
        self._rest.attach(app)
        ControlApi(self).attach(app)
        await self._serving.start(app, listener)
        if self.options.ticking:
            self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._tasks, *([self._ticker] if self._ticker else [])]
        for task in tasks:
            task.cancel()
        try:
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            await self._serving.stop_listening()  # or who is disconnected is back at once
            await self._gateway.disconnect()
            await self._serving.close()
            await self._gateway.close()
            self._recorder.close()

    @web.middleware
    async def _engine_middleware(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        if request.path.startswith(f"{ENGINE_PATH}/"):
            if self.faults.refuse_connections:
                return web.Response(status=503)
            self._gateway.watch(request)
        return await handler(request)

    # --- time -----------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._run_due()
            due = [self.world.next_event_at, self._outbox.next_due or self.world.next_event_at]
            pause = (min(due) - self._clock.now()) / 1e6
            await asyncio.sleep(min(max(pause, _MIN_SLEEP), _MAX_SLEEP))

    def _catch_up(self) -> None:
        now = self._clock.now()
        self.world.clock_skew = self.faults.clock_skew
        if self._quiet:
            self.world.rest_until(now)
            return
        for emission in self.world.advance_to(now):
            self._take(emission)

    def _take(self, emission: Emission) -> None:
        self._happened += 1
        if not self._outbox.put(emission):
            self._record(emission, copy=0, recipients=None)

    async def _run_due(self) -> None:
        self._catch_up()
        now = self._clock.now()
        await self._deliver(None if self._quiet else now)
        every = self.faults.disconnect_every
        if not every:
            self._next_disconnect = None
        elif self._next_disconnect is None:
            self._next_disconnect = now + round(every * self._outbox.spread(0.5, 1.5) * 1e6)
        elif now >= self._next_disconnect:
            self._next_disconnect = None
            how = self.faults.disconnect_how
            if how == "both":
                how = "server" if self._outbox.chance(0.5) else "transport"
            await self._gateway.disconnect(how)

    async def _deliver(self, now: int | None) -> None:
        # One at a time, so that what is sent keeps the order in which it fell due.
        async with self._delivering:
            for copy, emission in self._outbox.due(now):
                recipients = await self._gateway.send(
                    json.dumps(emission.type),
                    emission.text,
                    partner=emission.partner,
                    wallet=emission.wallet,
                )
                self._record(emission, copy=copy, recipients=recipients)
            self._recorder.flush()

    def _record(self, emission: Emission, *, copy: int, recipients: list[str] | None) -> None:
        self._recorder.add(
            Record(
                at=self._clock.now(),
                fate="lost" if recipients is None else "delivered" if recipients else "unheard",
                copy=copy,
                recipients=recipients or [],
                event_id=emission.event_id,
                type=emission.type,
                position_id=emission.position_id,
                partner=emission.partner,
                wallet=emission.wallet,
                envelope=msgspec.Raw(emission.envelope),
            )
        )

    async def step(self, events: int = 1) -> list[Emission]:
        """Let the next events happen at once, the clock moving with them; returns them."""
        self.world.clock_skew = self.faults.clock_skew
        emissions = []
        for _ in range(events):
            emission = self.world.step()
            emissions.append(emission)
            self._take(emission)
        self._clock.reach(self.world.now)
        await self._deliver(self._clock.now())
        return emissions

    async def advance(self, seconds: float) -> None:
        """Advance the clock, with everything that becomes due meanwhile."""
        self._clock.advance(seconds)
        await self._run_due()

    async def quiet(self) -> None:
        """Stop emitting events of the world, and send delayed ones.

        Time, prices and REST continue.
        """
        self._catch_up()
        self._quiet = True
        await self._deliver(None)

    def resume(self) -> None:
        """Emit events again."""
        self._catch_up()
        self._quiet = False

    # --- by hand --------------------------------------------------------------------------

    async def emit(
        self,
        envelope: dict[str, object] | str | bytes,
        *,
        event: str | None = None,
        partner: int | None = None,
        wallet: str | None = None,
    ) -> list[str]:
        """Send one envelope of your own.

        Args:
            envelope: an object, or the exact JSON text to send.
            event: the event's name; by default the envelope's ``type``.
            partner: whose event it is; None sends to every partner's clients.
            wallet: which customer's event it is; None sends to every customer.

        Returns:
            The session ids of the clients it was handed to.
        """
        text = _text(json.dumps(envelope) if isinstance(envelope, dict) else envelope)
        if event is None:
            event = str(json.loads(text)["type"])
        return await self.emit_raw(event, text, partner=partner, wallet=wallet)

    async def emit_raw(
        self,
        event: str,
        *arguments: str | bytes,
        attachments: Sequence[bytes] = (),
        partner: int | None = None,
        wallet: str | None = None,
    ) -> list[str]:
        """Send any event with any arguments, each sent exactly as it is given.

        With attachments and no arguments, each attachment is an argument.

        Args:
            event: the event's name.
            arguments: the JSON texts of the arguments; they need not be valid.
            attachments: binary attachments; arguments may hold their placeholders.
            partner: whose event it is; None sends to every partner's clients.
            wallet: which customer's event it is; None sends to every customer.

        Returns:
            The session ids of the clients it was handed to.
        """
        texts = [_text(argument) for argument in arguments]
        if attachments and not texts:
            texts = [f'{{"_placeholder":true,"num":{n}}}' for n in range(len(attachments))]
        async with self._delivering:
            recipients = await self._gateway.send(
                json.dumps(event),
                ",".join(texts),
                partner=partner,
                wallet=wallet,
                attachments=attachments,
            )
        self._recorder.add(
            Record(
                at=self._clock.now(),
                fate="delivered" if recipients else "unheard",
                copy=0,
                recipients=recipients,
                event_id="",
                type=event,
                position_id="",
                partner=-1 if partner is None else partner,
                wallet=wallet or "",
                envelope=raw(",".join(texts)),
            )
        )
        self._recorder.flush()
        return recipients

    async def send_packet(self, text: str) -> None:
        """Send every client the text of a Socket.IO packet, right or wrong, even an empty one.

        ``2/namespace,["event",1]`` is an event; nothing of this is recorded.
        """
        async with self._delivering:
            await self._gateway.send_text(_text(text))

    async def disconnect_clients(self, how: str = "server") -> int:
        """Disconnect every client.

        Args:
            how: ``server`` politely, ``transport`` by cutting the connection, ``half-open`` so
                that the server does not know.
        """
        return await self._gateway.disconnect(how)

    def revoke_tokens(self) -> None:
        """Refuse every user token issued so far; new ones are good."""
        self.credentials.revoke_tokens()

    async def wait_for_clients(self, count: int, *, within: float = 60.0) -> None:
        """Wait until so many clients are connected.

        Raises:
            TimeoutError: they did not connect in time.
        """
        async with asyncio.timeout(within):
            while len(self._gateway.clients) != count:  # noqa: ASYNC110 - a count is polled
                await asyncio.sleep(0.005)

    def _push_samples(self, emissions: list[Emission], interval: float) -> None:
        async def push() -> None:
            for emission in emissions:
                await self._gateway.send(
                    json.dumps(emission.type),
                    emission.text,
                    partner=emission.partner,
                    wallet=emission.wallet,
                )
                await asyncio.sleep(interval)

        task = asyncio.create_task(push())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def describe(self) -> dict[str, object]:
        """What a client needs to know, as the command line prints it."""
        return {
            "base_url": self.url,
            "api_key": self.api_key,
            "api_keys": [list(keys) for keys in self.credentials.keys],
            "wallets": list(self.wallets),
            "partner_namespace": PARTNER_NAMESPACE,
            "customer_namespace": CUSTOMER_NAMESPACE,
            "seed": self.options.seed,
            "now": wire.instant(self._clock.now()),
        }


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigurationError(
            f"Port {port} on 127.0.0.1 cannot be used: {getattr(error, 'strerror', error)}.",
            remedy="Choose another with --port, or --port 0 for a free one.",
        ) from None
    return listener


def _text(data: str | bytes) -> str:
    # A text frame must be UTF-8; it is better to fail here than in the sender's task.
    return data.encode().decode() if isinstance(data, str) else data.decode()
