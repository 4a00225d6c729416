"""``positionstore dbt``: writes a dbt project over the store."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from positionstore.cli.console import print_line
from positionstore.errors import ConfigurationError
from positionstore.store import migrations
from positionstore.store.access import RELATIONS

_PROJECT: Final = Path(__file__).resolve().parents[1] / "dbt_project"
_COMMENT: Final = re.compile(
    r"^COMMENT ON (TABLE|VIEW|COLUMN) (\w+)(?:\.(\w+))? IS\s+'((?:[^']|'')*)';", re.MULTILINE
)
_FRESHNESS: Final = {
    # Not the maximum of received_at, for which the whole log would be read.
    "events": {
        "loaded_at_query": "select received_at from {{ this }} order by seq desc limit 1",
    },
    "positions": {"loaded_at_field": "updated_at"},
}
_KEYS: Final = {
    "events": "seq",
    "positions": "position_id",
    "open_positions": "position_id",
    "event_types": "type",
    "position_statuses": "status",
}


def dbt(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder; new, or empty.")],
    *,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace this project's own files in a folder that has some."),
    ] = False,
) -> None:
    """Write a dbt project: sources, models and a snapshot.

    The sources have freshness, tests and descriptions. The profile reads PGHOST, PGPORT, PGUSER,
    PGPASSWORD and PGDATABASE, as `positionstore db env --as builder` prints them, and DBT_SCHEMA:
    where the models go, positionstore_models unless you say otherwise.

    Example: positionstore dbt analytics
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"{directory} is no folder.")
    if directory.is_dir() and any(directory.iterdir()) and not force:
        raise ConfigurationError(
            f"{directory} is not empty.",
            remedy="Name another folder, or replace the project's own files there with --force.",
        )
    shutil.copytree(_PROJECT, directory, dirs_exist_ok=True)
    models = directory / "models"
    found = sources()
    (models / "sources.yml").write_text(
        json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (models / "comments.md").write_text("".join(_blocks(found)), encoding="utf-8")
    print_line(f"The project is in {directory}: dbt build --project-dir and --profiles-dir there.")


def _blocks(found: dict[str, Any]) -> Iterator[str]:
    """Yield each comment as a block of dbt's docs, which the models' columns refer to."""
    for table in found["sources"][0]["tables"]:
        for name, of in (
            (table["name"], table),
            *((f"{table['name']}__{column['name']}", column) for column in table["columns"]),
        ):
            if text := of.get("description"):
                yield f"{{% docs {name} %}}\n{text}\n{{% enddocs %}}\n\n"


def sources() -> dict[str, Any]:
    """Return the sources file: each table and view that the reader reads, as its comments say."""
    tables: dict[str, dict[str, Any]] = {}
    for path in sorted((migrations._folder() / "sql").glob("*/*/*.sql")):  # noqa: SLF001 - the same store's
        for _, name, column, text in _COMMENT.findall(path.read_text(encoding="utf-8")):
            if name in RELATIONS:
                table = tables.setdefault(name, {"name": name, "columns": {}})
                of = table["columns"].setdefault(column, {"name": column}) if column else table
                of["description"] = text.replace("''", "'")
    for name, table in tables.items():
        if key := _KEYS.get(name):
            table["columns"][key]["data_tests"] = ["unique", "not_null"]
        if loaded := _FRESHNESS.get(name):
            table["config"] = {
                **loaded,
                "freshness": {"warn_after": {"count": 24, "period": "hour"}},
            }
        table["columns"] = list(table["columns"].values())
    source = {
        "name": "positionstore",
        "schema": "{{ env_var('POSITIONSTORE_SCHEMA', 'public') }}",
        "tables": [tables[name] for name in sorted(tables)],
    }
    return {"version": 2, "sources": [source]}
