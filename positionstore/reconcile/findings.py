"""What becomes of what differs: it is repaired, and recorded."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from positionstore.reconcile.report import Discrepancy, Resolution, RunReport
from positionstore.reconcile.store_side import Book, Suspect

T = TypeVar("T")


class Findings:
    """The findings of a run, and the one way to its store: one thing at a time.

    Args:
        book: the store's side.
        report: what is found is added here.
        clock: tells our time, UTC.
    """

    def __init__(self, book: Book, report: RunReport, clock: Callable[[], datetime]) -> None:
        self.book = book
        self.report = report
        self._clock = clock
        self._turn = asyncio.Lock()

    async def repair(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Repair what differs; return what an event has overtaken, which has to be looked at."""
        if not suspects:
            return []
        became = await self.in_store(lambda: self.book.repair(suspects, self._clock()))
        done = list(zip(suspects, became, strict=True))
        await self.add(
            [
                suspect.concluded(resolution)
                for suspect, resolution in done
                if resolution is not Resolution.IN_FLUX
            ]
        )
        return [suspect for suspect, resolution in done if resolution is Resolution.IN_FLUX]

    async def add(self, discrepancies: Sequence[Discrepancy]) -> None:
        """Count and record discrepancies."""
        if not discrepancies:
            return
        for discrepancy in discrepancies:
            self.report.add(discrepancy)
        run_id = self.report.run_id
        await self.in_store(lambda: self.book.record(run_id, discrepancies, self._clock()))

    async def in_store(self, work: Callable[[], T]) -> T:
        """Do a piece of work with the store, in a thread, when its turn comes."""
        async with self._turn:
            at_work = asyncio.get_running_loop().run_in_executor(None, work)
            try:
                return await asyncio.shield(at_work)
            except asyncio.CancelledError:
                # The thread goes on, and nobody else may use its connections meanwhile.
                await asyncio.wait([at_work])
                raise
