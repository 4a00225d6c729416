"""``--resume --compact``: a day's files become one, and nothing else changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.exporting import FILES, Exporter
from support.factories import event
from support.killed_exports import killer

from positionstore.export.formats import CsvStyle, Format
from positionstore.export.increments import MARKERS
from positionstore.store.appender import Appender
from positionstore.store.database import Store

A_DAY = 86_400.0
READERS = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}


def facts(first: int, count: int, *, day: int = 0) -> list[Any]:
    return [event(f"evt_{n}", at=day * A_DAY + n) for n in range(first, first + count)]


def log(store: Store) -> list[tuple[int, str]]:
    with store.connect() as connection:
        return connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()


def read(paths: list[str], form: Format) -> list[tuple[int, str]]:
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT seq, event_id FROM {READERS[form]}($paths) ORDER BY seq", {"paths": paths}
        ).fetchall()


def whole(folder: Path, form: Format) -> list[tuple[int, str]]:
    return read([str(path) for path in folder.rglob(f"*.{form}")], form)


def by_markers(folder: Path, form: Format) -> list[tuple[int, str]]:
    markers = [json.loads(path.read_text()) for path in (folder / MARKERS).glob("*.json")]
    return read([str(folder / f["path"]) for each in markers for f in each["files"]], form)


def fed(folder: Path, appender: Appender, export: Exporter, form: Format) -> None:
    for increment in range(3):
        appender.append(facts(increment * 10, 4))
        export(folder, "events", form=form, by_day=True, resume=True, csv=CsvStyle(bom=True))
    appender.append(facts(50, 3, day=1))


@pytest.mark.parametrize("form", FILES)
def test_a_days_files_become_one(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter, form: Format
) -> None:
    folder = tmp_path / "lake"
    fed(folder, appender, export, form)
    (folder / "_SUCCESS").touch()
    compact: dict[str, Any] = {
        "form": form,
        "by_day": True,
        "resume": True,
        "compact": True,
        "csv": CsvStyle(bom=True),
    }
    export(folder, "events", **compact)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    again = export(folder, "events", **compact)

    assert files == [
        "_increments/events-000000000001-000000000015.json",
        f"day=2026-07-01/events-000000000001-000000000015.{form}",
        f"day=2026-07-02/events-000000000013-000000000015.{form}",
    ]
    assert (again.since, again.rows) == (15, 0)
    assert (folder / "_SUCCESS").exists()
    assert whole(folder, form) == by_markers(folder, form) == log(store)
    appender.append(facts(70, 5))
    export(folder, "events", **compact)
    assert whole(folder, form) == by_markers(folder, form) == log(store)
    assert len(list((folder / "day=2026-07-01").iterdir())) == 1


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_every_fact_once(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    before = tmp_path / "before"
    fed(before, appender, export, Format.PARQUET)
    export(before, "events", form=Format.PARQUET, by_day=True, resume=True)
    killed = True
    step = 0
    with killer() as kill:
        while killed:
            step += 1
            folder = tmp_path / str(step) / "lake"
            folder.parent.mkdir()
            shutil.copytree(before, folder)
            killed = kill(store.url, folder, at=step, by_day=True, resume=True, compact=True)
            assert whole(folder, Format.PARQUET) == by_markers(folder, Format.PARQUET)
            assert whole(folder, Format.PARQUET) == log(store)
    assert step > 10
