"""The REST client against servers that speak HTTP badly, over real sockets."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rest_doubles import access

from positionstore.dimes import rest
from positionstore.dimes.rest import Page, RestClient
from positionstore.errors import GatewayError

LIST = b'{"data":[],"has_more":false}'
BOMB = gzip.compress(b" " * (rest.MAX_BODY + 1))


@asynccontextmanager
async def saying(raw: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that says the same to everybody."""
    done = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        if then_hang:
            await done.wait()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done.set()


async def first_page(url: str) -> Page:
    async with RestClient(url, concurrency=2, requests_per_second=1000, retry_budget=0) as client:
        return await anext(client.walk(access()))


def response(body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % size, *headers, b"", body]
    return b"\r\n".join(lines)


async def test_a_list_in_gzip_is_a_list() -> None:
    packed = response(gzip.compress(LIST), b"Content-Encoding: gzip")
    async with saying(packed) as url:
        assert not (await first_page(url)).has_more


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (response(LIST, length=500), "without sending complete message body"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + LIST[:-3], "cut short"),
        (b"", "disconnected"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "illegal"),
        (response(b"hello", b"Content-Encoding: gzip"), "decompressing"),
        (response(BOMB, b"Content-Encoding: gzip"), "more than 64 MiB"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=[
        "cut short",
        "cut short without a length",
        "silence",
        "no HTTP",
        "no gzip",
        "bomb",
        "lost",
    ],
)
async def test_bad_http_is_one_line(raw: bytes, said: str) -> None:
    async with saying(raw) as url:
        with pytest.raises(GatewayError) as raised:
            await first_page(url)
    assert said in str(raised.value)
    assert str(raised.value).isprintable()


async def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "_ATTEMPT", 0.2)
    async with saying(response(LIST, length=500), then_hang=True) as url:
        with pytest.raises(GatewayError, match="no answer within"):
            await first_page(url)


async def test_nobody_there_is_one_line() -> None:
    async with saying(b"") as url:
        pass
    with pytest.raises(GatewayError, match="connection attempts failed"):
        await first_page(url)
