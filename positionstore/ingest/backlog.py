"""What has arrived and is not in the database: in memory while all is well, else in the spool.

Inputs are numbered as they come. Those in memory are the oldest; what there is no room for lies
behind them in the spool, and is read from there when its turn comes. So one order holds, wherever
an input is, and whatever becomes of the database.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import structlog

from positionstore.ingest.presence import Proof
from positionstore.ingest.spool import DamagedSpoolError, NoRoomError, Spool
from positionstore.model.facts import Received

_log = structlog.get_logger(__name__)

LONGEST_IN_MEMORY: Final = 10.0
"""Seconds after which what is not in the database goes to the disk, however little it is."""

_MOMENT: Final = timedelta(microseconds=1)
_AT_ONCE: Final = 5_000
_RESERVED: Final = 8
"""One part in so many of the spool is for what still comes in when no more is asked for."""


@dataclass(slots=True)
class _Item:
    first: int
    batch: Sequence[Received]
    taken_at: float
    kept: bool = False  # in the spool too

    @property
    def end(self) -> int:
        return self.first + len(self.batch)


@dataclass(frozen=True, slots=True)
class Testimony:
    """What may be said of the connections once what came over them is in the database.

    Attributes:
        proofs: what is certain of each.
        end: the number after the last input that had come when that was certain.
        limit: where more had come that was not taken yet, the time up to which all was taken.
    """

    proofs: list[Proof]
    end: int
    limit: datetime | None


class Backlog:
    """Takes what has arrived, hands it out in order, keeps it until it is committed.

    One thread takes and settles, another hands out; each may wait for the disk, neither for the
    database.

    Args:
        spool: where to keep what memory should not.
        max_bytes: how large the spool may become.
        at_most: how many inputs may be in memory alone: what a crash costs at most.
        always: whether every input goes to the disk, and memory alone is never enough.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        max_bytes: int,
        at_most: int,
        always: bool,
        monotonic: Callable[[], float],
    ) -> None:
        self._spool = spool
        self._enough = max_bytes - max_bytes // _RESERVED
        self._at_most = at_most
        self._always = always
        self._monotonic = monotonic
        self._changed = threading.Condition(threading.RLock())
        self._window: deque[_Item] = deque()  # from the oldest input on, without a hole
        self._handed = 0  # how many items of the window were handed out
        self._overflow: deque[_Item] = deque()  # the newest; neither memory nor disk has room
        self._next = 1
        self._placed = 1  # up to here all is in the window or in the spool
        self._window_end = 1
        self._acked = 1
        self._kept_end = self._forgotten = 1
        self._away = False
        self._room = True
        self._trouble: str | None = None
        self._closed = self._gone = False
        self._testimony = Testimony([], 1, None)

    @property
    def pending(self) -> int:
        """How many inputs are not committed."""
        return self._next - self._acked

    @property
    def spooled(self) -> int:
        """How many of these are in the spool; told without waiting for the disk."""
        return max(0, min(self._kept_end, self._next) - self._acked)

    @property
    def has_room(self) -> bool:
        """Whether there was room for more, when that was last asked."""
        return self._room

    @property
    def waits(self) -> bool:
        """Whether something was taken that was not handed out yet."""
        with self._changed:
            return self._handed < len(self._window) or self._window_end < self._placed

    @property
    def unkept(self) -> int:
        """How many inputs are neither committed nor in the spool."""
        with self._changed:
            unkept = [*self._overflow, *(item for item in self._window if not item.kept)]
            return sum(item.end - max(item.first, self._acked) for item in unkept)

    @property
    def closed(self) -> bool:
        """Whether nothing will follow."""
        return self._closed

    def take(self, batch: Sequence[Received], *, proofs: list[Proof], emptied: bool) -> None:
        """Take responsibility for a batch. This never fails.

        Args:
            batch: what has arrived.
            proofs: what was certain of each connection before it was fetched.
            emptied: whether nothing was left behind.
        """
        with self._changed:
            if batch:
                self._overflow.append(_Item(self._next, batch, self._monotonic()))
                self._next = self._overflow[-1].end
            limit = None if emptied or not batch else batch[-1].received_at
            self._testimony = Testimony(proofs, self._next, limit)
            self._place()
            self._changed.notify_all()

    def settle(self) -> bool:
        """Put what must be on the disk there; return whether there is room for more.

        There is none where the disk refuses, and none from a little below the spool's bound until
        half of that is free again.
        """
        with self._changed:
            self._place()
            old = next((item for item in self._window if not item.kept), None)
            overdue = old and self._monotonic() - old.taken_at > LONGEST_IN_MEMORY
            spilled = self._spill() if self._away or overdue else True
            stuck = bool(self._overflow) or (self._away and not spilled)
            stuck |= self._always and self._trouble is not None
            enough = self._enough if self._room else self._enough // 2
            self._room = not stuck and self._spool.bytes <= enough
            return self._room

    def close(self) -> None:
        """Nothing will follow."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def renew(self, spool: Spool) -> None:
        """Go on with another spool: what is in memory, if only that, goes there.

        Args:
            spool: an empty one, in place of one that is damaged.
        """
        with self._changed:
            self._spool = spool
            for item in self._window:
                item.kept = False

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Let nobody touch the spool from here on: it is given back meanwhile."""
        with self._changed:
            self._gone = True
            yield

    def wake(self) -> None:
        """Let a waiting taker go on."""
        with self._changed:
            self._changed.notify_all()

    def next(self, timeout: float) -> list[Received]:
        """Hand out what comes next, some thousands at most; nothing where nothing comes in time.

        Args:
            timeout: how long to wait for something, seconds.

        Raises:
            DamagedSpoolError: the spool cannot be read.
        """
        with self._changed:
            if not (self.waits or self._closed):
                self._changed.wait(timeout)
            if self._handed == len(self._window) and self._window_end < self._placed:
                first, batch = self._spool.read(self._window_end, _AT_ONCE)
                if not batch:
                    raise DamagedSpoolError(f"{self._spool.folder} lacks what was kept in it.")
                item = _Item(first, batch, self._monotonic(), kept=True)
                self._window.append(item)
                self._window_end = item.end
            found: list[Received] = []
            for item in islice(self._window, self._handed, None):
                if found and len(found) + len(item.batch) > _AT_ONCE:
                    break
                found += item.batch[max(0, self._acked - item.first) :]
                self._handed += 1
            return found

    def committed(self, count: int) -> None:
        """Note that so many more inputs, the oldest, are in the database."""
        with self._changed:
            self._away = False
            self._acked += count
            while self._window and self._window[0].end <= self._acked:
                self._window.popleft()
                self._handed = max(0, self._handed - 1)
            if self._forgotten < self._kept_end and not self._gone:
                with suppress(NoRoomError):  # it is drained once more then
                    self._spool.forget(self._acked)
                self._forgotten = self._acked
            self._place()
            self._changed.notify_all()

    def failed(self) -> None:
        """The database cannot be used: what was handed out is to be handed out again.

        What is in memory alone goes to the disk first.
        """
        with self._changed:
            if self._gone:
                return
            self._away = True
            self._handed = 0
            if self._spill():
                self._window.clear()
                self._window_end = self._acked

    def testimony(self) -> tuple[list[Proof], datetime | None]:
        """Return what is certain of the connections, and up to when all is in the database.

        A session never vouches for what is only in memory, or only in the spool.
        """
        with self._changed:
            told = self._testimony
            if self._acked >= told.end:
                return told.proofs, told.limit
            oldest = self._oldest()
            return told.proofs, None if oldest is None else oldest - _MOMENT

    def _oldest(self) -> datetime | None:
        item = next(iter(self._window or self._overflow), None)
        if self._window_end > self._acked or self._window_end == self._placed:
            if item is None:
                return None
            return item.batch[max(0, self._acked - item.first)].received_at
        return self._spool.size().oldest

    def _place(self) -> None:
        while self._overflow:
            item = self._overflow[0]
            held = self._window_end - self._acked
            in_order = self._window_end == item.first
            fits = in_order and (not held or held + len(item.batch) <= self._at_most)
            # What is older goes first: whatever a crash costs, nothing after it is on the disk.
            enough = fits and not self._always
            if not enough and not self._keep([*self._window, item]) and (held or not fits):
                return
            if fits:
                self._window.append(item)
                self._window_end = item.end
            self._overflow.popleft()
            self._placed = item.end

    def _spill(self) -> bool:
        return self._keep([item for item in self._window if not item.kept])

    def _keep(self, items: Sequence[_Item]) -> bool:
        """Put items into the spool; return whether all of them are there."""
        try:
            for item in items:
                if not item.kept:
                    start = max(item.first, self._acked)
                    for first, part in _parts(start, item.batch[start - item.first :]):
                        self._spool.append(first, part)
                    item.kept = True
                    self._kept_end = max(self._kept_end, item.end)
        except NoRoomError as error:
            if self._trouble is None:
                self._trouble = str(error)
                _log.error("spool_has_no_room", error=str(error))
            return False
        if items and self._trouble is not None:
            self._trouble = None
            _log.info("spool_has_room")
        return True


def _parts(first: int, batch: Sequence[Received]) -> Iterator[tuple[int, Sequence[Received]]]:
    for start in range(0, len(batch), _AT_ONCE):
        yield first + start, batch[start : start + _AT_ONCE]
