"""WebSocket pings of our own, and compression, against the official server and a real nginx."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from support.nginx_front import balanced
from support.official_server import Serve
from support.streams import Stream, settings_for, supervised
from support.waiting import eventually

from positionstore.dimes.credentials import credentials_for
from positionstore.dimes.gateway import Connection, SocketOptions
from positionstore.dimes.pinger import DEAD_AFTER
from positionstore.model.facts import Source

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
RARELY = {"pingInterval": 300_000, "pingTimeout": 20_000}


def proofs_of(stream: Stream) -> Callable[[], int]:
    """Count the moments at which the first connection was known to be alive."""
    seen: set[datetime | None] = set()

    def proofs() -> int:
        seen.add(stream.began_[0].last_packet_at)
        return len(seen)

    return proofs


async def test_our_pings_prove_life_where_the_server_pings_rarely(serve: Serve) -> None:
    server = await serve(**RARELY)
    settings = settings_for(server.url, api_key=KEY, ping_every=0.5)
    async with supervised(settings, Source.PARTNER) as stream:
        await stream.connected()
        proofs = proofs_of(stream)
        await eventually(lambda: proofs() >= 6)
        await server.do("burst", count=3, filler=0)
        await eventually(lambda: len(stream.packets) == 3)
        assert len(stream.began_) == 1


async def test_a_dead_link_is_noticed_though_the_server_pings_rarely(serve: Serve) -> None:
    server = await serve(**RARELY)
    settings = settings_for(server.url, api_key=KEY, ping_every=0.4)
    async with supervised(settings, Source.PARTNER) as stream:
        await stream.connected()
        await server.do("freeze")
        await eventually(lambda: len(stream.ended_) == 1)
        assert stream.reasons == ["no answer to a ping"]
        await stream.connected(2)


async def test_a_proxy_that_cuts_idle_connections_is_kept_busy(
    serve: Serve, tmp_path: Path
) -> None:
    server = await serve(**RARELY)
    async with balanced(tmp_path, server.url, read_timeout="3s") as url:
        settings = settings_for(url, api_key=KEY, ping_every=1.0)
        async with supervised(settings, Source.PARTNER) as stream:
            await stream.connected()
            proofs = proofs_of(stream)
            await eventually(lambda: proofs() >= 6)
            assert len(stream.began_) == 1
        rarely = settings_for(url, api_key=KEY, ping_every=20.0)
        async with supervised(rarely, Source.PARTNER) as stream:
            await stream.connected(2)
            assert stream.reasons[0] == "connection lost"


@pytest.mark.parametrize("wanted", [False, True])
async def test_compression_is_asked_for_where_it_is_wanted(serve: Serve, *, wanted: bool) -> None:
    server = await serve(deflate={"threshold": 0})
    settings = settings_for(server.url, api_key=KEY, stream_compression=wanted)
    async with supervised(settings, Source.PARTNER) as stream:
        said = await server.hear_about("connection")
        assert ("permessage-deflate" in said["extensions"]) is wanted
        await server.do("burst", count=2_000, filler=1_500)
        await eventually(lambda: len(stream.packets) == 2_000)
        assert len({event.event_id for event in stream.events}) == 2_000
        assert len(stream.began_) == 1


async def test_a_server_without_compression_is_talked_to_all_the_same(serve: Serve) -> None:
    server = await serve()
    settings = settings_for(server.url, api_key=KEY, stream_compression=True)
    async with supervised(settings, Source.PARTNER) as stream:
        await stream.connected()
        await server.do("burst", count=10, filler=100)
        await eventually(lambda: len(stream.packets) == 10)


async def test_a_healthy_link_outlasts_a_reader_that_waits_for_our_disk(serve: Serve) -> None:
    server = await serve(**RARELY)
    settings = settings_for(server.url, api_key=KEY, ping_every=1.0)
    stands_still = asyncio.Event()
    received: list[object] = []

    async def taken() -> None:
        if len(received) >= 3:
            await stands_still.wait()

    connection = Connection(
        Source.PARTNER,
        deliver=lambda packet, _: received.append(packet),
        on_error=lambda _: None,
        taken=taken,
        options=SocketOptions.of(settings),
    )
    await connection.open(settings.base_url, credentials_for(settings, Source.PARTNER))
    ended = asyncio.ensure_future(connection.wait())
    await server.do("burst", count=5_000, filler=1_500)
    await eventually(lambda: len(received) == 3)
    for _ in range(3):  # three times as long as a silent link would be given
        await asyncio.wait({ended}, timeout=DEAD_AFTER * settings.ping_every)
    stands_still.set()
    await eventually(lambda: len(received) == 5_000)
    assert not ended.done()
    await connection.close()
    assert (await ended).reason == "closed by us"
