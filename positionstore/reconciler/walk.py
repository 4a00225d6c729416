"""One run: walk, compare, look again where that is due, repair.

The run trusts nothing it did not see: an error makes it partial, an absence is asked about by
id, and what changed within the settle window is looked at again when the window has passed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

from positionstore.dimes.access import Access
from positionstore.dimes.rest import Page, RestClient, State
from positionstore.errors import CredentialsError, GatewayError
from positionstore.reconciler.book import Book, Suspect
from positionstore.reconciler.comparison import DiscrepancyKind
from positionstore.reconciler.report import Discrepancy, Resolution, RunReport, RunState

T = TypeVar("T")

_AT_A_TIME: Final = 100
_PROBES: Final = 10
_GRACE: Final = timedelta(seconds=1)


class StoppedError(Exception):
    """The run must not go on: what it sees cannot be true."""


class Checkpoint(Protocol):
    """Remembers how far each walk has come, so that a killed run can go on."""

    def position_of(self, walk: str) -> tuple[str | None, bool]:
        """Return the id of the last position passed, and whether the walk has ended."""
        ...

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        """Remember that all up to this position is done."""
        ...


class NoCheckpoint:
    """A run that is done again from its beginning if it is killed."""

    def position_of(self, walk: str) -> tuple[str | None, bool]:
        """Nothing is done yet."""
        del walk
        return None, False

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        """Remember nothing."""


class Walk:
    """The steps of a run.

    Args:
        book: the store's side.
        rest: the REST API.
        report: what it finds is added here.
        settle_window: how long after an event a difference is left to settle by itself.
        clock: tells our time, UTC.
        sleep: waits, in seconds.
        checkpoint: remembers how far it has come.
        verified_since: positions verified since then (UTC) count as seen; for a run that goes on.
        progress: is told after each page.
    """

    def __init__(
        self,
        book: Book,
        rest: RestClient,
        report: RunReport,
        *,
        settle_window: timedelta,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
        checkpoint: Checkpoint,
        verified_since: datetime | None,
        progress: Callable[[RunReport], None],
    ) -> None:
        self._book = book
        self._rest = rest
        self._report = report
        self._settle_window = settle_window
        self._clock = clock
        self._sleep = sleep
        self._checkpoint = checkpoint
        self._verified_since = verified_since
        self._progress = progress
        self._store_turn = asyncio.Lock()
        self._look_again: dict[str, Access] = {}

    async def run(self, accesses: Sequence[Access], *, at_once: int) -> None:
        """Walk the positions that these accesses reach, then look again where that is due.

        Args:
            accesses: the partner's, or one for each wallet.
            at_once: how many are walked at a time.

        Raises:
            StoppedError: an empty list contradicts the store; nothing of it was believed.
            psycopg.Error: the database failed.
        """
        turns = asyncio.Semaphore(at_once)

        async def in_turn(access: Access) -> bool:
            async with turns:
                return await self._walk_all_of(access)

        walks = await _all([in_turn(access) for access in accesses])
        walked = [access for access, whole in zip(accesses, walks, strict=True) if whole]
        await self._ask_about_unseen(walked)
        await self._settle()
        if not self._report.errors:
            await self._in_store(self._book.drop_stale_valuations)
        self._report.state = RunState.PARTIAL if self._report.errors else RunState.COMPLETE

    async def _walk_all_of(self, access: Access) -> bool:
        """Walk both lists; say whether all of them was seen."""
        try:
            active = await self._walk_list(access, "active", self._active(access))
            if not active:
                await self._doubt_emptiness(access)
            await self._walk_list(access, "inactive", self._inactive(access))
        except (GatewayError, CredentialsError) as error:
            self._report.errors.append(f"The positions{_of(access)} were not all seen: {error}")
            return False
        return True

    def _active(self, access: Access) -> AsyncIterator[Page]:
        after, _ = self._checkpoint.position_of(_name(access, "active"))
        return self._rest.walk(
            access,
            state="active",
            sort_by="created_at",
            sort_direction="asc",
            starting_after=after,
        )

    async def _inactive(self, access: Access) -> AsyncIterator[Page]:
        after, _ = self._checkpoint.position_of(_name(access, "inactive"))
        since = self._report.scope.closed_since
        async for page in self._rest.walk(
            access,
            state="inactive",
            sort_by="created_at" if since is None else "closed_at",
            sort_direction="asc" if since is None else "desc",
            starting_after=after,
        ):
            yield page
            oldest = page.positions[-1].closed_at if page.positions else None
            if since is not None and oldest is not None and oldest < since:
                return

    async def _walk_list(self, access: Access, state: State, pages: AsyncIterator[Page]) -> bool:
        """Take the pages of a list; say whether there was anything in it."""
        name = _name(access, state)
        last_id, ended = self._checkpoint.position_of(name)
        if ended:
            return True
        found = last_id is not None
        async for page in pages:
            await self._take(page, access)
            if page.cursor is not None:
                found, last_id = True, page.cursor
                await self._in_store(partial(self._checkpoint.passed, name, last_id, ended=False))
        await self._in_store(partial(self._checkpoint.passed, name, last_id, ended=True))
        return found

    async def _take(self, page: Page, access: Access) -> None:
        self._report.seen += len(page.positions)
        self._report.rejected += len(page.rejected)
        self._note_as_of(page.as_of)
        suspects = await self._in_store(lambda: self._book.examine(page.positions, page.as_of))
        if page.rejected:
            received_at = self._clock()
            await self._in_store(lambda: self._book.quarantine(page.rejected, received_at))
        plain: list[Suspect] = []
        for suspect in suspects:
            if suspect.ended or suspect.settles_in(self._settle_window) >= timedelta():
                self._look_again[suspect.listed.position_id] = access
            else:
                plain.append(suspect)
        await self._repair(plain)
        self._note_requests()
        self._progress(self._report)

    async def _doubt_emptiness(self, access: Access) -> None:
        """Believe an empty list only where the store's own live positions have all ended."""
        live = await self._in_store(lambda: self._book.count_live(_wallets(access)))
        if not live:
            return
        probes = await self._in_store(lambda: self._book.some_live(_wallets(access), _PROBES))
        for position_id in probes:
            answer = await self._rest.position(access, position_id)
            if answer is None or not self._book.is_terminal(answer[0].status):
                raise StoppedError(
                    f"GET /positions lists no active positions{_of(access)}, but the store has "
                    f"{live} live ones. Nothing was changed."
                )

    async def _ask_about_unseen(self, walked: Sequence[Access]) -> None:
        for access in walked:
            waves = self._book.unseen_live(_wallets(access), self._verified_since)
            while wave := await self._in_store(partial(next, waves, None)):
                for position_id, _ in wave:
                    self._look_again.setdefault(position_id, access)

    async def _settle(self) -> None:
        """Ask by id about what was not seen, has ended, or is in flux; then decide."""
        due, self._look_again = self._look_again, {}
        unsettled = await self._ask(due)
        if not unsettled:
            return
        wait = max(suspect.settles_in(self._settle_window) for suspect, _ in unsettled) + _GRACE
        await self._sleep(min(wait, self._settle_window + _GRACE).total_seconds())
        still = await self._ask({each.listed.position_id: access for each, access in unsettled})
        await self._conclude([(suspect, Resolution.IN_FLUX) for suspect, _ in still])

    async def _ask(self, due: dict[str, Access]) -> list[tuple[Suspect, Access]]:
        """Ask for each position by id, repair what differs; return what is still in flux."""
        unsettled: list[tuple[Suspect, Access]] = []
        names = list(due)
        for first in range(0, len(names), _AT_A_TIME):
            wave = names[first : first + _AT_A_TIME]
            answers = await _all([self._ask_one(due[name], name) for name in wave])
            plain: list[Suspect] = []
            for name, suspects in zip(wave, answers, strict=True):
                for suspect in suspects:
                    if suspect.settles_in(self._settle_window) >= timedelta():
                        unsettled.append((suspect, due[name]))
                    else:
                        plain.append(suspect)
            await self._repair(plain)
            self._note_requests()
            self._progress(self._report)
        return unsettled

    async def _ask_one(self, access: Access, position_id: str) -> list[Suspect]:
        try:
            answer = await self._rest.position(access, position_id)
        except (GatewayError, CredentialsError) as error:
            self._report.errors.append(f"{position_id} was not seen: {error}")
            return []
        if answer is None:
            await self._add(
                [
                    Discrepancy(
                        position_id, DiscrepancyKind.ABSENT_UPSTREAM, (), Resolution.UNRESOLVED
                    )
                ]
            )
            return []
        listed, as_of = answer
        self._note_as_of(as_of)
        return await self._in_store(lambda: self._book.examine([listed], as_of))

    async def _repair(self, suspects: Sequence[Suspect]) -> None:
        if not suspects:
            return
        repaired = await self._in_store(lambda: self._book.repair(suspects, self._clock()))
        await self._conclude(
            [
                (suspect, Resolution.REPAIRED if right else Resolution.UNRESOLVED)
                for suspect, right in zip(suspects, repaired, strict=True)
            ]
        )

    async def _conclude(self, found: Sequence[tuple[Suspect, Resolution]]) -> None:
        await self._add(
            [
                Discrepancy(suspect.listed.position_id, suspect.kind, suspect.fields, resolution)
                for suspect, resolution in found
            ]
        )

    async def _add(self, discrepancies: Sequence[Discrepancy]) -> None:
        if not discrepancies:
            return
        for discrepancy in discrepancies:
            self._report.add(discrepancy)
        run_id = self._report.run_id
        await self._in_store(lambda: self._book.record(run_id, discrepancies, self._clock()))

    async def _in_store(self, work: Callable[[], T]) -> T:
        async with self._store_turn:
            return await asyncio.to_thread(work)

    def _note_as_of(self, as_of: datetime) -> None:
        known = self._report.as_of
        self._report.as_of = as_of if known is None else min(known, as_of)

    def _note_requests(self) -> None:
        self._report.requests = self._rest.requests
        self._report.retries = self._rest.retries


async def _all(work: Sequence[Coroutine[object, object, T]]) -> list[T]:
    """Do all of it at once; the first failure ends the rest and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _name(access: Access, state: State) -> str:
    return state if access.wallet is None else f"{state} {access.wallet}"


def _of(access: Access) -> str:
    return "" if access.wallet is None else f" of {access.wallet}"


def _wallets(access: Access) -> list[str] | None:
    return None if access.wallet is None else [access.wallet]
