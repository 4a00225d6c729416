"""The thread that brings what has arrived into the database, however often that takes."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from positionstore.ingest.backlog import Backlog
from positionstore.ingest.backoff import Backoff
from positionstore.ingest.draining import drain
from positionstore.ingest.meter import Meter
from positionstore.ingest.presence import Presence
from positionstore.ingest.recorder import Recorder
from positionstore.ingest.spool import Spool
from positionstore.redaction import redacted
from positionstore.store.db_errors import ErrorAction, classify, explained

_log = structlog.get_logger(__name__)

_BASE_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 5.0
_LOOK_EVERY: Final = 30.0
"""Seconds between two looks for spools of processes that have died."""

LeftBehind = Callable[[], Iterator[Spool]]


class Courier:
    """Writes what the backlog hands out, and records sessions, until the backlog is closed.

    First come the spools that dead processes left. Where the database cannot be used everything
    is tried again without end; that is logged once when it begins, and once when it is over.

    Args:
        backlog: what to write.
        recorder: writes it.
        drainer: writes what dead processes have left.
        presence: forgets connections whose end is on record.
        left_behind: takes over spools of dead processes.
        heartbeat_every: how often sessions are looked after at least, seconds.
        patience: for how long the database may work on one thing, seconds.
        meter: is told how attempts on the database end.
        random: draws a number from 0 to 1, for the waits.
        monotonic: a clock, seconds.
    """

    def __init__(
        self,
        backlog: Backlog,
        recorder: Recorder,
        drainer: Recorder,
        presence: Presence,
        *,
        left_behind: LeftBehind,
        heartbeat_every: float,
        patience: float,
        meter: Meter | None = None,
        random: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backlog = backlog
        self._recorder = recorder
        self._drainer = drainer
        self._presence = presence
        self._left_behind = left_behind
        self._heartbeat_every = heartbeat_every
        self._patience = patience
        self._meter = meter or Meter()
        self._backoff = Backoff(base=_BASE_WAIT, cap=_LONGEST_WAIT, random=random)
        self._monotonic = monotonic
        self._given_up = threading.Event()
        self._lost_at: float | None = None
        self._busy_since: float | None = None
        self._look_at = 0.0

    def give_up(self) -> None:
        """End; what is under way is broken off."""
        self._given_up.set()
        self._cut()
        self._backlog.wake()

    def look_after(self) -> None:
        """Break off what the database has not done in time; to be called now and then."""
        since = self._busy_since
        if since is not None and self._monotonic() - since > self._patience:
            self._busy_since = self._monotonic()
            self._cut()

    def run(self) -> None:
        """Write until the backlog is closed and empty, or the database fails after it was closed.

        Raises:
            ConfigurationError: the database refuses for good; the message says what to do.
            SpoolError: the spool of this process cannot be read.
        """
        try:
            while not self._given_up.is_set():
                try:
                    ended = self._step()
                except Exception as error:
                    self._forget()
                    self._backlog.failed()
                    if classify(error) is not ErrorAction.RETRY:
                        raise explained(error) from error
                    self._lost_database(error)
                    if self._backlog.closed or self._given_up.wait(self._backoff.draw()):
                        return
                else:
                    if ended:
                        return
                finally:
                    self._busy_since = None
        finally:
            self._forget()

    def _cut(self) -> None:
        for recorder in (self._recorder, self._drainer):
            recorder.cut()

    def _forget(self) -> None:
        for recorder in (self._recorder, self._drainer):
            recorder.forget()

    def _step(self) -> bool:
        """Do what there is to do; return whether that was the last."""
        closed = self._backlog.closed
        batch = self._backlog.next(self._heartbeat_every)
        self._busy_since = self._monotonic()
        self._adopt()
        self._recorder.take(batch)
        self._recorder.write(everything=not self._backlog.waits)
        proofs, up_to = self._backlog.testimony()
        known = {proof.number for proof in self._presence.proofs()}
        if proofs := [proof for proof in proofs if proof.number in known]:
            self._presence.forget(self._recorder.record(proofs, written_up_to=up_to))
        self._has_database()
        return closed and not self._backlog.pending

    def _adopt(self) -> None:
        now = self._monotonic()
        if now < self._look_at or self._backlog.closed:
            return
        for spool in self._left_behind():
            drain(spool, self._drainer, progress=self._drained)
        self._drainer.drop()
        self._look_at = now + _LOOK_EVERY

    def _drained(self, _: int) -> None:
        self._busy_since = self._monotonic()
        if self._given_up.is_set():
            raise InterruptedError("stopped")

    def _lost_database(self, error: Exception) -> None:
        self._meter.note_database(works=False)
        if self._lost_at is None:
            self._lost_at = self._monotonic()
            said = redacted(str(error))
            _log.error("database_lost", error=said, unwritten=self._backlog.pending)

    def _has_database(self) -> None:
        self._meter.note_database(works=True)
        if self._lost_at is not None:
            away = self._monotonic() - self._lost_at
            _log.info("database_back", seconds=round(away, 1), unwritten=self._backlog.pending)
            self._lost_at = None
        self._backoff.succeeded(lasted=_LONGEST_WAIT)
