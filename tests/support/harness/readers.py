"""Readers, as analysts and their programs are: they look all the time, and remember."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg

_PAUSE: Final = 0.1
_PAGE: Final = 1_000
_RANKS: Final = {"pending": 0, "live": 1, "terminal": 2}

_HALVES = """
    SELECT
        array(SELECT format('%s (%s)', e.event_id, e.type) FROM events e
            WHERE e.status IS NOT NULL AND NOT EXISTS (
                SELECT FROM positions p WHERE p.position_id = e.position_id)
            ORDER BY seq LIMIT 3),
        array(SELECT p.position_id FROM positions p WHERE NOT EXISTS (
            SELECT FROM events e
            WHERE e.position_id = p.position_id AND e.event_id = p.last_event_id) LIMIT 3),
        (SELECT count(*) FROM events),
        (SELECT coalesce(max(seq), 0) FROM events)
"""

Look = Callable[[psycopg.AsyncConnection], Awaitable[None]]


@dataclass
class Readers:
    """What the readers saw.

    Attributes:
        looks: how often they looked.
        wrong: what they saw and should not have.
        seqs: the log's places in the order in which they were read.
    """

    url: Callable[[], str]
    looks: int = 0
    wrong: list[str] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    _facts: int = 0
    _last: int = 0
    _phases: dict[str, str] = field(default_factory=dict)

    async def follow(self, connection: psycopg.AsyncConnection) -> None:
        """Follow the log by the last place that is known."""
        after = self.seqs[-1] if self.seqs else 0
        cursor = await connection.execute("SELECT seq FROM events_after(%s, %s)", [after, _PAGE])
        for (seq,) in await cursor.fetchall():
            if seq <= after:
                self.wrong.append(f"seq {seq} was shown after {after}")
            after = seq
            self.seqs.append(seq)

    async def compare(self, connection: psycopg.AsyncConnection) -> None:
        """Look at the log and the positions in one statement: neither is ahead of the other."""
        cursor = await connection.execute(_HALVES.encode())
        row = await cursor.fetchone()
        assert row is not None
        unprojected, unfounded, facts, last = row
        if unprojected or unfounded:
            self.wrong.append(
                f"half a batch: facts without a row {unprojected}, rows without a fact {unfounded}"
            )
        if facts < self._facts or last < self._last:
            self.wrong.append(f"the log shrank from {self._facts} to {facts} facts")
        self._facts, self._last = facts, last

    async def watch_phases(self, connection: psycopg.AsyncConnection) -> None:
        """See that no position goes back a phase, unless a snapshot said so."""
        cursor = await connection.execute(
            "SELECT position_id, phase FROM positions WHERE phase IS NOT NULL"
        )
        for name, phase in await cursor.fetchall():
            before = self._phases.get(name) or str(phase)
            if _RANKS[phase] < _RANKS[before]:
                said = await connection.execute(
                    "SELECT FROM events WHERE position_id = %s AND source = 'rest' LIMIT 1", [name]
                )
                if await said.fetchone() is None:
                    self.wrong.append(f"{name} went from {before} back to {phase}")
            self._phases[name] = phase

    async def read(self, look: Look) -> None:
        """Look without end, over one connection after the other."""
        while True:
            with suppress(psycopg.Error):
                async with await psycopg.AsyncConnection.connect(
                    self.url(), autocommit=True, application_name="reader", connect_timeout=5
                ) as connection:
                    while True:
                        await look(connection)
                        self.looks += 1
                        await asyncio.sleep(_PAUSE)
            await asyncio.sleep(_PAUSE)

    async def catch_up(self) -> None:
        """Wait until the log has been followed to its end; see that nothing was missed."""
        async with await psycopg.AsyncConnection.connect(self.url(), autocommit=True) as connection:
            cursor = await connection.execute("SELECT seq FROM events ORDER BY seq")
            there = [seq for (seq,) in await cursor.fetchall()]
        while there and (not self.seqs or self.seqs[-1] < there[-1]):  # noqa: ASYNC110 - a count is polled
            await asyncio.sleep(_PAUSE)
        missed = len(set(there) - set(self.seqs))
        if missed:
            self.wrong.append(f"the reader of the log missed {missed} facts")


@asynccontextmanager
async def readers(url: Callable[[], str]) -> AsyncIterator[Readers]:
    """Let them read meanwhile; what they see does not end them."""
    made = Readers(url)
    tasks = [
        asyncio.create_task(made.read(look))
        for look in (made.follow, made.compare, made.watch_phases)
    ]
    try:
        yield made
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
