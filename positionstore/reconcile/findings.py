"""What becomes of what differs: it is repaired, and recorded."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from positionstore.reconcile.report import Discrepancy, Resolution, RunReport
from positionstore.reconcile.store_side import Mismatch, StoreSide
from positionstore.store.runs import CompetingFact

T = TypeVar("T")


class Findings:
    """The findings of a run, and the one way to its store: one thing at a time.

    Args:
        store_side: the store's side.
        report: what is found is added here.
        clock: tells our time, UTC.
    """

    def __init__(
        self, store_side: StoreSide, report: RunReport, clock: Callable[[], datetime]
    ) -> None:
        self.store_side = store_side
        self.report = report
        self._clock = clock
        self._turn = asyncio.Lock()

    async def repair(self, mismatches: Sequence[Mismatch]) -> list[Mismatch]:
        """Repair what differs; return what an event has overtaken, which has to be looked at."""
        if not mismatches:
            return []
        became = await self.in_store(lambda: self.store_side.repair(mismatches, self._clock()))
        done = list(zip(mismatches, became, strict=True))
        await self.add(
            [
                mismatch.concluded(resolution)
                for mismatch, resolution in done
                if resolution not in {None, Resolution.IN_FLUX}
            ]
        )
        return [mismatch for mismatch, resolution in done if resolution is Resolution.IN_FLUX]

    async def add(self, discrepancies: Sequence[Discrepancy]) -> None:
        """Count and record discrepancies."""
        if not discrepancies:
            return
        for discrepancy in discrepancies:
            self.report.add(discrepancy)
        run_id = self.report.run_id
        await self.in_store(lambda: self.store_side.record(run_id, discrepancies, self._clock()))

    async def in_store(self, work: Callable[[], T]) -> T:
        """Do a piece of work with the store, in a thread, when its turn comes."""
        async with self._turn:
            at_work = asyncio.get_running_loop().run_in_executor(None, work)
            try:
                return await asyncio.shield(at_work)
            except asyncio.CancelledError:
                # The thread goes on, and nothing else may use its connections meanwhile.
                await asyncio.wait([at_work])
                if not at_work.cancelled():
                    at_work.exception()  # unless it is asked for, asyncio complains
                raise


def say_what_holds(held: Mapping[str, CompetingFact]) -> str | None:
    """Say in one line which fact keeps positions from being repaired, and what to do about it."""
    if not held:
        return None
    position_id, rival = min(held.items())
    what = f"{rival.event_id} ({rival.type}, dated {rival.created_at:%F %T} UTC)"
    if len(held) == 1:
        whose = f"{position_id} is held by a fact dated in the future, {what}"
    else:
        whose = (
            f"{len(held):,} positions are held by facts dated in the future, "
            f"such as {position_id} by {what}"
        )
    return (
        f"{whose}: nothing can repair it before then. If the date is wrong: "
        f"positionstore retract {rival.event_id} --reason TEXT"
    )
