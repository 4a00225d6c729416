"""Connection state recovery against the official servers: what was missed is in the log."""

import json
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import psycopg
import pytest
from support.factories import envelope
from support.official_server import OfficialServer, Serve
from support.programs import Programs, ended, programs_on
from support.waiting import eventually

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
VERSIONS = pytest.mark.parametrize("version", ["4.6.1", None], ids=["4.6.1", "4.8.4"])
WINDOW = {"maxDisconnectionDuration": 120_000}


class Desk:
    """A store, and the ingesters that a test lets write to it."""

    def __init__(self, url: str, programs: Programs) -> None:
        self.programs = programs
        self._database = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        self._database.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query.encode()).fetchall()

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    async def logged(self, events: int) -> None:
        await eventually(lambda: self.count("events") >= events)
        assert self.count("events") == events
        assert self.count("quarantine") == 0

    async def recovered(self, events: int) -> None:
        recovered = "SELECT coalesce(sum(recovered), 0)::int FROM stream_sessions"
        await eventually(lambda: self.rows(recovered) == [(events,)])

    async def gaps_recovered(self, gaps: int) -> None:
        await eventually(lambda: self.count("coverage_gaps WHERE recovered_at IS NOT NULL") == gaps)

    def needing_repair(self) -> int:
        return self.count("coverage_gaps WHERE repaired_at IS NULL AND recovered_at IS NULL")


@pytest.fixture
async def desk(store_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """A store and programs on it."""
    async with programs_on(store_url, tmp_path) as programs:
        programs.environment["DIMES_API_KEY"] = KEY
        with closing(Desk(store_url, programs)) as desk:
            yield desk


async def ingest(desk: Desk, server: OfficialServer) -> Any:
    """Start an ingester, and wait until it is connected."""
    process = await desk.programs.start("ingest", DIMES_BASE_URL=server.url)
    said = await server.hear_about("connection")
    assert said["recovered"] is False
    return process


async def ingest_one_event(desk: Desk, server: OfficialServer) -> Any:
    """Start an ingester, and wait until it has logged an event, without which none recovers."""
    process = await ingest(desk, server)
    await server.do("broadcast", **{"from": 0}, count=1, filler=0)
    await desk.logged(1)
    return process


async def stop(process: Any) -> list[dict[str, Any]]:
    process.send_signal(signal.SIGTERM)
    done = await ended(process)
    assert done.code == 0, done
    return done.log


@VERSIONS
async def test_events_with_an_offset_are_events(
    serve: Serve, desk: Desk, version: str | None
) -> None:
    server = await serve(version=version, recovery=WINDOW)
    process = await ingest(desk, server)
    await server.do("broadcast", **{"from": 0}, count=20_000, filler=0)
    await desk.logged(20_000)
    await stop(process)


@pytest.mark.slow
@VERSIONS
async def test_what_was_emitted_during_an_outage_is_fetched_and_the_gap_needs_no_repair(
    serve: Serve, desk: Desk, version: str | None
) -> None:
    server = await serve(version=version, recovery=WINDOW)
    process = await ingest(desk, server)
    await server.do("broadcast", **{"from": 0}, count=3, filler=0)
    await desk.logged(3)
    for outage in (1, 2, 3):
        known = 10 * outage
        await server.do("cut-and-broadcast", **{"from": known}, count=5, filler=0)
        # The live connection is a fresh one; the second asks for what was missed, and goes.
        fresh, second = [await server.hear_about("connection") for _ in range(2)]
        assert (fresh["recovered"], second["recovered"]) == (False, True)
        await desk.logged(3 + 6 * outage - 1)
        await desk.recovered(5 * outage)
        # It is not deaf: what is emitted from now on comes too.
        await server.do("broadcast", **{"from": known + 5}, count=1, filler=0)
        await desk.logged(3 + 6 * outage)
    assert desk.needing_repair() == 0
    gaps = desk.rows("SELECT count(*) FROM coverage_gaps WHERE recovered_at >= ended_at")
    assert gaps == [(3,)]
    status = await desk.programs.run("status", "--json")
    assert status.json["stream"]["recovered"] == 15
    assert status.json["coverage"]["recovered"] == 3
    assert status.json["coverage"]["unrepaired"] == 0
    shown = await desk.programs.run("status")
    assert "15 recovered after an outage" in " ".join(shown.out.split())
    log = await stop(process)
    assert [line["events"] for line in log if line["action"] == "session_recovered"] == [5, 5, 5]


async def test_a_server_that_believes_in_the_old_connection_is_asked_again(
    serve: Serve, desk: Desk
) -> None:
    server = await serve(recovery=WINDOW, pingInterval=400, pingTimeout=600)
    process = await ingest_one_event(desk, server)
    # Our side is told that the connection is over; the server's side is not.
    await server.do("half-open")
    fresh, second, third = [await server.hear_about("connection") for _ in range(3)]
    assert [each["recovered"] for each in (fresh, second, third)] == [False, False, True]
    await desk.recovered(0)
    await desk.gaps_recovered(1)
    assert desk.needing_repair() == 0
    await stop(process)


@pytest.mark.parametrize("how", ["close", "disconnect"])
async def test_a_session_that_the_server_ended_is_not_asked_for_and_the_gap_needs_repair(
    serve: Serve, desk: Desk, how: str
) -> None:
    server = await serve(recovery=WINDOW)
    process = await ingest_one_event(desk, server)
    await server.do(how)
    assert (await server.hear_about("connection"))["recovered"] is False
    await server.do("broadcast", **{"from": 1}, count=1, filler=0)
    await desk.logged(2)
    await server.do("cut-and-broadcast", **{"from": 2}, count=2, filler=0)
    found = [await server.hear_about("connection") for _ in range(2)]
    assert [each["recovered"] for each in found] == [False, True]
    await desk.logged(4)
    await desk.recovered(2)
    # The first, one after each ending, and one that asked for what the cut had hidden.
    assert (await server.do("broadcast", **{"from": 9}, count=0, filler=0))["connections"] == 4
    assert desk.count("coverage_gaps WHERE recovered_at IS NOT NULL") == 1
    assert desk.needing_repair() == 1
    await stop(process)


async def test_what_a_server_does_not_remember_is_a_gap_that_needs_repair(
    serve: Serve, desk: Desk
) -> None:
    forgetful = {"maxDisconnectionDuration": 1}
    server = await serve(recovery=forgetful, pingInterval=300, pingTimeout=300)
    process = await ingest_one_event(desk, server)
    await server.do("engine-close")
    found = [await server.hear_about("connection") for _ in range(3)]
    assert [each["recovered"] for each in found] == [False, False, False]
    # When its connection has ended, and something else is committed, it has said how it came out.
    await server.hear_about("disconnect")
    await server.do("broadcast", **{"from": 1}, count=1, filler=0)
    await desk.logged(2)
    log = await stop(process)
    assert [line["action"] for line in log].count("session_not_recovered") == 1
    assert desk.needing_repair() >= 1
    assert desk.rows("SELECT sum(recovered)::int FROM stream_sessions") == [(0,)]


@pytest.mark.parametrize("how", ["asks", "volatile"])
async def test_a_gap_that_may_hide_what_is_never_replayed_needs_repair(
    serve: Serve, desk: Desk, how: str
) -> None:
    server = await serve(recovery=WINDOW)
    process = await ingest_one_event(desk, server)
    opened = json.loads(envelope("evt_other"))
    await server.do("emit", name="position.opened", args=[opened], **{how: True})
    await desk.logged(2)
    await server.do("cut-and-broadcast", **{"from": 1}, count=2, filler=0)
    found = [await server.hear_about("connection") for _ in range(2)]
    assert [each["recovered"] for each in found] == [False, True]
    await desk.logged(4)
    log = await stop(process)
    told = [line["events"] for line in log if line["action"] == "session_recovered_in_part"]
    assert told == [2]
    gaps = desk.rows("SELECT repaired_at, recovered_at FROM coverage_gaps WHERE ended_at < now()")
    assert gaps == [(None, None)]


async def test_a_gateway_that_lets_one_connection_in_at_a_time_is_not_fought(
    serve: Serve, desk: Desk
) -> None:
    server = await serve(recovery=WINDOW, newestWins=True)
    process = await ingest_one_event(desk, server)
    await server.do("cut-and-broadcast", **{"from": 1}, count=2, filler=0)
    # The second connection puts the fresh one out; the third is alone, and stays.
    found = [await server.hear_about("connection") for _ in range(3)]
    assert [each["recovered"] for each in found] == [False, True, False]
    await desk.logged(3)
    await server.do("broadcast", **{"from": 3}, count=1, filler=0)
    await desk.logged(4)
    assert (await server.do("broadcast", **{"from": 9}, count=0, filler=0))["connections"] == 4
    await stop(process)
    assert desk.count("stream_sessions") == 3


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_a_process_recovers_what_was_emitted_since_the_one_before_it(
    serve: Serve, desk: Desk, *, kill: bool
) -> None:
    server = await serve(recovery=WINDOW)
    process = await ingest(desk, server)
    await server.do("broadcast", **{"from": 0}, count=7, filler=0)
    await desk.logged(7)
    folder = desk.programs.folder / "data" / "recovery"
    await eventually(lambda: any(path.stat().st_size for path in folder.glob("*.json")))
    (kept,) = folder.glob("*.json")
    assert (kept.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    content = json.loads(kept.read_text())
    if kill:
        await eventually(lambda: desk.count("stream_sessions WHERE received = 7") == 1)
        process.kill()
        await process.wait()
    else:
        await stop(process)
    await server.hear_about("disconnect")
    await server.do("broadcast", **{"from": 7}, count=4, filler=0)
    process = await ingest(desk, server)
    assert (await server.hear_about("connection"))["recovered"] is True
    await desk.logged(11)
    await desk.recovered(4)
    if kill:  # nobody knows yet that it will say no more; a minute later it would be a gap
        told = "UPDATE stream_sessions SET ended_at = last_seen_at WHERE received = 7 RETURNING 1"
        assert desk.rows(told) == [(1,)]
    assert desk.needing_repair() == 0
    assert desk.count("coverage_gaps WHERE recovered_at IS NOT NULL") == 1
    log = await stop(process)
    everything = json.dumps(log) + (await desk.programs.run("status", "--json")).out
    for secret in (content["pid"], content["offset"]):
        assert secret not in everything
        assert not desk.rows(f"SELECT 1 FROM events WHERE envelope::text LIKE '%{secret}%'")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of the test's own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt install redis-server)")
    with socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
async def test_offsets_of_another_adapter_serve_as_well(
    serve: Serve, desk: Desk, redis: str
) -> None:
    server = await serve(recovery=WINDOW, redis=redis)
    process = await ingest(desk, server)
    await server.do("broadcast", **{"from": 0}, count=3, filler=0)
    await desk.logged(3)
    for outage in (1, 2):
        await server.do("cut-and-broadcast", **{"from": 10 * outage}, count=2, filler=0)
        await desk.logged(3 + 2 * outage)
        # Its events are there before its gap is closed: a cut in between would be another outage.
        await desk.gaps_recovered(outage)
    assert desk.needing_repair() == 0
    await stop(process)
