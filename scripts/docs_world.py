"""The store that the examples of the docs are run on: five days of the sandbox's world.

Everything in it comes from a seed and from fixed times, so a page made of it is always the same.
The stream loses, delays and repeats events; twice it is away; nights and reconnections are
followed by runs of the real comparison.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg

from positionstore.dimes.decoder import decode
from positionstore.dimes.page import Listed
from positionstore.model.facts import Received, Retraction, Source
from positionstore.reconcile.reconciler import record_end
from positionstore.reconcile.report import Resolution, RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.reconcile.store_side import StoreSide
from positionstore.sandbox import World
from positionstore.sandbox.world import Emission, Position, micros
from positionstore.store import database
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.sessions import StreamSession

START: Final = datetime(2026, 7, 1, tzinfo=UTC)
"""A Wednesday."""

_END: Final = datetime(2026, 7, 6, tzinfo=UTC)
_SETTLE_WINDOW: Final = timedelta(minutes=1)
_ROUND_TRIP: Final = timedelta(seconds=0.2)
_LOST, _LATE, _TWICE = 0.01, 0.04, 0.02
_HOUR: Final = timedelta(hours=1)
_IMPORTED_AT: Final = datetime(2026, 7, 3, 20, tzinfo=UTC)
_CAPTURED_UNTIL: Final = datetime(2026, 7, 3, 16, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Run:
    """A reconciliation: of everything, or of what lives and what ended since a moment."""

    at: datetime
    trigger: Trigger
    closed_since: datetime | None = None
    error: str | None = None


_SESSIONS: Final = (
    (START, datetime(2026, 7, 3, 15, 20, tzinfo=UTC), "transport close"),
    (
        datetime(2026, 7, 3, 17, 25, tzinfo=UTC),
        datetime(2026, 7, 5, 10, tzinfo=UTC),
        "ping timeout",
    ),
    (datetime(2026, 7, 5, 10, 12, tzinfo=UTC), _END, "stopped"),
)
_NIGHTS: Final = tuple(
    _Run(START + timedelta(days=day, hours=3), Trigger.NIGHTLY) for day in range(1, 5)
)
_RUNS: Final = sorted(
    (
        *_NIGHTS,
        _Run(_SESSIONS[1][0] + timedelta(seconds=2), Trigger.CONNECTED, _SESSIONS[0][1] - _HOUR),
        _Run(
            _SESSIONS[2][0] + timedelta(seconds=2),
            Trigger.CONNECTED,
            _SESSIONS[1][1] - _HOUR,
            "inactive positions: 503 Service Unavailable after 120 s",
        ),
    ),
    key=lambda run: run.at,
)


def fill(url: str) -> Mapping[str, str]:
    """Let the five days pass over an empty store; return the names that examples speak of.

    Returns:
        ``position``: one that a snapshot corrected; ``wallet``: its owner; ``market``: the busiest.
    """
    with (
        closing(database.connect(url)) as own,
        closing(database.connect(url)) as reader,
        closing(database.connect(url)) as writer,
    ):
        _Telling(Appender(own), reader, writer).tell()
        return _names(reader)


def _names(connection: psycopg.Connection) -> Mapping[str, str]:
    corrected = connection.execute("""
        SELECT p.position_id, p.wallet_address
        FROM positions p
        JOIN events e ON e.position_id = p.position_id
        WHERE EXISTS (SELECT FROM valuation_history v WHERE v.position_id = p.position_id)
        GROUP BY p.position_id
        HAVING array_agg(DISTINCT e.source) @> '{partner,import,rest}'
            AND bool_or(p.entry_opened_at < '2026-07-03 15:20Z')
        ORDER BY count(*) DESC, p.position_id
        LIMIT 1
    """).fetchall()[0]
    ((market,),) = connection.execute("""
        SELECT market_ticker FROM open_positions
        GROUP BY market_ticker ORDER BY count(*) DESC, market_ticker LIMIT 1
    """).fetchall()
    return {"position": corrected[0], "wallet": corrected[1], "market": market}


class _Telling:
    """The five days, as the stream and the runs tell them."""

    def __init__(
        self, appender: Appender, reader: psycopg.Connection, writer: psycopg.Connection
    ) -> None:
        self._appender, self._reader, self._writer = appender, reader, writer
        self._rng = random.Random("positionstore-docs")
        self._world = World(seed=11, start=START, positions=20, rate=0.015, partners=1, wallets=5)
        self._world.clock_skew = 2.0
        self._under_way: list[Received] = []
        self._captured: list[Emission] = []

    def tell(self) -> None:
        """Tell everything."""
        for run in _RUNS:
            if self._captured and run.at > _IMPORTED_AT:
                self._import()
            self._until(run.at)
            self._reconcile(run)
        self._until(_END)
        self._append(self._under_way)
        self._odd_inputs()
        self._retract_and_take_back()
        for started, ended, reason in _SESSIONS:
            session = StreamSession.begin(self._reader, gateway=Source.PARTNER, at=started)
            ((received,),) = self._reader.execute(
                "SELECT count(*) FROM events WHERE source = 'partner' AND received_at >= %s"
                " AND received_at < %s",
                [started, ended],
            ).fetchall()
            session.count(received=received, duplicates=0, quarantined=0)
            session.end(ended, reason)

    def _retract_and_take_back(self) -> None:
        """Retract the first fact of the log, and find out that it was right."""
        ((position_id, event_id),) = self._reader.execute(
            "SELECT position_id, event_id FROM events ORDER BY seq LIMIT 1"
        ).fetchall()
        wrong = Retraction(position_id, event_id, "Taken for one of a test.", _END - _HOUR)
        right = Retraction(position_id, wrong.event_id, "It was a customer's.", _END)
        for each in (wrong, right):
            self._appender.append_retractions([each], each.created_at)

    def _until(self, at: datetime) -> None:
        for emission in self._world.advance_to(micros(at)):
            self._under_way.extend(self._arrivals(emission))
        arrived = [each for each in self._under_way if each.received_at <= at]
        self._under_way = [each for each in self._under_way if each.received_at > at]
        self._append(arrived)

    def _arrivals(self, emission: Emission) -> Iterator[Received]:
        emitted = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=emission.at)
        draw, delay = self._rng.random(), timedelta(seconds=self._rng.uniform(0.05, 0.4))
        if draw < _LATE:
            delay *= 5_000
        if _SESSIONS[0][1] <= emitted < _CAPTURED_UNTIL:
            self._captured.append(emission)
        if self._rng.random() < _LOST:
            return
        for _ in range(2 if self._rng.random() < _TWICE else 1):
            arrival = emitted + delay
            if any(started <= arrival < ended for started, ended, _ in _SESSIONS):
                yield Received(decode(emission.envelope), arrival, Source.PARTNER)
            delay += timedelta(seconds=1)

    def _append(self, received: Iterable[Received]) -> None:
        batch = sorted(received, key=lambda each: each.received_at)
        if batch:
            self._appender.append(batch)

    def _import(self) -> None:
        self._until(_IMPORTED_AT)
        self._append(
            Received(decode(each.envelope), _IMPORTED_AT, Source.IMPORT) for each in self._captured
        )
        self._captured.clear()

    def _reconcile(self, run: _Run) -> None:
        as_of = run.at - _ROUND_TRIP
        scope = Scope("recent" if run.closed_since else "full", run.closed_since)
        report = RunReport(run.trigger, scope, dry_run=False, started_at=run.at)
        report.run_id = records.begin_run(
            self._reader,
            trigger=run.trigger,
            scope=scope.name,
            closed_since=run.closed_since,
            closed_until=None,
            started_at=run.at,
        )
        book = StoreSide(self._reader, self._writer, settle_window=_SETTLE_WINDOW, history=True)
        answers = [(self._listed(each), as_of) for each in self._shown(run)]
        suspects = book.examine(answers)
        repaired = book.repair(suspects, run.at + _ROUND_TRIP)
        for suspect, stands in zip(suspects, repaired, strict=True):
            report.add(suspect.concluded(Resolution.REPAIRED if stands else Resolution.IN_FLUX))
        book.record(report.run_id, report.discrepancies, run.at + _ROUND_TRIP)
        book.drop_stale_valuations()
        report.requests = len(answers) // 100 + 1
        report.state = RunState.PARTIAL if run.error else RunState.COMPLETE
        report.errors = [run.error] if run.error else []
        report.reach, report.as_of, report.seen = "partner", as_of, len(answers)
        report.finished_at = run.at + report.requests * _ROUND_TRIP
        record_end(self._reader, report.run_id, report)

    def _shown(self, run: _Run) -> list[Position]:
        """What the run gets to see: of a run that met an error, the living ones alone."""
        book = self._world.book(0)
        since = micros(run.closed_since) if run.closed_since else 0
        ended = [] if run.error else [each for each in book.closed if each.closed_at >= since]
        return [*book.active.values(), *ended]

    def _listed(self, position: Position) -> Listed:
        return Listed(position.id, position.status, position.render(self._world.now).encode())

    def _odd_inputs(self) -> None:
        """Send unknown event types, and invalid events."""
        template = {
            "id": "evt_frozen",
            "type": "position.frozen",
            "created_at": "2026-07-05T23:59:30.000Z",
        }
        position = next(iter(self._world.book(0).active.values()))
        body = json.loads(position.render(self._world.now))
        frozen = {**template, "data": {**body, "status": "frozen"}}
        misfit = {
            **template,
            "id": "evt_misfit",
            "type": "position.force_unwound",
            "data": {**body, "id": "dm_pos_misfit", "entry": {"notional_usd_pips": "much"}},
        }
        conflicting = {**frozen, "data": {**body, "status": "open"}}
        raws = [json.dumps(each).encode() for each in (frozen, misfit, conflicting)]
        raws += [b'["positions:event"]', b'{"id": "evt_cut", "type": "position.op']
        raws.append(json.dumps({**frozen, "id": "evt_when", "created_at": "yesterday"}).encode())
        at = datetime(2026, 7, 5, 23, 59, 31, tzinfo=UTC)
        for number, raw in enumerate(raws, start=1):
            self._append([Received(decode(raw), at + number * _ROUND_TRIP, Source.PARTNER)])
