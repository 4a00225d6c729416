"""Work in a thread of its own: it is reached, stopped, and never in the way."""

import asyncio
import subprocess
import sys
import threading
import time

import structlog
from support.waiting import DEADLINE

from positionstore.service.aside import WorkerThread


async def test_it_works_in_another_thread_and_ends_when_it_is_told_to() -> None:
    threads: list[str] = []
    called = threading.Event()

    async def work() -> None:
        threads.append(await asyncio.to_thread(lambda: threading.current_thread().name))
        threads.append(threading.current_thread().name)
        await asyncio.Event().wait()

    aside = WorkerThread("by the side", work)
    aside.start()
    aside.call(called.set)
    assert await asyncio.to_thread(called.wait, DEADLINE)
    while len(threads) < 2:  # noqa: ASYNC110 - filled by another thread
        await asyncio.sleep(0.001)
    aside.stop()
    await asyncio.wait_for(aside.ended(), DEADLINE)

    assert threads == ["helper", "by the side"]
    aside.call(called.clear)
    aside.stop()
    assert called.is_set()


async def test_what_fails_in_a_helper_is_raised_where_it_is_awaited() -> None:
    caught: list[Exception] = []

    def fail() -> None:
        raise ValueError("no")

    async def work() -> None:
        try:
            await asyncio.to_thread(fail)
        except ValueError as error:
            caught.append(error)

    aside = WorkerThread("by the side", work)
    aside.start()
    await asyncio.wait_for(aside.ended(), DEADLINE)

    assert [str(error) for error in caught] == ["no"]


async def test_work_that_is_interrupted_by_something_else_is_begun_again() -> None:
    begun: list[str] = []
    at_work = threading.Event()

    async def work() -> None:
        begun.append("work")
        if len(begun) == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        at_work.set()
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as lines:
        aside = WorkerThread("by the side", work, pause=0.0)
        aside.start()
        assert await asyncio.to_thread(at_work.wait, DEADLINE)
        aside.stop()
        await asyncio.wait_for(aside.ended(), DEADLINE)

    assert len(begun) == 2
    assert [(line["event"], line["worker"]) for line in lines] == [
        ("worker_interrupted", "by the side")
    ]


async def test_what_is_stopped_before_it_begins_does_nothing() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("work")

    aside = WorkerThread("by the side", work)
    aside.stop()
    aside.start()
    await asyncio.wait_for(aside.ended(), DEADLINE)

    assert begun == []


def test_work_that_does_not_come_back_does_not_keep_the_process() -> None:
    script = """
import asyncio, threading, time
from positionstore.service.aside import WorkerThread

async def main():
    aside = WorkerThread("stuck", lambda: asyncio.to_thread(time.sleep, 60))
    aside.start()
    said = threading.Event()
    aside.call(lambda: (print("working", flush=True), said.set()))
    await asyncio.to_thread(said.wait, 40)
    aside.stop()

asyncio.run(main())
"""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "working\n", "")
    assert time.monotonic() - began < 30
