"""What systemd hears, over a real datagram socket."""

import asyncio
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from positionstore.ingest.meter import Meter, Standing
from positionstore.model.facts import Source
from positionstore.service.notify import Notifier, notified, status

Listen = Callable[[str], socket.socket]
WITHIN = 60.0


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The socket of a service manager, and how it is named in NOTIFY_SOCKET."""
    name = f"@{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind("\0" + name[1:] if name[0] == "@" else name)
        listener.settimeout(WITHIN)
        yield name, listener


def told(listener: socket.socket) -> list[str]:
    return listener.recv(65_536).decode().split("\n")


def beats(listener: socket.socket) -> bool:
    """Whether the watchdog is fed within a time that is many of its turns."""
    listener.settimeout(1.0)
    try:
        return "WATCHDOG=1" in told(listener)
    except TimeoutError:
        return False
    finally:
        listener.settimeout(WITHIN)


def emptied(listener: socket.socket) -> None:
    listener.setblocking(False)
    try:
        while listener.recv(65_536):
            pass
    except BlockingIOError:
        listener.settimeout(WITHIN)


def test_a_loop_that_is_blocked_feeds_the_watchdog_no_more(
    manager: tuple[str, socket.socket],
) -> None:
    name, listener = manager
    environment = {
        "NOTIFY_SOCKET": name,
        "WATCHDOG_USEC": "60000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    notifier = Notifier.of(environment)
    block, blocked, free, end = (threading.Event() for _ in range(4))

    async def work(stop: asyncio.Event) -> None:
        while not end.is_set():
            if block.is_set() and not free.is_set():
                blocked.set()
                free.wait(WITHIN)  # the loop itself stands still
            await asyncio.sleep(0.001)

    async def run() -> None:
        await notified(notifier, Source.PARTNER, Meter(), work)(asyncio.Event())

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert told(listener) == [
            "READY=1",
            "STATUS=The partner gateway is not connected; 0 inputs received.",
            "WATCHDOG=1",
        ]
        assert beats(listener)
        block.set()
        assert blocked.wait(WITHIN)
        emptied(listener)
        assert not beats(listener)
        free.set()
        assert beats(listener)
    finally:
        free.set()
        end.set()
        thread.join(WITHIN)
    heard = [told(listener)]
    while heard[-1] != ["STOPPING=1", "STATUS=Stopped."]:
        heard.append(told(listener))
    assert environment == {}


async def test_without_a_manager_the_work_is_left_as_it_is() -> None:
    async def work(stop: asyncio.Event) -> None:
        pass

    for environment in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}):
        notifier = Notifier.of(dict(environment))
        assert notified(notifier, Source.PARTNER, Meter(), work) is work
        notifier.tell("READY=1")


def test_a_watchdog_that_is_another_process_s_is_not_fed(tmp_path: Path) -> None:
    for variables in (
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ):
        notifier = Notifier.of({"NOTIFY_SOCKET": str(tmp_path / "none"), **variables})
        assert notifier.watchdog is None
        notifier.tell("READY=1")  # nobody listens, and that is no error
        notifier.close()


async def test_while_it_stops_it_still_feeds_the_watchdog(
    manager: tuple[str, socket.socket],
) -> None:
    name, listener = manager
    stop, heard = asyncio.Event(), list[str]()

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()
        heard.extend(await asyncio.to_thread(heard_until_stopping))

    def heard_until_stopping() -> list[str]:
        found = told(listener)
        while "STOPPING=1" not in found:
            found = told(listener)
        return found

    notifier = Notifier.of({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "60000"})
    stop.set()
    await notified(notifier, Source.PARTNER, Meter(), work)(stop)
    assert "WATCHDOG=1" in heard


def test_the_status_says_what_an_operator_asks_first() -> None:
    meter = Meter()
    meter.received, meter.database_up = 1_234, False
    meter.standing = lambda: Standing(connected=True, spooled=56)
    assert status(Source.CUSTOMER, meter) == (
        "The customer gateway is connected; 1,234 inputs received; 56 wait in the spool; "
        "the database is away."
    )
