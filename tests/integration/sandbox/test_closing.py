"""A closed sandbox is gone: whatever its clients were at, no connection and no task is left."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import psutil
import pytest
from aiohttp import web
from support.waiting import eventually

from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.sandbox.gateway import ENGINE_PATH, PARTNER_NAMESPACE
from positionstore.sandbox.rest import PREFIX
from positionstore.sandbox.serving import Serving, accept_no_more

POLL = f"{ENGINE_PATH}/?EIO=4&transport=polling"
UPGRADE = (
    f"GET {ENGINE_PATH}/?EIO=4&transport=websocket HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@asynccontextmanager
async def leaving_nothing_at(port: Callable[[], int]) -> AsyncIterator[None]:
    """Fail where a task or a server's connection is left."""
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() <= before
    connections = psutil.Process().net_connections("tcp4")
    assert [each for each in connections if each.laddr.port == port()] == []


@asynccontextmanager
async def closed_wholly(faults: Faults | None = None) -> AsyncIterator[Sandbox]:
    """Open a sandbox and close it; what it leaves behind then fails the test."""
    sandbox = Sandbox(Options(ticking=False, partners=1, faults=faults or Faults()))
    async with leaving_nothing_at(lambda: sandbox.port), sandbox:
        yield sandbox


@pytest.fixture
def caller() -> Iterator[socket.socket]:
    """A client that stays until the sandbox is closed, reads nothing, and can be sent little."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield made


def call(caller: socket.socket, sandbox: Sandbox, says: str) -> None:
    caller.connect(("127.0.0.1", sandbox.port))
    caller.sendall(says.encode())


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def text_frame(text: str) -> bytes:
    """Return the frame of a client's text of less than 126 bytes, masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


async def test_a_client_has_stopped_reading(caller: socket.socket) -> None:
    async with closed_wholly() as sandbox:
        call(caller, sandbox, UPGRADE)
        auth = json.dumps({"apiKey": sandbox.api_key})
        caller.sendall(text_frame(f"40{PARTNER_NAMESPACE},{auth}"))
        await sandbox.wait_for_clients(1)
        await sandbox.step(5000)  # 9 MB, more than any machine's buffers hold


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("says", ["", "GET /ha", UPGRADE], ids=["nothing", "half", "upgrade"])
async def test_a_client_has_come_so_many_turns_ago(
    caller: socket.socket, says: str, turns: int
) -> None:
    async with closed_wholly() as sandbox:
        call(caller, sandbox, says)
        for _ in range(turns):
            await asyncio.sleep(0)


async def test_a_client_is_waiting_for_its_poll(caller: socket.socket) -> None:
    async with closed_wholly() as sandbox:
        async with aiohttp.request("GET", f"{sandbox.url}{POLL}") as response:
            sid = json.loads((await response.text())[1:])["sid"]
        call(caller, sandbox, get(f"{POLL}&sid={sid}"))
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_request_takes_for_ever(caller: socket.socket) -> None:
    async with closed_wholly(Faults(rest_latency=3600)) as sandbox:
        call(caller, sandbox, get(f"{PREFIX}/positions"))
        await eventually(lambda: sandbox.stats()["rest_requests"] == 1)


async def test_the_last_words_of_a_connection_that_is_being_closed_are_never_read(
    caller: socket.socket,
) -> None:
    async def ends(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(bytes(9_000_000))
        request.protocol.force_close()
        ended.set()
        return web.Response()

    ended = asyncio.Event()
    serving = Serving()
    app = web.Application(middlewares=[serving.watch])
    app.router.add_get("/", ends)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with leaving_nothing_at(lambda: port):
        await serving.start(app, listener)
        caller.connect(("127.0.0.1", port))
        caller.sendall(get("/").encode())
        await ended.wait()
        await serving.close()


async def test_a_connection_is_kept_for_the_next_request(caller: socket.socket) -> None:
    async with closed_wholly() as sandbox:
        call(caller, sandbox, get("/_sandbox/sessions"))
        await asyncio.to_thread(caller.recv, 1)


@pytest.mark.parametrize("turns", range(5))
async def test_a_server_that_accepts_no_more_can_be_closed_with_nobody_on_the_way_in(
    caller: socket.socket, turns: int
) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    (listener,) = server.sockets
    port = listener.getsockname()[1]
    async with leaving_nothing_at(lambda: port):
        caller.connect(("127.0.0.1", port))
        for _ in range(turns):
            await asyncio.sleep(0)
        await accept_no_more([listener.fileno()])
        server.close()
        for _ in range(3):  # what is closed is so a turn or two later
            await asyncio.sleep(0)
