"""The log in increments: every fact exactly once, in files and in folders, whatever happens."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from support.exporting import FILES, Exporter
from support.factories import event
from support.programs import POSITIONSTORE
from support.waiting import wait_until

from positionstore.errors import ConfigurationError
from positionstore.export.formats import Format
from positionstore.export.increments import MARKERS
from positionstore.store.appender import Appender
from positionstore.store.database import Store

A_DAY = 86_400.0
FORMATS = FILES


def facts(first: int, count: int, *, day: int = 0) -> list[Any]:
    return [
        event(f"evt_{n}", position=f"dm_pos_{n % 7}", at=day * A_DAY + n)
        for n in range(first, first + count)
    ]


def log(store: Store) -> list[tuple[int, str]]:
    with store.connect() as connection:
        return connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()


def lake(folder: Path, form: Format = Format.PARQUET) -> list[tuple[int, str]]:
    reader = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}[form]
    with duckdb.connect() as connection:
        return connection.execute(
            f"SELECT seq, event_id FROM {reader}('{folder}/*/*.{form}', hive_partitioning = true)"
            " ORDER BY seq"
        ).fetchall()


def names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*.*"))
    return sorted(str(path) for path in paths if path.parts[0] != MARKERS)


def test_increments_hold_each_fact_once_while_writers_write(
    tmp_path: Path, store: Store, export: Exporter
) -> None:
    def append(writer: int) -> None:
        with store.connect() as connection:
            appender = Appender(connection)
            for batch in range(20):
                appender.append(facts(writer * 10_000 + batch * 100, 5 + batch))

    writers = [threading.Thread(target=append, args=[writer]) for writer in range(3)]
    for writer in writers:
        writer.start()
    paths: list[Path] = []
    since = 0
    while any(writer.is_alive() for writer in writers) or len(log(store)) > since_rows(paths):
        path = tmp_path / f"{len(paths):04}.parquet"
        done = export(path, "events", since=since)
        assert done.last_seq is not None
        since = done.last_seq
        paths.append(path)
    for writer in writers:
        writer.join()

    read = pl.concat([pl.read_parquet(path) for path in paths]).select("seq", "event_id").rows()
    assert len(paths) > 1
    assert read == log(store)


def since_rows(paths: list[Path]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in paths)


def test_days_hold_each_fact_once_after_many_increments_in_every_format(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    for form in FORMATS:
        export(tmp_path / form, "events", form=form, by_day=True)
    since = 0
    for increment in range(4):
        # Each time a later day, and something late for the first.
        appender.append(facts(increment * 100, 10, day=increment))
        appender.append(facts(increment * 100 + 50, 3))
        for form in FORMATS:
            export(tmp_path / form, "events", form=form, by_day=True, since=since)
        since = log(store)[-1][0]

    for form in FORMATS:
        assert lake(tmp_path / form, form) == log(store)
        assert len(list((tmp_path / form / "day=2026-07-01").iterdir())) == 4
    days = pl.scan_parquet(tmp_path / "parquet" / "**" / "*.parquet", hive_partitioning=True)
    assert days.select("day").unique().collect().height == 4


def test_the_same_increment_again_changes_nothing(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True)
    appender.append(facts(5, 5))

    for _ in range(2):
        assert export(folder, "events", form=Format.PARQUET, by_day=True, since=5).rows == 5
        assert lake(folder) == log(store)
    appender.append(facts(10, 5))
    assert export(folder, "events", form=Format.PARQUET, by_day=True, since=5).rows == 10
    assert lake(folder) == log(store)
    assert len(names(folder)) == 2


def test_an_export_anew_takes_the_place_of_the_old(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True)
    appender.append(facts(5, 5, day=1))
    export(folder, "events", form=Format.PARQUET, by_day=True)
    export(tmp_path / "book", "positions", form=Format.CSV, by_day=True)
    before = names(tmp_path / "book")
    appender.append(facts(10, 7, day=2))
    export(tmp_path / "book", "positions", form=Format.CSV, by_day=True)

    assert lake(folder) == log(store)[:10]
    assert before == ["day=2026-07-01/positions.csv", "day=2026-07-02/positions.csv"]
    assert names(tmp_path / "book") == ["day=2026-07-03/positions.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book", "lake"]


def test_what_would_leave_a_hole_or_a_double_is_refused_with_the_seq_to_go_on_with(
    tmp_path: Path, appender: Appender, export: Exporter
) -> None:
    folder = tmp_path / "lake"
    appender.append(facts(0, 5))
    export(folder, "events", form=Format.PARQUET, by_day=True)
    appender.append(facts(5, 5))
    appender.append(facts(10, 5))

    for since in (3, 7):
        with pytest.raises(ConfigurationError, match="Go on with --since 5"):
            export(folder, "events", form=Format.PARQUET, by_day=True, since=since)
    with pytest.raises(ConfigurationError, match="The log ends at seq 15"):
        export(folder, "events", form=Format.PARQUET, by_day=True, since=16)
    assert len(names(folder)) == 1


def test_a_folder_of_something_else_is_left_alone(
    tmp_path: Path, appender: Appender, export: Exporter
) -> None:
    appender.append(facts(0, 5))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear", encoding="utf-8")
    export(tmp_path / "book", "positions", form=Format.CSV, by_day=True)

    for folder in ("home", "book"):
        with pytest.raises(ConfigurationError, match="is not of such an export"):
            export(tmp_path / folder, "events", form=Format.CSV, by_day=True)
    with pytest.raises(ConfigurationError, match="is no folder"):
        export(tmp_path / "home" / "letter.txt", "events", form=Format.CSV, by_day=True)
    with pytest.raises(ConfigurationError, match="is a folder"):
        export(tmp_path / "home", "events", form=Format.CSV)
    assert names(tmp_path) == ["book/day=2026-07-01/positions.csv", "home/letter.txt"]


def test_more_days_than_are_written_at_once_are_written_in_parts(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    appender.append([event(f"a_{n}", at=n * A_DAY) for n in range(100)])
    appender.append([event(f"b_{n}", at=n * A_DAY) for n in range(100)])
    folder = tmp_path / "lake"
    done = export(folder, "events", form=Format.CSV, by_day=True)

    assert lake(folder, Format.CSV) == log(store)
    assert done.files == len(names(folder))
    assert len({name.partition("/")[0] for name in names(folder)}) == 100


def test_days_come_from_a_column_and_a_row_without_one_has_its_own(
    tmp_path: Path, export: Exporter
) -> None:
    query = "SELECT n, CASE WHEN n > 1 THEN date '2026-07-01' + n END AS day FROM"
    export(
        tmp_path / "out",
        query=f"{query} generate_series(1, 3) n",
        form=Format.PARQUET,
        by_day=True,
    )
    with pytest.raises(ConfigurationError, match="no day of its own"):
        export(tmp_path / "none", "position_statuses", form=Format.PARQUET, by_day=True)

    assert names(tmp_path / "out") == [
        "day=2026-07-03/query.parquet",
        "day=2026-07-04/query.parquet",
        "day=__HIVE_DEFAULT_PARTITION__/query.parquet",
    ]
    file = tmp_path / "out" / "day=2026-07-03" / "query.parquet"
    assert pq.ParquetFile(file).schema_arrow.names == ["n"]


def interrupted(done: int, total: int | None) -> None:
    raise KeyboardInterrupt(f"{done} of {total}")


def test_an_interrupted_export_leaves_everything_as_it_was(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    appender.append(facts(0, 5))
    for form in FORMATS:
        export(tmp_path / f"log.{form}", "events")
        export(tmp_path / form, "events", form=form, by_day=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    appender.append(facts(5, 5, day=1))

    fails = Exporter(store, progress=interrupted)
    for form in FORMATS:
        for since in (None, 5):
            with pytest.raises(KeyboardInterrupt):
                fails(tmp_path / f"log.{form}", "events", since=since)
            with pytest.raises(KeyboardInterrupt):
                fails(tmp_path / form, "events", form=form, by_day=True, since=since)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_process_that_is_ended_leaves_no_file_that_looks_whole(
    tmp_path: Path, store_url: str, ending: signal.Signals
) -> None:
    whole = tmp_path / "out.parquet"
    whole.write_bytes(b"what was there")
    endless = "SELECT generate_series(1, 1000000000) AS n, repeat('x', 1000) AS x"
    process = subprocess.Popen(
        [sys.executable, *POSITIONSTORE, "export", "--sql", endless, "--out", whole],
        env={"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path / "data")},
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(
            lambda: any(path.stat().st_size for path in tmp_path.glob(".out.parquet.*.partial")),
            "something is written",
        )
        process.send_signal(ending)
        _, said = process.communicate(timeout=90)
    finally:
        process.kill()

    assert process.returncode in {128 + ending, -ending}
    assert b"Traceback" not in said
    assert whole.read_bytes() == b"what was there"
    assert list(tmp_path.glob("*.parquet")) == [whole]
    assert ending is signal.SIGKILL or not list(tmp_path.glob(".*"))
