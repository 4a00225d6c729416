"""One run: walk, compare, look again where that is due, repair.

The run trusts nothing it did not see: an error makes it partial, an absence is asked about by
id, and what changed within the settle window is looked at again when the window has passed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from positionstore.dimes.access import RestCredentials
from positionstore.dimes.paging import CursorLostError
from positionstore.dimes.rest import OutOfReachError, Page, RestClient, State
from positionstore.dimes.tokens import KeyRefusedError
from positionstore.errors import CredentialsError, DoubtfulClockError, GatewayError
from positionstore.model.address import one_spelling
from positionstore.reconcile.checkpoint import Checkpoint, NoCheckpoint
from positionstore.reconcile.findings import Findings, say_what_holds
from positionstore.reconcile.lookups import GIVE_UP_AFTER, PointLookups, Recheck
from positionstore.reconcile.prefetch import prefetched
from positionstore.reconcile.report import Resolution, RunReport
from positionstore.reconcile.server_clock import ServerClock
from positionstore.reconcile.store_side import Answer, Mismatch, StoreSide
from positionstore.reconcile.together import gather
from positionstore.store.runs import CompetingFact

_PROBES: Final = 10
_MOST_HELD: Final = 1_000
_LOOKS: Final = 3
_FUTURE: Final = timedelta(minutes=10)  # an emitter may be ahead by that without a word
GRACE: Final = timedelta(seconds=2)
"""For an event on its way, and for the ``Date`` of an answer, which is cut to seconds."""


class StoppedError(Exception):
    """The run must not go on: what it sees cannot be true."""


class ReconcileRun:
    """The steps of a run.

    Args:
        store_side: the store's side.
        rest: the REST API.
        report: what it finds is added here.
        settle_window: how long after an event a difference is left to settle by itself.
        clock: tells our time, UTC.
        server_clock: which answers' clocks are believed.
        sleep: waits, in seconds.
        checkpoint: remembers how far it has come; what it has passed is repaired.
        verified_since: positions verified since then, by the server's clock, count as seen; for a
            run that goes on.
        progress: called after each page.
    """

    def __init__(
        self,
        store_side: StoreSide,
        rest: RestClient,
        report: RunReport,
        *,
        settle_window: timedelta,
        clock: Callable[[], datetime],
        server_clock: ServerClock,
        sleep: Callable[[float], Awaitable[None]],
        checkpoint: Checkpoint,
        verified_since: datetime | None,
        progress: Callable[[RunReport], None],
    ) -> None:
        self._store_side = store_side
        self._rest = rest
        self._report = report
        self._settle_window = settle_window
        self._clock = clock
        self._sleep = sleep
        self._checkpoint = checkpoint
        # What is held back would be lost if the run were killed and another went on from here: who
        # remembers how far it came holds nothing back.
        self._remembers = not isinstance(checkpoint, NoCheckpoint)
        self._verified_since = verified_since
        self._progress = progress
        self._held: dict[str, tuple[Mismatch, RestCredentials]] = {}
        self._rechecks: dict[str, Recheck] = {}
        self._doubts: list[str] = []
        self._found_active = False
        self._shown_wallets: set[str] = set()
        self._without_token: dict[str, KeyRefusedError] = {}
        self._findings = Findings(store_side, report, clock)
        self._server_clock = server_clock
        self._lookups = PointLookups(
            rest,
            self._findings,
            self._server_clock,
            settle_window=settle_window,
            progress=self._note_progress,
        )

    async def run(self, credentials: Sequence[RestCredentials], *, at_once: int) -> None:
        """Walk the positions that these credentials reach, then look again where that is due.

        Args:
            credentials: the partner's, or one for each wallet.
            at_once: how many are walked at a time.

        Raises:
            StoppedError: an empty list contradicts the store; nothing of it was believed.
            psycopg.Error: the database failed.
        """
        turns = asyncio.Semaphore(at_once)

        async def in_turn(access: RestCredentials) -> bool:
            async with turns:
                return await self._walk_all_of(access)

        walks = await gather([in_turn(access) for access in credentials])
        if self._doubts and not self._found_active:
            raise StoppedError(self._doubts[0])
        self._report.errors += self._doubts
        walked = [access for access, whole in zip(credentials, walks, strict=True) if whole]
        await self._note_unseen(walked)
        await self._settle()
        await self._findings.in_store(self._store_side.drop_stale_valuations)
        self._report.clock_offset = self._server_clock.learnt
        if complaint := self._server_clock.complaint:
            self._report.errors.append(complaint)
        if note := say_what_holds(self._held_by_the_future()):
            self._report.notes.append(note)
        if self._lookups.not_asked:
            self._report.errors.append(
                f"{self._lookups.not_asked:,} more were not asked for, as the API had not answered "
                f"the last {GIVE_UP_AFTER} times."
            )
        if self._without_token:
            self._report.errors.append(self._say_whom_the_refused_key_hid())
        self._report.end()

    # --- the lists -------------------------------------------------------------------------

    async def _walk_all_of(self, access: RestCredentials) -> bool:
        """Walk both lists; say whether all of them was seen."""
        if self._lookups.gives_up():
            return False
        which = "active"
        try:
            # In this order, so that a position that ends meanwhile is in the one or the other.
            if await self._walk_list(access, "active", partial(self._active, access)):
                self._found_active = True
            elif await self._contradicts(access):
                return False
            which = "ended"
            await self._walk_list(access, "inactive", partial(self._inactive, access))
        except KeyRefusedError as refusal:
            self._report.refused = True
            # One line for all of them: there may be thousands.
            self._without_token[access.wallet or ""] = refusal
            return False
        except (GatewayError, CredentialsError) as error:
            self._lookups.failed(error)
            # Of one wallet among many it says nothing of the key.
            if isinstance(error, CredentialsError) and access.wallet is None:
                self._report.refused = True
            if isinstance(error, DoubtfulClockError):
                self._server_clock.doubtful += 1
            self._report.errors.append(
                f"The {which} positions{_of(access)} were not all seen: {error}"
            )
            return False
        return True

    def _active(self, access: RestCredentials, after: str | None) -> AsyncIterator[Page]:
        return self._rest.walk(
            access,
            state="active",
            sort_by="created_at",
            sort_direction="asc",
            starting_after=after,
        )

    async def _inactive(self, access: RestCredentials, after: str | None) -> AsyncIterator[Page]:
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
            # The scope follows our clock, the end of a position by the server's.
            if (
                since is not None
                and oldest is not None
                and since - oldest > self._server_clock.behind
            ):
                return

    async def _walk_list(
        self,
        access: RestCredentials,
        state: State,
        pages_after: Callable[[str | None], AsyncIterator[Page]],
    ) -> bool:
        """Take the pages of a list; say whether there was anything in it."""
        name = _name(access, state)
        after, ended = self._checkpoint.position_of(name)
        if ended:
            return True
        try:
            return await self._take_all(access, name, after, pages_after(after))
        except CursorLostError:
            if after is None:
                raise
            # The row where an earlier part stopped has left this list since.
            return await self._take_all(access, name, None, pages_after(None))

    async def _take_all(
        self, access: RestCredentials, name: str, after: str | None, pages: AsyncIterator[Page]
    ) -> bool:
        last_id = after
        found, whole = last_id is not None, True
        async with aclosing(prefetched(pages)) as prefetch:
            async for page in prefetch:
                self._lookups.answered()
                whole = await self._take(page, access) and whole
                if page.cursor is not None:
                    found, last_id = True, page.cursor
                    if whole:
                        await self._passed(name, last_id, ended=False)
        if whole:
            await self._passed(name, last_id, ended=True)
        return found

    async def _passed(self, name: str, last_id: str | None, *, ended: bool) -> None:
        if self._remembers:
            await self._findings.in_store(
                partial(self._checkpoint.passed, name, last_id, ended=ended)
            )

    async def _take(self, page: Page, access: RestCredentials) -> bool:
        """Take a page; say whether all that had to be asked about it was answered."""
        self._report.seen += len(page.positions)
        self._report.rejected += len(page.rejected)
        self._shown_wallets.update(
            each.wallet_address for each in page.positions if each.wallet_address
        )
        if page.rejected:
            received_at = self._clock()
            await self._findings.in_store(
                lambda: self._store_side.quarantine(page.rejected, received_at)
            )
        answers = [(each, page.as_of) for each in page.positions]
        if page.doubtful:
            return await self._take_doubtful(answers, access)
        self._report.note_as_of(page.as_of)
        self._server_clock.note(page.as_of)
        mismatches = await self._findings.in_store(partial(self._store_side.examine, answers))
        ended, plain = self._sorted(mismatches, page, access)
        if self._remembers:
            self._rechecks |= await self._lookups.ask(ended)
        else:
            self._rechecks |= ended
        for mismatch in await self._findings.repair(plain):
            self._rechecks[mismatch.position_id] = Recheck(access, mismatch, overtaken=True)
        self._note_progress()
        return self._lookups.unanswered.isdisjoint(ended)

    def _sorted(
        self, mismatches: Sequence[Mismatch], page: Page, access: RestCredentials
    ) -> tuple[dict[str, Recheck], list[Mismatch]]:
        """Put off what has to wait; return what has to be asked for, and what is to be repaired."""
        for each in page.positions:
            self._held.pop(each.position_id, None)  # this answer is newer
        plain: list[Mismatch] = []
        ended: dict[str, Recheck] = {}
        for mismatch in mismatches:
            if self._is_in_flux(mismatch):
                self._rechecks[mismatch.position_id] = Recheck(access, mismatch)
            elif mismatch.ended or mismatch.lacking:
                ended[mismatch.position_id] = Recheck(access, mismatch)
            elif not self._remembers and len(self._held) < _MOST_HELD:
                # It may be on its way over the stream: at the end of the run, the store will know.
                self._held[mismatch.position_id] = mismatch, access
            else:
                plain.append(mismatch)
        return ended, plain

    async def _take_doubtful(self, answers: Sequence[Answer], access: RestCredentials) -> bool:
        """Have what differs asked for by its id: when the page was read is not known."""
        self._server_clock.doubtful += 1
        for mismatch in await self._findings.in_store(
            partial(self._store_side.examine, answers, believed=False)
        ):
            self._rechecks.setdefault(mismatch.position_id, Recheck(access, mismatch))
        self._note_progress()
        return False

    async def _contradicts(self, access: RestCredentials) -> bool:
        """Whether an empty list cannot be true: not all that the store has live has ended."""
        wallets = None if access.wallet is None else [access.wallet]
        live = await self._findings.in_store(lambda: self._store_side.count_live(wallets))
        if not live:
            return False
        answered = 0
        for position_id in await self._findings.in_store(
            lambda: self._store_side.some_live(wallets, _PROBES)
        ):
            try:
                answer = await self._rest.position(access, position_id)
            except OutOfReachError:
                continue
            answered += 1
            if answer is None or not self._store_side.is_terminal(answer[0].status):
                answered = 0
                break
        if answered:
            return False
        self._doubts.append(
            f"GET /positions lists no active positions{_of(access)}, but the store has "
            f"{live} live ones: the list was not believed."
        )
        return True

    async def _note_unseen(self, walked: Sequence[RestCredentials]) -> None:
        """Have those live positions looked at that no list showed.

        Wallet by wallet, one that names no wallet cannot be asked for, nor said to be absent.
        """
        if not walked:
            return
        by_wallet: dict[str, RestCredentials] | None = None
        if self._report.reach == "wallets":
            by_wallet = {
                one_spelling(each.wallet): each for each in walked if each.wallet is not None
            }
            if unnamed := next((each for each in walked if each.wallet is None), None):
                # A ready token that does not say whose it is: its lists do.
                by_wallet |= dict.fromkeys(map(one_spelling, self._shown_wallets), unnamed)
        wallets = None if by_wallet is None else [*by_wallet, ""]
        nobodys = 0
        waves = self._store_side.unseen_live(wallets, self._verified_since)
        while wave := await self._findings.in_store(partial(next, waves, None)):
            for position_id, wallet in wave:
                access = walked[0] if by_wallet is None else by_wallet.get(wallet or "")
                if position_id in self._held or position_id in self._rechecks:
                    continue
                if access is None:
                    nobodys += 1
                else:
                    self._rechecks[position_id] = Recheck(access)
        if nobodys:
            self._report.errors.append(
                f"{nobodys:,} live positions of the store name no wallet, and no list showed them: "
                "by whose token to ask for them is not known, and they were not seen."
            )

    # --- looking again ---------------------------------------------------------------------

    async def _settle(self) -> None:
        """Decide what is still open, when what is on its way has had the time to arrive."""
        if self._held or self._rechecks:
            await self._wait(timedelta(), len(self._held) + len(self._rechecks))
        await self._release_held()
        due, self._rechecks = self._rechecks, {}
        unsettled = await self._lookups.ask(due)
        for number in range(_LOOKS):
            if not unsettled:
                return
            wait = timedelta() if number else self._longest_wait(unsettled.values())
            await self._wait(wait, len(unsettled))
            unsettled = await self._lookups.ask(unsettled)
        held = self._held_by_the_future()  # those the next run cannot judge either
        await self._findings.add(
            [
                look.mismatch.concluded(
                    Resolution.UNRESOLVED
                    if look.mismatch.position_id in held
                    else Resolution.IN_FLUX
                )
                for look in unsettled.values()
                if look.mismatch is not None
            ]
        )

    def _held_by_the_future(self) -> dict[str, CompetingFact]:
        return self._store_side.held_by_later_than(
            self._clock() + self._server_clock.ahead + _FUTURE
        )

    async def _wait(self, wait: timedelta, settling: int) -> None:
        self._report.settling = settling
        self._note_progress()
        await self._sleep((wait + GRACE).total_seconds())
        self._report.settling = 0

    async def _release_held(self) -> None:
        held, self._held = self._held, {}
        answers = [
            (each.listed, each.as_of) for each, _ in held.values() if each.listed is not None
        ]
        mismatches = await self._findings.in_store(lambda: self._store_side.examine(answers))
        plain: list[Mismatch] = []
        for mismatch in mismatches:
            if self._is_in_flux(mismatch) or mismatch.ended or mismatch.lacking:
                access = held[mismatch.position_id][1]
                self._rechecks[mismatch.position_id] = Recheck(access, mismatch)
            else:
                plain.append(mismatch)
        for mismatch in await self._findings.repair(plain):
            access = held[mismatch.position_id][1]
            self._rechecks[mismatch.position_id] = Recheck(access, mismatch, overtaken=True)

    def _is_in_flux(self, mismatch: Mismatch) -> bool:
        return mismatch.is_in_flux(self._settle_window)

    def _longest_wait(self, looks: Iterable[Recheck]) -> timedelta:
        """Return how long it takes until they are out of flux.

        An emitter's clock may be ahead, but what settles only in days is not waited for.
        """
        waits = [
            look.mismatch.settles_in(self._settle_window)
            for look in looks
            if look.mismatch is not None
        ]
        return max((wait for wait in waits if wait <= 2 * self._settle_window), default=timedelta())

    # --- notes -----------------------------------------------------------------------------

    def _say_whom_the_refused_key_hid(self) -> str:
        wallets, refusal = list(self._without_token), next(iter(self._without_token.values()))
        whose = wallets[0] if len(wallets) == 1 else f"{len(wallets):,} wallets"
        return f"The positions of {whose} were not all seen: {refusal}"

    def _note_progress(self) -> None:
        self._report.requests = self._rest.requests
        self._report.retries = self._rest.retries
        self._progress(self._report)


def _name(access: RestCredentials, state: State) -> str:
    return state if access.wallet is None else f"{state} {access.wallet}"


def _of(access: RestCredentials) -> str:
    return "" if access.wallet is None else f" of {access.wallet}"
