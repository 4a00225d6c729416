"""``positionstore ingest`` as a process: signals, exit codes, what is printed."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
from support.fork_server import Process
from support.programs import programs_on
from support.waiting import DEADLINE, eventually

from positionstore.ingest.ingester import TIME_TO_WRITE
from positionstore.sandbox import Options, Sandbox
from positionstore.store.locks import APPEND_LOCK

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start(store_url: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Start ``positionstore ingest`` on a fresh store; kill it afterwards if need be."""
    async with programs_on(store_url, tmp_path) as programs:
        yield partial(programs.start, "ingest")


async def ended(process: Process) -> tuple[int, str]:
    """The exit code and what was printed, on both streams."""
    out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


def count(store_url: str) -> int:
    with psycopg.connect(store_url) as connection:
        row = connection.execute("SELECT count(*) FROM events").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_within_ten_seconds(
    start: Start, store_url: str, number: signal.Signals
) -> None:
    async with Sandbox(Options(seed=7, rate=1000)) as serving:
        process = await start(DIMES_BASE_URL=serving.url, DIMES_API_KEY=serving.api_key)
        await serving.wait_for_clients(1, within=DEADLINE)
        await eventually(lambda: count(store_url) > 200)
        began = time.monotonic()
        process.send_signal(number)
        code, printed = await ended(process)
    assert code == 0
    assert time.monotonic() - began < 10
    lines = [json.loads(line) for line in printed.splitlines()]
    assert [line["action"] for line in lines] == ["gateway_connected", "stopping", "stopped"]
    assert serving.api_key not in printed
    with psycopg.connect(store_url) as connection:
        session = connection.execute(
            "SELECT end_reason, ended_at = last_seen_at,"
            " ended_at >= (SELECT max(received_at) FROM events) FROM stream_sessions"
        ).fetchall()
    assert session == [("stopped", True, True)]


async def test_a_signal_in_mid_burst_costs_nothing_that_has_arrived(
    start: Start, store_url: str
) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        # Few at once, so that a small burst fills commit, staging and inbox.
        process = await start(
            DIMES_BASE_URL=serving.url,
            DIMES_API_KEY=serving.api_key,
            POSITIONSTORE_BATCH_SIZE="100",
        )
        await serving.wait_for_clients(1, within=DEADLINE)
        with psycopg.connect(store_url) as blocker:
            blocker.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            await serving.step(2000)
            waits = (
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
            )
            await eventually(lambda: blocker.execute(waits).fetchone() != (0,))
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            printed = ""
            async with asyncio.timeout(DEADLINE):
                while '"stopping"' not in printed:
                    printed += (await process.stderr.readline()).decode()
        code, _ = await ended(process)
        emitted = [bytes(record.envelope) for record in serving.records if record.recipients]
    assert code == 0
    with psycopg.connect(store_url) as connection:
        written = [
            text.encode()
            for (text,) in connection.execute("SELECT envelope::text FROM events ORDER BY seq")
        ]
        ended_well = connection.execute(
            "SELECT ended_at >= (SELECT max(received_at) FROM events) FROM stream_sessions"
        ).fetchall()
    assert written
    assert written == emitted[: len(written)], "from the first to the last, without a hole"
    assert ended_well == [(True,)]


async def test_a_killed_process_leaves_a_session_with_its_last_proof_of_life(
    start: Start, store_url: str
) -> None:
    async with Sandbox(Options(seed=7, rate=200)) as serving:
        process = await start(DIMES_BASE_URL=serving.url, DIMES_API_KEY=serving.api_key)
        query = "SELECT last_seen_at - started_at > interval '300 ms' FROM stream_sessions"

        def has_beaten() -> bool:
            with psycopg.connect(store_url) as connection:
                return connection.execute(query).fetchall() == [(True,)]

        await eventually(has_beaten)
        process.kill()
        await process.wait()
    with psycopg.connect(store_url) as connection:
        row = connection.execute(
            "SELECT ended_at IS NULL, end_reason IS NULL, last_seen_at <= now()"
            " FROM stream_sessions"
        ).fetchone()
    assert row == (True, True, True)


async def test_a_second_signal_ends_it_at_once(start: Start, store_url: str) -> None:
    blocker = psycopg.connect(store_url)
    # Nothing can be appended: stopping in good order would take its time.
    blocker.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    try:
        async with Sandbox(Options(seed=7, rate=100)) as serving:
            process = await start(DIMES_BASE_URL=serving.url, DIMES_API_KEY=serving.api_key)
            await serving.wait_for_clients(1, within=DEADLINE)
            await eventually(lambda: serving.stats()["delivered"] > 20)
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            printed = ""
            async with asyncio.timeout(DEADLINE):
                while '"stopping"' not in printed:
                    printed += (await process.stderr.readline()).decode()
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code, _ = await ended(process)
    finally:
        blocker.close()
    assert code == 128 + signal.SIGTERM
    assert time.monotonic() - began < TIME_TO_WRITE


async def test_a_database_that_does_not_answer_cannot_hold_up_the_end(
    start: Start, store_url: str
) -> None:
    blocker = psycopg.connect(store_url)
    blocker.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
    try:
        async with Sandbox(Options(seed=7, rate=100)) as serving:
            process = await start(DIMES_BASE_URL=serving.url, DIMES_API_KEY=serving.api_key)
            await serving.wait_for_clients(1, within=DEADLINE)
            await eventually(lambda: serving.stats()["delivered"] > 20)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code, printed = await ended(process)
    finally:
        blocker.close()
    assert code == 0
    assert time.monotonic() - began < 10
    # Another thread says that the database is lost, before this or after it.
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    assert "left_in_spool" in [json.loads(line)["action"] for line in lines]


async def test_wrong_credentials_are_exit_1_and_one_line(start: Start) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        wrong = "dm_sbx_skey_" + "0" * 32
        process = await start(DIMES_BASE_URL=serving.url, DIMES_API_KEY=wrong)
        code, printed = await ended(process)
    assert code == 1
    last = printed.splitlines()[-1]
    assert "DIMES_API_KEY" in last
    assert wrong not in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        ((), {"DIMES_BASE_URL": "http://127.0.0.1:1"}, "DIMES_API_KEY"),
        (("--gateway", "customer"), {"DIMES_BASE_URL": "http://127.0.0.1:1"}, "DIMES_JWT"),
        (
            (),
            {"DIMES_API_KEY": "dm_live_skey_1", "DIMES_BASE_URL": "https://api-sandbox.dimes.fi"},
            "DIMES_BASE_URL",
        ),
        ((), {}, "DIMES_API_KEY"),
        (("--gateway", "both"), {}, "--gateway"),
    ],
)
async def test_what_is_missing_or_does_not_fit_is_exit_2_and_one_line(
    start: Start, arguments: tuple[str, ...], environment: dict[str, str], named: str
) -> None:
    code, printed = await ended(await start(*arguments, **environment))
    assert code == 2
    assert named in printed
    assert "Traceback" not in printed
