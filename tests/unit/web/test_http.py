"""The HTTP server, and clients that want too much of it."""

import asyncio
import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psutil
import pytest
import structlog
from aiohttp import web
from support.waiting import DEADLINE, wait_until

from positionstore.web.http import MOST_CONNECTIONS, HttpServer, Respond


async def hello(request: web.Request) -> web.StreamResponse:
    return web.Response(text=f"hello {request.query_string}\n")


async def broken(_: web.Request) -> web.StreamResponse:
    raise ValueError("of no concern to a client")


async def large(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 50_000_000)


ROUTES: Mapping[str, Respond] = {"/hello": hello, "/broken": broken, "/large": large}


@contextmanager
def served(port: int = 0, **options: Any) -> Iterator[HttpServer]:
    server = HttpServer("127.0.0.1", port, ROUTES, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop(DEADLINE)
        assert not server._thread.is_alive()


def port_of(server: HttpServer) -> int:
    wait_until(lambda: server.addresses != [], "it listens")
    return int(server.addresses[0].rpartition(":")[2])


def asked(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as client:
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def closed(client: socket.socket) -> bool:
    """Whether the other side closes a connection, read to its end."""
    client.settimeout(DEADLINE)
    try:
        while client.recv(1 << 20):
            pass
    except ConnectionError:
        pass
    return True


def test_it_answers_get_and_head_and_keeps_nothing() -> None:
    with served() as server:
        port = port_of(server)
        status, headers, body = asked(port, "GET", "/hello?a=b")
        assert (status, body) == (200, b"hello a=b\n")
        assert headers["Connection"] == "close"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "positionstore"
        status, headers, body = asked(port, "HEAD", "/hello?a=b")
        assert (status, headers["Content-Length"], body) == (200, "10", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_not_allowed(method: str) -> None:
    with served() as server:
        status, headers, body = asked(port_of(server), method, "/hello")
    assert (status, body) == (405, b"Method Not Allowed\n")
    assert headers["Allow"] == "GET,HEAD"


def test_another_path_is_not_found_and_a_fault_is_logged_and_not_shown() -> None:
    with structlog.testing.capture_logs() as lines, served() as server:
        assert asked(port_of(server), "GET", "/<script>")[::2] == (404, b"Not Found\n")
        status, _, body = asked(port_of(server), "GET", "/broken")
    assert (status, body) == (500, b"Internal Server Error\n")
    assert [line["event"] for line in lines] == ["listening", "http_request_failed"]


def test_what_is_no_http_costs_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as lines, served() as server:
        for noise in (b"\x16\x03\x01\0\0", b"GET /hello HTTP/9.9\r\n\r\n", b"\0" * 20_000):
            with closing(socket.create_connection(("127.0.0.1", port_of(server)))) as client:
                client.sendall(noise)
                client.shutdown(socket.SHUT_WR)
                assert closed(client)
        assert asked(port_of(server), "GET", "/hello")[0] == 200
    assert [line["event"] for line in lines] == ["listening"]
    assert caplog.records == []


@pytest.mark.parametrize("sent", [b"", b"GET /hello HT", b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_client_that_is_slow_to_write_or_to_read_is_closed(sent: bytes) -> None:
    with served(longest=0.2) as server, ExitStack() as stack:
        port = port_of(server)
        client = stack.enter_context(
            closing(socket.create_connection(("127.0.0.1", port), DEADLINE))
        )
        client.sendall(sent)
        assert asked(port, "GET", "/hello")[0] == 200
        wait_until(lambda: _open_connections(port) == 0, "it is closed, though the client is there")
        assert closed(client)


def _open_connections(port: int) -> int:
    """How many established connections the kernel knows that the server's side holds."""
    return sum(
        each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
        for each in psutil.Process().net_connections("tcp4")
    )


def test_beyond_a_number_of_connections_further_ones_are_closed_at_once() -> None:
    with served(longest=DEADLINE) as server, ExitStack() as stack:
        port = port_of(server)
        held = [
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), DEADLINE)))
            for _ in range(MOST_CONNECTIONS)
        ]
        wait_until(lambda: _open_connections(port) >= MOST_CONNECTIONS, "all are there")
        with closing(socket.create_connection(("127.0.0.1", port), DEADLINE)) as further:
            assert closed(further)
        for client in held:
            client.close()

        def is_answered() -> bool:
            try:
                return asked(port, "GET", "/hello")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(is_answered, "there is room again")


def test_an_address_in_use_is_said_once_and_taken_when_it_is_free() -> None:
    with (
        structlog.testing.capture_logs() as lines,
        closing(socket.create_server(("127.0.0.1", 0))) as other,
    ):
        port = other.getsockname()[1]
        with served(port, try_again=0.01) as server:
            wait_until(lambda: len(lines) > 0, "it says so")
            other.close()
            assert port_of(server) == port
            assert asked(port, "GET", "/hello")[0] == 200

    told = [line for line in lines if line["event"] == "not_listening"]
    assert len(told) == 1
    assert told[0]["address"] == f"127.0.0.1:{port}"
    assert "in use" in told[0]["error"]
    assert "POSITIONSTORE_LISTEN" in told[0]["remedy"]


def test_it_ends_while_it_waits_for_its_address() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as other,
        served(other.getsockname()[1], try_again=DEADLINE) as server,
    ):
        pass
    assert server.addresses == []


async def test_a_loop_that_stands_still_does_not_keep_it_from_answering() -> None:
    with served() as server:
        port = await asyncio.to_thread(port_of, server)
        assert asked(port, "GET", "/hello")[0] == 200  # asked in this very loop
