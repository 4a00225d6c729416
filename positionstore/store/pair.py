"""A pair of sessions that see the same: for work that one server can do at two places at once.

PostgreSQL's own parallel workers cannot do what reads a body: the functions that read a value of
the wrong kind need subtransactions.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final, Generic, Self, TypeVar

import psycopg
from psycopg import IsolationLevel, sql

from positionstore.errors import PositionstoreError

Connect = Callable[[], psycopg.Connection]
"""Opens a further connection to the same place."""

Part = TypeVar("Part")
"""What comes of a bit of the work."""

Task = Callable[[psycopg.Connection], Iterator[Part]]
"""Does its work in the session that it is given, bit by bit."""

_PATIENCE: Final = 5.0
"""Seconds for which one waits for the server to give up a statement."""


class Pair(Generic[Part]):
    """Two sessions, the second with the first one's snapshot, which take tasks from one queue.

    The second is opened when there are tasks for both. Until it is there, and where there is none
    to be had, the first does them all.
    """

    def __init__(self, connection: psycopg.Connection, another: Connect | None) -> None:
        """Take the first session.

        Args:
            connection: it, in a transaction at ``REPEATABLE READ``.
            another: opens the second one; None for the first one alone.
        """
        self._connection = connection
        self._another = another
        self._other: psycopg.Connection | None = None
        self._thread: Thread | None = None
        self._tasks: SimpleQueue[Task[Part] | None] = SimpleQueue()
        # Of the second session: a part, or None for the end of a task, or what ended it.
        self._answers: SimpleQueue[tuple[Part] | Exception | None] = SimpleQueue()
        self._over = Event()

    def __enter__(self) -> Self:
        """Do nothing yet; a short work never asks for the second session."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the second session; if the work is given up, so is the task that it is at."""
        self._over.set()
        self._tasks.put(None)
        if self._thread is None or self._other is None:
            return  # a pooler lets one wait that it has no session for; it is closed when it comes
        if kind is not None:
            with suppress(psycopg.Error):
                self._other.cancel_safe(timeout=_PATIENCE)
        self._thread.join()

    def run(self, tasks: Sequence[Task[Part]]) -> Iterator[Part]:
        """Do some tasks, each in one of the sessions; yield the parts of all as they come.

        Raises:
            Exception: what a task raised.
        """
        for task in tasks:
            self._tasks.put(task)
        if len(tasks) > 1 and self._thread is None and self._another is not None:
            self._begin(self._another)
        undone = len(tasks)
        while undone:
            try:
                ours = self._tasks.get_nowait()
            except Empty:
                undone -= yield from self._theirs(wait=True)
                continue
            for part in ours(self._connection) if ours is not None else ():
                yield part
                undone -= yield from self._theirs(wait=False)
            undone -= 1

    def _theirs(self, *, wait: bool) -> Generator[Part, None, int]:
        """Yield the parts of the second session; return how many tasks it has ended."""
        done = 0
        while True:
            try:
                answer = self._answers.get(block=wait)
            except Empty:
                return done
            if isinstance(answer, Exception):
                raise answer
            if answer is None:
                done += 1
            else:
                yield answer[0]
            wait = False

    def _begin(self, another: Connect) -> None:
        row = self._connection.execute("SELECT pg_export_snapshot()").fetchone()
        snapshot = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(*row or ())
        self._thread = Thread(
            target=self._work, args=(another, snapshot), name="second-session", daemon=True
        )
        self._thread.start()

    def _work(self, another: Connect, snapshot: sql.Composed) -> None:
        # Where there is none to be had, the work is done without.
        with suppress(psycopg.Error, PositionstoreError), closing(another()) as other:
            other.isolation_level = IsolationLevel.REPEATABLE_READ
            other.autocommit = False
            other.execute(snapshot)
            self._other = other
            while not self._over.is_set() and (task := self._tasks.get()) is not None:
                try:
                    for part in task(other):
                        self._answers.put((part,))
                        if self._over.is_set():
                            return
                except Exception as error:  # noqa: BLE001 - the first session raises it
                    self._answers.put(error)
                    return
                self._answers.put(None)
