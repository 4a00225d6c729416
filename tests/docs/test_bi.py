"""The dashboard asks for what there is, and may ask for it; the page says what works."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.factories import event
from support.roles import Urls, connected, roles_on
from support.shown import needs_promtool

from positionstore.cli.commands import COMMANDS
from positionstore.store import database
from positionstore.store.appender import Appender
from positionstore.store.grants import Role

DOCS = Path(__file__).resolve().parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana-dashboard.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "bi.md").read_text(encoding="utf-8")
FROM, TO = "'2026-06-01T00:00:00Z'::timestamptz", "'2026-08-01T00:00:00Z'::timestamptz"

# What Grafana's PostgreSQL data source puts in the place of each macro and variable.
MACROS = (
    (r"\$__timeGroupAlias\(([^,]+), \$__interval\)", r"date_bin('60s', \1, 'epoch') AS time"),
    (r"\$__timeFilter\(([^()]+(?:\(\))?)\)", rf"\1 BETWEEN {FROM} AND {TO}"),
    (r"\$__timeFrom\(\)", FROM),
    (r"\$__timeTo\(\)", TO),
    (r"\$\{market:sqlstring\}", "'DM-1','it''s'"),
)


def expanded(query: str) -> str:
    for pattern, meaning in MACROS:
        query = re.sub(pattern, meaning.replace("\\1", r"\g<1>"), query)
    assert "$" not in query, query
    return query


def targets(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the panels ask of a data source, each with its panel's title."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            if target["datasource"]["type"] == source:
                yield panel["title"], target


def queries() -> Iterator[tuple[str, str]]:
    for title, target in targets("grafana-postgresql-datasource"):
        yield title, target["rawSql"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["label"], variable["query"]


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        with database.connect(urls[Role.WRITER]) as connection:
            Appender(connection).append([event("evt_1", status="open")])
        yield urls


def test_the_reader_may_ask_what_each_panel_asks(urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader:
        for title, query in queries():
            cursor = reader.execute(expanded(query).encode())
            assert cursor.description, title
            cursor.fetchall()


def test_each_series_has_a_time(urls: Urls) -> None:
    series = [
        (title, target["rawSql"])
        for title, target in targets("grafana-postgresql-datasource")
        if target["format"] == "time_series"
    ]
    assert series
    with connected(urls[Role.READER]) as reader:
        for title, query in series:
            columns = reader.execute(expanded(query).encode()).description or []
            assert [columns[0].name, columns[0].type_display] == ["time", "timestamptz"], title


def test_it_reads_nothing_that_is_not_promised() -> None:
    promised = set(
        re.findall(
            r"^### (\w+)$", (DOCS / "compatibility.md").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    read = {name for _, query in queries() for name in re.findall(r"\bFROM (\w+)\b", query)}
    assert read - promised - {"now", "received_at"} == set()


@needs_promtool
def test_prometheus_understands_what_each_panel_asks(tmp_path: Path) -> None:
    asked = list(targets("prometheus"))
    assert asked
    rules = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for number, (_, target) in enumerate(asked)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_each_data_source_is_one_that_can_be_chosen() -> None:
    chosen = {
        (variable["query"], "${" + variable["name"] + "}")
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "datasource"
    }
    used = {(p["datasource"]["type"], p["datasource"]["uid"]) for p in DASHBOARD["panels"]}
    assert used == chosen


def test_every_panel_says_what_it_shows_and_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    ids: list[Any] = []
    for panel in DASHBOARD["panels"]:
        assert panel["description"].endswith(".")
        ids.append(panel["id"])
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len(set(ids)) == len(ids)


def test_the_page_names_commands_that_there_are() -> None:
    named = set(re.findall(r"positionstore ([a-z]+)(?: |`|$)", PAGE, re.MULTILINE))
    assert named - {"_reader"} <= set(COMMANDS)


@pytest.mark.parametrize("statement", re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL))
def test_the_sql_of_the_page_works_for_the_reader(statement: str, urls: Urls) -> None:
    with connected(urls[Role.READER]) as reader:
        try:
            reader.execute(statement.encode())
        except psycopg.errors.SyntaxError as error:
            raise AssertionError(statement) from error
