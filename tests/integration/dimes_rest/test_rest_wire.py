"""The REST client against servers that speak HTTP badly, over real sockets."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from support.far_end import serving
from support.rest_doubles import KEY, access

from positionstore.dimes import rest, tokens
from positionstore.dimes.rest import Page, RestClient
from positionstore.dimes.tokens import mint_token
from positionstore.errors import GatewayError

LIST = b'{"data":[],"has_more":false}'
BOMB = gzip.compress(b" " * (4 * rest.MAX_BODY), 1)


@asynccontextmanager
async def saying(raw: bytes, *, then_hang: bool = False) -> AsyncIterator[str]:
    """A server that says the same to everybody."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        if then_hang:
            await asyncio.Event().wait()
        writer.close()

    async with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"


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
        (response(gzip.compress(LIST)[:-9], b"Content-Encoding: gzip"), "cut short"),
        (response(BOMB, b"Content-Encoding: gzip"), "more than 64 MiB"),
        (response(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip"), "'gzip, gzip', which"),
        (response(LIST, b"Content-Encoding: zstd"), "packed as 'zstd', which was not asked for"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\nContent-Length: 0\r\n\r\n", ""),
    ],
    ids=[
        "cut short",
        "cut short without a length",
        "silence",
        "no HTTP",
        "no gzip",
        "gzip cut short",
        "bomb",
        "bomb in a bomb",
        "no packing that was asked for",
        "lost",
    ],
)
async def test_bad_http_is_one_line(raw: bytes, said: str) -> None:
    async with saying(raw) as url:
        with pytest.raises(GatewayError) as raised:
            await first_page(url)
    assert said in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("bomb", "packing"),
    [(BOMB, b"gzip"), (gzip.compress(BOMB), b"gzip, gzip"), (b" " * len(BOMB), b"identity")],
    ids=["a bomb", "a bomb in a bomb", "no bomb"],
)
async def test_a_bomb_takes_no_more_memory_than_the_longest_answer(
    bomb: bytes, packing: bytes
) -> None:
    tracemalloc.start()
    try:
        async with saying(response(bomb, b"Content-Encoding: " + packing)) as url:
            with pytest.raises(GatewayError):
                await first_page(url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * rest.MAX_BODY


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (response(b" " * 2_000_000), "more than 1,048,576 bytes"),
        (response(gzip.compress(LIST), b"Content-Encoding: gzip"), "names none"),
        (response(BOMB, b"Content-Encoding: gzip"), "more than 1,048,576 bytes"),
        (response(gzip.compress(BOMB), b"Content-Encoding: gzip, gzip"), "not asked for"),
    ],
    ids=["long", "packed", "bomb", "bomb in a bomb"],
)
async def test_an_answer_without_a_token_takes_little_memory(raw: bytes, said: str) -> None:
    async with saying(raw) as url, httpx.AsyncClient() as client:
        tracemalloc.start()
        try:
            with pytest.raises(GatewayError, match=said):
                await mint_token(client, url, KEY, "0x1")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


async def test_an_answer_that_never_ends_mints_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_ATTEMPT", 0.2)
    async with (
        saying(response(b"{", length=500), then_hang=True) as url,
        httpx.AsyncClient() as client,
    ):
        with pytest.raises(GatewayError, match="no answer within"):
            await mint_token(client, url, KEY, "0x1")


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
