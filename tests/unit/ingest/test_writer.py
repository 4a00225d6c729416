"""The writer, with a sink that does what a database may do."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from support.waiting import DEADLINE

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.recovery import RecoverySession
from positionstore.ingest.inbox import Inbox
from positionstore.ingest.presence import Presence, Proof
from positionstore.ingest.writer import Writer
from positionstore.model.facts import Event, Reason, Received, Rejected, Source

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def packet(number: int) -> str:
    return (
        f'42{NAMESPACES[Source.PARTNER]},["position.opened",{{"id":"evt_{number}","type":"t",'
        '"created_at":"2026-07-01T12:00:00Z","data":{"id":"dm_pos_1","status":"open"}}]'
    )


class Line:
    """A connection as the presence sees it."""

    gateway = Source.PARTNER
    session: RecoverySession | None = None

    def __init__(self) -> None:
        self.connected_at: datetime | None = NOW
        self.last_packet_at: datetime | None = NOW


class Memory:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.batches: list[list[Received]] = []
        self.testimonies: list[tuple[list[Proof], bool]] = []
        self.before_settling: Callable[[], None] = lambda: None
        self.failures: list[Exception] = []
        self.waits = False
        self.has_room = True
        self.closed = False

    def take(self, batch: list[Received], *, proofs: list[Proof], emptied: bool) -> None:
        if batch:
            self.batches.append(batch)
        self.testimonies.append((proofs, emptied))

    def settle(self) -> bool:
        self.before_settling()
        if self.failures:
            raise self.failures.pop()
        return self.has_room

    def close(self) -> None:
        self.closed = True

    @property
    def ids(self) -> list[str]:
        whats = [received.what for batch in self.batches for received in batch]
        return [what.event_id for what in whats if isinstance(what, Event)]


class Bench:
    def __init__(self, at_once: int = 1000) -> None:
        self.inbox = Inbox()
        self.presence = Presence(self.inbox.wake)
        self.sink = Memory()
        self.rooms: list[bool] = []
        self.writer = Writer(
            self.inbox,
            self.sink,
            self.presence,
            source=Source.PARTNER,
            at_once=at_once,
            heartbeat_every=0.01,
            settled=self.rooms.append,
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
    assert bench.sink.closed
    assert bench.writer.in_hand == 0


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
    assert [line["event"] for line in lines] == ["event_not_read", "input_quarantined"]


def test_a_burst_is_gathered_while_the_database_is_behind() -> None:
    bench = Bench()
    bench.sink.waits = True
    with bench.running():
        for number in range(200):
            bench.inbox.put(packet(number), NOW)
    assert bench.sink.ids == [f"evt_{number}" for number in range(200)]
    assert len(bench.sink.batches) < 100


def test_it_is_told_after_each_turn_whether_there_is_room() -> None:
    bench = Bench()
    bench.sink.has_room = False
    bench.inbox.put(packet(1), NOW)
    with bench.running():
        pass
    assert set(bench.rooms) == {False}


def test_an_error_of_the_sink_is_not_swallowed() -> None:
    bench = Bench()
    bench.sink.failures = [ZeroDivisionError()]
    bench.inbox.put(packet(1), NOW)
    with pytest.raises(ZeroDivisionError):
        bench.writer.run()
    assert bench.sink.closed


def test_what_is_left_behind_is_told_with_the_proofs() -> None:
    bench = Bench(at_once=2)
    line = Line()
    bench.presence.began(line)
    for number in range(3):
        bench.inbox.put(packet(number), NOW)
    bench.presence.ended(line, "lost")
    with bench.running():
        pass
    assert [emptied for _, emptied in bench.sink.testimonies[:2]] == [False, True]
    assert bench.sink.testimonies[-1][0][0].end_reason == "lost"


def test_packets_that_came_while_a_batch_was_settled_are_not_vouched_for_by_it() -> None:
    bench = Bench()
    line = Line()
    bench.presence.began(line)
    bench.inbox.put(packet(1), NOW)

    def arrive() -> None:
        bench.sink.before_settling = lambda: None
        bench.inbox.put(packet(2), NOW + timedelta(seconds=5))
        line.last_packet_at = NOW + timedelta(seconds=5)

    bench.sink.before_settling = arrive
    with bench.running():
        bench.presence.ended(line, "stopped")
    vouched = [proofs[0].last_packet_at for proofs, _ in bench.sink.testimonies if proofs]
    assert vouched[0] == NOW
    assert vouched[-1] == NOW + timedelta(seconds=5)


def test_the_last_that_is_told_of_a_connection_is_its_end() -> None:
    bench = Bench()
    line = Line()
    bench.presence.began(line)
    with bench.running():
        bench.presence.all_ended("stopped")
    assert bench.sink.testimonies[-1][0][0].end_reason == "stopped"
