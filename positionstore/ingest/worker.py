"""One thread that does one thing after another, for calls that wait."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def fulfil(future: Future[T], call: Callable[[], T]) -> None:
    """Call a function and give a future its result, or its error; not where that was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
        future.set_exception(error)
    else:
        future.set_result(result)


class Worker:
    """A single-thread executor that does not keep the process from ending.

    The interpreter waits for the threads of its own executors at its end: a statement that a
    database does not answer would keep it for ever.

    Args:
        name: what to call the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the thread, after all calls before it, and return its result.

        Where the waiting task is cancelled, a call that has begun goes on to its end.
        """
        future: Future[T] = Future()
        self._jobs.put(partial(fulfil, future, partial(call, *args, **kwargs)))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after the calls that were made."""
        self._jobs.put(None)

    def _work(self) -> None:
        for job in iter(self._jobs.get, None):
            job()
