"""The rest after a scenario, and the proof: everything is where it belongs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
from support.harness.figures import Figures
from support.harness.ledger import Account, Kept, Ledger
from support.harness.readers import Readers
from support.harness.stage import CALM, Stage
from support.reconciling import wrong

_PATIENCE: Final = 180.0
_POLL: Final = 0.1
_LAST_LINES: Final = 12
_MOST_GROWTH: Final = 96 * 1024 * 1024
"""Bytes by which a process may be larger after a scenario than it was at first."""

_MOST_HANDLES: Final = 8
"""File handles that a process may have more than at first: a pool that is still in use."""


BATCH_SIZE: Final = 100
"""``POSITIONSTORE_BATCH_SIZE`` of all processes: the most that a kill -9 may cost."""


_RECOVERED: Final = """
    SELECT coalesce(sum(recovered), 0)::int,
        (SELECT count(*) FROM coverage_gaps WHERE recovered_at IS NOT NULL)
    FROM stream_sessions
"""

_LAST_RUNS: Final = """
    SELECT run_id, trigger, state, started_at, finished_at, error FROM reconciliation_runs
    ORDER BY run_id DESC LIMIT 6
"""


class NotWellError(AssertionError):
    """Something did not come right again in time."""


async def _until(condition: Callable[[], Awaitable[str]], what: str) -> None:
    """Wait until a condition names nothing any more that is in its way."""
    deadline = time.monotonic() + _PATIENCE
    while trouble := await condition():
        if time.monotonic() > deadline:
            raise NotWellError(f"{what}: {trouble}")
        await asyncio.sleep(_POLL)


async def prove(
    stage: Stage, ledger: Ledger, readers: Readers, figures: Figures, *, first: bool = False
) -> None:
    """Let all come to rest, and prove that nothing is lost, twice, wrong or left behind.

    Raises:
        NotWellError: something did not come right again in time.
    """
    try:
        await _proven(stage, ledger, readers, figures, first=first)
    except NotWellError as error:
        for name in stage.actors:
            lines = (stage.folder / f"{name}.log").read_text().splitlines()
            error.add_note("\n".join((f"What {name} said at last:", *lines[-_LAST_LINES:])))
        with suppress(psycopg.Error):
            runs = await _rows(stage, _LAST_RUNS)
            error.add_note("\n".join(("The last reconciliations:", *map(str, runs))))
        raise


async def _proven(
    stage: Stage, ledger: Ledger, readers: Readers, figures: Figures, *, first: bool
) -> None:
    began = time.monotonic()
    await stage.vendor.faults(**CALM)
    await stage.vendor.rest()
    await connected(stage)
    await _until(lambda: _unread(stage), "everything that was sent has been read")
    await _until(lambda: _unkept(stage, ledger), "every delivered event is kept")
    await _until(lambda: _gaps(stage), "the service has repaired every gap")
    if not first:
        figures.recoveries.append(round(time.monotonic() - began, 1))
        await _reconciled(stage, figures)
        await _compared(stage, figures)
        await _verified(stage, figures)
        await readers.catch_up()
    account = await _account(stage, ledger)
    [(figures.recovered, figures.recovered_gaps)] = await _rows(stage, _RECOVERED)
    await _until(lambda: _grown(stage, figures, first=first), "memory and file handles came back")
    _note(stage, account, readers, figures)


async def connected(stage: Stage) -> None:
    """Wait until every process that runs all the time is connected.

    Raises:
        NotWellError: one was not in time.
    """
    await _until(lambda: _unattached(stage), "every process is connected")


async def _unattached(stage: Stage) -> str:
    there = {each.via for each in await stage.vendor.sessions() if each.connected}
    missing = {actor.via for actor in stage.actors.values()} - there
    return f"{', '.join(sorted(missing))} not connected" if missing else ""


async def _unread(stage: Stage) -> str:
    return ", ".join(
        f"{each.via} has read {each.answered} of {each.sent}"
        for each in await stage.vendor.sessions()
        if each.connected and each.answered < each.sent
    )


async def _account(stage: Stage, ledger: Ledger) -> Account:
    sessions = await stage.vendor.sessions()
    return await asyncio.to_thread(_count, stage, ledger, sessions)


def _count(stage: Stage, ledger: Ledger, sessions: list[Any]) -> Account:
    ledger.read()
    with psycopg.connect(stage.database.url, autocommit=True) as connection:
        kept = Kept.of(connection)
    return ledger.account(sessions, stage.lives, kept)


async def _unkept(stage: Stage, ledger: Ledger) -> str:
    lost = (await _account(stage, ledger)).lost
    return f"{len(lost)} missing, {lost[:3]} among them" if lost else ""


async def _gaps(stage: Stage) -> str:
    rows = await _rows(
        stage, "SELECT * FROM coverage_gaps WHERE repaired_at IS NULL AND recovered_at IS NULL"
    )
    return f"{len(rows)} gaps, the first {rows[0]}" if rows else ""


async def _reconciled(stage: Stage, figures: Figures) -> None:
    """One reconciliation, after which there is nothing left to say."""
    while True:
        code, said = await _command(stage, "reconcile", "--full", "--json")
        if code == 0:
            return
        if not any("another reconciliation" in line.lower() for line in said):
            figures.complaints.append(f"reconcile: exit {code}: {said[-1] if said else ''}")
            return


async def _compared(stage: Stage, figures: Figures) -> None:
    truth = await stage.vendor.truth()
    with psycopg.connect(stage.database.url, autocommit=True) as connection:
        found = wrong(connection, truth)
    figures.compared += len(truth)
    figures.wrong += len(found)
    figures.complaints += [f"{name}: {what}" for name, what in list(found.items())[:3]]


async def _verified(stage: Stage, figures: Figures) -> None:
    code, said = await _command(stage, "verify", "--json")
    if code != 0:
        figures.unverified += 1
        figures.complaints.append(f"verify: exit {code}: {said[-1] if said else ''}")


async def _grown(stage: Stage, figures: Figures, *, first: bool) -> str:
    trouble = []
    for name, actor in stage.actors.items():
        memory, handles = actor.usage()
        if first:
            figures.memory[name] = (memory, memory)
            figures.handles[name] = (handles, handles)
            continue
        figures.memory[name] = (figures.memory[name][0], memory)
        figures.handles[name] = (figures.handles[name][0], handles)
        if memory - figures.memory[name][0] > _MOST_GROWTH:
            trouble.append(f"{name} grew from {figures.memory[name][0]:,} to {memory:,} bytes")
        if handles - figures.handles[name][0] > _MOST_HANDLES:
            trouble.append(f"{name} has {handles} handles instead of {figures.handles[name][0]}")
    return "; ".join(trouble)


def _note(stage: Stage, account: Account, readers: Readers, figures: Figures) -> None:
    figures.emitted = account.emitted
    figures.delivered = account.delivered
    figures.logged = account.logged
    figures.quarantined = account.quarantined
    figures.lost = len(account.lost)
    figures.from_memory = account.from_memory
    figures.most_from_memory = account.most_from_memory
    if account.most_from_memory > BATCH_SIZE:
        figures.complaints.append(f"a killed process took {account.most_from_memory} along")
    figures.duplicated = len(account.duplicated)
    figures.altered = len(account.altered)
    figures.looks = readers.looks
    figures.misread = len(readers.wrong)
    figures.lives = len(stage.lives)
    figures.killed = sum(life.killed for life in stage.lives)
    figures.complaints += (
        sorted(set(readers.wrong))[:3] + account.out_of_turn[:3] + account.altered[:3]
    )


async def _rows(stage: Stage, query: str) -> list[Any]:
    async with await psycopg.AsyncConnection.connect(stage.database.url) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def _command(stage: Stage, *arguments: str) -> tuple[int, list[str]]:
    """Run a command to its end; return its exit code, and what it said."""
    actor = stage.besides(f"proof-{arguments[0]}-", *arguments)
    code = await actor.live()
    log = stage.folder / f"{actor.name}.log"
    return code, log.read_text().splitlines()
