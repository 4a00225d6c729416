"""How a command waits for its work: until it ends, or until a signal."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from positionstore.log import get_logger

_log = get_logger(__name__)

T = TypeVar("T")


def complete(work: Coroutine[object, object, T]) -> T:
    """Run a task to its end.

    SIGTERM ends it as Ctrl-C does: resources are released, and finished work is kept.

    Raises:
        SystemExit: SIGTERM ended it (143).
    """
    return asyncio.run(_complete(work))


async def _complete(work: Coroutine[object, object, T]) -> T:
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        if terminated:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise


def until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a task until SIGTERM or Ctrl-C; a second signal ends it at once.

    Args:
        work: takes the event that tells it to stop.
    """
    asyncio.run(_until_signalled(work))


async def _until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()

    def stop_or_leave(number: signal.Signals) -> None:
        if stop.is_set():
            os._exit(128 + number)
        _log.info("stopping", signal=number.name)
        stop.set()

    # What is imported stays: no look for garbage has to go through it, while events wait.
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_or_leave, number)
    await work(stop)
    _log.info("stopped")
