"""The stretches of time that no stream session covers, and the runs that repair them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from positionstore.model.facts import Source
from positionstore.reconcile.reconciler import record_end
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.store import runs as records
from positionstore.store.database import Store
from positionstore.store.runs import Gap
from positionstore.store.sessions import StreamSession

LONG_AGO = datetime(2026, 7, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return LONG_AGO + timedelta(seconds=seconds)


@dataclass
class Coverage:
    connection: psycopg.Connection

    def session(
        self, begin: float, last: float, *, killed: bool = False, gateway: Source = Source.PARTNER
    ) -> None:
        session = StreamSession.begin(self.connection, gateway=gateway, at=at(begin))
        if killed:
            session.prove_alive(at(last))
        else:
            session.end(at(last), "stopped")

    def recovering(self, begin: float, last: float, *, since: float, until: float) -> None:
        """A session before which a gateway replayed a stretch."""
        session = StreamSession.begin(self.connection, gateway=Source.PARTNER, at=at(begin))
        session.recovered(since=at(since), until=at(until), events=2)
        session.end(at(last), "stopped")

    def recovered(self) -> list[float | None]:
        """When each gap was recovered, in seconds; the oldest first."""
        moments = [gap.recovered_at for gap in reversed(records.gaps(self.connection))]
        return [None if each is None else (each - LONG_AGO).total_seconds() for each in moments]

    def living(self, begin: datetime, seen: datetime) -> StreamSession:
        session = StreamSession.begin(self.connection, gateway=Source.PARTNER, at=begin)
        session.prove_alive(seen)
        return session

    def run(
        self,
        begin: float,
        *,
        state: str = "complete",
        scope: str = "recent",
        since: float | None = None,
        until: float | None = None,
    ) -> int:
        run_id = records.begin_run(
            self.connection,
            trigger="command",
            scope=scope,
            closed_since=None if since is None else at(since),
            closed_until=None if until is None else at(until),
            started_at=at(begin),
        )
        report = RunReport(Trigger.COMMAND, Scope(scope), dry_run=False, started_at=at(begin))
        report.state, report.reach = RunState(state), "partner"
        report.finished_at, report.as_of = at(begin + 1), at(begin)
        record_end(self.connection, run_id, report)
        return run_id

    def gaps(self) -> list[tuple[float, float | None, int | None]]:
        """Start and end in seconds, and who repaired it; the oldest first."""
        return [
            (
                (gap.started_at - LONG_AGO).total_seconds(),
                None if gap.ended_at is None else (gap.ended_at - LONG_AGO).total_seconds(),
                gap.repaired_by,
            )
            for gap in reversed(records.gaps(self.connection))
        ]


@pytest.fixture
def coverage(any_store_url: str) -> Iterator[Coverage]:
    with closing(Store(any_store_url, embedded=False).connect()) as connection:
        yield Coverage(connection)


def test_before_the_first_session_there_is_no_gap(coverage: Coverage) -> None:
    assert coverage.gaps() == []
    coverage.run(10)
    assert coverage.gaps() == []


def test_between_two_sessions_there_is_a_gap_and_after_the_last_an_open_one(
    coverage: Coverage,
) -> None:
    coverage.session(0, 10)
    coverage.session(15, 20)
    assert coverage.gaps() == [(10, 15, None), (20, None, None)]


def test_sessions_that_touch_or_overlap_leave_none(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.session(10, 20)
    coverage.session(15, 30)
    assert coverage.gaps() == [(30, None, None)]


def test_two_ingesters_side_by_side_count_once(coverage: Coverage) -> None:
    coverage.session(0, 100)
    coverage.session(5, 10, gateway=Source.CUSTOMER)
    coverage.session(20, 30)
    coverage.session(90, 120)
    coverage.session(130, 140)
    assert coverage.gaps() == [(120, 130, None), (140, None, None)]


def test_a_killed_process_covers_up_to_its_last_proof_of_life(coverage: Coverage) -> None:
    coverage.session(0, 10, killed=True)
    assert coverage.gaps() == [(10, None, None)]
    coverage.session(30, 40)
    assert coverage.gaps() == [(10, 30, None), (40, None, None)]


def test_a_session_that_lives_leaves_no_open_gap(coverage: Coverage) -> None:
    now = datetime.now(UTC)
    session = coverage.living(now - timedelta(minutes=5), now - timedelta(seconds=30))
    assert coverage.gaps() == []
    session.end(now - timedelta(seconds=20), "connection lost")
    (gap,) = records.gaps(coverage.connection)
    assert gap == Gap(now - timedelta(seconds=20), None, None, None)


def test_a_session_that_said_nothing_for_a_minute_is_dead(coverage: Coverage) -> None:
    now = datetime.now(UTC)
    seen = now - timedelta(seconds=61)
    coverage.living(now - timedelta(minutes=5), seen)
    assert records.gaps(coverage.connection) == [Gap(seen, None, None, None)]


def test_the_first_complete_run_after_its_end_repairs_a_gap(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.run(12)
    coverage.session(20, 30)
    assert coverage.gaps()[0] == (10, 20, None), "the run began before the gap's end"
    first, _ = coverage.run(20), coverage.run(40)
    assert coverage.gaps() == [(10, 20, first), (30, None, None)]
    (repaired,) = [gap for gap in records.gaps(coverage.connection) if gap.repaired_by]
    assert repaired.repaired_at == at(21)


def test_a_gap_that_a_gateway_has_replayed_is_recovered(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.recovering(20, 30, since=10, until=21)
    assert coverage.recovered() == [21, None]
    (open_one,) = records.gaps(coverage.connection, unrepaired_only=True)
    assert open_one.started_at == at(30)
    assert records.oldest_unrepaired_gap(coverage.connection) == at(30)


def test_a_later_session_may_recover_an_earlier_gap_too(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.session(20, 22)
    coverage.recovering(25, 40, since=10, until=30)
    assert coverage.recovered() == [30, 30, None]


@pytest.mark.parametrize(("since", "until"), [(11, 21), (10, 19)])
def test_a_gap_of_which_a_part_was_replayed_needs_repair(
    coverage: Coverage, since: float, until: float
) -> None:
    coverage.session(0, 10)
    coverage.recovering(20, 30, since=since, until=until)
    assert coverage.recovered() == [None, None]


def test_a_gap_that_was_recovered_may_be_repaired_besides(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.recovering(20, 30, since=10, until=21)
    run = coverage.run(25)
    assert coverage.gaps()[0] == (10, 20, run)
    assert coverage.recovered()[0] == 21


@pytest.mark.parametrize("state", ["partial", "failed"])
def test_a_run_that_saw_less_than_all_repairs_no_gap(coverage: Coverage, state: str) -> None:
    coverage.session(0, 10)
    coverage.session(20, 30)
    coverage.run(25, state=state)
    assert coverage.gaps()[0] == (10, 20, None)


def test_nor_does_one_that_has_not_ended(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.session(20, 30)
    records.begin_run(
        coverage.connection,
        trigger="command",
        scope="full",
        closed_since=None,
        closed_until=None,
        started_at=at(25),
    )
    assert coverage.gaps()[0] == (10, 20, None)


def test_the_scope_of_the_run_has_to_cover_the_gap(coverage: Coverage) -> None:
    coverage.session(0, 10)
    coverage.session(20, 30)
    coverage.run(25, since=11)
    coverage.run(26, scope="window", since=0, until=19)
    assert coverage.gaps()[0] == (10, 20, None)
    window = coverage.run(27, scope="window", since=10, until=20)
    assert coverage.gaps()[0] == (10, 20, window)


def test_a_run_in_full_repairs_every_gap_that_has_ended(coverage: Coverage) -> None:
    for begin in (0, 20, 40):
        coverage.session(begin, begin + 10)
    full = coverage.run(60, scope="full")
    assert coverage.gaps() == [(10, 20, full), (30, 40, full), (50, None, None)]
    assert records.oldest_unrepaired_gap(coverage.connection) == at(50)
    assert [gap.started_at for gap in records.gaps(coverage.connection, unrepaired_only=True)] == [
        at(50)
    ]


def test_a_recent_run_goes_back_to_the_last_complete_recent_or_full_one(
    coverage: Coverage,
) -> None:
    assert records.last_complete_run(coverage.connection) is None
    assert records.coverage_begins(coverage.connection) is None
    coverage.session(0, 10)
    coverage.run(5)
    coverage.run(7, state="partial")
    coverage.run(8, scope="window", since=0)
    assert records.last_complete_run(coverage.connection) == at(5)
    coverage.run(9, scope="full")
    assert records.last_complete_run(coverage.connection) == at(9)
    assert records.coverage_begins(coverage.connection) == at(0)


def test_the_next_run_finds_those_that_died(coverage: Coverage) -> None:
    first, second = (
        records.begin_run(
            coverage.connection,
            trigger="command",
            scope="full",
            closed_since=None,
            closed_until=None,
            started_at=at(begin),
        )
        for begin in (0, 9)
    )
    rows = coverage.connection.execute(
        "SELECT run_id, state, finished_at, error FROM reconciliation_runs ORDER BY run_id"
    ).fetchall()
    assert rows == [(first, "failed", None, "Its process died."), (second, "running", None, None)]
