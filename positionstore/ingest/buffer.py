"""What has arrived and is not in the database: in memory while all is well, else in the spool.

Inputs are numbered as they come. From the oldest on they stand in this order:

    in hand or to be handed out | in the spool alone | not decoded yet
    (memory, maybe on disk too) | (read when due)    | (memory)

The flusher takes from the left and acknowledges what is committed; connections put at the right.
Nothing goes to the disk before what is older, so what a crash costs are the newest inputs or none.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final

from positionstore.ingest.connections import Liveness
from positionstore.ingest.decoding import RawPacket
from positionstore.ingest.spool import DamagedSpoolError, NoRoomError, Spool
from positionstore.ingest.worker import Worker
from positionstore.log import get_logger
from positionstore.model.facts import Received, Rejected

_log = get_logger(__name__)

AT_ONCE: Final = 5_000
"""How many inputs are handed out, written to the disk or read from it at once."""

LONGEST_IN_MEMORY: Final = 10.0
"""Seconds after which what is not in the database goes to the disk, however little it is."""

MAX_BATCH_LENGTH: Final = 32 * 1024 * 1024
"""About how many characters are decoded at once, however few inputs they are."""

_DECODED_AT_ONCE: Final = 1_000
_LOOK_EVERY: Final = 1.0
_MOMENT: Final = timedelta(microseconds=1)
_RESERVED: Final = 8
"""One part in so many of the spool is for what still comes in when no more is asked for."""

Decode = Callable[[Sequence[RawPacket]], list[Received]]


class DatabaseState(StrEnum):
    """How the last attempt on the database ended."""

    UP = "up"
    """What comes stays in memory until it is committed, unless it becomes too much or too old."""
    OUTAGE = "outage"
    """What comes goes to the spool at once."""


@dataclass(frozen=True, slots=True)
class CoverageCheckpoint:
    """What may be said of the connections: they vouch for nothing that only memory holds.

    Attributes:
        liveness: what is certain of each.
        end: the number after the last input that had come when that was certain.
        up_to: the time up to which all that came is in the database; None where all is.
    """

    liveness: list[Liveness]
    end: int
    up_to: datetime | None


@dataclass(frozen=True, slots=True)
class _Batch:
    first: int
    inputs: Sequence[Received]
    arrived: float

    @property
    def end(self) -> int:
        return self.first + len(self.inputs)


class EventBuffer:
    """Holds all that has arrived, in order, until it is acknowledged. For one event loop.

    Putting never waits. One task takes and acknowledges, another one spills; both may wait for
    the disk, which works in a thread of its own.

    Args:
        spool: where to keep what memory should not.
        disk: the thread that uses the spool.
        decode: understands what connections delivered.
        max_bytes: how large the spool may become.
        at_most: how many inputs may be in memory alone: what a crash costs at most.
        durable: whether every input goes to the disk before anything else.
        on_safe: called with how many inputs, from the first on, are on the disk or in the database.
        on_room: called with whether there is room for more.
        monotonic: a clock, seconds.

    Attributes:
        state: how the database does.
        has_room: whether there was room for more when that was last looked at.
    """

    def __init__(
        self,
        spool: Spool,
        disk: Worker,
        decode: Decode,
        *,
        max_bytes: int,
        at_most: int,
        durable: bool = False,
        on_safe: Callable[[int], None] = lambda _: None,
        on_room: Callable[[bool], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = DatabaseState.UP
        self.has_room = True
        self._spool = spool
        self._disk = disk
        self._decode = decode
        self._enough = max_bytes - max_bytes // _RESERVED
        self._at_most = at_most
        self._at_once = min(AT_ONCE, at_most)
        self._durable = durable
        self._on_safe = on_safe
        self._on_room = on_room
        self._monotonic = monotonic
        self._memory: deque[_Batch] = deque()  # decoded; from the oldest input on, without a hole
        self._handed = 0  # how many of these batches were handed out
        self._raw: deque[RawPacket | Received] = deque()  # the newest
        self._acked = 1
        self._memory_end = 1
        self._placed = 1  # where those begin that are in ``_raw``
        self._kept = 1  # all before it are in the spool, but for those that are acknowledged
        self._forgotten = 1
        self._trouble: str | None = None
        self._moving = asyncio.Lock()  # between awaits the numbers above have to fit together
        self._arrived = asyncio.Event()
        self._closed = asyncio.Event()
        self._spill_due = asyncio.Event()
        self._checkpoint = CoverageCheckpoint([], 1, None)

    @property
    def closed(self) -> bool:
        """Whether nothing will follow."""
        return self._closed.is_set()

    @property
    def pending(self) -> int:
        """How many inputs are not committed."""
        return self._placed + len(self._raw) - self._acked

    @property
    def spooled(self) -> int:
        """How many of these are in the spool."""
        return max(0, self._kept - self._acked)

    @property
    def volatile_count(self) -> int:
        """How many inputs are in memory alone."""
        return self._placed + len(self._raw) - max(self._acked, self._kept)

    @property
    def has_next(self) -> bool:
        """Whether there is something to be handed out."""
        return (
            self._handed < len(self._memory)
            or self._memory_end < self._placed
            or (bool(self._raw) and not self._durable)
        )

    # --- the connections' side

    def put(self, packet: str | Rejected, received_at: datetime) -> None:
        """Add what a connection delivered."""
        self._raw.append(RawPacket(packet, received_at, self._monotonic()))
        self._arrived.set()
        if self._spills_all or self.volatile_count > self._at_most:
            self._spill_due.set()

    def wake(self) -> None:
        """Let a waiting :meth:`take` look around."""
        self._arrived.set()

    def close(self) -> None:
        """Nothing will follow."""
        self._closed.set()
        self._arrived.set()

    # --- the flusher's side

    async def take(self, timeout: float, liveness: Callable[[], list[Liveness]]) -> list[Received]:  # noqa: ASYNC109 - nothing came: no error
        """Hand out what comes next, some thousands at most; nothing where nothing comes in time.

        Args:
            timeout: how long to wait for something, seconds.
            liveness: tells what is certain of the connections, for :meth:`checkpoint`.

        Raises:
            DamagedSpoolError: the spool cannot be read.
        """
        if not (self.has_next or self.closed):
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
        self._arrived.clear()
        async with self._moving:
            if self._handed == len(self._memory):
                await self._fetch()
            found: list[Received] = []
            for batch in islice(self._memory, self._handed, None):
                if found and len(found) + len(batch.inputs) > self._at_once:
                    break
                found += batch.inputs[max(0, self._acked - batch.first) :]
                self._handed += 1
        self._note_checkpoint(found, liveness())
        return found

    def ack(self, count: int) -> None:
        """Note that so many more inputs, the oldest, are in the database."""
        self.state = DatabaseState.UP
        self._acked += count
        while self._memory and self._memory[0].end <= self._acked:
            self._memory.popleft()
            self._handed = max(0, self._handed - 1)
        if self._forgotten < self._kept:
            self._spill_due.set()
        self._tell_safe()

    def requeue(self) -> None:
        """The database cannot be used: what was handed out is to be handed out again."""
        self.state = DatabaseState.OUTAGE
        self._handed = 0
        self._spill_due.set()

    async def until_closed(self, timeout: float) -> None:  # noqa: ASYNC109 - the time is up: no error
        """Wait until nothing will follow, but no longer than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._closed.wait()

    def checkpoint(self) -> CoverageCheckpoint:
        """Return what was certain of the connections when something was last handed out.

        A session never vouches for what is only in memory, or only in the spool.
        """
        checkpoint = self._checkpoint
        if self._acked >= checkpoint.end:
            return checkpoint
        if not self._memory:  # nothing is handed out, of which that could be said
            return CoverageCheckpoint([], checkpoint.end, None)
        return CoverageCheckpoint(
            checkpoint.liveness, checkpoint.end, self._oldest_received() - _MOMENT
        )

    # --- the disk's side

    async def keep_spilling(self) -> None:
        """Put on the disk what must be there, until cancelled.

        Raises:
            DamagedSpoolError: the spool is broken.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._spill_due.wait()
            self._spill_due.clear()
            await self.spill()

    async def spill(self) -> None:
        """Put on the disk what must be there now, and forget there what is in the database.

        Raises:
            DamagedSpoolError: the spool is broken.
        """
        await self._forget()
        while self._must_spill() and await self._spill_some():
            self._look_for_room()
        async with self._moving:
            if (
                self.state is DatabaseState.OUTAGE
                and not self._handed
                and self._kept >= self._memory_end
            ):
                self._memory.clear()
                self._memory_end = self._acked
        self._look_for_room()

    def renew(self, spool: Spool) -> None:
        """Go on with another spool: what is in memory, if only that, goes there.

        Args:
            spool: an empty one, in place of one that is damaged.
        """
        self._spool = spool
        self._placed = self._memory_end
        self._kept = self._forgotten = self._acked

    @property
    def _spills_all(self) -> bool:
        return self._durable or self.state is DatabaseState.OUTAGE

    def _must_spill(self) -> bool:
        volatile = self.volatile_count
        return volatile > 0 and (self._spills_all or volatile > self._at_most or self._is_overdue())

    def _is_overdue(self) -> bool:
        start = max(self._acked, self._kept)
        batch = next((each for each in self._memory if each.end > start), None)
        arrived = self._arrival_of(self._raw[0]) if batch is None else batch.arrived
        return self._monotonic() - arrived > LONGEST_IN_MEMORY

    async def _fetch(self) -> None:
        """Have something to hand out in memory."""
        if self._memory_end < self._placed:
            first, inputs = await self._disk.run(self._spool.read, self._memory_end, AT_ONCE)
            if not inputs:
                raise DamagedSpoolError(f"{self._spool.folder} lacks what was kept in it.")
            self._remember(first, inputs, self._monotonic())
            return
        end = self._placed + self._at_once
        while self._raw and not self._durable and self._placed < end:
            arrived = self._arrival_of(self._raw[0])
            inputs = self._decoded(min(_DECODED_AT_ONCE, end - self._placed))
            self._remember(self._placed, inputs, arrived)
            self._placed = self._memory_end
            if self._raw:
                await asyncio.sleep(0)  # a burst is read meanwhile

    def _remember(self, first: int, inputs: Sequence[Received], arrived: float) -> None:
        self._memory.append(_Batch(first, inputs, arrived))
        self._memory_end = self._memory[-1].end

    def _decoded(self, at_most: int) -> list[Received]:
        """Take the oldest out of those that are not decoded, and decode them."""
        found: list[Received] = []
        packets: list[RawPacket] = []
        length = 0
        while self._raw and len(found) + len(packets) < at_most and length < MAX_BATCH_LENGTH:
            oldest = self._raw.popleft()
            if isinstance(oldest, Received):
                found.append(oldest)
            else:
                packets.append(oldest)
                length += len(oldest)
        return found + self._decode(packets)

    async def _spill_some(self) -> bool:
        """Put the oldest that are in memory alone on the disk; return whether they are there."""
        async with self._moving:
            start = max(self._acked, self._kept)
            if start < self._memory_end:
                inputs = self._in_memory(start)
                if await self._append(start, inputs):
                    self._kept = start + len(inputs)
            elif self._raw:
                inputs = self._decoded(AT_ONCE)
                self._raw.extendleft(reversed(inputs))  # they stay until they are on the disk
                if await self._append(self._placed, inputs):
                    await self._place(inputs)
        self._tell_safe()
        return self._trouble is None

    async def _place(self, inputs: Sequence[Received]) -> None:
        for _ in inputs:
            self._raw.popleft()
        held = self._memory_end - self._acked
        if self._memory_end == self._placed and held + len(inputs) <= self._at_most:
            self._remember(self._placed, inputs, self._monotonic())
        self._placed += len(inputs)
        self._kept = self._placed
        self._arrived.set()

    def _arrival_of(self, oldest: RawPacket | Received) -> float:
        # What is decoded already the disk has refused before: it is tried again at once.
        return -math.inf if isinstance(oldest, Received) else oldest.arrived

    def _in_memory(self, start: int) -> list[Received]:
        found: list[Received] = []
        for batch in self._memory:
            if batch.end > start and len(found) < AT_ONCE:
                found += batch.inputs[max(0, start - batch.first) :]
        return found[:AT_ONCE]

    async def _append(self, first: int, inputs: Sequence[Received]) -> bool:
        try:
            await self._disk.run(self._spool.append, first, inputs)
        except NoRoomError as error:
            if self._trouble is None:
                self._trouble = str(error)
                _log.error("spool_has_no_room", error=str(error))
            return False
        if self._trouble is not None:
            self._trouble = None
            _log.info("spool_has_room")
        return True

    async def _forget(self) -> None:
        if self._forgotten < self._kept and self._forgotten < self._acked:
            acked = self._acked
            with suppress(NoRoomError):  # it is drained once more then
                await self._disk.run(self._spool.forget, acked)
            self._forgotten = acked

    def _look_for_room(self) -> None:
        """See whether there is room for more.

        There is none where the disk refuses, and none from a little below the spool's bound until
        half of that is free again.
        """
        stuck = self._trouble is not None and (
            self.volatile_count > (0 if self._spills_all else self._at_most)
        )
        enough = self._enough if self.has_room else self._enough // 2
        self.has_room = not stuck and self._spool.bytes <= enough
        self._on_room(self.has_room)

    def _tell_safe(self) -> None:
        self._on_safe(max(self._acked, self._kept) - 1)

    def _note_checkpoint(self, found: Sequence[Received], liveness: list[Liveness]) -> None:
        end = self._memory[self._handed - 1].end if self._handed else self._acked
        up_to = None
        if self._memory_end < self._placed or self._raw or self._handed < len(self._memory):
            up_to = found[-1].received_at if found else self._oldest_received() - _MOMENT
        self._checkpoint = CoverageCheckpoint(liveness, end, up_to)

    def _oldest_received(self) -> datetime:
        if self._memory:
            batch = self._memory[0]
            return batch.inputs[max(0, self._acked - batch.first)].received_at
        return self._raw[0].received_at
