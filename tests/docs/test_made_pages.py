"""The pages that are made from code say what the code says."""

import subprocess
import sys
from pathlib import Path

import psycopg

from positionstore.settings import Settings, environment_variable
from positionstore.store.schema import metadata

ROOT = Path(__file__).resolve().parents[2]


def test_no_page_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_of_the_settings_has_every_variable() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

    missing = {
        variable
        for variable in map(environment_variable, Settings.model_fields)
        if f"| `{variable}` |" not in page
    }
    assert missing == set()


def test_the_page_of_the_schema_has_every_table_and_column() -> None:
    page = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")

    for table in metadata.tables.values():
        _, _, part = page.partition(f"### {table.name}\n")
        part, _, _ = part.partition("\n#")
        missing = {column.name for column in table.columns if f"| `{column.name}` |" not in part}
        assert missing == set(), table.name
    assert "None" not in page


def test_the_page_of_sql_has_an_example_of_every_view(store_url: str) -> None:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    with psycopg.connect(store_url) as connection:
        views = connection.execute(
            "SELECT viewname FROM pg_views WHERE schemaname = current_schema()"
        ).fetchall()

    assert len(views) >= 8
    for (view,) in views:
        _, found, part = page.partition(f"### {view}\n")
        assert found, view
        assert f"FROM {view}\n" in part.partition("\n### ")[0], view


def test_the_diagram_has_every_table() -> None:
    page = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")
    _, _, diagram = page.partition("erDiagram\n")

    missing = {name for name in metadata.tables if f"    {name} {{\n" not in diagram}
    assert missing == set()
