"""``scripts/nightly_reconcile.py``: in full, a report whatever happens, a code to alert by."""

import asyncio
import json
import shlex
from html import unescape
from pathlib import Path
from typing import Any

import psycopg
from support.programs import ROOT, Programs, ended
from support.waiting import DEADLINE, eventually

from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.store.locks import RECONCILE_LOCK

SCRIPT = str(ROOT / "scripts" / "nightly_reconcile.py")


def world(**options: object) -> Sandbox:
    settled = {"seed": 7, "ticking": False, "positions": 150, "warm_up": 60.0}
    return Sandbox(Options(**{**settled, "api_key_lists": True, **options}))  # type: ignore[arg-type] # by name


def latest(directory: Path) -> tuple[dict[str, Any], str]:
    text = (directory / "latest.json").read_text(encoding="utf-8")
    return json.loads(text), (directory / "latest.html").read_text(encoding="utf-8")


async def test_it_runs_in_full_and_leaves_a_report_for_machines_and_for_a_person(
    programs: Programs, tmp_path: Path
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        done = await programs.run(SCRIPT)
        count = len(sandbox.world.truth(0))

    assert done.out == ""
    directory = tmp_path / "data" / "nightly"
    report, html = latest(directory)
    assert (report["exit_code"], report["error"]) == (0, None)
    run = report["run"]
    assert (run["trigger"], run["scope"], run["state"]) == ("nightly", "full", "complete")
    assert (run["seen"], run["missing"], run["repaired"]) == (count, count, count)
    assert [night["missing"] for night in report["nights"]] == [count]
    assert report["gaps"]["gaps"] == 0
    assert "All is well" in html
    kept = sorted(path.name for path in directory.iterdir())
    assert len(kept) == 6
    assert kept[:3] == ["latest.html", "latest.json", "latest.txt"]
    assert (directory / kept[4]).read_text() == (directory / "latest.json").read_text()
    assert (report["environment"], report["unresolved"]) == ("sandbox", [])
    assert report["version"].startswith("positionstore ")
    assert report["version"] in html
    assert report["database"] in html


async def test_only_the_last_reports_are_kept_and_nothing_else_is_touched(
    programs: Programs, tmp_path: Path
) -> None:
    directory = tmp_path / "reports"
    directory.mkdir()
    for day in range(1, 10):
        for suffix in ("json", "html"):
            (directory / f"nightly-2026-01-0{day}T033000Z.{suffix}").touch()
    for name in ("nightly-notes.txt", "nightly-2026-01-01T033000Z.json.bak", "index.html"):
        (directory / name).touch()
    async with world(positions=5) as sandbox:
        programs.against(sandbox)
        await programs.run(SCRIPT, "--directory", "reports", "--keep", "3")

    names = {path.name for path in directory.iterdir()}
    assert {name for name in names if "2026-01" in name} == {
        "nightly-2026-01-08T033000Z.html",
        "nightly-2026-01-08T033000Z.json",
        "nightly-2026-01-09T033000Z.html",
        "nightly-2026-01-09T033000Z.json",
        "nightly-2026-01-01T033000Z.json.bak",
    }
    assert {"nightly-notes.txt", "index.html", "latest.html"} <= names


async def test_differences_that_remain_are_3(
    programs: Programs, database: psycopg.Connection, tmp_path: Path
) -> None:
    async with world(positions=20) as sandbox:
        programs.against(sandbox)
        await programs.run(SCRIPT)
        row = database.execute(
            "SELECT position_id FROM positions WHERE phase = 'live' ORDER BY 1"
        ).fetchone()
        assert row is not None
        gone = row[0]
        sandbox.faults.update({"hidden": [gone]})
        done = await programs.run(SCRIPT, expect=3)

    report, html = latest(tmp_path / "data" / "nightly")
    assert report["exit_code"] == 3
    assert report["run"]["absent_upstream"] == 1
    assert gone in html
    assert "Still different from GET /positions: 1 position." in html
    # The three forms agree; the text is what cron mails.
    (still,) = report["unresolved"]
    assert (still["position_id"], still["kind"]) == (gone, "absent_upstream")
    text = (tmp_path / "data" / "nightly" / "latest.txt").read_text(encoding="utf-8")
    assert done.out.startswith(text)
    assert done.out.splitlines()[-1].startswith("See ")
    for part in (gone, still["value_usd"], still["wallet_address"], still["command"]):
        assert part in text
        assert part in unescape(html)
    paste = shlex.split(still["command"])
    assert "(1 row)" in (await programs.run(*paste[1:])).out


async def test_a_refused_key_is_2(programs: Programs, tmp_path: Path) -> None:
    async with world(positions=20) as sandbox:
        programs.against(sandbox)
        await programs.run(SCRIPT)
        sandbox.faults.update({"refuse_api_keys": True})
        of_the_partner = await programs.run(SCRIPT, expect=2)
        wallet = sandbox.wallets[0]
        of_a_wallet = await programs.run(SCRIPT, expect=2, POSITIONSTORE_WALLETS=wallet)

    for done in (of_the_partner, of_a_wallet):
        assert "The vendor refused the credentials." in done.out
        assert "DIMES_API_KEY" in done.out
        assert '"level": "error", "action": "reconciled"' in done.err
        assert sandbox.api_key not in done.out + done.err
    report, html = latest(tmp_path / "data" / "nightly")
    assert (report["exit_code"], report["run"]["state"]) == (2, "failed")
    assert "The vendor refused the credentials." in html


async def test_a_partial_run_is_1_and_the_report_says_what_was_not_seen(
    programs: Programs, tmp_path: Path
) -> None:
    async with world(faults=Faults(failing_page=2)) as sandbox:
        programs.against(sandbox)
        done = await programs.run(SCRIPT, expect=1, POSITIONSTORE_HTTP_RETRY_BUDGET="0")

    assert '"level": "warning", "action": "reconciled"' in done.err
    report, html = latest(tmp_path / "data" / "nightly")
    assert (report["exit_code"], report["run"]["state"]) == (1, "partial")
    assert "not all positions were seen" in html
    assert "500" in html


async def test_where_it_could_not_run_there_is_a_report_too(
    programs: Programs, tmp_path: Path
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        url = "postgresql://me:hushhush@127.0.0.1:1/d"
        done = await programs.run(SCRIPT, expect=1, DATABASE_URL=url)

    report, html = latest(tmp_path / "data" / "nightly")
    assert (report["exit_code"], report["run"]) == (1, None)
    assert "cannot be reached" in report["error"]
    assert "It did not run. The database cannot be reached" in html
    assert '"level": "error", "action": "nightly_failed"' in done.err
    assert "hushhush" not in done.out + done.err + html + json.dumps(report)
    assert report["database"] == "d on 127.0.0.1:1"
    # Of the other nights nothing is known: no chart says that there was none.
    assert report["nights"] is None
    assert "Drift of the last" not in html


async def test_a_night_that_could_not_run_shows_the_others(
    programs: Programs, database: psycopg.Connection, tmp_path: Path
) -> None:
    async with world(positions=5) as sandbox:
        programs.against(sandbox)
        await programs.run(SCRIPT)
        live = "dm_live_skey_" + "0" * 32
        await programs.run(SCRIPT, expect=2, DIMES_API_KEY=live)

    report, html = latest(tmp_path / "data" / "nightly")
    assert (report["exit_code"], report["run"], len(report["nights"])) == (2, None, 1)
    assert "Drift of the last 30 nights" in html


async def test_a_directory_that_cannot_be_used_is_one_line(
    programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = await programs.run(SCRIPT, "--directory", "file/reports", expect=2)

    assert len(done.err.splitlines()) == 1
    assert "Name another with --directory." in done.err


async def test_another_reconciliation_is_waited_for(
    programs: Programs, database: psycopg.Connection
) -> None:
    database.execute("SELECT pg_advisory_lock(%s)", [RECONCILE_LOCK])
    async with world(positions=5) as sandbox:
        programs.against(sandbox)
        programs.clocks["positionstore.nightly.job._TURN"] = 0.1
        process = await programs.start(SCRIPT)
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), DEADLINE)
        assert b"waiting_for_another_reconciliation" in line
        database.execute("SELECT pg_advisory_unlock(%s)", [RECONCILE_LOCK])
        await eventually(lambda: process.returncode is not None)
        assert (await ended(process)).code == 0
