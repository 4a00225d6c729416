"""Everything that takes part, and how each kind of fault is brought about."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict
from support.harness import clock
from support.harness.actors import Actor, Life
from support.harness.database import Database
from support.harness.disk import Disk
from support.harness.plan import Fault
from support.harness.vendor import Vendor
from support.proxy import Proxy, proxy_to

from positionstore.sandbox.recovery import PID_PREFIX

_FARTHEST = 30.0
"""Seconds by which our clocks are wrong at most: what lies ahead then comes within a rest."""

CALM = {
    "refuse_connections": False,
    "refuse_api_keys": False,
    "duplicates": 0.0,
    "reordering": 0.0,
    "lost": 0.0,
    "clock_skew": 0.0,
    "rest_errors": 0.0,
    "rest_throttled": 0.0,
    "rest_resets": 0.0,
    "rest_latency": 0.0,
    "replica_lag": 0.0,
    "failing_page": 0,
    "empty_list": False,
    "recovery_forgets": False,
    "recovery_adapter": "memory",
    "rest_clock_offset": 0.0,
    "rest_clock_wrong": 1.0,
}
"""The sandbox when nothing is wrong with it."""

SLOTS = ("service", "ingester")
"""What runs all the time: two ingesters on one store, one of them with the reconciler."""


@dataclass
class Stage:
    """Everything that takes part.

    Attributes:
        folder: where everything is.
        environment: what every process of ours is given.
        vendor: the sandbox.
        database: the server.
        link: the way to it.
        disk: what the server writes on; None where it cannot be filled.
        actors: what runs all the time, by name.
        gateways: the way of each to the sandbox.
        extras: what ran besides.
    """

    folder: Path
    environment: dict[str, str]
    vendor: Vendor
    database: Database
    link: Proxy
    disk: Disk | None
    closing: AsyncExitStack
    actors: dict[str, Actor] = field(default_factory=dict)
    gateways: dict[str, Proxy] = field(default_factory=dict)
    extras: list[Actor] = field(default_factory=list)

    def enter(self, name: str, *arguments: str, home: str = "") -> Actor:
        """Prepare a process, with a way of its own to the sandbox.

        Args:
            name: what to call it.
            arguments: the command.
            home: whose data directory it has; its own where that is empty.
        """
        way = self.closing.enter_context(proxy_to(lambda: self.vendor.port, lambda: actor.via))
        self.gateways[name] = way
        actor = Actor(
            name,
            arguments,
            lambda: {
                **self.environment,
                "DATABASE_URL": self.database.url_by(self.link.port),
                "DIMES_BASE_URL": f"http://127.0.0.1:{way.port}",
                "DIMES_API_KEY": self.vendor.api_key,
                "POSITIONSTORE_DATA_DIR": str(self.folder / "data" / (home or name)),
                clock.VARIABLE: str(self.clock),
            },
            self.folder,
        )
        return actor

    @property
    def clock(self) -> Path:
        """By how much the clocks of our processes are wrong."""
        return self.folder / "clock"

    def besides(self, name: str, *arguments: str, home: str = "") -> Actor:
        """Prepare a process that runs besides, for a while."""
        actor = self.enter(f"{name}{len(self.extras)}", *arguments, home=home)
        self.extras.append(actor)
        return actor

    @property
    def lives(self) -> list[Life]:
        """Every process so far."""
        return [life for actor in (*self.actors.values(), *self.extras) for life in actor.lives]

    @property
    def secrets(self) -> dict[str, str]:
        """What no log, listing or table may show, by what it is."""
        password = conninfo_to_dict(self.database.url)["password"]
        return {
            "the key": self.vendor.api_key,
            "the database's password": str(password),
            "a private session id of the gateway": PID_PREFIX,
        }

    @property
    def keepsakes(self) -> list[Path]:
        """Where our processes keep the session that they may recover, readable by them alone."""
        return sorted((self.folder / "data").glob("*/recovery"))

    def behave(self) -> None:
        """End what may still be wrong."""
        self.database.resume()
        self.vendor.thaw()
        clock.set_to(self.clock, 0.0)
        for way in (self.link, *self.gateways.values()):
            way.resume()
            way.delay(0)
            way.start()


Inflict = Callable[[Stage, Fault], Awaitable[None]]


def _chosen(stage: Stage, fault: Fault) -> str:
    return SLOTS[int(fault.dice * len(SLOTS))]


def _downtime(end: Callable[[Database], None]) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        end(stage.database)
        await asyncio.sleep(fault.lasts)
        await stage.database.ensure()

    return inflict


async def _slow_disk(stage: Stage, fault: Fault) -> None:
    await stage.database.flush_slowly(100_000)
    await asyncio.sleep(fault.lasts)
    await stage.database.flush_slowly(0)


async def _stalled_disk(stage: Stage, fault: Fault) -> None:
    stage.database.stall()
    try:
        await asyncio.sleep(fault.lasts)
    finally:
        stage.database.resume()


async def _full_disk(stage: Stage, fault: Fault) -> None:
    assert stage.disk is not None
    stage.disk.fill()
    try:
        await asyncio.sleep(fault.lasts)
    finally:
        stage.disk.free()
    await stage.database.ensure()


def _link(begin: Callable[[Proxy], None], end: Callable[[Proxy], None] = Proxy.resume) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        begin(stage.link)
        await asyncio.sleep(fault.lasts)
        end(stage.link)

    return inflict


def _gateway(
    begin: Callable[[Proxy], None], end: Callable[[Proxy], None] = Proxy.resume
) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        way = stage.gateways[_chosen(stage, fault)]
        begin(way)
        await asyncio.sleep(fault.lasts)
        end(way)

    return inflict


def _delayed(link: Proxy) -> None:
    link.delay(0.1)


def _prompt(link: Proxy) -> None:
    link.delay(0.0)


def _kill(name: str) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        stage.actors[name].kill()
        await asyncio.sleep(fault.lasts)

    return inflict


async def _rolling_restart(stage: Stage, fault: Fault) -> None:
    for actor in stage.actors.values():
        await actor.restart()
        await asyncio.sleep(fault.lasts)


def _kill_besides(*arguments: str) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        actor = stage.besides(arguments[0], *arguments)
        running = asyncio.create_task(actor.live())
        # A while after its start-up, which takes most of a second.
        await asyncio.wait([running], timeout=0.7 + fault.lasts)
        actor.kill()
        await running

    return inflict


async def _duplicate(stage: Stage, fault: Fault) -> None:
    name = _chosen(stage, fault)
    command = "run" if name == "service" else "ingest"
    actor = stage.besides("twin", command, home=name)
    actor.start()
    await asyncio.sleep(1.0 + fault.lasts)
    await actor.stop()


def _disconnect(how: str) -> Inflict:
    async def inflict(stage: Stage, fault: Fault) -> None:
        await stage.vendor.disconnect(how)

    return inflict


def _away(**faults: object) -> Inflict:
    """Cut every connection, and let the gateway be otherwise until it is asked again."""

    async def inflict(stage: Stage, fault: Fault) -> None:
        await stage.vendor.faults(**faults)
        await stage.vendor.disconnect("transport")
        await asyncio.sleep(fault.lasts)
        await stage.vendor.faults(**{name: CALM[name] for name in faults})

    return inflict


async def _freeze(stage: Stage, fault: Fault) -> None:
    stage.vendor.freeze()
    try:
        await asyncio.sleep(fault.lasts)
    finally:
        stage.vendor.thaw()


async def _nonsense(stage: Stage, fault: Fault) -> None:
    await stage.vendor.send_nonsense()


async def _set_clocks(stage: Stage, fault: Fault) -> None:
    clock.set_to(stage.clock, _FARTHEST * (2 * fault.dice - 1))
    try:
        await asyncio.sleep(fault.lasts)
    finally:
        clock.set_to(stage.clock, 0.0)


def _vendor(**faults: object) -> Inflict:
    """Switch faults of the sandbox on, and off again."""

    async def inflict(stage: Stage, fault: Fault) -> None:
        await stage.vendor.faults(**faults)
        await asyncio.sleep(fault.lasts)
        await stage.vendor.faults(**{name: CALM[name] for name in faults})

    return inflict


WAYS: dict[str, Inflict] = {
    "postgres killed (kill -9)": _downtime(Database.kill),
    "postgres stopped at once (SIGQUIT)": _downtime(Database.stop_at_once),
    "postgres shut down and started": _downtime(Database.shut_down),
    "disk slow (commit_delay)": _slow_disk,
    "disk stalled (SIGSTOP)": _stalled_disk,
    "disk full": _full_disk,
    "database link cut": _link(Proxy.cut),
    "database link refused": _link(Proxy.stop, Proxy.start),
    "database link delayed": _link(_delayed, _prompt),
    "database link half-closed": _link(Proxy.half_close),
    "database link stalled": _link(Proxy.stall),
    "ingester killed (kill -9)": _kill("ingester"),
    "service killed, reconciler in it (kill -9)": _kill("service"),
    "rolling restart (SIGTERM)": _rolling_restart,
    "reconciler killed (kill -9)": _kill_besides("reconcile", "--full"),
    "backfill killed (kill -9)": _kill_besides("backfill", "--all"),
    "process duplicated": _duplicate,
    "gateway disconnects politely": _disconnect("server"),
    "gateway cuts the connections": _disconnect("transport"),
    "gateway refuses connections": _vendor(refuse_connections=True),
    "gateway frozen (SIGSTOP)": _freeze,
    "gateway refuses the key": _vendor(refuse_api_keys=True),
    "gateway sends nonsense": _nonsense,
    "gateway link half-closed": _gateway(Proxy.half_close),
    "gateway link stalled": _gateway(Proxy.stall),
    "gateway link delayed": _gateway(_delayed, _prompt),
    "events duplicated": _vendor(duplicates=0.3),
    "events reordered": _vendor(reordering=0.5),
    "events lost": _vendor(lost=0.2),
    "emitters' clocks skewed": _vendor(clock_skew=0.5),
    "our clocks set": _set_clocks,
    "REST errors": _vendor(rest_errors=0.5),
    "REST throttled": _vendor(rest_throttled=0.5),
    "REST connections reset": _vendor(rest_resets=0.5),
    "REST slow": _vendor(rest_latency=0.5),
    "REST behind the stream": _vendor(replica_lag=1.0),
    "REST page failing": _vendor(failing_page=2),
    "REST list empty": _vendor(empty_list=True),
    "gateway leaves connections half-open": _disconnect("half-open"),
    "gateway away for a while": _away(refuse_connections=True),
    "gateway forgets the sessions": _away(recovery_forgets=True),
    "gateway keeps sessions in Redis streams": _away(recovery_adapter="redis-streams"),
    "REST clock ahead": _vendor(rest_clock_offset=600.0),
    "REST clock behind": _vendor(rest_clock_offset=-600.0),
    "REST clock wrong now and then": _vendor(rest_clock_offset=3.0e8, rest_clock_wrong=0.3),
}
"""How each kind is brought about."""
