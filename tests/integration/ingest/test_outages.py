"""The database goes away in every way there is, and comes back: nothing is lost, all in order."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.outages import Scene, scene_of
from support.programs import ended
from support.proxy import Proxy
from support.roles import connected, roles_on
from support.waiting import DEADLINE, eventually

from positionstore.store.grants import Role


@contextmanager
def down(scene: Scene) -> Iterator[None]:
    scene.proxy.stop()
    yield
    scene.proxy.start()


@contextmanager
def stalled(scene: Scene) -> Iterator[None]:
    scene.proxy.stall()
    yield
    scene.proxy.resume()


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    with psycopg.connect(scene.url) as connection:
        connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        yield


def altered(scene: Scene, change: str, back: str) -> None:
    name = sql.Identifier(str(conninfo_to_dict(scene.url)["dbname"]))
    with psycopg.connect(make_conninfo(scene.url, dbname="postgres"), autocommit=True) as desk:
        desk.execute(sql.SQL(change + back).format(name))
        desk.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [conninfo_to_dict(scene.url)["dbname"]],
        )


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    altered(scene, "ALTER DATABASE {} SET default_transaction_read_only = on", "")
    yield
    altered(scene, "ALTER DATABASE {} RESET default_transaction_read_only", "")


@contextmanager
def no_connections(scene: Scene) -> Iterator[None]:
    altered(scene, "ALTER DATABASE {} ALLOW_CONNECTIONS false", "")
    yield
    altered(scene, "ALTER DATABASE {} ALLOW_CONNECTIONS true", "")


@pytest.mark.parametrize("fault", [down, stalled, locked, read_only, no_connections])
async def test_what_arrives_meanwhile_is_spooled_and_drained_in_order(
    scene: Scene, fault: Callable[[Scene], Any]
) -> None:
    await outlasted(scene, fault)


async def test_too_many_connections_of_others_are_an_outage_too(
    store_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    with roles_on(store_url) as urls:
        role = sql.Identifier(str(conninfo_to_dict(urls[Role.WRITER])["user"]))

        @contextmanager
        def too_many(_: Scene) -> Iterator[None]:
            with connected(store_url) as desk:
                desk.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 0").format(role))
                desk.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                    [conninfo_to_dict(urls[Role.WRITER])["user"]],
                )
                yield
                desk.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT -1").format(role))

        async with scene_of(urls[Role.WRITER], proxy, tmp_path) as scene:
            await outlasted(scene, too_many)


async def outlasted(scene: Scene, fault: Callable[[Scene], Any]) -> None:
    """See that a trouble costs nothing, is said once, and that what it delayed is in order."""
    process = await scene.start()
    await scene.serving.step(20)
    await scene.all_logged()
    before = len(scene.sent)
    with fault(scene):
        await scene.serving.step(50)
        await scene.spooled(len(scene.sent) - before)
        await scene.serving.step(10)
        await scene.spooled(len(scene.sent) - before)
    await scene.serving.step(5)
    await scene.all_logged()
    await eventually(lambda: scene.spools.totals().events == 0)
    actions = await scene.stop(process)
    assert actions.count("database_lost") == actions.count("database_back") == 1
    assert "left_in_spool" not in actions
    assert scene.spools.listed() == []
    assert scene.rows(
        "SELECT end_reason, ended_at >= (SELECT max(received_at) FROM events) FROM stream_sessions"
    ) == [("stopped", True)]


async def test_what_a_stopped_process_left_is_drained_by_the_next(scene: Scene) -> None:
    process = await scene.start()
    await scene.serving.step(20)
    await scene.all_logged()
    before = len(scene.sent)
    scene.proxy.stop()
    await scene.serving.step(50)
    await scene.spooled(len(scene.sent) - before)
    began = asyncio.get_running_loop().time()
    actions = await scene.stop(process)
    assert asyncio.get_running_loop().time() - began < 10
    assert actions[-2:] == ["left_in_spool", "stopped"]
    scene.proxy.start()
    process = await scene.start()
    await scene.all_logged()
    assert "spool_drained" in await scene.stop(process)
    assert scene.spools.listed() == []


async def test_sessions_that_ended_meanwhile_are_on_record_when_the_spool_is_drained(
    scene: Scene,
) -> None:
    process = await scene.start_and_lose_the_database()
    await scene.serving.step(20)
    await scene.spooled(1)
    # One ends that is on record already, one begins of which the database knows nothing.
    await scene.serving.disconnect_clients("server")
    await scene.serving.wait_for_clients(0, within=DEADLINE)
    await scene.serving.wait_for_clients(1, within=DEADLINE)
    await scene.serving.step(20)
    await scene.spooled(len(scene.sent) - 20)
    assert (await scene.stop(process))[-2:] == ["left_in_spool", "stopped"]
    scene.proxy.start()
    await scene.programs.run("spool", "drain")
    assert scene.logged == scene.sent
    assert scene.rows(
        """
        SELECT end_reason, ended_at = last_seen_at,
               ended_at >= (SELECT max(received_at) FROM events WHERE received_at < next_began),
               started_at < (SELECT min(received_at) FROM events WHERE received_at > previous_ended)
        FROM (SELECT *, lead(started_at, 1, 'infinity') OVER w AS next_began,
                     lag(ended_at, 1, '-infinity') OVER w AS previous_ended
              FROM stream_sessions WINDOW w AS (ORDER BY started_at)) sessions
        ORDER BY started_at
        """
    ) == [("disconnected by the gateway", True, True, True), ("stopped", True, True, True)]


async def test_a_session_in_which_nothing_came_meanwhile_has_its_end_too(scene: Scene) -> None:
    process = await scene.start_and_lose_the_database()
    actions = await scene.stop(process)
    assert actions[-2:] == ["left_in_spool", "stopped"]
    scene.proxy.start()
    await scene.programs.run("spool", "drain")
    assert scene.spools.listed() == []
    assert scene.rows("SELECT end_reason, ended_at IS NOT NULL FROM stream_sessions") == [
        ("stopped", True)
    ]


async def test_a_killed_process_loses_nothing_that_was_spooled(scene: Scene) -> None:
    process = await scene.start()
    scene.proxy.stop()
    await scene.serving.step(50)
    await scene.spooled(len(scene.sent))
    await scene.kill(process)
    scene.proxy.start()
    process = await scene.start()
    await scene.all_logged()
    await scene.stop(process)


async def test_at_its_bound_it_disconnects_and_connects_again_when_there_is_room(
    scene: Scene,
) -> None:
    process = await scene.start(POSITIONSTORE_SPOOL_MAX_BYTES="1000000")
    scene.proxy.stop()
    while scene.serving.stats()["clients"]:
        await scene.serving.step(20)
        await asyncio.sleep(0.05)
    first = scene.sent
    assert scene.spools.totals().bytes <= 1_000_000
    scene.proxy.start()
    await scene.serving.wait_for_clients(1, within=DEADLINE)
    await scene.serving.step(5)
    second = scene.sent[len(first) :]
    await eventually(lambda: set(second) <= set(scene.logged))
    logged = scene.logged
    # What the gateway sent into a connection that was being left is in the gap.
    assert logged[: -len(second)] == first[: len(logged) - len(second)]
    assert logged[-len(second) :] == second
    actions = await scene.stop(process)
    assert "gateway_lost" in actions
    reasons = scene.rows("SELECT end_reason FROM stream_sessions ORDER BY session_id")
    assert reasons == [("no room for more",), ("stopped",)]
    (gap,) = scene.rows("SELECT ended_at IS NOT NULL FROM coverage_gaps WHERE ended_at IS NOT NULL")
    assert gap == (True,)


async def test_where_every_event_is_durable_a_kill_loses_none_that_was_read(scene: Scene) -> None:
    process = await scene.start(POSITIONSTORE_DURABILITY="spool")
    await scene.serving.step(20)
    await scene.all_logged()
    before = len(scene.sent)
    scene.proxy.stall()
    await scene.serving.step(50)
    await scene.spooled(len(scene.sent) - before)
    await scene.kill(process)
    scene.proxy.resume()
    process = await scene.start()
    await scene.all_logged()
    await scene.stop(process)


async def test_a_right_that_was_taken_away_ends_it_with_a_message_and_nothing_lost(
    scene: Scene,
) -> None:
    process = await scene.start()
    await scene.serving.step(20)
    await scene.all_logged()
    before = len(scene.sent)
    with psycopg.connect(scene.url, autocommit=True) as desk:
        desk.execute("ALTER TABLE events RENAME TO elsewhere")
    await scene.serving.step(20)
    done = await ended(process)
    assert done.code == 2
    assert "positionstore migrate" in done.err.splitlines()[-1]
    assert scene.spools.totals().events > 0
    with psycopg.connect(scene.url, autocommit=True) as desk:
        desk.execute("ALTER TABLE elsewhere RENAME TO events")
    drained = await scene.programs.run("spool", "drain", "--json")
    assert drained.json["drained"] > 0
    assert drained.json["left"]["events"] == 0
    assert scene.logged == scene.sent[: len(scene.logged)]
    assert len(scene.logged) == before + drained.json["drained"]


async def test_what_a_spool_holds_is_shown_whether_or_not_there_is_a_database(
    scene: Scene,
) -> None:
    process = await scene.start()
    scene.proxy.stop()
    await scene.serving.step(20)
    await scene.spooled(len(scene.sent))
    listed = await scene.programs.run("spool", "list", "--json")
    assert (listed.json["events"], listed.json["list"][0]["state"]) == (len(scene.sent), "in_use")
    away = await scene.programs.run("status", "--json", expect=1)
    assert away.json["spool"]["events"] == len(scene.sent)
    assert "cannot be reached" in away.json["error"]
    table = await scene.programs.run("status", expect=1)
    assert f"{len(scene.sent)} events wait for the database" in table.out
    assert "; at 0% of its bound" in table.out
    await scene.kill(process)
    scene.proxy.start()
    there = await scene.programs.run("status", "--json")
    assert there.json["spool"]["events"] == len(scene.sent)
    told = there.json["spool"]
    assert (told["left_behind"], told["max_bytes"]) == (1, 4_000_000_000)
    assert 0 < told["largest"] == told["bytes"]
    await scene.programs.run("spool", "drain")
    assert (await scene.programs.run("status", "--json")).json["spool"]["events"] == 0
    await scene.all_logged()
