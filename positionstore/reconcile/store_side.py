"""The store, as a run sees it: rows to compare with, repairs to append, findings to record.

Everything here is synchronous and uses two connections of its own, so it is called from one
thread at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from positionstore.dimes.page import Listed
from positionstore.model.facts import Received, Rejected, Snapshot, Source
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import Discrepancy, Resolution
from positionstore.store import quarantine
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.engine import is_distributed
from positionstore.store.runs import Compared, FieldDifference, Valuation, Verified
from positionstore.store.statuses import terminal_statuses

Answer = tuple[Listed, datetime]
"""A position as REST showed it, and the as-of of that answer, UTC."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A position that differs, before anybody has decided what to make of it.

    Attributes:
        position_id: the position.
        listed: what REST said; None where it does not know the position.
        as_of: the as-of of that answer, UTC.
        kind: how it differs.
        newest_event_at: the ``created_at`` of the newest event that the log has of it, whether the
            row shows that one or not, UTC; None where the log has none.
        fields: in what.
        ended: whether the store has it in a terminal status.
        lacking: whether the body lacks a key of which the row has a value.
        wins: whether a snapshot of the answer would win by the order of facts as it is, and shows
            something new: what the log has shown already may come from a replica that lags.
    """

    position_id: str
    listed: Listed | None
    as_of: datetime
    kind: DiscrepancyKind
    newest_event_at: datetime | None
    fields: tuple[FieldDifference, ...] = ()
    ended: bool = False
    lacking: bool = False
    wins: bool = False

    def settles_in(self, settle_window: timedelta) -> timedelta:
        """How long after ``as_of`` a snapshot would overrule every event; negative if now."""
        if self.newest_event_at is None:
            return timedelta(-1)
        # Not the other way round, which would leave the years 1 to 9999 for some events.
        return (self.newest_event_at - self.as_of) + settle_window

    def is_in_flux(self, settle_window: timedelta) -> bool:
        """Whether it changed too lately to say who is behind."""
        return not self.wins and self.settles_in(settle_window) >= timedelta()

    def concluded(self, resolution: Resolution) -> Discrepancy:
        """Return it with what became of it."""
        return Discrepancy(self.position_id, self.kind, self.fields, resolution)


class StoreSide:
    """The store's side of a run.

    Args:
        reader: a connection in autocommit mode, for look-ups and findings.
        writer: another, for appending.
        settle_window: how long before its as-of a snapshot leaves events to compete with it.
        history: whether every valuation is kept, or only the latest.
        dry_run: nothing is written.
    """

    def __init__(
        self,
        reader: psycopg.Connection,
        writer: psycopg.Connection,
        *,
        settle_window: timedelta,
        history: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._reader = reader
        # To plan the comparison takes as long as to do it, so one plan serves all pages. It may be
        # made for an empty store, and has to look up by key all the same.
        if not is_distributed(reader):  # Citus has no plan that does not depend on the values
            reader.execute("SET plan_cache_mode = force_generic_plan")
        reader.execute("SET enable_seqscan = off")
        self._appender = None if dry_run else Appender(writer)
        self._settle_window = settle_window
        self._history = history
        self._terminal = terminal_statuses(reader)
        self._live: set[str] = set()
        self._beaten_by: dict[str, records.CompetingFact] = {}

    def is_terminal(self, status: str) -> bool:
        """Whether a position with this status has ended."""
        return status in self._terminal

    def examine(self, answers: Sequence[Answer], *, believed: bool = True) -> list[Mismatch]:
        """Compare what REST showed with the rows; return what differs.

        What does not differ is marked as verified, and what is live is valued.

        Args:
            answers: what REST showed.
            believed: whether it is known when they were read; else nothing is marked nor valued.
        """
        shown = _by_position(answers)
        found = self._compare(shown.values())
        alive = {
            position_id
            for position_id, (listed, _) in shown.items()
            if believed and not self.is_terminal(listed.status)
        }
        self._live |= alive
        if believed and self._appender is not None:
            self._mark(
                shown,
                found,
                [
                    Valuation(each.position_id, shown[each.position_id][1], each.valuation)
                    for each in found
                    if each.position_id in alive
                ],
            )
        return [
            Mismatch(
                each.position_id,
                *shown[each.position_id],
                DiscrepancyKind(each.kind),
                each.newest_event_at,
                each.fields,
                ended=each.has_ended,
                lacking=each.carried is not None,
                wins=each.rival is None and not each.was_shown,
            )
            for each in found
            if each.kind is not None
        ]

    def absences(self, position_ids: Sequence[str], as_of: datetime) -> list[Mismatch]:
        """Return those of these positions, which REST does not know, that the store has live."""
        if not position_ids:
            return []
        return [
            Mismatch(position_id, None, as_of, DiscrepancyKind.ABSENT_UPSTREAM, newest_event_at)
            for position_id, newest_event_at in records.absent(self._reader, position_ids)
        ]

    def repair(
        self, mismatches: Sequence[Mismatch], received_at: datetime
    ) -> list[Resolution | None]:
        """Append a snapshot of each that would win the fold; say what became of it.

        A snapshot that a fact of the log beats would change nothing, in this run and in the next.

        Returns:
            For each ``REPAIRED`` where the row now equals what REST said, ``IN_FLUX`` where an
            event that arrived meanwhile may be why it does not, and else ``UNRESOLVED``. None where
            it differed no more before anything was done.
        """
        if self._appender is None or not mismatches:
            return [Resolution.UNRESOLVED] * len(mismatches)
        shown = _by_position([(each.listed, each.as_of) for each in mismatches if each.listed])
        before = {each.position_id: each for each in self._compare(shown.values())}
        if winners := [
            self._snapshot(*shown[each.position_id], (each.carried or "").encode())
            for each in before.values()
            if each.kind is not None and each.rival is None
        ]:
            self._appender.append_snapshots(winners, received_at)
        after = {each.position_id: each for each in self._compare(shown.values())}
        self._mark(shown, after.values())

        def became(mismatch: Mismatch) -> Resolution | None:
            if (now := after.get(mismatch.position_id)) is None:
                return Resolution.UNRESOLVED
            if now.kind is None:
                return Resolution.REPAIRED if before[now.position_id].kind else None
            as_it_is = replace(mismatch, wins=False, newest_event_at=now.newest_event_at)
            if as_it_is.is_in_flux(self._settle_window):
                return Resolution.IN_FLUX
            return Resolution.UNRESOLVED

        return [became(each) for each in mismatches]

    def held_by_later_than(self, moment: datetime) -> dict[str, records.CompetingFact]:
        """Return what differs and is kept as it is by a fact that is dated later than a moment."""
        return {name: each for name, each in self._beaten_by.items() if each.created_at > moment}

    def _compare(self, answers: Iterable[Answer]) -> list[Compared]:
        snapshots = [self._snapshot(*each) for each in answers]
        found = records.compare(self._reader, snapshots, self._settle_window) if snapshots else []
        for each in found:
            if each.rival is not None:
                self._beaten_by[each.position_id] = each.rival
            else:
                self._beaten_by.pop(each.position_id, None)
        return found

    def _mark(
        self,
        shown: Mapping[str, Answer],
        found: Iterable[Compared],
        valuations: Sequence[Valuation] = (),
    ) -> None:
        verified = [
            Verified(each.position_id, each.last_event_id, shown[each.position_id][1])
            for each in found
            if each.kind is None and each.last_event_id is not None
        ]
        if verified or valuations:
            with self._reader.pipeline(), self._reader.transaction():
                records.mark_verified(self._reader, verified)
                records.keep_valuations(self._reader, valuations, history=self._history)

    def _snapshot(self, listed: Listed, as_of: datetime, carried: bytes = b"") -> Snapshot:
        return Snapshot(
            position_id=listed.position_id,
            status=listed.status,
            as_of=as_of,
            supersedes_before=as_of - self._settle_window,
            body=listed.body,
            carried=carried,
        )

    def quarantine(self, rejected: Sequence[Rejected], received_at: datetime) -> None:
        """Keep what was listed among the positions and is none."""
        if self._appender is not None:
            quarantine.keep(
                self._reader,
                [
                    quarantine.Entry.of(Received(each, received_at, Source.REST), each)
                    for each in rejected
                ],
            )

    def record(
        self, run_id: int | None, discrepancies: Sequence[Discrepancy], at: datetime
    ) -> None:
        """Record what differed; nothing of a dry run."""
        if run_id is None:
            return
        records.record_discrepancies(
            self._reader,
            run_id,
            [
                {
                    "position_id": each.position_id,
                    "kind": each.kind,
                    "resolution": each.resolution,
                    "noticed_at": at,
                    **field._asdict(),
                }
                for each in discrepancies
                for field in (each.fields or (FieldDifference("", None, None),))
            ],
        )

    def unseen_live(
        self, wallets: Sequence[str] | None, verified_since: datetime | None
    ) -> Iterator[list[tuple[str, str | None]]]:
        """Yield the live positions that no answer has shown to live, each with its wallet."""
        for wave in records.live(self._reader, wallets, verified_since):
            unseen = [each for each in wave if each[0] not in self._live]
            if unseen:
                yield unseen

    def count_live(self, wallets: Sequence[str] | None) -> int:
        """Return how many positions the store has live."""
        return records.count_live(self._reader, wallets)

    def some_live(self, wallets: Sequence[str] | None, at_most: int) -> list[str]:
        """Return a few of the positions that the store has live."""
        return records.some_live(self._reader, wallets, at_most)

    def drop_stale_valuations(self) -> None:
        """Forget the valuations of positions that have ended."""
        if self._appender is not None:
            records.drop_stale_valuations(self._reader)


def _by_position(answers: Iterable[Answer]) -> dict[str, Answer]:
    # Two ids may become one where Postgres cannot hold what tells them apart.
    return {listed.position_id: (listed, as_of) for listed, as_of in answers}
