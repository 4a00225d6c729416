"""Patroni moves the store to another server, because it is told to or because one died."""

from pathlib import Path

import pytest
from support.outages import scene_of
from support.patroni import patroni
from support.waiting import eventually

from positionstore.store import migrations

pytestmark = pytest.mark.slow


async def test_patroni_moves_the_store_and_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    with patroni() as cluster:
        migrations.migrate(cluster.url)
        async with scene_of(cluster.url, None, tmp_path) as scene:
            process = await scene.start()
            await scene.serving.step(20)
            await scene.all_logged()

            cluster.switch_over()
            await scene.serving.step(50)
            await scene.all_logged()

            leader, standby = cluster.leader_and_standby()
            await scene.serving.step(50)
            leader.kill()  # wherever what just arrived is by now
            before = len(scene.sent)
            await scene.serving.step(50)
            await scene.spooled(len(scene.sent) - before)
            await eventually(lambda: standby.leads)
            await scene.all_logged()
            await scene.programs.run("verify")
            actions = await scene.stop(process)

    assert actions.count("database_lost") == actions.count("database_back")
    assert scene.spools.listed() == []
