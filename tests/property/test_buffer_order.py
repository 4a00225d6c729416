"""Whatever befalls the database and the disk: the buffer hands out all, in order, each once."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.factories import envelope, moment

from positionstore.dimes.decoder import decode
from positionstore.ingest.buffer import EventBuffer
from positionstore.ingest.decoding import RawPacket
from positionstore.ingest.spool import NoRoomError, Spool
from positionstore.ingest.spools import Spools
from positionstore.ingest.worker import Worker
from positionstore.model.facts import Event, Received, Source
from positionstore.settings import Environment

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 12)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("ack"), st.integers(1, 20)),
        st.tuples(st.just("requeue"), st.just(0)),
        st.tuples(st.just("spill"), st.integers(0, 20)),
        st.tuples(st.just("disk"), st.integers(0, 1)),
        st.tuples(st.just("at once"), st.integers(1, 12)),
    ),
    max_size=40,
)
AT_MOST = 15


def number_of(received: Received) -> int:
    assert isinstance(received.what, Event)
    return int(received.what.event_id[4:])


def decoded(packets: Sequence[RawPacket]) -> list[Received]:
    return [
        Received(decode(str(raw.packet).encode()), raw.received_at, Source.PARTNER)
        for raw in packets
    ]


@given(steps=STEPS, durable=st.booleans())
def test_all_in_order_each_once(steps: list[tuple[str, int]], *, durable: bool) -> None:
    append, works = Spool.append, [True]

    def append_or_refuse(spool: Spool, first: int, batch: list[Received]) -> None:
        if not works[0]:
            raise NoRoomError("full")
        append(spool, first, batch)

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Spool, "append", append_or_refuse)
        asyncio.run(History(Path(folder), works, durable=durable).run(steps))


class History:
    """A buffer, and what is known of what it should hold."""

    def __init__(self, folder: Path, works: list[bool], *, durable: bool) -> None:
        self._works = works
        self._durable = durable
        self._spool = Spools(folder, max_bytes=10**9).own(Environment.SANDBOX)
        self._now = 0.0
        self._put = self._acked = self._safe = 0
        self._handed: list[int] = []

    async def run(self, steps: list[tuple[str, int]]) -> None:
        disk = Worker("disk")
        self._buffer = EventBuffer(
            self._spool,
            disk,
            decoded,
            max_bytes=10**9,
            at_most=AT_MOST,
            durable=self._durable,
            on_safe=self._note_safe,
            monotonic=lambda: self._now,
        )
        for what, count in steps:
            await self._step(what, count)
            self._look(spilled=what == "spill")
        self._works[0] = True
        await self._buffer.spill()
        while self._acked < self._put:
            await self._take()
            assert self._handed
            self._ack(len(self._handed))
        await self._buffer.spill()
        assert (self._buffer.pending, self._spool.size().events) == (0, 0)
        assert self._safe == self._put
        disk.close()
        self._spool.remove()

    async def _step(self, what: str, count: int) -> None:
        if what == "put":
            self._arrive(count)
        elif what == "take":
            await self._take()
        elif what == "ack" and self._handed:
            self._ack(min(count, len(self._handed)))
        elif what == "requeue":
            self._handed.clear()
            self._buffer.requeue()
        elif what == "spill":
            self._now += count
            await self._buffer.spill()
            assert not (self._durable and self._buffer.has_room and self._buffer.volatile_count)
        elif what == "disk":
            self._works[0] = bool(count)
        elif what == "at once":
            spilling = asyncio.ensure_future(self._buffer.spill())
            taking = asyncio.ensure_future(self._take())
            self._arrive(count)
            await asyncio.gather(spilling, taking)

    def _arrive(self, count: int) -> None:
        for number in range(self._put, self._put + count):
            self._buffer.put(envelope(f"evt_{number}").decode(), moment(number))
        self._put += count

    async def _take(self) -> None:
        found = [number_of(each) for each in await self._buffer.take(0, list)]
        start = self._acked + len(self._handed)
        assert found == list(range(start, start + len(found)))
        self._handed += found

    def _ack(self, count: int) -> None:
        self._acked += count
        del self._handed[:count]
        self._buffer.ack(count)

    def _note_safe(self, count: int) -> None:
        self._safe = max(self._safe, count)

    def _look(self, *, spilled: bool) -> None:
        assert self._buffer.pending == self._put - self._acked
        # A crash would cost the newest at most, and no more than may be in memory alone.
        first, kept = self._spool.read(self._acked + 1, self._put + 1)
        assert not kept or first == self._acked + 1
        assert self._buffer.volatile_count == self._put - self._acked - len(kept)
        assert self._safe <= self._acked + len(kept)
        if self._works[0] and spilled:
            assert self._buffer.volatile_count <= AT_MOST
