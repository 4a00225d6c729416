"""The disk under the spool is full while the database is away: nothing is dropped in silence."""

import asyncio
import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fork_server import Process
from support.harness.disk import small_disk
from support.outages import Scene
from support.programs import ended
from support.waiting import DEADLINE, eventually

Fill = Callable[[Process], Callable[[], None]]
"""Leaves a process no room on the disk, and returns what gives it back."""


@pytest.fixture(params=["a limit of each file", "a small disk"])
def fill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fill]:
    with ExitStack() as stack:
        if request.param == "a small disk":
            disk = stack.enter_context(small_disk(tmp_path / "data", megabytes=20))
            if disk is None:
                pytest.skip("this machine lets us mount nothing")

            def fill_disk(_: Process) -> Callable[[], None]:
                disk.fill()
                return disk.free

            yield fill_disk
        else:
            yield limit_files


def limit_files(process: Process) -> Callable[[], None]:
    def limit(soft: int) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    limit(100_000)
    return lambda: limit(resource.RLIM_INFINITY)


async def until_it_leaves(scene: Scene) -> None:
    async with asyncio.timeout(DEADLINE):
        while scene.serving.stats()["clients"]:
            await scene.serving.step(20)
            await asyncio.sleep(0.05)


async def test_it_disconnects_on_purpose_says_so_once_and_comes_back_when_there_is_room(
    scene: Scene, fill: Fill
) -> None:
    process = await scene.start_and_lose_the_database()
    make_room = fill(process)
    await until_it_leaves(scene)
    first = scene.sent
    make_room()
    await scene.serving.wait_for_clients(1, within=DEADLINE)
    await scene.serving.step(20)
    second = scene.sent[len(first) :]
    scene.proxy.start()
    await eventually(lambda: scene.logged[-len(second) :] == second)
    # All that was read, in order; what was sent into a connection that was being left is in a gap.
    kept = scene.logged[: -len(second)]
    assert kept == first[: len(kept)]
    actions = await scene.stop(process)
    for once in ("spool_has_no_room", "spool_has_room", "gateway_lost", "database_lost"):
        assert actions.count(once) == 1, (once, actions)
    assert scene.rows(
        f"""
        SELECT end_reason,
               ended_at >= (SELECT max(received_at) FROM
                            (SELECT received_at FROM events ORDER BY seq LIMIT {len(kept)}) kept)
        FROM stream_sessions ORDER BY session_id LIMIT 1
        """
    ) == [("no room for more", True)]
    ((gaps,),) = scene.rows("SELECT count(*) FROM coverage_gaps WHERE ended_at IS NOT NULL")
    assert gaps == 1


async def test_stopped_meanwhile_it_says_how_much_it_could_keep_nowhere(
    scene: Scene, fill: Fill
) -> None:
    process = await scene.start_and_lose_the_database()
    filled_at = datetime.now(UTC)
    make_room = fill(process)
    await until_it_leaves(scene)
    process.send_signal(signal.SIGTERM)
    done = await ended(process)
    with suppress(ProcessLookupError):
        make_room()
    assert done.code == 1, done
    told = re.search(r"(\d+) events .* could not be written in time, nor kept on disk", done.err)
    assert told, done
    scene.proxy.start()
    await scene.programs.run("spool", "drain")
    logged = scene.logged
    assert logged == scene.sent[: len(logged)]
    assert 0 < int(told[1]) <= len(scene.sent) - len(logged)
    # Nothing vouches for what was lost: the session is not said to have lasted until then.
    ((vouched,),) = scene.rows("SELECT max(last_seen_at) FROM stream_sessions")
    assert vouched < filled_at
