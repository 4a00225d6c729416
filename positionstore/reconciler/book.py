"""The store, as a run sees it: rows to compare with, repairs to append, findings to record.

Everything here is synchronous and uses two connections of its own, so it is called from one
thread at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from positionstore.dimes.page import Listed
from positionstore.facts import Received, Rejected, Snapshot, Source
from positionstore.reconciler.comparison import (
    DURABLE_FIELDS,
    DiscrepancyKind,
    FieldDifference,
    Reading,
    differences,
    kind_of,
    read_body,
    values_of_row,
)
from positionstore.reconciler.report import Discrepancy
from positionstore.store import quarantine
from positionstore.store import reconciliation as records
from positionstore.store.log import Appender
from positionstore.store.reconciliation import (
    DiscrepancyRecord,
    StoredPosition,
    Valuation,
)

_COLUMNS = [field.column for field in DURABLE_FIELDS]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A position that differs, before anybody has decided what to make of it.

    Attributes:
        listed: what REST said.
        as_of: the as-of of that answer, UTC.
        kind: how it differs.
        fields: in what.
        ended: whether the store has it in a terminal status.
        last_event_at: the ``created_at`` of the event that the row shows, UTC; None where there
            is no row, or where it shows a snapshot.
    """

    listed: Listed
    as_of: datetime
    kind: DiscrepancyKind
    fields: tuple[FieldDifference, ...]
    ended: bool
    last_event_at: datetime | None

    def settles_in(self, settle_window: timedelta) -> timedelta:
        """How long after ``as_of`` the position is out of flux; negative where it is already."""
        if self.last_event_at is None:
            return timedelta(-1)
        return self.last_event_at + settle_window - self.as_of


class Book:
    """The store's side of a run.

    Args:
        reader: a connection in autocommit mode, for look-ups and findings.
        writer: another, for appending.
        settle_window: how long before its as-of a snapshot leaves events to compete with it.
        history: whether every valuation is kept, or only the latest.
        dry_run: nothing is written, but for a temporary table.
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
        self._settle_window = settle_window
        self._history = history
        self._terminal = {
            status
            for (status,) in reader.execute(
                "SELECT status FROM position_statuses WHERE is_terminal"
            )
        }
        records.forget_seen(reader)

    def is_terminal(self, status: str) -> bool:
        """Whether a position with this status has ended."""
        return status in self._terminal

    def examine(self, listed: Sequence[Listed], as_of: datetime) -> list[Suspect]:
        """Compare what an answer lists with the rows; return what differs.

        What does not differ is marked as verified, and what is live is valued.
        """
        if not listed:
            return []
        position_ids = [each.position_id for each in listed]
        rows = records.rows(self._reader, position_ids, _COLUMNS)
        records.note_seen(self._reader, position_ids)
        agreed: list[str] = []
        suspects: list[Suspect] = []
        valuations: list[Valuation] = []
        for each in listed:
            reading = read_body(each.body)
            suspect = self._compare(each, reading, rows.get(each.position_id), as_of)
            if suspect is None:
                agreed.append(each.position_id)
            else:
                suspects.append(suspect)
            if not self.is_terminal(each.status):
                valuations.append(_valuation(each.position_id, as_of, reading))
        if self._appender is not None:
            records.mark_verified(self._reader, agreed, as_of)
            records.keep_valuations(self._reader, valuations, history=self._history)
        return suspects

    def _compare(
        self, listed: Listed, reading: Reading, row: StoredPosition | None, as_of: datetime
    ) -> Suspect | None:
        if row is None:
            return Suspect(listed, as_of, DiscrepancyKind.MISSING, (), False, None)
        mine = values_of_row(row.columns)
        closed = self.is_terminal(listed.status)
        fields = tuple(differences(mine, reading.values, closed=closed))
        if not fields:
            return None
        return Suspect(
            listed,
            as_of,
            kind_of(mine, reading.values),
            fields,
            row.phase == "terminal",
            None if row.source == Source.REST else row.last_event_at,
        )

    def repair(self, suspects: Sequence[Suspect], received_at: datetime) -> list[bool]:
        """Append a snapshot of each; say of each whether the row now equals what REST said."""
        if self._appender is None or not suspects:
            return [False] * len(suspects)
        self._appender.append_snapshots(
            [
                Snapshot(
                    position_id=each.listed.position_id,
                    status=each.listed.status,
                    as_of=each.as_of,
                    supersedes_before=each.as_of - self._settle_window,
                    body=each.listed.body,
                )
                for each in suspects
            ],
            received_at,
        )
        rows = records.rows(self._reader, [each.listed.position_id for each in suspects], _COLUMNS)
        repaired = [
            self._compare(
                each.listed,
                read_body(each.listed.body),
                rows.get(each.listed.position_id),
                each.as_of,
            )
            is None
            for each in suspects
        ]
        for each, right in zip(suspects, repaired, strict=True):
            if right:
                records.mark_verified(self._reader, [each.listed.position_id], each.as_of)
        return repaired

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
        """Yield the live positions that no answer has listed yet, each with its wallet."""
        return records.unseen_live(self._reader, wallets, verified_since)

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


def _valuation(position_id: str, as_of: datetime, reading: Reading) -> Valuation:
    values = tuple(value if isinstance(value, int) else None for value in reading.valuation)
    return Valuation(position_id, as_of, values)
