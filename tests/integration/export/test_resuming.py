"""``export --resume``: a folder goes on by itself, and a kill at any step does no harm."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.exporting import FILES, Exporter
from support.factories import event
from support.killed_exports import Killer, killer
from support.profiles import every

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.formats import Format
from positionstore.export.increments import MARKERS
from positionstore.export.request import alone
from positionstore.store.appender import Appender
from positionstore.store.database import Store

A_DAY = 86_400.0
Rows = list[tuple[int, str]]


def facts(first: int, count: int, *, day: int = 0) -> list[Any]:
    return [event(f"evt_{n}", at=day * A_DAY + n) for n in range(first, first + count)]


def log(store: Store) -> Rows:
    with store.connect() as connection:
        return connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()


def read(paths: list[str], form: Format = Format.PARQUET) -> Rows:
    if not paths:
        return []
    reader = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}[form]
    query = f"SELECT seq, event_id FROM {reader}($paths) ORDER BY seq"
    return ducks().execute(query, {"paths": paths}).fetchall()


@cache
def ducks() -> duckdb.DuckDBPyConnection:
    """A connection for all: to make one takes longer than to read what is here."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    return connection


def whole(folder: Path, form: Format = Format.PARQUET) -> Rows:
    return read([str(path) for path in folder.rglob(f"*.{form}")], form)


def markers(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in sorted((folder / MARKERS).glob("*.json"))]


def by_markers(folder: Path, form: Format = Format.PARQUET) -> Rows:
    files = [str(folder / file["path"]) for each in markers(folder) for file in each["files"]]
    return read(files, form)


@pytest.mark.parametrize("by_day", [True, False])
@pytest.mark.parametrize("form", FILES)
def test_it_goes_on_from_what_the_folder_holds(
    *,
    tmp_path: Path,
    store: Store,
    appender: Appender,
    export: Exporter,
    form: Format,
    by_day: bool,
) -> None:
    folder = tmp_path / "lake"
    sinces = []
    for increment in range(4):
        done = export(folder, "events", form=form, by_day=by_day, resume=True)
        sinces.append((done.since, done.rows))
        assert whole(folder, form) == by_markers(folder, form) == log(store)
        appender.append(facts(increment * 10, 3, day=increment))
        appender.append(facts(increment * 10 + 5, 2))
    export(folder, "events", form=form, by_day=by_day, resume=True)
    again = export(folder, "events", form=form, by_day=by_day, resume=True)

    assert sinces == [(0, 0), (0, 5), (5, 5), (10, 5)]
    assert (again.since, again.rows, again.files, again.last_seq) == (20, 0, 0, 20)
    assert [(each["first_seq"], each["last_seq"], each["rows"]) for each in markers(folder)] == [
        (1, 0, 0),
        (1, 5, 5),
        (6, 10, 5),
        (11, 15, 5),
        (16, 20, 5),
    ]


def test_the_documented_query_reads_what_the_markers_name(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    appender.append(facts(10, 3, day=1))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    half = folder / "day=2026-07-01" / "events-000000000009-000000000010.parquet"
    shutil.copy(next((folder / "day=2026-07-01").iterdir()), half)

    page = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")
    (documented,) = (each for each in page.split("```") if each.startswith("sql\nSET VARIABLE"))
    with duckdb.connect() as connection:
        counts = connection.execute(
            documented.removeprefix("sql").replace("feed/", f"{folder}/")
        ).fetchall()
    assert sorted(count for _, count in counts) == [3, 5]
    assert len(whole(folder)) == 13


@pytest.fixture(scope="module")
def kill() -> Iterator[Killer]:
    with killer() as kill:
        yield kill


HOW = ["first", "next", "again", "replaced"]


@pytest.mark.parametrize("how", HOW)
def test_a_kill_at_any_step_leaves_whole_increments_and_the_next_run_mends_it(
    *, tmp_path: Path, store: Store, appender: Appender, export: Exporter, kill: Killer, how: str
) -> None:
    before = tmp_path / "before"
    since = None
    if how != "first":
        appender.append(facts(0, 5))
        export(before, "events", form=Format.PARQUET, by_day=True, resume=True)
    if how == "again":  # what comes after a seq is exported once more
        since = len(log(store))
        appender.append(facts(5, 5, day=1))
        export(before, "events", form=Format.PARQUET, by_day=True, resume=True)
    if before.exists():
        (before / "_SUCCESS").touch()
    complete = [log(store)]
    if since is not None:
        complete.append(log(store)[:since])
    appender.append(facts(20, 4, day=1))
    appender.append(facts(30, 3))
    complete.append(log(store))

    # Another of each three steps by how it is exported, and each of them in CI.
    killed = True
    stride = every(3)
    step = 1 - stride + HOW.index(how) % stride
    while killed:
        step += stride
        folder = tmp_path / str(step) / "lake"
        folder.parent.mkdir()
        if before.exists():
            shutil.copytree(before, folder)
        killed = kill(
            store.url, folder, at=step, by_day=True, since=since, resume=how in {"first", "next"}
        )
        assert by_markers(folder) in complete
        if killed:
            export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
        assert whole(folder) == by_markers(folder) == log(store)
        assert (folder / "_SUCCESS").exists() == before.exists()
    assert step > 10


def test_what_has_no_marker_is_left_out_and_written_again(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    appender.append(facts(5, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    (folder / MARKERS / "events-000000000006-000000000010.json").unlink()
    appender.append(facts(10, 5))

    assert by_markers(folder) == log(store)[:5]
    assert export(folder, "events", form=Format.PARQUET, by_day=True, resume=True).rows == 10
    assert whole(folder) == by_markers(folder) == log(store)


def test_a_hole_after_the_first_increment_is_refused_and_how_to_fill_it_is_said(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    for increment in range(4):
        appender.append(facts(increment * 5, 5))
        export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    (folder / MARKERS / "events-000000000006-000000000010.json").unlink()
    (folder / "day=2026-07-01" / "events-000000000016-000000000020.parquet").unlink()

    for order in ({"resume": True}, {"since": 20}):
        with pytest.raises(ConfigurationError, match=r"does not follow seq 5.*--since 5"):
            export(folder, "events", form=Format.PARQUET, by_day=True, **order)
    assert export(folder, "events", form=Format.PARQUET, by_day=True, since=5).rows == 15
    assert whole(folder) == by_markers(folder) == log(store)

    appender.append(facts(30, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    (folder / "day=2026-07-01" / "events-000000000021-000000000025.parquet").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks day=2026-07-01/events-.*--since 20"):
        export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    export(folder, "events", form=Format.PARQUET, by_day=True, since=20)
    assert whole(folder) == log(store)

    last = folder / "day=2026-07-01" / "events-000000000021-000000000025.parquet"
    last.write_bytes(last.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match=r"100 bytes in day=.*marker says.*--since 20"):
        export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    export(folder, "events", form=Format.PARQUET, by_day=True, since=20)
    assert whole(folder) == log(store)


def test_a_folder_may_begin_at_a_later_seq_and_goes_on_from_there(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    assert export(folder, "events", form=Format.CSV, by_day=True, since=5).rows == 0
    appender.append(facts(5, 5))
    with pytest.raises(ConfigurationError, match="ends at seq 5; --since 7"):
        export(folder, "events", form=Format.CSV, by_day=True, since=7)
    export(folder, "events", form=Format.CSV, by_day=True, resume=True)

    assert whole(folder, Format.CSV) == log(store)[5:]


def test_files_of_others_are_left_alone(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    theirs = {
        folder / "_SUCCESS": b"",
        folder / "_delta_log" / "00000000000000000000.json": b"{}",
        folder / "day=2026-07-01" / ".events.parquet.crc": b"crc",
        folder / ".DS_Store": b"finder",
    }
    for path, content in theirs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    appender.append(facts(5, 5, day=1))

    for order in ({"resume": True}, {"since": 5}, {"since": 0}, {}):
        export(folder, "events", form=Format.PARQUET, by_day=True, **order)
        assert {path: path.read_bytes() for path in theirs} == theirs
        assert whole(folder) == by_markers(folder) == log(store)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_files_without_any_marker_are_not_taken_for_complete(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    shutil.rmtree(folder / MARKERS)
    for order in ({"resume": True}, {"since": 5}):
        with pytest.raises(ConfigurationError, match=r"no marker.*Export it again without"):
            export(folder, "events", form=Format.PARQUET, by_day=True, **order)
    export(folder, "events", form=Format.PARQUET, by_day=True)
    assert by_markers(folder) == log(store)

    (folder / MARKERS / "events-000000000001-000000000005.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is no marker"):
        export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)


def test_two_exports_do_not_write_to_one_folder_at_once(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))

    def meanwhile(done: int, total: int | None) -> None:
        with pytest.raises(PositionstoreError, match="Another run is writing to"):
            export(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
        seen.append((done, total))

    seen: list[tuple[int, int | None]] = []
    first = Exporter(store, progress=meanwhile)
    first(folder, "events", form=Format.PARQUET, by_day=True, resume=True)
    assert seen
    assert whole(folder) == log(store)


def test_a_folder_is_free_when_an_export_ends_and_not_when_its_server_session_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.connect() as lingering:
        monkeypatch.setattr(Store, "connect", lambda *_, **__: nullcontext(lingering))
        with ExitStack() as held:
            alone(store, "key", "lake", held)
        monkeypatch.undo()
        with ExitStack() as held:
            alone(store, "key", "lake", held)
