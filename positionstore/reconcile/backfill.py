"""The operator's tool after an outage: repairs gaps, a window, or all of history; resumable.

A backfill is a reconciliation that remembers in the database, after each page, how far it has
come. One that was interrupted, even by kill -9, goes on from there when it is started again, and
counts as old as its first part: that it closes a gap is as certain as if it had never stopped.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import psycopg

from positionstore.errors import ConfigurationError
from positionstore.model.moments import moment_of
from positionstore.reconcile.reconciler import Reconciler, Resumption
from positionstore.reconcile.report import EXIT_CLEAN, EXIT_FAILED, RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.settings import Settings
from positionstore.store import backfills
from positionstore.store.backfills import Done, ListCursor, Unfinished, Unrepaired
from positionstore.store.database import Store
from positionstore.store.sessions import DEAD_AFTER

_HEARTBEATS: Final = 3
"""How many of its heartbeats a session that lives may miss."""

_MARGIN: Final = 1.0
"""Seconds by which a wait for a gap to show is longer than it need be."""


class What(StrEnum):
    """What a backfill repairs: every gap that nothing has repaired, a window, or all of history."""

    GAPS = "gaps"
    WINDOW = "window"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What an operator asks for.

    Attributes:
        what: the kind.
        since: the window's beginning, UTC; None for no bound.
        until: the window's end, UTC; None for no bound.
    """

    what: What
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def parse(cls, since: str, until: str, *, everything: bool, now: datetime) -> "BackfillRequest":
        """Understand the options of a command line.

        Args:
            since: a moment with an offset, or a date, which begins at midnight UTC; or nothing.
            until: the same; a date ends with that day.
            everything: whether all of history was asked for.
            now: the present, UTC.

        Raises:
            ConfigurationError: one cannot be understood, or they contradict each other.
        """
        if everything:
            if since or until:
                raise ConfigurationError(
                    "--all leaves no room for --since and --until.", remedy="Leave one out."
                )
            return cls(What.ALL)
        if not since and not until:
            return cls(What.GAPS)
        begin = moment_of("--since", since) if since else None
        end = moment_of("--until", until, end_of_day=True) if until else None
        if begin is not None and begin > now:
            raise ConfigurationError(f"--since {since} lies in the future.")
        if begin is not None and end is not None and begin >= end:
            raise ConfigurationError(f"--since {since} is not before --until {until}.")
        return cls(What.WINDOW, begin, end)

    @property
    def scope(self) -> Scope:
        """What the run walks."""
        return Scope.full() if self.what is What.ALL else Scope.window(self.since, self.until)

    def __str__(self) -> str:
        """Say it in words."""
        if self.what is What.ALL:
            return "all history"
        window = " ".join(
            f"{word} {moment:%F %T} UTC"
            for word, moment in (("since", self.since), ("until", self.until))
            if moment is not None
        )
        return f"the gaps {window}" if self.what is What.GAPS else f"the window {window}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill has come.

    Attributes:
        seen: positions seen, in all its parts.
        expected: how many there will be, as an estimate; None if there is none.
        per_second: positions seen in a second, in this part.
        seconds: how long this part has taken.
        differed: positions that differed, in this part.
        requests: HTTP requests, in this part.
        settling: positions in flux that are being waited for just now.
    """

    seen: int
    expected: int | None
    per_second: float
    seconds: float
    differed: int
    requests: int
    settling: int = 0


@dataclass(slots=True)
class Outcome:
    """What a backfill did.

    Attributes:
        wanted: what was asked for; of gaps, the window that holds them all.
        went_on: the one that was interrupted and gone on with, if any.
        done: what was done, in all its parts.
        reports: the runs of this time; none where nothing was to be repaired.
        gaps_before: the gaps that nothing had repaired before.
        gaps_left: those that nothing has repaired now.
    """

    wanted: BackfillRequest
    gaps_before: Unrepaired
    gaps_left: Unrepaired
    went_on: Unfinished | None = None
    done: Done = field(default_factory=lambda: Done(None, 0, 0, 0, 0, 0, None))
    reports: list[RunReport] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """As that of a run: 0; 3 where differences remain or fields are invalid; 1 else."""
        codes = {report.exit_code for report in self.reports}
        return EXIT_FAILED if EXIT_FAILED in codes else max(codes, default=EXIT_CLEAN)


class Backfill:
    """Backfills a store.

    Args:
        settings: whom to ask, as whom.
        store: what to repair.
        say: takes a line for the person who waits.
        progress: called after each page with how far it has come.
        clock: tells our time, UTC.
        monotonic: a clock, seconds.
        sleep: waits for seconds.
        reconciler: does the runs, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        reconciler: Callable[[Settings, Store], Reconciler] = Reconciler,
    ) -> None:
        self._silence = _HEARTBEATS * settings.heartbeat_every
        self._sleep = sleep
        self._store = store
        self._say = say
        self._progress = progress
        self._clock = clock
        self._monotonic = monotonic
        self._reconciler = reconciler(settings, store)

    async def run(self, wanted: BackfillRequest, *, restart: bool = False) -> Outcome:
        """Do it, going on where an earlier one of the same kind was interrupted.

        Args:
            wanted: what to repair.
            restart: start from the beginning, even if a walk was interrupted.

        Raises:
            ConfigurationError: a setting is missing, or does not fit the store.
            BusyError: another reconciler is at work on this database.
            DatabaseUnavailableError: the store cannot be reached.
        """
        with self._store.connect() as connection:
            if wanted.what is What.GAPS:
                await self._let_gaps_show(connection)
            gaps = backfills.unrepaired(connection)
            outcome = Outcome(wanted, gaps, gaps)
            if wanted.what is What.GAPS:
                if not gaps.gaps:
                    return outcome
                wanted = BackfillRequest(What.GAPS, gaps.since, gaps.until)
            if not restart:
                outcome.went_on = self._interrupted(connection, wanted)
            await self._do(connection, wanted, outcome)
            if self._has_more(wanted, outcome):
                gaps = outcome.gaps_left
                self._say("Meanwhile there were other gaps.")
                await self._do(
                    connection, BackfillRequest(What.GAPS, gaps.since, gaps.until), outcome
                )
            return outcome

    async def _let_gaps_show(self, connection: psycopg.Connection) -> None:
        """Wait until a session that is silent is heard again, or is taken for dead."""
        silent_for = backfills.in_doubt(connection, self._silence)
        if silent_for is None:
            return
        wait = DEAD_AFTER.total_seconds() - silent_for + _MARGIN
        self._say(
            f"A stream session was last heard {silent_for:.0f} seconds ago. If its process was "
            f"killed, its gap shows in {wait:.0f} seconds: waiting for that."
        )
        await self._sleep(max(0.0, wait))

    def _has_more(self, wanted: BackfillRequest, outcome: Outcome) -> bool:
        """Whether gaps are left that were over when the part that was gone on with began."""
        return (
            wanted.what is What.GAPS
            and outcome.went_on is not None
            and outcome.exit_code != EXIT_FAILED
            and outcome.gaps_left.ended > 0
        )

    def _interrupted(
        self, connection: psycopg.Connection, wanted: BackfillRequest
    ) -> Unfinished | None:
        found = backfills.unfinished(
            connection, what=wanted.what, since=wanted.since, until=wanted.until
        )
        if found is None or wanted.what is not What.GAPS:
            return found
        # Another run may have repaired its gaps since; or it does not reach back far enough.
        gaps = backfills.unrepaired(connection, before=found.started_at)
        if gaps.since is None or found.since is None or gaps.since < found.since:
            return None
        return found

    async def _do(
        self, connection: psycopg.Connection, wanted: BackfillRequest, outcome: Outcome
    ) -> None:
        went_on = outcome.went_on if not outcome.reports else None
        if went_on is not None:
            wanted = BackfillRequest(wanted.what, went_on.since, went_on.until)
            self._say(
                f"Going on with backfill {went_on.backfill_id} of {wanted}, which began "
                f"{went_on.started_at:%F %T} UTC and was interrupted: {went_on.seen:,} positions "
                f"were seen, {went_on.repaired:,} repaired."
            )
        else:
            self._say(f"Backfilling {wanted}.")
        outcome.wanted = wanted
        checkpoint = _InDatabase(connection, wanted, went_on, self._clock)
        expected = self._expected(connection, wanted)
        began = self._monotonic()

        def follow(report: RunReport) -> None:
            checkpoint.follow(report)
            self._progress(_progress(checkpoint, report, expected, self._monotonic() - began))

        report = await self._reconciler.run(
            Trigger.BACKFILL,
            wanted.scope,
            resumption=checkpoint.resumption,
            progress=follow,
        )
        checkpoint.end(report)
        outcome.done = checkpoint.done
        outcome.reports.append(report)
        outcome.gaps_left = backfills.unrepaired(connection)

    def _expected(self, connection: psycopg.Connection, wanted: BackfillRequest) -> int | None:
        if wanted.what is What.ALL:
            return backfills.seen_in_full(connection)
        return backfills.known_since(connection, wanted.scope.closed_since)


class _InDatabase:
    """A checkpoint in the database. The run holds the reconciler's lock while it is used."""

    def __init__(
        self,
        connection: psycopg.Connection,
        wanted: BackfillRequest,
        went_on: Unfinished | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._connection = connection
        self._wanted = wanted
        self._went_on = went_on
        self._clock = clock
        self._backfill_id = went_on.backfill_id if went_on else None
        self._places: dict[str, ListCursor] = dict(went_on.walks) if went_on else {}
        self._report: RunReport | None = None
        self._started_at = went_on.started_at if went_on else clock()

    @property
    def resumption(self) -> Resumption:
        """What the run takes over."""
        return Resumption(self._started_at, self, self._went_on.as_of if self._went_on else None)

    @property
    def done(self) -> Done:
        """What was done so far, in all parts."""
        before, now = self._went_on, self._report
        return Done(
            as_of=now.as_of if now else None,
            parts=1 + (before.parts if before else 0),
            seen=(before.seen if before else 0) + (now.seen if now else 0),
            repaired=(before.repaired if before else 0) + (now.repaired if now else 0),
            unresolved=now.unresolved if now else 0,
            requests=(before.requests if before else 0) + (now.requests if now else 0),
            run_id=now.run_id if now else None,
        )

    def follow(self, report: RunReport) -> None:
        """Take note of the run whose checkpoint this is."""
        self._report = report

    def position_of(self, walk: str) -> ListCursor:
        """Return the id of the last position passed, and whether the walk has ended."""
        return self._places.get(walk, (None, False))

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        """Remember that all up to this position is done."""
        self._places[walk] = last_id, ended
        with self._connection.transaction():
            backfills.passed(self._connection, self._recorded(), walk, self._places[walk])
            self._count()

    def end(self, report: RunReport) -> None:
        """Record that the backfill is over, if all was seen; else it goes on from where it was."""
        self._report = report
        if report.state is not RunState.COMPLETE:
            return
        with self._connection.transaction():
            self._count()
            backfills.finish(self._connection, self._recorded(), self._clock())

    def _recorded(self) -> int:
        if self._backfill_id is None:
            self._backfill_id = backfills.begin(
                self._connection,
                what=self._wanted.what,
                since=self._wanted.since,
                until=self._wanted.until,
                started_at=self._started_at,
                at=self._clock(),
            )
        return self._backfill_id

    def _count(self) -> None:
        backfills.count(self._connection, self._recorded(), self.done, self._clock())


def _progress(
    checkpoint: _InDatabase, report: RunReport, expected: int | None, seconds: float
) -> Progress:
    seen = checkpoint.done.seen
    return Progress(
        seen=seen,
        # Once there are more than expected, the number is unknown.
        expected=expected if expected and expected >= seen else None,
        per_second=report.seen / seconds if seconds > 0 else 0.0,
        seconds=seconds,
        differed=sum(report.by_kind.values()),
        requests=report.requests,
        settling=report.settling,
    )
