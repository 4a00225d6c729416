"""The primary dies, and a standby that followed it takes its place."""

from pathlib import Path

from fix_postgres import TEST_SETTINGS
from fix_proxy import proxy_to
from outages import scene_of
from server_user import kill_all
from standby import standby_of

from positionstore.store import embedded, migrations


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
