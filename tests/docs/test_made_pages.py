"""The pages that are made from code say what the code says."""

import subprocess
import sys
from pathlib import Path

import psycopg
from docs_queries import all_documented, documented

from positionstore.settings import Settings, environment_variable
from positionstore.store.schema import metadata
from positionstore.web.catalogue import BY_NAME

ROOT = Path(__file__).resolve().parents[2]


def test_no_page_is_stale(store_url: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--check", store_url],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_of_the_settings_has_every_variable() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    missing = {
        variable
        for variable in map(environment_variable, Settings.__struct_fields__)
        if f"| `{variable}` |" not in page
    }
    assert missing == set()


def test_the_page_of_the_metrics_has_every_metric() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

    assert {m.full_name for m in BY_NAME.values() if f"| `{m.full_name}` |" not in page} == set()


def test_the_page_of_the_schema_has_every_table_and_column() -> None:
    page = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")

    for table in metadata.tables.values():
        _, _, part = page.partition(f"### {table.name}\n")
        part, _, _ = part.partition("\n#")
        missing = {column.name for column in table.columns if f"| `{column.name}` |" not in part}
        assert missing == set(), table.name
    assert "None" not in page


def test_the_page_of_sql_has_an_example_of_every_view_and_promised_function(
    store_url: str,
) -> None:
    with psycopg.connect(store_url) as connection:
        views = connection.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = current_schema()"
        ).fetchall()

    queries = {query.name: query.sql for query in documented("views")}
    assert len(views) >= 8
    for name in [*(view for (view,) in views), "positions_as_of", "book_changes", "events_after"]:
        assert name in queries, name
        assert name in queries[name], name


def test_the_cookbook_answers_what_a_desk_asks() -> None:
    questions = [query.title for query in documented("cookbook")]
    assert len(questions) >= 20
    assert all(title.endswith("?") for title in questions)
    names = [query.name for query in all_documented()]
    assert len(set(names)) == len(names)


def test_the_diagram_has_every_table() -> None:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    _, _, diagram = page.partition("erDiagram\n")

    missing = {name for name in metadata.tables if f"    {name} {{\n" not in diagram}
    assert missing == set()
