"""A thread with its own event loop, for work that must not block another loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from positionstore.ingest.worker import fulfil
from positionstore.log import get_logger

_log = get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class _Helpers(ThreadPoolExecutor):
    """A thread for each call that does not keep the process from exiting.

    At exit the interpreter waits for the threads of other executors, and a statement that the
    database does not answer would block it forever.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function in a thread."""
        future: Future[T] = Future()
        work = partial(fulfil, future, partial(fn, *args, **kwargs))
        threading.Thread(target=work, name="helper", daemon=True).start()
        return future


class WorkerThread:
    """Runs a task in its own thread and event loop, until it is stopped.

    A task that is cancelled by anything else, such as a library, is started again. Otherwise a part
    of a service would end without anything that shows it.

    Args:
        name: the name of the thread.
        work: makes the coroutine, in that loop.
        pause: seconds before it is begun again.
    """

    def __init__(
        self, name: str, work: Callable[[], Coroutine[Any, Any, None]], *, pause: float = 1.0
    ) -> None:
        self._work = work
        self._pause = pause
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._stopping = False
        self._ended: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def start(self) -> None:
        """Start; call this in the event loop that will wait for the end."""
        self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._thread.start()
        self._ready.wait()

    def call(self, function: Callable[[], None]) -> None:
        """Call a function in the thread's loop, if it still runs; from any thread."""
        with self._lock:
            if self._loop is not None and self._task is not None and not self._task.done():
                self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """Tell the work to end; from any thread."""
        with self._lock:
            self._stopping = True
            if self._loop is not None and self._task is not None and not self._task.done():
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def ended(self) -> None:
        """Wait until the thread has ended."""
        if self._ended is not None:
            await self._ended[1].wait()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._ready.set()
            if self._ended is not None:
                loop, event = self._ended
                try:
                    loop.call_soon_threadsafe(event.set)
                except RuntimeError:  # the waiting loop is closed
                    return

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Helpers())
        while (task := self._begun(loop)) is not None:
            await asyncio.wait([task])
            if not task.cancelled():
                break
            if not self._stopping:
                _log.error("worker_interrupted", worker=self._thread.name)
                await asyncio.sleep(self._pause)
        with self._lock:
            self._loop = None
        if task is not None:
            task.result()

    def _begun(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
        """Begin the work, for the first time or again; not where it is to end."""
        with self._lock:
            if self._stopping:
                return None
            self._loop, self._task = loop, asyncio.ensure_future(self._work())
        self._ready.set()
        return self._task
