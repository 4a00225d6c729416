"""What the process says, and how it ends, against the official server."""

import json
import signal
from pathlib import Path

import psycopg
import pytest
from support.official_server import Serve
from support.programs import ended, programs_on
from support.waiting import eventually

pytestmark = pytest.mark.slow

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"


async def test_a_thousand_errors_at_once_are_one_line_with_a_count(
    serve: Serve, store_url: str, tmp_path: Path
) -> None:
    server = await serve()
    async with programs_on(store_url, tmp_path) as programs:
        programs.environment |= {"DIMES_BASE_URL": server.url, "DIMES_API_KEY": KEY}
        process = await programs.start("ingest")
        await server.hear_about("connection")
        await server.do("errors", count=1_000)
        await server.do("burst", count=1, filler=0)  # what follows them is received after them
        with psycopg.connect(store_url, autocommit=True) as desk:
            await eventually(
                lambda: desk.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
            )
        process.send_signal(signal.SIGTERM)
        end = await ended(process)
    lines = [json.loads(line) for line in (end.out + end.err).splitlines()]
    told = [line for line in lines if line["action"] == "gateway_error"]
    assert sum(line["times"] for line in told) == 1_000
    assert len(told) <= 3  # one, unless the machine needs more than a second for them
    assert told[0]["said"] == "Request req-0-0 failed"


@pytest.mark.parametrize(
    "refuse",
    [
        {"how": "middleware", "text": "Invalid API key"},
        {
            "how": "event",
            "name": "exception",
            "error": {"status": "error", "message": "Unauthorized"},
        },
    ],
)
async def test_a_refused_key_is_exit_1_and_one_line(
    serve: Serve, store_url: str, tmp_path: Path, refuse: object
) -> None:
    server = await serve(refuse=refuse)
    async with programs_on(store_url, tmp_path) as programs:
        programs.environment |= {"DIMES_BASE_URL": server.url, "DIMES_API_KEY": KEY}
        end = await ended(await programs.start("ingest"))
    assert end.code == 1
    *_, last = (end.out + end.err).splitlines()
    assert "refused the API key" in last
    assert "Look at DIMES_API_KEY." in last
    assert KEY not in end.out + end.err
