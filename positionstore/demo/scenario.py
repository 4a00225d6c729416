"""The steps of a demo."""

import os
import random
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import psycopg
from psycopg import sql

from positionstore.demo.client import FAULTS, SandboxClient
from positionstore.demo.directory import DemoDirectory, entered
from positionstore.demo.outage import Outage, cut_off
from positionstore.demo.processes import Process, none_left
from positionstore.demo.view import StoreView, look
from positionstore.demo.web_page import answers, free_address, url
from positionstore.embedded import server as embedded
from positionstore.errors import ConfigurationError, GatewayError, PositionstoreError
from positionstore.settings import Settings
from positionstore.store import projection
from positionstore.store.database import opened
from positionstore.store.fold import Difference

_RATE: Final = 100
"""Events a second."""

_POSITIONS: Final = 200
"""Positions alive at a time."""

_PATIENCE: Final = 60.0
"""Seconds until something that ought to happen at once is taken for broken."""

_CUT_EVERY: Final = 120.0
"""Seconds between two cuts of a kept demo, so that the runs between them can be told apart."""

_PAGE_WITHIN: Final = 10.0
"""Seconds for the status page; the demo goes on without it."""

_LOOK_EVERY: Final = 0.25
_MALFORMED_EVERY: Final = 3.0
_POLL: Final = 0.02
_LAST_WORDS: Final = 5

_LOGGED: Final = "SELECT count(*) FROM events WHERE source <> 'rest'"

_SETTINGS: Final = {
    "POSITIONSTORE_LOG_FORMAT": "json",
    # So that the view is of this moment, and a disconnect does not cost the short show.
    "POSITIONSTORE_HEARTBEAT_EVERY": "0.25",
    "POSITIONSTORE_RECONNECT_CAP": "2",
    # The world rests by then, and the API is the demo's own.
    "POSITIONSTORE_SETTLE_WINDOW": "1",
    "POSITIONSTORE_HTTP_RATE": "200",
}
_SETTINGS_KEPT: Final = {
    "POSITIONSTORE_RECONCILE_EVERY": "60",
    # The world goes on, and its events may be late by two seconds.
    "POSITIONSTORE_SETTLE_WINDOW": "5",
}
_OURS: Final = ("DIMES_", "DATABASE_URL", "POSITIONSTORE_")


class Audience(Protocol):
    """The display of the demo."""

    def say(self, line: str) -> None:
        """Show a line of text."""
        ...

    def show(self, sight: StoreView, seconds: float) -> None:
        """Show the store, so many seconds after the start."""
        ...


@dataclass(frozen=True, slots=True)
class Truth:
    """The store compared with the true state at the vendor.

    Attributes:
        positions: positions that exist.
        right: those with the right status in the store.
        behind: those with another status.
        unheard: those missing from the store.
        events_missed: events that never arrived: lost, or emitted after a disconnect by the
            server, which cannot be recovered.
    """

    positions: int
    right: int
    behind: int
    unheard: int
    events_missed: int


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of the reconciliation of a demo.

    Attributes:
        seen: positions that it compared.
        different: those that differed.
        repaired: those that it repaired, by appending a snapshot.
    """

    seen: int
    different: int
    repaired: int


@dataclass(slots=True)
class Outcome:
    """The result of a demo.

    Attributes:
        seed: the world's seed.
        page: the address of the status page; None where it did not answer.
        sight: the store at the end.
        outage: the result of the cut connection.
        heard: the store compared with the truth before; None if the world keeps running.
        reconciled: the result of the reconciliation; None if the world keeps running.
        differences: positions whose row is not the fold of their facts.
        truth: the store compared with the truth; None if the world keeps running.
    """

    seed: int
    page: str | None = None
    sight: StoreView | None = None
    outage: Outage | None = None
    heard: Truth | None = None
    reconciled: Reconciled | None = None
    differences: list[Difference] = field(default_factory=list)
    truth: Truth | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """The state of a demo.

    Attributes:
        vendor: the sandbox.
        sandbox: its process.
        ingester: the ingester's process.
        environment: for another process on the same store.
        connection: to the store, in autocommit mode.
        audience: the display.
        seconds: how long the demo takes.
        outcome: the results so far.
    """

    vendor: SandboxClient
    sandbox: Process
    ingester: Process
    environment: dict[str, str]
    connection: psycopg.Connection
    audience: Audience
    seconds: float
    outcome: Outcome

    def check(self) -> None:
        """Raise PositionstoreError if a process has ended."""
        self.sandbox.check()
        self.ingester.check()

    def is_connected(self) -> bool:
        """Say whether the ingester is connected to the sandbox."""
        return self.vendor.counts()["clients"] > 0

    def wait_for(self, condition: Callable[[], bool], *, within: float = _PATIENCE) -> bool:
        """Wait for a condition; return whether it became true."""
        deadline = time.monotonic() + within
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True


def watch(stage: Stage) -> None:
    """Let the system run, and show it."""
    began = time.monotonic()
    malformed = 0
    while (elapsed := time.monotonic() - began) < stage.seconds:
        stage.check()
        if elapsed > (malformed + 0.5) * _MALFORMED_EVERY and stage.is_connected():
            stage.vendor.emit_malformed(malformed)
            malformed += 1
        looked = time.monotonic()
        stage.audience.show(look(stage.connection), elapsed)
        # However large the log has become: most of the time is the ingester's.
        pause = max(_LOOK_EVERY, 4 * (time.monotonic() - looked))
        time.sleep(max(0.0, min(pause, began + stage.seconds - time.monotonic())))


def recover(stage: Stage) -> None:
    """Cut the connection, and let the events emitted meanwhile be recovered."""
    stage.audience.say("Cutting the connection and refusing new ones for a moment.")
    stage.outcome.outage = cut_off(stage)


def come_to_rest(stage: Stage) -> None:
    """Stop the world, and stop the ingester when everything is in the log."""
    vendor = stage.vendor
    vendor.keep_connections()
    stage.wait_for(stage.is_connected)
    vendor.rest()
    # The last thing to come over the connection: when it has been dealt with, all has. A
    # connection that is just being cut may take it along.
    before = look(stage.connection).quarantined
    for number in range(_LAST_WORDS):
        stage.wait_for(stage.is_connected)
        vendor.emit_malformed(-1 - number)
        if stage.wait_for(lambda: look(stage.connection).quarantined > before, within=3.0):
            break
    stage.ingester.stop()
    stage.outcome.sight = look(stage.connection)
    stage.audience.show(stage.outcome.sight, stage.seconds)


def verify(stage: Stage) -> None:
    """Fold the log again and compare it with the positions."""
    stage.outcome.differences = projection.verify(stage.connection)


def listen(stage: Stage) -> None:
    """Compare what came over the stream with the true state."""
    stage.outcome.heard = _compared(stage)


def reconcile(stage: Stage) -> None:
    """Reconcile with the API, in a separate process."""
    stage.audience.say("Reconciling with GET /positions.")
    run = subprocess.run(
        [*map(str, program()), "reconcile", "--full", "--json"],
        env=stage.environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE * 4,
        check=False,
    )
    if run.returncode not in {0, 3}:
        said = (run.stderr.strip() or run.stdout.strip()).splitlines()
        raise PositionstoreError(f"The reconciliation failed: {said[-1] if said else 'no word'}")
    report = msgspec.json.decode(run.stdout, type=dict[str, Any])
    kinds = ("missing", "stale", "divergent", "absent_upstream")
    stage.outcome.reconciled = Reconciled(
        seen=report["seen"],
        different=sum(report[kind] for kind in kinds),
        repaired=report["repaired"],
    )


def compare(stage: Stage) -> None:
    """Compare the store with the true state."""
    stage.outcome.truth = _compared(stage)


def _compared(stage: Stage) -> Truth:
    really = stage.vendor.statuses()
    rows = stage.connection.execute("SELECT position_id, status FROM positions").fetchall()
    found: dict[str, str] = dict(rows)
    happened = stage.vendor.counts()["happened"]
    ((logged,),) = stage.connection.execute(_LOGGED).fetchall()
    return Truth(
        positions=len(really),
        right=sum(found.get(name) == status for name, status in really.items()),
        behind=sum(name in found and found[name] != status for name, status in really.items()),
        unheard=sum(name not in found for name in really),
        events_missed=happened - logged,
    )


ACTS: Final = (watch, recover, come_to_rest, listen, reconcile, verify, compare)
"""A demo, in order; the world rests after the third."""

KEPT_ACTS: Final = (watch, recover, verify)
"""A demo that is left running."""


def play(
    settings: Settings, audience: Audience, *, seconds: float, keep: bool, seed: int | None
) -> Outcome:
    """Run a demo on its own store, which starts empty.

    Args:
        settings: the data directory and PostgreSQL's binaries; everything else is the demo's.
        audience: the display.
        seconds: how long the demo takes.
        keep: whether to keep everything running afterwards.
        seed: the world's seed; None for a random one.

    Raises:
        ConfigurationError: another demo is running, or the directory cannot be used.
        DatabaseUnavailableError: the embedded server cannot be used.
        PositionstoreError: a process of the demo ended early, or not cleanly.
    """
    outcome = Outcome(random.randrange(1_000_000) if seed is None else seed)
    directory = directory_of(settings)
    own = msgspec.structs.replace(settings, data_dir=directory, database_url=None, schema_name=None)
    with (
        entered(directory) as home,
        _emptied(home, own, audience.say),
        opened(own, say=audience.say) as store,
        store.connect(application_name="positionstore demo") as connection,
        none_left() as processes,
    ):
        audience.say("Starting the sandbox and the ingester.")
        sandbox = _start(
            home, processes, "sandbox", _sandbox_options(outcome.seed), _environment(own)
        )
        vendor = SandboxClient.announced_in(sandbox.first_line(within=_PATIENCE))
        with closing(vendor):
            # The world waits for the first client.
            vendor.rest()
            environment = _environment(own, vendor)
            address = free_address()
            ingester = _start(
                home,
                processes,
                "ingester",
                ["run" if keep else "ingest"],
                environment | {"POSITIONSTORE_LISTEN": address} | (_SETTINGS_KEPT if keep else {}),
            )
            stage = Stage(
                vendor,
                sandbox,
                ingester,
                environment,
                connection,
                audience,
                seconds,
                outcome,
            )
            if not stage.wait_for(stage.is_connected):
                raise GatewayError(
                    "The ingester does not connect to the sandbox.",
                    remedy=f"Its log is {ingester.log}.",
                )
            if stage.wait_for(lambda: answers(address), within=_PAGE_WITHIN):
                outcome.page = url(address)
                audience.say(f"The status page: {outcome.page}")
            vendor.resume()
            for act in KEPT_ACTS if keep else ACTS:
                act(stage)
            if keep:
                stage.check()
                vendor.lose_connections(_CUT_EVERY)
        if keep:
            home.remember(_pids(processes), kept=True)
            for process in processes:
                process.leave()
        else:
            sandbox.stop()
            home.forget()
    return outcome


def stop(settings: Settings) -> bool:
    """Stop a demo that was left running; return whether there was one.

    Raises:
        ConfigurationError: a demo is running in the foreground.
    """
    with entered(directory_of(settings)) as home:
        return home.stop_left()


def directory_of(settings: Settings) -> Path:
    """Return the demo's own data directory."""
    return settings.data_dir / "demo"


def program() -> list[str | Path]:
    """Return the command of this positionstore: its script, or its Python."""
    for path in (Path(sys.argv[0]), Path(sysconfig.get_path("scripts"), "positionstore")):
        if path.name == "positionstore" and os.access(path, os.X_OK):
            return [path.absolute()]
    call = "import sys; from positionstore.cli import main; sys.exit(main())"
    return [Path(sys.executable), "-c", call]


@contextmanager
def _emptied(home: DemoDirectory, settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    left, kept = home.left()
    if left and kept:
        raise ConfigurationError(
            f"A demo was left running in {home.path}.",
            remedy="Stop it with `positionstore demo --stop`.",
        )
    if home.stop_left():
        say("Stopped the processes of a demo that had been killed.")
    with embedded.running(settings.data_dir, say=say, bin_dir=settings.pg_bin) as server:
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            database = sql.Identifier(embedded.DATABASE)
            # A client of the last demo's data has lost it.
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(database))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
        yield


def _sandbox_options(seed: int) -> list[str]:
    options = ["sandbox", "--json", "--recovery", "--partners=1", f"--seed={seed}"]
    options += [f"--rate={_RATE}", f"--positions={_POSITIONS}"]
    return options + [f"--{name}={value}" for name, value in FAULTS.items()]


def _environment(settings: Settings, vendor: SandboxClient | None = None) -> dict[str, str]:
    # The user's own credentials and settings are of no concern here.
    others = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    own = {"POSITIONSTORE_DATA_DIR": str(settings.data_dir)}
    if settings.pg_bin is not None:
        own["POSITIONSTORE_PG_BIN"] = str(settings.pg_bin)
    if vendor is not None:
        own |= {"DIMES_BASE_URL": vendor.base_url, "DIMES_API_KEY": vendor.api_key}
    return others | _SETTINGS | own


def _start(
    home: DemoDirectory,
    processes: list[Process],
    name: str,
    arguments: list[str],
    environment: dict[str, str],
) -> Process:
    process = Process(
        name,
        [*map(str, program()), *arguments],
        environment=environment,
        directory=home.path,
    )
    # The ingester, which comes last, is stopped first.
    processes.insert(0, process)
    home.remember(_pids(processes))
    return process


def _pids(processes: list[Process]) -> list[int]:
    return [process.pid for process in processes]
