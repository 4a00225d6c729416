"""The store, as a run sees it: rows to compare with, repairs to append, findings to record.

Everything here is synchronous and uses two connections of its own, so it is called from one
thread at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg

from positionstore.dimes.page import Listed
from positionstore.model.facts import Received, Rejected, Snapshot, Source
from positionstore.model.fields import DURABLE_FIELDS
from positionstore.reconcile.absent import (
    CARRIED_FIELDS,
    absent_fields,
    carried,
    unchanged_where_absent,
)
from positionstore.reconcile.compare import (
    DiscrepancyKind,
    FieldDifference,
    Values,
    differences,
    kind_of,
    read_body,
    spelled_alike,
    spelled_valuation,
    values_of_row,
)
from positionstore.reconcile.report import Discrepancy, Resolution
from positionstore.store import quarantine
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.runs import (
    DiscrepancyRecord,
    StoredPosition,
    Valuation,
    Verified,
)

Answer = tuple[Listed, datetime]
"""A position as REST showed it, and the as-of of that answer, UTC."""

_COLUMNS = [field.column for field in DURABLE_FIELDS]
_CARRIED_COLUMNS = [field.column for field in CARRIED_FIELDS]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A position that differs, before anybody has decided what to make of it.

    Attributes:
        position_id: the position.
        listed: what REST said; None where it does not know the position.
        as_of: the as-of of that answer, UTC.
        kind: how it differs.
        fields: in what.
        ended: whether the store has it in a terminal status.
        newest_event_at: the ``created_at`` of the newest event that the log has of it, whether the
            row shows that one or not, UTC; None where the log has none.
        lacking: whether the body lacks a key of which the row has a value.
        wins: whether a snapshot of the answer would win by the order of facts as it is, and shows
            something new: what the log has shown already may come from a replica that lags.
    """

    position_id: str
    listed: Listed | None
    as_of: datetime
    kind: DiscrepancyKind
    fields: tuple[FieldDifference, ...]
    ended: bool
    newest_event_at: datetime | None
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
        self._appender = None if dry_run else Appender(writer)
        self._dry_run = dry_run
        self._settle_window = settle_window
        self._history = history
        self._terminal = {
            status
            for (status,) in reader.execute(
                "SELECT status FROM position_statuses WHERE is_terminal"
            )
        }
        self._live: set[str] = set()
        self._beaten_by: dict[str, records.CompetingFact] = {}

    def is_terminal(self, status: str) -> bool:
        """Whether a position with this status has ended."""
        return status in self._terminal

    def examine(
        self,
        answers: Sequence[Answer],
        meanwhile: Callable[[], object] = lambda: None,
        *,
        believed: bool = True,
    ) -> list[Mismatch]:
        """Compare what REST showed with the rows; return what differs.

        What does not differ is marked as verified, and what is live is valued. Nearly every
        position is spelled as its row is, and no more need be known; only what is not is compared
        value by value.

        Args:
            answers: what REST showed.
            meanwhile: is called while the server looks the rows up.
            believed: whether it is known when they were read; else nothing is marked nor valued.
        """
        # Two ids may become one where Postgres cannot hold what tells them apart.
        unique = {listed.position_id: (listed, as_of) for listed, as_of in answers}
        with records.spelled_rows(self._reader, list(unique)) as fetch:
            meanwhile()
            rows = fetch()
        keeps = believed and not self._dry_run
        verified: list[Verified] = []
        valuations: list[Valuation] = []
        doubtful: list[Answer] = []
        for position_id, (listed, as_of) in unique.items():
            ended = self.is_terminal(listed.status)
            fact, row = rows.get(position_id, (None, ()))
            spelling = listed.spelling
            if fact is None or spelling is None or not spelled_alike(row, spelling, closed=ended):
                doubtful.append((listed, as_of))
            elif keeps:
                verified.append(Verified(position_id, fact, as_of))
            if not ended and believed:
                self._live.add(position_id)
                if keeps:
                    valuations.append(_valuation(listed, as_of))
        mismatches, equal = self._examine_exactly(doubtful) if doubtful else ([], [])
        verified += equal
        for each in verified if self._beaten_by else ():
            self._beaten_by.pop(each.position_id, None)
        if (verified or valuations) and keeps:
            with self._reader.pipeline(), self._reader.transaction():
                records.mark_verified(self._reader, verified)
                records.keep_valuations(self._reader, valuations, history=self._history)
        return mismatches

    def _examine_exactly(self, answers: Sequence[Answer]) -> tuple[list[Mismatch], list[Verified]]:
        """Compare value by value; return what differs, and what does not."""
        rows = records.rows(self._reader, [listed.position_id for listed, _ in answers], _COLUMNS)
        found: list[tuple[Answer, DiscrepancyKind, tuple[FieldDifference, ...]]] = []
        equal: list[Verified] = []
        for listed, as_of in answers:
            row = rows.get(listed.position_id)
            kind, fields = self._compared(
                listed, read_body(listed.body, listed.spelling).values, row
            )
            if kind is not None:
                found.append(((listed, as_of), kind, fields))
            elif row is not None:
                equal.append(Verified(listed.position_id, row.last_event_id, as_of))
        return self._suspects(found, rows), equal

    def _compared(
        self, listed: Listed, theirs: Values, row: StoredPosition | None
    ) -> tuple[DiscrepancyKind | None, tuple[FieldDifference, ...]]:
        if row is None:
            return DiscrepancyKind.MISSING, ()
        closed = self.is_terminal(listed.status)
        if not differences(row.columns, theirs, closed=closed):
            return None, ()
        mine = values_of_row(row.columns)
        theirs = unchanged_where_absent(mine, theirs, absent_fields(listed.body, closed=closed))
        if not differences(mine, theirs, closed=closed):
            return None, ()
        return kind_of(mine, theirs), tuple(differences(mine, theirs, closed=closed))

    def _suspects(
        self,
        found: Sequence[tuple[Answer, DiscrepancyKind, tuple[FieldDifference, ...]]],
        rows: dict[str, StoredPosition],
    ) -> list[Mismatch]:
        known = [listed.position_id for (listed, _), _, _ in found if listed.position_id in rows]
        newest = records.newest_events(self._reader, known) if known else {}
        lacking = self._carried([listed for (listed, _), _, _ in found])
        rivals = self._rivals([answer for answer, _, _ in found]) if found else {}
        self._note_rivals(rivals)
        # What changed long ago no replica hides any more.
        old = self._shown_before(
            [
                (listed, as_of)
                for (listed, as_of), _, _ in found
                if rivals[listed.position_id] is None
                and listed.position_id in newest
                and (newest[listed.position_id] - as_of) + self._settle_window >= timedelta()
            ]
        )
        return [
            Mismatch(
                position_id=listed.position_id,
                listed=listed,
                as_of=as_of,
                kind=kind,
                fields=fields,
                ended=listed.position_id in rows and rows[listed.position_id].phase == "terminal",
                newest_event_at=newest.get(listed.position_id),
                lacking=listed.position_id in lacking,
                wins=rivals[listed.position_id] is None and listed.position_id not in old,
            )
            for (listed, as_of), kind, fields in found
        ]

    def _carried(self, shown: Sequence[Listed]) -> dict[str, bytes]:
        """Return by position what a snapshot has to carry, of those where it has to."""
        absent = {
            listed.position_id: absent_fields(listed.body, closed=self.is_terminal(listed.status))
            for listed in shown
        }
        lacking = [position_id for position_id, columns in absent.items() if columns]
        rows = records.rows(self._reader, lacking, _CARRIED_COLUMNS) if lacking else {}
        found = {name: carried(row.columns, absent[name]) for name, row in rows.items()}
        return {name: each for name, each in found.items() if each}

    def _rivals(self, answers: Sequence[Answer]) -> dict[str, records.CompetingFact | None]:
        return records.rivals(self._reader, [self._snapshot(*each) for each in answers])

    def _note_rivals(self, rivals: Mapping[str, records.CompetingFact | None]) -> None:
        for position_id, rival in rivals.items():
            if rival is None:
                self._beaten_by.pop(position_id, None)
            else:
                self._beaten_by[position_id] = rival

    def held_by_later_than(self, moment: datetime) -> dict[str, records.CompetingFact]:
        """Return what differs and is kept as it is by a fact that is dated later than a moment."""
        return {name: each for name, each in self._beaten_by.items() if each.created_at > moment}

    def _snapshot(self, listed: Listed, as_of: datetime, carried: bytes = b"") -> Snapshot:
        return Snapshot(
            position_id=listed.position_id,
            status=listed.status,
            as_of=as_of,
            supersedes_before=as_of - self._settle_window,
            body=listed.body,
            carried=carried,
        )

    def _shown_before(self, answers: Sequence[Answer]) -> set[str]:
        """Return those that show what a fact of the log has shown before."""
        if not answers:
            return set()
        theirs = {
            listed.position_id: (
                read_body(listed.body, listed.spelling).values,
                self.is_terminal(listed.status),
            )
            for listed, _ in answers
        }
        return {
            position_id
            for position_id, past in records.past_rows(self._reader, list(theirs), _COLUMNS)
            if not differences(past, theirs[position_id][0], closed=theirs[position_id][1])
        }

    def absences(self, position_ids: Sequence[str], as_of: datetime) -> list[Mismatch]:
        """Return those of these positions, which REST does not know, that the store has live."""
        if not position_ids:
            return []
        rows = records.rows(self._reader, position_ids, _COLUMNS)
        newest = records.newest_events(self._reader, position_ids)
        return [
            Mismatch(
                position_id=position_id,
                listed=None,
                as_of=as_of,
                kind=DiscrepancyKind.ABSENT_UPSTREAM,
                fields=(),
                ended=False,
                newest_event_at=newest.get(position_id),
            )
            for position_id, row in rows.items()
            if row.phase != "terminal"
        ]

    def repair(self, mismatches: Sequence[Mismatch], received_at: datetime) -> list[Resolution]:
        """Append a snapshot of each that would win the fold; say what became of it.

        A snapshot that a fact of the log beats would change nothing, in this run and in the next.

        Returns:
            For each ``REPAIRED`` where the row now equals what REST said, ``IN_FLUX`` where an
            event that arrived meanwhile may be why it does not, and else ``UNRESOLVED``.
        """
        if self._appender is None or not mismatches:
            return [Resolution.UNRESOLVED] * len(mismatches)
        shown = [(each.listed, each.as_of) for each in mismatches if each.listed is not None]
        rivals = self._rivals(shown)
        self._note_rivals(rivals)
        winners = [each for each in shown if rivals[each[0].position_id] is None]
        if winners:
            keeps = self._carried([listed for listed, _ in winners])
            self._appender.append_snapshots(
                [
                    self._snapshot(listed, as_of, keeps.get(listed.position_id, b""))
                    for listed, as_of in winners
                ],
                received_at,
            )
        rows = records.rows(self._reader, [listed.position_id for listed, _ in shown], _COLUMNS)
        verified: dict[str, Verified] = {}
        for listed, as_of in shown:
            row = rows.get(listed.position_id)
            kind, _ = self._compared(listed, read_body(listed.body, listed.spelling).values, row)
            if kind is None and row is not None:
                verified[listed.position_id] = Verified(
                    listed.position_id, row.last_event_id, as_of
                )
        with self._reader.pipeline(), self._reader.transaction():
            records.mark_verified(self._reader, list(verified.values()))
        others = [each for each in mismatches if each.position_id not in verified]
        overtaken = self._in_flux_now(others) if others else set()
        return [
            Resolution.REPAIRED
            if each.position_id in verified
            else Resolution.IN_FLUX
            if each.position_id in overtaken
            else Resolution.UNRESOLVED
            for each in mismatches
        ]

    def _in_flux_now(self, mismatches: Sequence[Mismatch]) -> set[str]:
        newest = records.newest_events(self._reader, [each.position_id for each in mismatches])
        return {
            each.position_id
            for each in mismatches
            if replace(each, wins=False, newest_event_at=newest.get(each.position_id)).is_in_flux(
                self._settle_window
            )
        }

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
                DiscrepancyRecord(
                    position_id=each.position_id,
                    kind=each.kind,
                    field=field.field,
                    store_value=field.store_value,
                    rest_value=field.rest_value,
                    resolution=each.resolution,
                    noticed_at=at,
                )
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


def _valuation(listed: Listed, as_of: datetime) -> Valuation:
    if listed.spelling is None:
        values = read_body(listed.body).valuation
    else:
        values = spelled_valuation(listed.spelling)
    return Valuation(listed.position_id, as_of, values)
