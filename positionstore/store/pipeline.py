"""Appending without a pause: while one batch is committed, the next is taken in.

Staging and committing cost about the same, and each keeps another process busy. A caller that has
more to write than one transaction takes both in turns over two connections.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress

import psycopg

from positionstore.model.facts import Received
from positionstore.store.appender import Appended, Appender


class Pipeline:
    """Two appenders that take turns: one takes in what comes, the other commits what came.

    Batches are committed in the order in which they were staged. After an error nothing can be
    done but :meth:`close` it; what no call of ``committed`` has accounted for may be staged again
    in another pipeline, for appending is idempotent.

    Not for two threads at once.

    Args:
        connect: opens a connection to the store; called for the first batch, and once more where
            a second one is to be staged during a commit.
        batch_size: how many inputs make a transaction that waits no longer; asked before each.
        smallest: how many make one where no commit is under way.
        committed: called with each transaction, in their order, in the caller's thread.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        *,
        batch_size: Callable[[], int],
        smallest: int = 1,
        committed: Callable[[Appended], None],
    ) -> None:
        self._connect = connect
        self._batch_size = batch_size
        self._smallest = smallest
        self._committed = committed
        self._connections = ExitStack()
        self._taking: Appender | None = None
        self._resting: Appender | None = None
        self._staged = self._enough = 0
        self._committing: Future[Appended] | None = None

    def stage(self, batch: Sequence[Received]) -> None:
        """Take a batch in.

        Raises:
            psycopg.Error: the database cannot be used just now, or refuses something.
            DatabaseUnavailableError: it cannot be reached.
        """
        if not self._staged:
            self._enough = self._batch_size()
        if self._taking is None:
            self._taking = self._another()
        self._taking.stage(batch)
        self._staged += len(batch)

    def advance(self) -> None:
        """Let what is staged be committed in the background, if its turn has come.

        It has when no commit is under way: the slower commits are, the larger the batches grow,
        and the fewer times a position is written. Where enough is staged, in number or in bytes,
        this waits for it.

        Raises:
            psycopg.Error: the commit that was under way has failed.
            DatabaseUnavailableError: the database cannot be reached.
        """
        if self._committing is not None and self._committing.done():
            self._settle()
        due = self._enough if self._committing is not None else min(self._smallest, self._enough)
        if 0 < self._staged >= due or (self._taking is not None and self._taking.has_much):
            self._hand_over()

    def finish(self) -> None:
        """Commit all that is staged, and wait until it is done.

        Raises:
            psycopg.Error: a commit has failed.
        """
        self._settle()
        if self._taking is not None and self._staged:
            # The caller would only wait: for a lone event, the way to another thread is spared.
            self._staged = 0
            self._committed(self._taking.commit())

    def close(self) -> None:
        """Let go of the database: what is staged is forgotten, what is under way is awaited.

        If that succeeds ``committed`` is called; if not, it is as if it had never begun.
        """
        try:
            with suppress(Exception):
                self._settle()
        finally:
            self._taking = self._resting = None
            self._staged = 0
            with suppress(psycopg.Error):
                self._connections.close()

    def _hand_over(self) -> None:
        self._settle()
        full, self._taking = self._taking, self._resting
        self._staged = 0
        if full is not None:
            self._resting = full
            self._committing = _in_background(full.commit)

    def _settle(self) -> None:
        if self._committing is not None:
            committing, self._committing = self._committing, None
            self._committed(committing.result())

    def _another(self) -> Appender:
        connection = self._connect()
        self._connections.callback(connection.close)
        appender = Appender(connection)
        self._connections.callback(appender.close)
        return appender


def _in_background(work: Callable[[], Appended]) -> Future[Appended]:
    future: Future[Appended] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    # A daemon, so that a database that does not answer cannot hold up the end of the process.
    threading.Thread(target=run, name="commit", daemon=True).start()
    return future
