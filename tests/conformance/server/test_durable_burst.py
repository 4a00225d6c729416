"""A burst from the official server into an ingester that keeps every event on the disk."""

import asyncio
import signal
from pathlib import Path

import psycopg
from support.official_server import Serve
from support.programs import ended, programs_on
from support.waiting import eventually

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
EVENTS = 10_000


async def test_a_burst_keeps_its_one_connection_and_loses_nothing(
    serve: Serve, store_url: str, tmp_path: Path
) -> None:
    server = await serve(pingInterval=500, pingTimeout=4000)
    async with programs_on(store_url, tmp_path) as programs:
        programs.environment |= {
            "DIMES_BASE_URL": server.url,
            "DIMES_API_KEY": KEY,
            "POSITIONSTORE_DURABILITY": "spool",
        }
        process = await programs.start("ingest")
        await server.hear_about("connection")
        await server.do("burst", count=EVENTS, filler=1500)
        with psycopg.connect(store_url, autocommit=True) as desk:

            def logged() -> int:
                return int(desk.execute("SELECT count(*) FROM events").fetchall()[0][0])

            await eventually(lambda: logged() == EVENTS)
            ended_ones = "SELECT end_reason FROM stream_sessions WHERE ended_at IS NOT NULL"
            assert desk.execute(ended_ones).fetchall() == []
            process.send_signal(signal.SIGTERM)
            assert (await ended(process)).code == 0
            sessions = desk.execute("SELECT received, end_reason FROM stream_sessions").fetchall()
    assert sessions == [(EVENTS, "stopped")]
    assert (await asyncio.wait_for(server.hear_about("disconnect"), 10))["on"] == "disconnect"
