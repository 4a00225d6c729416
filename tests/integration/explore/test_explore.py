"""``positionstore explore``, in a browser."""

import asyncio
import csv
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import aiohttp
import psutil
import psycopg
import pyarrow as pa
import pytest
from playwright.async_api import Page, async_playwright, expect
from support.factories import event
from support.programs import POSITIONSTORE, Programs, programs_on
from support.roles import roles_on
from support.waiting import DEADLINE

from positionstore.explore.reading import as_csv, kind_for_a_chart, values_for_a_chart
from positionstore.store import database
from positionstore.store.appender import Appender
from positionstore.store.grants import Role
from positionstore.store.psql import libpq_environment

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package)")
PATIENCE = DEADLINE * 1000


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    """As the service has it: DATABASE_URL is the writer's, and the reader's is in its file."""
    with database.connect(store_url) as connection:
        Appender(connection).append([event(f"evt_{n}", position=f"dm_pos_{n}") for n in range(5)])
    with roles_on(store_url) as urls:
        async with programs_on(urls[Role.WRITER], tmp_path, as_users_do=True) as programs:
            name = libpq_environment(urls[Role.READER])["PGUSER"]
            kept = Path(programs.environment["POSITIONSTORE_DATA_DIR"]) / "roles" / f"{name}.url"
            kept.parent.mkdir(parents=True)
            kept.write_text(urls[Role.READER])
            yield programs


@pytest.fixture
async def address(programs: Programs) -> AsyncIterator[str]:
    process = await programs.start("explore", "--port", "0")
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), DEADLINE)).decode()
    found = re.search(r"http://127\.0\.0\.1:\d+/\?access_token=[\w-]+", line)
    assert found is not None, line
    yield found[0]
    if process.returncode is None:
        process.terminate()
        await asyncio.wait_for(process.wait(), DEADLINE)


@pytest.fixture
async def page(address: str) -> AsyncIterator[Page]:
    outside: list[str] = []
    here = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 400, "height": 850})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda r: None if r.url.startswith(here) else outside.append(r.url))
        await page.goto(address)
        yield page
        await browser.close()
    assert outside == []  # nothing is told to anybody else


async def run(page: Page, query: str) -> None:
    await page.locator(".cm-content").first.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(query)
    await page.get_by_role("button", name="Run").click()


@needs_chromium
@pytest.mark.slow
async def test_a_query_has_rows_a_chart_and_a_csv(page: Page, tmp_path: Path) -> None:
    await expect(page.get_by_text("open_positions (view)")).to_be_visible(timeout=PATIENCE)
    await expect(page.get_by_text(re.compile(r"^As test_\w+_reader, "))).to_be_visible()
    await expect(page.get_by_text("The positions that are open")).to_be_visible(timeout=PATIENCE)
    await run(
        page,
        "SELECT position_id, created_at, seq, 1234567890123456789.1234::numeric(38, 4) AS usd,"
        " '=1+1' AS formula FROM events ORDER BY seq",
    )
    await expect(page.get_by_text("5 rows", exact=True)).to_be_visible(timeout=PATIENCE)
    await expect(page.get_by_text("dm_pos_4").first).to_be_visible(timeout=PATIENCE)
    await page.locator("canvas, svg.marks").first.wait_for()
    async with page.expect_download() as download:
        await page.get_by_text("Download CSV").click()
    await (await download.value).save_as(tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["position_id"] for row in rows] == [f"dm_pos_{n}" for n in range(5)]
    assert {row["usd"] for row in rows} == {"1234567890123456789.1234"}
    assert {row["formula"] for row in rows} == {"'=1+1"}
    widths = await page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] == widths[1]


@needs_chromium
@pytest.mark.slow
async def test_what_would_write_is_refused_in_one_line(
    page: Page, store_url: str, tmp_path: Path
) -> None:
    for query, words in (
        ("DELETE FROM events", "It has to be one statement that only reads"),
        ("WITH x AS (DELETE FROM events RETURNING 1) SELECT * FROM x", "data-modifying"),
        ("SELECT nextval('events_seq_seq')", "permission denied"),
        ("SELECT no_such_column FROM events", "no_such_column"),
    ):
        await run(page, query)
        await expect(page.get_by_text(words).last).to_be_visible(timeout=PATIENCE)
    with psycopg.connect(store_url) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (5,)


@pytest.mark.slow
async def test_it_answers_here_alone_and_only_with_the_token(
    programs: Programs, address: str
) -> None:
    port = int(address.partition("127.0.0.1:")[2].partition("/")[0])
    async with aiohttp.ClientSession() as client:
        async with client.get(address.partition("?")[0]) as answer:
            assert answer.url.path == "/auth/login"
        async with client.get(f"http://127.0.0.1:{port}/?access_token=wrong") as answer:
            assert answer.url.path == "/auth/login"
    heard = [each for each in psutil.net_connections() if each.status == psutil.CONN_LISTEN]
    places = [each.laddr[:2] for each in heard if each.laddr]
    assert [place[0] for place in places if place[1] == port] == ["127.0.0.1"]
    token = address.partition("access_token=")[2]
    started = programs.started[0]
    for process in psutil.Process(started.pid).children(recursive=True):
        assert token not in " ".join(process.cmdline())
    children = psutil.Process(started.pid).children(recursive=True)
    started.kill()
    await asyncio.wait_for(started.wait(), DEADLINE)
    _, alive = psutil.wait_procs(children, timeout=DEADLINE)
    assert alive == []


def test_without_the_extra_it_says_what_to_install(store_url: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules['marimo'] = None; " + POSITIONSTORE[1].replace(
        "main()", "main(['explore'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 2, done
    assert "pip install 'positionstore[explore]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_values_are_exact_in_csv_and_drawn_as_numbers() -> None:
    table = pa.table(
        {
            "money": pa.array([Decimal("0.00000000000000000001"), None], pa.decimal128(38, 20)),
            "flag": [True, False],
            "words": ["=x", "a\nb"],
            "texts": pa.array([["é", "b"], None], pa.list_(pa.string())),
            "empty": ["", None],
        }
    )
    text = as_csv(table).decode()
    # As the export has it: NULL is nothing, an empty text is "", a list is JSON.
    assert text.splitlines() == [
        "money,flag,words,texts,empty",
        '0.00000000000000000001,true,\'=x,"[""é"", ""b""]",""',
        ",false,a\\nb,,",
    ]
    assert values_for_a_chart(table, ["money"]) == [{"money": 1e-20}, {"money": None}]
    kinds = [kind_for_a_chart(each.type) for each in table.schema]
    assert kinds == ["quantitative", *["nominal"] * 4]
