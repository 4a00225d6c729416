"""An ingester that has met its store before starts while the database is away."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.fork_server import Process
from support.harness.database import database
from support.outages import Scene, scene_of
from support.programs import ended, programs_on
from support.proxy import proxy_to
from support.waiting import DEADLINE, eventually

from positionstore.embedded import server as embedded
from positionstore.ingest.spools import Spools
from positionstore.sandbox import Options, Sandbox
from positionstore.store import known


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Where a server of the test's own is: pytest's folder may be too deep for a socket's path."""
    path = Path(tempfile.mkdtemp(prefix="positionstore-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def met(scene: Scene) -> None:
    """Let an ingester meet the store."""
    process = await scene.start()
    await scene.serving.step(20)
    await scene.all_logged()
    await scene.stop(process)


@pytest.mark.parametrize("command", ["ingest", "run"])
async def test_it_starts_into_the_spool_while_a_real_server_is_stopped(
    command: str, short_dir: Path, tmp_path: Path
) -> None:
    async with database(short_dir) as server:
        # One port for both lives of it.
        with proxy_to(lambda: server.port) as way:
            async with scene_of(server.url, way, tmp_path) as scene:
                await met(scene)
                before = len(scene.sent)
                server.shut_down()
                process = await scene.start(command)
                await scene.serving.step(50)
                await scene.spooled(len(scene.sent) - before)
                await server.ensure()
                scene.url = server.url
                await scene.serving.step(5)
                await scene.all_logged()
                actions = await scene.stop(process)
    assert actions.index("started_without_database") < actions.index("database_back")
    assert actions.count("database_lost") == 1


@pytest.mark.parametrize("command", ["ingest", "run"])
async def test_it_starts_into_the_spool_while_its_own_server_cannot_start(
    command: str, short_dir: Path
) -> None:
    data_dir = short_dir / "data"
    control = data_dir / "postgres" / "cluster" / "global" / "pg_control"
    spools = Spools(data_dir, max_bytes=0)
    async with (
        Sandbox(Options(seed=7, ticking=False)) as serving,
        programs_on("", short_dir) as programs,
    ):
        programs.against(serving)
        del programs.environment["DATABASE_URL"]

        async def started() -> Process:
            process = await programs.start(command)
            await serving.wait_for_clients(1, within=DEADLINE)
            return process

        async def stopped(process: Process) -> str:
            process.send_signal(signal.SIGTERM)
            done = await ended(process)
            assert done.code == 0, done
            return done.err

        await stopped(await started())
        control.rename(control.with_name("away"))
        process = await started()
        await serving.step(50)
        sent = [bytes(record.envelope) for record in serving.records if record.recipients]
        await eventually(lambda: spools.totals().events == len(sent))
        control.with_name("away").rename(control)
        await eventually(lambda: spools.totals().events == 0)
        said = await stopped(process)
    assert said.index('"started_without_database"') < said.index('"database_back"')
    with (
        embedded.running(data_dir) as server,
        psycopg.connect(server.url()) as desk,
    ):
        logged = desk.execute(
            "SELECT envelope::text FROM events WHERE source = 'partner' ORDER BY seq"
        )
        assert [text.encode() for (text,) in logged] == sent


async def test_an_own_server_that_never_ran_and_cannot_start_ends_it(short_dir: Path) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        async with programs_on("", short_dir) as programs:
            programs.against(serving)
            del programs.environment["DATABASE_URL"]
            data_dir = short_dir / "data"
            with embedded.running(data_dir):
                pass
            (data_dir / "postgres" / "cluster" / "global" / "pg_control").unlink()
            await programs.run("ingest", expect=1)
        assert serving.sessions == []


async def test_where_nothing_is_remembered_it_ends_and_sends_nothing(scene: Scene) -> None:
    scene.proxy.stop()
    done = await scene.programs.run("ingest", expect=1)
    assert "cannot be reached" in done.err
    assert scene.serving.sessions == []


async def test_another_database_is_not_taken_for_the_one_that_is_remembered(scene: Scene) -> None:
    await met(scene)
    scene.proxy.stop()
    there = scene.programs.environment["DATABASE_URL"]
    sessions = len(scene.serving.sessions)
    await scene.programs.run("ingest", expect=1, DATABASE_URL=f"{there}_2")
    assert len(scene.serving.sessions) == sessions


async def test_a_key_of_the_other_environment_sends_nothing_while_the_database_is_away(
    scene: Scene,
) -> None:
    await met(scene)
    scene.proxy.stop()
    sessions = len(scene.serving.sessions)
    key = "dm_live_skey_0123456789abcdef0123456789abcdef"
    done = await scene.programs.run("ingest", expect=1, DIMES_API_KEY=key)
    assert "cannot be reached" in done.err
    assert len(scene.serving.sessions) == sessions


async def test_a_store_that_turns_out_to_be_of_the_other_environment_gets_nothing(
    scene: Scene,
) -> None:
    await met(scene)
    before = len(scene.logged)
    scene.proxy.stop()
    process = await scene.start()
    await scene.serving.step(20)
    await scene.spooled(len(scene.sent) - before)
    with psycopg.connect(scene.url, autocommit=True) as desk:
        desk.execute("UPDATE store_identity SET environment = 'production'")
    scene.proxy.start()
    done = await ended(process)
    assert done.code == 2, done
    assert "holds production data" in done.err.splitlines()[-1]
    assert len(scene.logged) == before
    assert scene.spools.totals().events == len(scene.sent) - before


async def test_what_is_remembered_holds_no_password_and_outlives_a_new_one(scene: Scene) -> None:
    await met(scene)
    folder = scene.programs.folder / "data"
    there = scene.programs.environment["DATABASE_URL"]
    _, _, password = there.partition("@")[0].rpartition(":")
    assert password not in (folder / known.FILE).read_text()
    assert known.environment_of(folder, there.replace(password, "new")) == "sandbox"
    assert known.environment_of(folder, there.replace("@127.0.0.1", "@127.0.0.2")) is None
    (folder / known.FILE).write_text("{")
    assert known.environment_of(folder, there) is None
