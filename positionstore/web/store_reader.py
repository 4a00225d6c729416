"""Reads the metrics of the store in the background.

It has its own thread and connection. A page shows the last reading with its age, so it never waits
for a slow or absent database.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

import psycopg

from positionstore.errors import PositionstoreError
from positionstore.log import get_logger
from positionstore.redaction import in_a_line
from positionstore.store import metrics, migrations, session
from positionstore.store.database import Store

_log = get_logger(__name__)

EVERY: Final = 10.0
"""Seconds between two looks at the database."""

_SHARE: Final = 20
"""A part that took a second is read again after so many: a twentieth of the time, at most."""

_LONGEST: Final = 600.0
_LIMITS: Final = {"statement_timeout": "5s", "lock_timeout": "1s"}


@dataclass(frozen=True, slots=True)
class Read:
    """The last reading of a part of the store.

    Attributes:
        what: what was read.
        at: when, by :func:`time.time`.
    """

    what: metrics.Part
    at: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of the database.

    Attributes:
        looked_at: when it was last read, by the monotonic clock; None before the first time.
        reachable: whether it answered then.
        revision: the revision of its schema; None if it has none, or has not answered yet.
        parts: what was read last, by the part's name.
        failures: how often a part could not be read.
        errors: why parts could not be read the last time, in a line.
        unreachable: why the database could not be used, in a line; empty where it answered.
    """

    looked_at: float | None = None
    reachable: bool = False
    revision: str | None = None
    parts: Mapping[str, Read] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    unreachable: str = ""


class StoreReader:
    """Reads the database periodically, from :meth:`start` to :meth:`stop`.

    Args:
        store: the database.
        every: seconds between two readings.
        parts: what to read.
        application_name: what the server calls the connection.
        unasked_for: seconds after the last :meth:`ask` in which it goes on looking; None: it
            looks without being asked.
        monotonic: a clock, seconds.

    Attributes:
        reading: the last reading; replaced as a whole, so any thread may use it.
    """

    def __init__(
        self,
        store: Store,
        *,
        every: float = EVERY,
        parts: Mapping[str, Callable[[psycopg.Connection], Any]] = metrics.PARTS,
        application_name: str = "positionstore metrics",
        unasked_for: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reading = Reading(failures=dict.fromkeys(parts, 0))
        self._store = store
        self._application_name = application_name
        self._unasked_for = unasked_for
        self._asked_at: float | None = None
        self._wake = threading.Event()
        self._every = every
        self._parts = parts
        self._monotonic = monotonic
        self._due = dict.fromkeys(parts, 0.0)
        self._told: set[str] = set()
        self._connection: psycopg.Connection | None = None
        self._stopped = threading.Event()
        # A daemon: a database that does not answer must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="store-reader", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self, within: float) -> None:
        """Stop, and cancel a running statement. May be called twice.

        Args:
            within: the maximum number of seconds to wait.
        """
        self._stopped.set()
        self._wake.set()
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=within)
        self._thread.join(within)

    def ask(self) -> None:
        """Have it look, and go on for a while."""
        self._asked_at = self._monotonic()
        self._wake.set()

    def look(self) -> None:
        """Read the database once."""
        try:
            connection = self._connection = self._connection or self._connect()
            revision = migrations.current(connection)
        except (PositionstoreError, psycopg.Error, OSError) as error:
            # The ingester logs it, and has its own patience.
            self._drop()
            self._note(reachable=False, unreachable=in_a_line(error))
            return
        self._note(reachable=True, unreachable="", revision=revision)
        if revision != migrations.head():
            return
        for name, read in self._parts.items():
            if self._stopped.is_set() or self._monotonic() < self._due[name]:
                continue
            began = self._monotonic()
            try:
                what = read(connection)
            except psycopg.Error as error:
                self._failed(name, error)
                if connection.broken:
                    break
            else:
                self._told.discard(name)
                parts = {**self.reading.parts, name: Read(what, time.time())}
                errors = {each: said for each, said in self.reading.errors.items() if each != name}
                self.reading = replace(self.reading, parts=parts, errors=errors)
            took = self._monotonic() - began
            self._due[name] = began + min(max(self._every, took * _SHARE), _LONGEST)

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                if self._is_wanted():
                    self.look()
                    self._stopped.wait(self._every)
                else:
                    self._drop()
                    self._wake.clear()
                    # Where it was asked, or stopped, since it looked whether it was.
                    if not (self._is_wanted() or self._stopped.is_set()):
                        self._wake.wait()
        finally:
            self._drop()

    def _is_wanted(self) -> bool:
        if self._unasked_for is None:
            return True
        asked_at = self._asked_at
        return asked_at is not None and self._monotonic() - asked_at < self._unasked_for

    def _connect(self) -> psycopg.Connection:
        connection = self._store.connect_to_look(application_name=self._application_name)
        try:
            session.limit(connection, _LIMITS)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _note(self, **what: Any) -> None:
        self.reading = replace(self.reading, looked_at=self._monotonic(), **what)

    def _failed(self, name: str, error: psycopg.Error) -> None:
        failures = {**self.reading.failures, name: self.reading.failures[name] + 1}
        said = in_a_line(error)
        errors = {**self.reading.errors, name: said}
        self.reading = replace(self.reading, failures=failures, errors=errors)
        if name not in self._told and not self._stopped.is_set():
            self._told.add(name)
            _log.warning("metrics_not_read", part=name, error=said)
