"""A database connection that gives up on a server that does not answer."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready

T = TypeVar("T")


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that waits for a database no longer than it may.

    The server's own time limits do not help where its answer does not get through.
    """

    patience = float("inf")
    is_abandoned: Callable[[], bool] | None = None

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:  # psycopg's own, whatever it is
        """Wait for the end of an exchange with the server, as psycopg does."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        until = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                # Asked several times a second while nothing comes.
                if ready == Ready.NONE and (time.monotonic() > until or self._is_given_up()):
                    self.close()
                    raise psycopg.OperationalError("the database did not answer in time")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result

    def _is_given_up(self) -> bool:
        return self.is_abandoned is not None and self.is_abandoned()
