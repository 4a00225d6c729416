"""The buffer: one order, whether in memory or on disk; safe once it says so; bounded."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.factories import envelope, moment
from support.waiting import DEADLINE, eventually

from positionstore.dimes.decoder import decode
from positionstore.ingest import buffer as module
from positionstore.ingest.buffer import LONGEST_IN_MEMORY, DatabaseState, EventBuffer
from positionstore.ingest.connections import Liveness
from positionstore.ingest.decoding import RawPacket
from positionstore.ingest.spool import DamagedSpoolError, NoRoomError, Spool
from positionstore.ingest.spools import Spools
from positionstore.ingest.worker import Worker
from positionstore.model.facts import Event, Reason, Received, Rejected, Source
from positionstore.settings import Environment

MAX_BYTES = 1_000_000
LIVENESS = [Liveness(1, Source.PARTNER, moment(0), moment(500), None)]


def decoded(packets: Sequence[RawPacket]) -> list[Received]:
    return [
        Received(
            raw.packet if isinstance(raw.packet, Rejected) else decode(raw.packet.encode()),
            raw.received_at,
            Source.PARTNER,
        )
        for raw in packets
    ]


@dataclass
class Desk:
    buffer: EventBuffer
    spool: Spool
    disk: Worker
    now: list[float]
    safe: list[int]
    rooms: list[bool]
    liveness: list[Liveness] = field(default_factory=lambda: LIVENESS)

    def put(self, first: int, count: int, length: int = 0) -> None:
        for n in range(first, first + count):
            body = {"note": "x" * length} if length else None
            self.buffer.put(envelope(f"evt_{n}", body=body).decode(), moment(n))

    def has_room(self) -> bool:
        return self.buffer.has_room

    def state(self) -> DatabaseState:
        return self.buffer.state

    async def take(self) -> list[int]:
        return numbers(await self.buffer.take(0, lambda: self.liveness))

    async def take_all(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            part = await self.take()
            assert part
            found += part
            self.buffer.ack(len(part))
        await self.buffer.spill()
        return found


def numbers(found: list[Received]) -> list[int]:
    return [int(each.what.event_id[4:]) for each in found if isinstance(each.what, Event)]


def made(tmp_path: Path, *, at_most: int = 10, durable: bool = False) -> Desk:
    spool = Spools(tmp_path, max_bytes=MAX_BYTES).own(Environment.SANDBOX)
    now, disk, safe, rooms = [0.0], Worker("disk"), [0], [True]
    buffer = EventBuffer(
        spool,
        disk,
        decoded,
        max_bytes=MAX_BYTES,
        at_most=at_most,
        durable=durable,
        on_safe=safe.append,
        on_room=rooms.append,
        monotonic=lambda: now[0],
    )
    return Desk(buffer, spool, disk, now, safe, rooms)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = made(tmp_path)
    yield desk
    desk.disk.close()
    desk.spool.remove()


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = made(tmp_path, durable=True)
    yield desk
    desk.disk.close()
    desk.spool.remove()


def refuse(*_: object) -> None:
    raise NoRoomError("full")


async def test_while_all_is_well_nothing_touches_the_disk(desk: Desk) -> None:
    desk.put(0, 3)
    await desk.buffer.spill()
    assert await desk.take() == [0, 1, 2]
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 3
    desk.buffer.ack(3)
    assert (desk.buffer.pending, desk.spool.size().events) == (0, 0)
    assert desk.safe[-1] == 3
    assert set(desk.rooms) == {True}


async def test_what_memory_has_no_room_for_goes_to_the_disk_and_comes_in_its_turn(
    desk: Desk,
) -> None:
    desk.put(0, 5)
    assert await desk.take() == list(range(5))
    desk.put(5, 25)
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 0, "what is older goes first"
    assert desk.spool.size().events == desk.buffer.spooled == 30
    desk.buffer.ack(5)
    desk.put(30, 2)
    assert await desk.take_all(27) == list(range(5, 32))
    assert desk.spool.size().events == 0
    desk.put(32, 1)
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 1, "in memory again"


async def test_a_failure_puts_all_on_the_disk_and_hands_it_out_again(desk: Desk) -> None:
    desk.put(0, 12)
    assert await desk.take() == list(range(10))
    desk.buffer.ack(4)
    desk.buffer.requeue()
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 0
    assert desk.spool.size().events == 8
    desk.put(12, 3)
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 0, "at once, while the database is away"
    assert desk.state() is DatabaseState.OUTAGE
    assert await desk.take_all(11) == list(range(4, 15))
    assert desk.state() is DatabaseState.UP


async def test_what_is_old_goes_to_the_disk_though_nothing_failed(desk: Desk) -> None:
    desk.put(0, 2)
    await desk.take()
    desk.put(2, 1)
    desk.now[0] = LONGEST_IN_MEMORY
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 3
    desk.now[0] += 1
    await desk.buffer.spill()
    assert desk.buffer.volatile_count == 0, "in hand or not decoded yet"
    desk.buffer.ack(2)
    assert await desk.take_all(1) == [2]
    assert desk.spool.size().events == 0


async def test_where_everything_is_to_be_durable_it_is_before_it_is_handed_out(
    durable: Desk,
) -> None:
    durable.put(0, 3)
    assert await durable.take() == []
    assert durable.buffer.checkpoint().up_to < moment(0)  # type: ignore[operator] # not None
    await durable.buffer.spill()
    assert durable.buffer.volatile_count == 0
    assert durable.safe[-1] == 3
    assert await durable.take() == [0, 1, 2]
    durable.buffer.ack(3)
    await durable.buffer.spill()
    assert durable.spool.size().events == 0


async def test_near_its_bound_there_is_no_room_until_half_is_free(desk: Desk) -> None:
    desk.buffer.requeue()
    first = 0
    while desk.has_room():
        desk.put(first, 10, length=2_000)
        first += 10
        await desk.buffer.spill()
    assert desk.rooms[-1] is False
    assert MAX_BYTES * 3 // 4 < desk.spool.bytes <= MAX_BYTES
    assert desk.buffer.volatile_count == 0, "the reserve has taken the rest"
    while not desk.has_room():
        part = await desk.take()
        assert part
        desk.buffer.ack(len(part))
        await desk.buffer.spill()
    assert desk.spool.bytes <= MAX_BYTES // 2


async def test_a_disk_that_takes_nothing_costs_nothing_that_was_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", refuse)
        desk.put(0, 20)
        await desk.buffer.spill()
        assert not desk.has_room()
        desk.buffer.requeue()
        await desk.buffer.spill()
        assert not desk.has_room()
        assert desk.buffer.volatile_count == 20
    await desk.buffer.spill()
    assert desk.has_room()
    assert desk.buffer.volatile_count == 0
    desk.buffer.requeue()
    assert await desk.take_all(20) == list(range(20))


async def test_a_disk_that_takes_nothing_is_of_no_matter_where_the_database_takes_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Spool, "append", refuse)
    desk.put(0, 20)
    await desk.buffer.spill()
    assert not desk.has_room()
    assert await desk.take_all(20) == list(range(20))
    assert desk.has_room()


async def test_a_session_vouches_for_nothing_that_is_not_in_the_database(desk: Desk) -> None:
    desk.put(0, 20)
    desk.buffer.requeue()
    await desk.buffer.spill()
    await desk.take()
    up_to = desk.buffer.checkpoint().up_to
    assert up_to is not None
    assert up_to < moment(0)
    desk.buffer.ack(7)
    up_to = desk.buffer.checkpoint().up_to
    assert up_to is not None
    assert moment(6) < up_to < moment(7)
    while await desk.take():
        pass
    desk.buffer.ack(13)
    told = desk.buffer.checkpoint()
    assert (told.liveness, told.up_to) == (LIVENESS, None)


async def test_what_is_left_behind_bounds_what_a_session_vouches_for(desk: Desk) -> None:
    desk.put(0, 13)
    assert len(await desk.take()) == 10
    desk.buffer.ack(10)
    assert desk.buffer.checkpoint().up_to == moment(9)
    assert len(await desk.take()) == 3
    # It comes over the same connection before the others are committed.
    desk.put(13, 1)
    desk.liveness = [Liveness(1, Source.PARTNER, moment(0), moment(13), None)]
    desk.buffer.ack(3)
    told = desk.buffer.checkpoint()
    assert (told.liveness, told.up_to) == (LIVENESS, None), "as it was when they were taken"


async def test_a_session_vouches_for_nothing_while_what_failed_is_not_handed_out_again(
    desk: Desk,
) -> None:
    desk.put(0, 3)
    await desk.take()
    desk.buffer.requeue()
    await desk.buffer.spill()
    assert desk.buffer.checkpoint().liveness == []


async def test_a_taker_waits_for_what_comes(desk: Desk) -> None:
    taking = asyncio.ensure_future(desk.buffer.take(DEADLINE, lambda: LIVENESS))
    await asyncio.sleep(0)
    desk.put(0, 1)
    assert numbers(await taking) == [0]


async def test_a_taker_can_be_woken_and_goes_when_the_time_is_up(desk: Desk) -> None:
    desk.buffer.wake()
    assert await desk.buffer.take(DEADLINE, lambda: LIVENESS) == []
    assert await desk.buffer.take(0.001, lambda: LIVENESS) == []
    desk.buffer.close()
    assert await desk.buffer.take(DEADLINE, lambda: LIVENESS) == []


async def test_a_burst_is_handed_out_in_bulk_and_in_order(desk: Desk, tmp_path: Path) -> None:
    large = made(tmp_path / "another", at_most=100_000)
    large.put(0, 12_000)
    found = [await large.take() for _ in range(4)]
    assert [len(part) for part in found] == [5_000, 5_000, 2_000, 0]
    assert [n for part in found for n in part] == list(range(12_000))
    large.disk.close()
    large.spool.remove()


async def test_few_but_huge_events_are_decoded_a_few_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def decode_and_note(packets: Sequence[RawPacket]) -> list[Received]:
        lengths.append(len(packets))
        return decoded(packets)

    monkeypatch.setattr(module, "MAX_BATCH_LENGTH", 1_000)
    monkeypatch.setattr(desk.buffer, "_decode", decode_and_note)
    desk.put(0, 5, length=600)
    desk.buffer.put(Rejected(b"1" * 1_000, Reason.NOT_JSON, ""), moment(5))
    assert len(await desk.take()) == 5, "and one that is no event"
    assert lengths == [2, 2, 2]


async def test_what_comes_while_the_disk_is_at_work_stays_behind(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, loop = Spool.append, asyncio.get_running_loop()
    reached, more = asyncio.Event(), asyncio.Event()

    def slowly(spool: Spool, first: int, inputs: Sequence[Received]) -> None:
        loop.call_soon_threadsafe(reached.set)
        asyncio.run_coroutine_threadsafe(more.wait(), loop).result(DEADLINE)
        append(spool, first, inputs)

    monkeypatch.setattr(Spool, "append", slowly)
    desk.put(0, 11)
    spilling = asyncio.ensure_future(desk.buffer.spill())
    await reached.wait()
    desk.put(11, 5)
    taking = asyncio.ensure_future(desk.take_all(16))
    more.set()
    await spilling
    assert await taking == list(range(16))


async def test_it_goes_to_the_disk_by_itself(desk: Desk) -> None:
    spilling = asyncio.ensure_future(desk.buffer.keep_spilling())
    desk.put(0, 3)
    await asyncio.sleep(0)
    assert desk.buffer.volatile_count == 3
    desk.buffer.requeue()
    await eventually(lambda: desk.buffer.volatile_count == 0)
    desk.put(3, 3)
    await eventually(lambda: desk.buffer.volatile_count == 0)
    assert desk.buffer.spooled == 6
    spilling.cancel()


async def test_what_a_damaged_spool_lost_costs_nothing_else(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise DamagedSpoolError("broken")

    desk.put(0, 3)
    assert await desk.take() == [0, 1, 2]
    desk.put(3, 2)
    desk.buffer.requeue()
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "append", break_down)
        with pytest.raises(DamagedSpoolError):
            await desk.buffer.spill()
    another = Spools(tmp_path / "another", max_bytes=MAX_BYTES).own(Environment.SANDBOX)
    desk.buffer.renew(another)
    await desk.buffer.spill()
    assert another.size().events == 5
    assert await desk.take_all(5) == list(range(5))
    another.remove()
