"""The writer, with a sink that does what a database may do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog
from patience import DEADLINE

from positionstore.dimes.gateway import NAMESPACES
from positionstore.errors import DatabaseUnavailableError
from positionstore.facts import Event, Reason, Received, Rejected, Source
from positionstore.ingester.inbox import Inbox
from positionstore.ingester.presence import Presence, Proof
from positionstore.ingester.writer import Writer

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def packet(number: int) -> str:
    return (
        f'42{NAMESPACES[Source.PARTNER]},["position.opened",{{"id":"evt_{number}","type":"t",'
        '"created_at":"2026-07-01T12:00:00Z","data":{"id":"dm_pos_1","status":"open"}}]'
    )


class Line:
    """A connection as the presence sees it."""

    gateway = Source.PARTNER

    def __init__(self) -> None:
        self.connected_at: datetime | None = NOW
        self.last_packet_at: datetime | None = NOW


class Memory:
    """A sink that remembers, and fails when it is told to.

    While more is to come it keeps the last batch back, as if that were still being committed.
    """

    def __init__(self) -> None:
        self.batches: list[list[Received]] = []
        self.waiting: list[list[Received]] = []
        self.recorded: list[tuple[list[Proof], datetime | None]] = []
        self.failures: list[Exception] = []
        self.before_write: Callable[[], None] = lambda: None
        self.dropped = False

    @property
    def pending(self) -> int:
        return sum(len(batch) for batch in self.waiting)

    @property
    def oldest(self) -> datetime | None:
        return self.waiting[0][0].received_at if self.waiting else None

    def take(self, batch: list[Received]) -> None:
        if batch:
            self.waiting.append(batch)

    def write(self, *, everything: bool) -> None:
        self.before_write()
        if self.failures:
            raise self.failures.pop(0)
        done = len(self.waiting) if everything else len(self.waiting) - 1
        self.batches += self.waiting[:done]
        del self.waiting[:done]

    def record(self, proofs: list[Proof], *, written_up_to: datetime | None) -> list[Proof]:
        self.recorded.append((proofs, written_up_to))
        if written_up_to is not None:
            return []
        return [proof for proof in proofs if proof.end_reason is not None]

    def drop(self) -> None:
        self.dropped = True

    @property
    def ids(self) -> list[str]:
        whats = [received.what for batch in self.batches for received in batch]
        return [what.event_id for what in whats if isinstance(what, Event)]


class Bench:
    def __init__(self, at_once: int = 1000) -> None:
        self.inbox = Inbox()
        self.presence = Presence(self.inbox.wake)
        self.sink = Memory()
        self.writer = Writer(
            self.inbox,
            self.sink,
            self.presence,
            source=Source.PARTNER,
            at_once=at_once,
            heartbeat_every=0.01,
            random=lambda: 0.01,
        )

    @contextmanager
    def running(self) -> Iterator[threading.Thread]:
        thread = threading.Thread(target=self.writer.run)
        thread.start()
        try:
            yield thread
        finally:
            self.inbox.close()
            thread.join(DEADLINE)
            assert not thread.is_alive()


def test_everything_is_written_in_order_and_in_bulk() -> None:
    bench = Bench(at_once=40)
    for number in range(100):
        bench.inbox.put(packet(number), NOW)
    with bench.running():
        pass
    assert [len(batch) for batch in bench.sink.batches] == [40, 40, 20]
    assert bench.sink.ids == [f"evt_{number}" for number in range(100)]
    assert bench.sink.dropped
    assert bench.writer.unwritten == 0


def test_what_is_no_event_is_written_with_its_reason_and_time() -> None:
    bench = Bench()
    bench.inbox.put("42garbage", NOW)
    rejected = Rejected(b"\x00", Reason.BINARY_ATTACHMENT, "")
    bench.inbox.put(rejected, NOW + timedelta(seconds=1))
    with bench.running():
        pass
    first, second = bench.sink.batches[0]
    assert isinstance(first.what, Rejected)
    assert first.what.raw == b"42garbage"
    assert (second.what, second.received_at) == (rejected, NOW + timedelta(seconds=1))
    assert first.source is Source.PARTNER


def test_a_fault_of_ours_costs_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def fail(_: bytes) -> Event:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.writer._unpacker, "unpack", fail)
    bench.inbox.put(packet(1), NOW)
    with structlog.testing.capture_logs() as lines, bench.running():
        pass
    (received,) = bench.sink.batches[0]
    assert isinstance(received.what, Rejected)
    assert received.what.reason is Reason.INTERNAL_ERROR
    assert received.what.raw == packet(1).encode()
    assert [line["event"] for line in lines] == ["event_not_read"]


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("gone"), DatabaseUnavailableError("gone")]
)
def test_a_batch_is_kept_until_the_database_takes_it(error: Exception) -> None:
    bench = Bench()
    bench.sink.failures = [error] * 5
    bench.inbox.put(packet(1), NOW)
    with structlog.testing.capture_logs() as lines, bench.running():
        pass
    assert bench.sink.ids == ["evt_1"]
    assert [line["event"] for line in lines] == ["database_lost", "database_back"]


def test_giving_up_ends_the_trying_and_tells_how_much_is_left() -> None:
    bench = Bench(at_once=2)
    bench.sink.failures = [psycopg.OperationalError("gone")] * 1_000_000
    for number in range(5):
        bench.inbox.put(packet(number), NOW)
    failed = threading.Event()
    bench.sink.before_write = failed.set
    with bench.running():
        assert failed.wait(DEADLINE)
        bench.writer.give_up()
    assert bench.writer.unwritten == 5
    assert bench.sink.dropped


def test_an_unforeseen_error_of_the_sink_is_not_swallowed() -> None:
    bench = Bench()
    bench.sink.failures = [ZeroDivisionError()]
    bench.inbox.put(packet(1), NOW)
    with pytest.raises(ZeroDivisionError):
        bench.writer.run()
    assert bench.writer.unwritten == 1


def test_a_session_vouches_for_nothing_that_is_still_in_memory() -> None:
    bench = Bench(at_once=2)
    line = Line()
    line.last_packet_at = NOW + timedelta(seconds=10)
    bench.presence.began(line)
    for number in range(6):
        bench.inbox.put(packet(number), NOW + timedelta(seconds=number))
    bench.presence.ended(line, "lost")
    with bench.running():
        pass
    (first, nothing), (_, up_to), (last, all_written) = bench.sink.recorded[:3]
    assert nothing < NOW, "not even the first was written then"  # type: ignore[operator] # not None
    assert NOW + timedelta(seconds=1) < up_to < NOW + timedelta(seconds=2)  # type: ignore[operator]
    assert all_written is None
    assert first[0].end_reason == last[0].end_reason == "lost"
    assert last[0].last_packet_at == NOW + timedelta(seconds=10)
    assert bench.presence.proofs() == []


def test_packets_that_came_while_a_batch_was_written_are_not_vouched_for_by_it() -> None:
    bench = Bench()
    line = Line()
    bench.presence.began(line)
    bench.inbox.put(packet(1), NOW)

    def arrive() -> None:
        bench.sink.before_write = lambda: None
        bench.inbox.put(packet(2), NOW + timedelta(seconds=5))
        line.last_packet_at = NOW + timedelta(seconds=5)

    bench.sink.before_write = arrive
    with bench.running():
        bench.presence.ended(line, "stopped")
    vouched = [proofs[0].last_packet_at for proofs, _ in bench.sink.recorded]
    assert vouched[0] == NOW
    assert vouched[-1] == NOW + timedelta(seconds=5)


def test_a_quiet_stream_has_its_sessions_looked_after() -> None:
    bench = Bench()
    line = Line()
    bench.presence.began(line)
    enough = threading.Event()
    record = bench.sink.record

    def count(proofs: list[Proof], *, written_up_to: datetime | None) -> list[Proof]:
        if len(bench.sink.recorded) >= 3:
            enough.set()
        return record(proofs, written_up_to=written_up_to)

    bench.sink.record = count  # type: ignore[method-assign]
    with bench.running():
        assert enough.wait(DEADLINE)
        bench.presence.all_ended("stopped")
    assert bench.presence.proofs() == []
