"""The status page, as a browser and a program ask for it."""

import asyncio
import base64
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import psycopg
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, async_playwright, expect
from support.hostile_texts import SHORT, TEXTS, envelope, spelled
from support.programs import Programs, ended
from support.shown import Shown
from support.waiting import DEADLINE

from positionstore.sandbox import Options, Sandbox
from positionstore.web.status_page import MOST_STREAMS

WORLD = {"seed": 7, "positions": 40, "rate": 20.0, "api_key_lists": True, "warm_up": 60.0}
TOKEN = "a-token-that-nobody-guesses"
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package)")


@pytest.fixture
async def sandbox(programs: Programs) -> AsyncIterator[Sandbox]:
    async with Sandbox(Options(**WORLD)) as sandbox:  # type: ignore[arg-type] # by name
        programs.against(sandbox)
        yield sandbox


async def states(shown: Shown) -> AsyncIterator[dict[str, Any]]:
    """Yield what the stream tells, as often as it does."""
    timeout = aiohttp.ClientTimeout(DEADLINE)
    url = f"http://{await shown.address()}/stream"
    async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        async for line in answer.content:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


async def state_when(shown: Shown, wanted: Any) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE):
        async for state in states(shown):
            if wanted(state):
                return state
    raise AssertionError


async def test_it_tells_what_the_store_holds_and_goes_on_telling(
    programs: Programs, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    del sandbox
    shown = Shown(await programs.start("run"))
    state = await state_when(shown, lambda state: state["verdict"]["level"] == "good")
    later = await state_when(shown, lambda new: new["live"]["received"] > state["live"]["received"])
    assert later["live"]["connected"] is True
    assert set(later["parts"]) == {"status", "rate", "coverage", "runs", "drift", "quarantine"}
    assert later["parts"]["runs"][0]["repaired"] > 0
    named = (
        "SELECT usename FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s"
    )
    connection = database.execute(named, ["positionstore status page"]).fetchone()
    await shown.stopped()
    assert connection is not None


async def test_what_came_over_the_wire_is_text_on_every_page(
    programs: Programs, sandbox: Sandbox, tmp_path: Path, database: psycopg.Connection
) -> None:
    del sandbox
    lines = [spelled(envelope(name)) for name in SHORT] + [b"<script>alert(2)</script>"]
    (tmp_path / "hostile.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    done = await ended(await programs.start("import", str(tmp_path / "hostile.jsonl"), "--json"))
    assert done.code in {0, 3}
    shown = Shown(await programs.start("ingest"))
    await state_when(shown, lambda state: "quarantine" in state["parts"])
    kept = [row[0] for row in database.execute("SELECT position_id FROM positions")]
    inputs = [row[0] for row in database.execute("SELECT quarantine_id FROM quarantine")]
    assert len(kept) >= len(SHORT) // 2
    assert inputs
    paths = [f"/position?id={quote(each)}" for each in kept]
    paths += [f"/quarantine?id={each}" for each in inputs]
    paths += [f"/search?q={quote(text)}" for text in TEXTS.values() if "\ud800" not in text]
    for path in ["/", *paths]:
        answer = await shown.get(path)
        assert answer.status in {200, 302, 404}, path
        assert "<script>alert" not in answer.text, path
        assert "<b onclick" not in answer.text, path
        assert not {"\u202e", "\x1b"} & set(answer.text), path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    await shown.stopped()


async def test_what_is_not_there_is_said_so(programs: Programs, sandbox: Sandbox) -> None:
    del sandbox
    shown = Shown(await programs.start("ingest"))
    for path in ("/position", "/position?id=dm_pos_none", "/quarantine?id=1", "/quarantine?id=x"):
        answer = await shown.get(path)
        assert (answer.status, "Unknown" in answer.text) == (404, True)
    assert "0 positions for “nobody”" in (await shown.get("/search?q=nobody")).text
    await shown.stopped()


async def test_with_a_token_a_browser_is_asked_for_it(programs: Programs, sandbox: Sandbox) -> None:
    del sandbox
    programs.environment["POSITIONSTORE_LISTEN_TOKEN"] = TOKEN
    shown = Shown(await programs.start("ingest"))
    for path in ("/", "/stream", "/position?id=x", "/status.js"):
        refused = await shown.get(path)
        assert refused.status == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    secret = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    assert (await shown.get("/", Authorization=f"Basic {secret}")).status == 200
    done = await shown.stopped()
    assert TOKEN not in done.err


async def test_only_so_many_browsers_follow_it_at_once(
    programs: Programs, sandbox: Sandbox
) -> None:
    del sandbox
    shown = Shown(await programs.start("ingest"))
    url = f"http://{await shown.address()}/stream"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE)) as client:
        followers = [await client.get(url) for _ in range(MOST_STREAMS)]
        assert {each.status for each in followers} == {200}
        assert (await shown.get("/stream")).status == 503
        for each in followers:
            each.close()
        async with asyncio.timeout(DEADLINE):
            while True:
                async with client.get(url) as answer:
                    if answer.status == 200:
                        break
    await shown.stopped()


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        await chromium.close()


@asynccontextmanager
async def page_of(
    chromium: Browser, width: int, scheme: Any = "light"
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page of a browser, and what its console says."""
    said: list[str] = []
    page = await chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(DEADLINE * 1000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => { for (const each of "
        "list.getEntries()) if (!each.hadRecentInput) window.moved += each.value; })"
        ".observe({type: 'layout-shift', buffered: true});"
    )
    yield page, said
    await page.close()


async def faults_of(page: Page) -> list[str]:
    """What axe finds against WCAG AA, contrast included."""
    # Not by a script element, which the page's own policy forbids.
    await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})")
    return [
        f"{each['id']}: {node['html']}" for each in found["violations"] for node in each["nodes"]
    ]


@needs_chromium
@pytest.mark.slow
async def test_a_browser_shows_it_wide_and_on_a_phone_in_light_and_dark(
    programs: Programs, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    del sandbox
    shown = Shown(await programs.start("run"))
    await state_when(shown, lambda state: state["verdict"]["level"] == "good")
    database.execute(
        "INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at)"
        " VALUES ('partner', now() - interval '20 days', now() - interval '3 days', now()"
        " - interval '3 days')"
    )
    database.execute(
        "INSERT INTO discrepancies (run_id, position_id, kind, resolution, noticed_at)"
        " SELECT (SELECT max(run_id) + 1000 FROM reconciliation_runs), min(position_id),"
        " 'absent_upstream', 'unresolved', now() + interval '1 hour' FROM positions"
    )
    await state_when(
        shown, lambda state: state["parts"]["coverage"]["gaps"] and state["parts"]["drift"]
    )
    position = database.execute("SELECT position_id FROM positions LIMIT 1").fetchone()
    assert position is not None
    address = f"http://{await shown.address()}/"
    async with browser() as chromium:
        for width, scheme in ((1200, "light"), (400, "dark"), (400, "light")):
            async with page_of(chromium, width, scheme) as (page, said):
                await looks_well(page, address, width, position[0])
                assert said == []
    await shown.stopped()


async def looks_well(page: Page, address: str, width: int, position_id: str) -> None:
    """See that what is there to tell is told, and what it leads to, and that all can use it."""
    await page.goto(address)
    await expect(page.locator("#connection")).to_contain_text("since 20")
    gap = page.locator("#coverage [role=button]").first
    await expect(gap).to_be_visible()
    await gap.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#gap-detail")).to_contain_text("3 days")
    drift = page.locator("#drift tbody tr")
    await expect(drift).to_contain_text(re.compile(r"\$[\d,]+\.\d\d"))
    await expect(drift).to_contain_text("GET /positions does not know it")
    await expect(drift.locator("code")).to_contain_text("positionstore db psql -c")
    await expect(page.locator("#reasons")).to_contain_text("1 still different")
    await expect(page.locator("#reasons code")).to_have_text("positionstore backfill")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate("window.moved") < 0.1
    assert await faults_of(page) == []
    await page.get_by_label("Position, wallet or market").fill(position_id)
    await page.keyboard.press("Enter")
    await expect(page.locator("h2").first).to_have_text(position_id)
    await page.get_by_text("Envelope").first.click()
    await expect(page.locator("pre").first).to_contain_text(position_id)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await faults_of(page) == []


async def test_what_cannot_be_read_is_told_and_is_in_the_log(
    programs: Programs, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    del sandbox
    shown = Shown(await programs.start("ingest"))
    await state_when(shown, lambda state: "status" in state["parts"])
    database.execute("ALTER TABLE discrepancies RENAME TO discrepancies_away")
    try:
        state = await state_when(shown, lambda state: state["verdict"]["level"] == "bad")
        for _ in range(2):
            answer = await shown.get("/position?id=any")
            assert answer.status == 503
            assert "The log says why." in answer.text
    finally:
        database.execute("ALTER TABLE discrepancies_away RENAME TO discrepancies")
    assert any("drift" in reason for reason in state["verdict"]["reasons"])
    await state_when(shown, lambda state: state["verdict"]["level"] != "bad")
    done = await shown.stopped()
    told = [line["error"] for line in done.log if line["action"] == "page_not_read"]
    assert len(told) == 1
    assert "discrepancies" in told[0]


@needs_chromium
async def test_a_browser_is_told_when_the_service_has_gone(
    programs: Programs, sandbox: Sandbox
) -> None:
    del sandbox
    shown = Shown(await programs.start("ingest"))
    async with browser() as chromium, page_of(chromium, 1200) as (page, _):
        await page.goto(f"http://{await shown.address()}/")
        await expect(page.locator("#connection")).to_contain_text("partner")
        await shown.stopped()
        await expect(page.locator("#verdict-line")).to_have_text("The service does not answer.")
