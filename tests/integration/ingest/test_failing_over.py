"""The primary dies, and a standby that followed it takes its place."""

from pathlib import Path

import pytest
from support.outages import scene_of
from support.postgres import TEST_SETTINGS
from support.programs import programs_on
from support.proxy import proxy_to
from support.server_user import kill_all
from support.standby import standby_of
from support.typed_in import rows
from support.waiting import DEADLINE, eventually

from positionstore.embedded import server as embedded
from positionstore.store import migrations

pytestmark = pytest.mark.slow

BOOK = "SELECT position_id, status, last_event_id FROM positions ORDER BY position_id"


def events_of(url: str) -> object:
    return rows(url, "SELECT count(*) FROM events")[0][0]


async def test_a_standby_that_is_promoted_gets_what_arrived_meanwhile_in_order(
    tmp_path: Path,
) -> None:
    settings = TEST_SETTINGS | {"synchronous_commit": "on"}
    (folder := tmp_path / "standby").mkdir()
    with embedded.running(tmp_path / "primary", settings=settings) as primary:
        migrations.migrate(primary.url())
        serving = primary.port
        with (
            standby_of(primary, folder) as standby,
            proxy_to(lambda: serving) as proxy,
        ):
            async with scene_of(proxy.of(primary.url()), proxy, tmp_path) as scene:
                process = await scene.start()
                await scene.serving.step(20)
                await scene.all_logged()
                await scene.serving.step(50)
                kill_all(primary.data_dir)  # wherever what just arrived is by now
                before = len(scene.sent)
                await scene.serving.step(50)
                await scene.spooled(len(scene.sent) - before)
                serving = standby.port
                await scene.serving.step(10)
                await scene.spooled(len(scene.sent) - before)
                standby.promote()
                await scene.serving.step(5)
                await scene.all_logged()
                actions = await scene.stop(process)
    assert actions.count("database_lost") == actions.count("database_back") == 1
    assert scene.spools.listed() == []


async def test_what_a_lagging_standby_lost_the_log_of_another_ingester_brings_back(
    tmp_path: Path, store_url: str
) -> None:
    (folder := tmp_path / "standby").mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    with (
        embedded.running(tmp_path / "primary", settings=TEST_SETTINGS) as primary,
        proxy_to(lambda: primary.port) as wal,
    ):
        migrations.migrate(primary.url())
        serving = primary.port
        with (
            standby_of(primary, folder, in_step=False, way=wal.port) as standby,
            proxy_to(lambda: serving) as proxy,
        ):
            async with (
                scene_of(proxy.of(primary.url()), proxy, tmp_path) as scene,
                programs_on(store_url, elsewhere) as other,
            ):
                follower = standby.url.replace("/postgres", "/positionstore")
                other.against(scene.serving)
                await other.start("ingest")
                await scene.serving.wait_for_clients(1, within=DEADLINE)
                process = await scene.start()
                await scene.serving.step(20)
                await scene.all_logged()
                had = len(scene.sent)
                await eventually(lambda: events_of(follower) == had)
                wal.stop()
                await scene.serving.step(30)
                await scene.all_logged()
                lost = len(scene.sent) - had
                await eventually(lambda: events_of(store_url) == had + lost)
                kill_all(primary.data_dir)
                standby.promote()
                serving = standby.port
                await scene.serving.step(10)
                kept = scene.sent[:had] + scene.sent[had + lost :]
                await eventually(lambda: scene.logged == kept)
                await scene.stop(process)
                await eventually(lambda: events_of(store_url) == len(scene.sent))

                file = str(tmp_path / "events.jsonl")
                await other.run("export", "events", "--format", "jsonl", "--out", file)
                told = (await scene.programs.run("import", file, "--json")).json
                assert (told["appended"], told["duplicates"]) == (lost, len(kept))
                assert scene.logged == kept + scene.sent[had : had + lost]
                await scene.programs.run("verify")
                assert scene.rows(BOOK) == rows(store_url, BOOK)
