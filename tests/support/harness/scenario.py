"""A run: scenarios one after the other, on one store, each followed by a rest and by the proof."""

import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
from support.bare import bare_environment
from support.harness import clock, plan
from support.harness.actors import DURABILITY
from support.harness.database import database
from support.harness.disk import small_disk
from support.harness.figures import Figures
from support.harness.ledger import Ledger
from support.harness.proof import BATCH_SIZE, connected, prove
from support.harness.readers import readers
from support.harness.stage import WAYS, Stage
from support.harness.vendor import vendor
from support.programs import ROOT
from support.proxy import proxy_to
from support.secrets_watch import SecretsWatch

Say = Callable[[str], None]

_SETTINGS = {
    "POSITIONSTORE_HEARTBEAT_EVERY": "0.2",
    "POSITIONSTORE_RECONNECT_CAP": "1",
    "POSITIONSTORE_HTTP_RATE": "1000",
    "POSITIONSTORE_HTTP_RETRY_BUDGET": "2",
    "POSITIONSTORE_SETTLE_WINDOW": "3",
    "POSITIONSTORE_RECONCILE_EVERY": "5",
    "POSITIONSTORE_BATCH_SIZE": str(BATCH_SIZE),
    "POSITIONSTORE_LOG_FORMAT": "json",
    "POSITIONSTORE_LISTEN": "off",
    "PYTHONPATH": str(ROOT),
}
_COMMANDS = {"service": "run", "ingester": "ingest"}
_TELLING = (("status",), ("status", "--json"), ("config", "--json"), ("spool", "list", "--json"))
"""Commands that tell of what they have to do with."""

_DISK_MEGABYTES = 768


def _environment() -> dict[str, str]:
    return bare_environment() | _SETTINGS


@asynccontextmanager
async def _set_up(folder: Path, seed: int, *, rate: float) -> AsyncIterator[Stage]:
    environment = _environment()
    async with AsyncExitStack() as closing:
        disk = closing.enter_context(small_disk(folder / "disk", _DISK_MEGABYTES))
        server = await closing.enter_async_context(database(folder / "disk" / "server"))
        other_side = await closing.enter_async_context(
            vendor(folder, environment, f"--seed={seed}", f"--rate={rate}", "--positions=120")
        )
        link = closing.enter_context(proxy_to(lambda: server.port))
        stage = Stage(folder, environment, other_side, server, link, disk, closing)
        clock.set_to(stage.clock, 0.0)
        for name, command in _COMMANDS.items():
            stage.actors[name] = stage.enter(name, command)
        try:
            for actor in stage.actors.values():
                actor.start()
            yield stage
        finally:
            stage.behave()
            for actor in (*stage.actors.values(), *stage.extras):
                await actor.stop()


def _unavailable(stage: Stage) -> dict[str, str]:
    return {"disk full": "no file system can be mounted here"} if stage.disk is None else {}


async def _turmoil(
    stage: Stage, faults: Sequence[plan.Fault], seconds: float, figures: Figures
) -> None:
    """Let go wrong what is to go wrong: track by track, side by side."""
    began = time.monotonic()

    async def play(track: str) -> None:
        for fault in faults:
            if fault.track == track:
                await asyncio.sleep(began + fault.at - time.monotonic())
                await WAYS[fault.kind](stage, fault)
                figures.faults[fault.kind] += 1

    async with asyncio.TaskGroup() as tracks:
        for track in plan.TRACKS:
            tracks.create_task(play(track))
        tracks.create_task(asyncio.sleep(seconds))
    figures.seconds = round(figures.seconds + time.monotonic() - began, 1)


async def run(
    folder: Path,
    *,
    seed: int,
    scenarios: int,
    seconds: float,
    rate: float = 60.0,
    durabilities: Sequence[str] = ("batch", "spool"),
    say: Say = print,
) -> Figures:
    """Run scenarios, and prove after each that nothing is lost.

    Args:
        folder: an empty folder for everything; the logs of all processes stay in it.
        seed: reproduces the world and the faults.
        scenarios: how many.
        seconds: for how long faults are injected in each.
        rate: events a second.
        durabilities: the values of ``POSITIONSTORE_DURABILITY``, in turn.
        say: takes a line on how it goes.
    """
    figures = Figures(seed)
    async with (
        _set_up(folder, seed, rate=rate) as stage,
        readers(lambda: stage.database.url) as watching,
        _secrets_watched(stage, figures),
    ):
        figures.skipped = _unavailable(stage)
        figures.machine = _machine(stage)
        figures.durability = sorted(set(durabilities))
        available = [kind for kind in plan.KINDS if kind not in figures.skipped]
        ledger = Ledger(stage.vendor.recording)
        await prove(stage, ledger, watching, figures, first=True)
        for number in range(scenarios):
            await _set_durability(stage, durabilities[number % len(durabilities)])
            await connected(stage)  # a busy machine starts a process in longer than faults last
            faults = plan.draw(f"{seed}-{number}", seconds, available)
            await stage.vendor.resume()
            await _turmoil(stage, faults, seconds, figures)
            figures.scenarios += 1
            stage.behave()
            await prove(stage, ledger, watching, figures)
            say(
                f"scenario {number}: {len(faults)} faults, {figures.delivered} delivered, "
                f"{figures.logged} in the log, {figures.lost} lost, "
                f"well again after {figures.recoveries[-1]} s"
            )
    return figures


@asynccontextmanager
async def _secrets_watched(stage: Stage, figures: Figures) -> AsyncIterator[None]:
    """Look for keys and passwords in what runs meanwhile, and at last in what was written."""
    watch = SecretsWatch(stage.secrets)
    with watch.over(lambda: stage.database.url):
        yield
    for arguments in _TELLING:
        await stage.besides(f"tell-{arguments[0]}-", *arguments, home="ingester").live()
    for actor in stage.actors.values():
        await actor.stop()
    await asyncio.to_thread(watch.database, stage.database.url)
    await asyncio.to_thread(
        watch.files, stage.folder, but=[stage.database.data_dir, *stage.keepsakes]
    )
    await asyncio.to_thread(watch.files, stage.database.logs)
    figures.searched = sum(watch.looked.values())
    figures.shown = sorted(watch.found)


async def _set_durability(stage: Stage, durability: str) -> None:
    if stage.environment.get(DURABILITY) != durability:
        stage.environment[DURABILITY] = durability
        for actor in stage.actors.values():
            await actor.restart()


def _machine(stage: Stage) -> dict[str, str]:
    with psycopg.connect(stage.database.url) as connection:
        version = connection.info.parameter_status("server_version") or ""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        "python": platform.python_version(),
        "postgresql": version,
    }
