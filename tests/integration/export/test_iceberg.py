"""Tables of Iceberg: the log as a feed, exactly once, and read back by other engines."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from support.exporting import Exporter
from support.factories import event
from support.killed_exports import killer

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.formats import Format
from positionstore.export.iceberg import LAST_SEQ, IcebergTable, iceberg_schema
from positionstore.store.appender import Appender
from positionstore.store.database import Store

Rows = list[tuple[int, str]]


def facts(first: int, count: int) -> list[Any]:
    return [event(f"evt_{n}", at=n * 3600) for n in range(first, first + count)]


def log(store: Store) -> Rows:
    with store.connect() as connection:
        return connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()


def loaded(warehouse: Path, what: str = "events") -> Table:
    catalog = SqlCatalog(
        "positionstore", uri=f"sqlite:///{warehouse}/catalog.db", warehouse=warehouse.as_uri()
    )
    try:
        return catalog.load_table(f"positionstore.{what}")
    finally:
        catalog.close()


def data_files(table: Table) -> list[str]:
    return [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]


def read(warehouse: Path) -> Rows:
    """What DuckDB sees in the files of the current snapshot."""
    if not (files := data_files(loaded(warehouse))):
        return []
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT seq, event_id FROM read_parquet($files) ORDER BY seq", {"files": files}
        ).fetchall()


@pytest.fixture
def feed(export: Exporter, tmp_path: Path) -> Any:
    def feed(**order: Any) -> Any:
        return export(tmp_path / "lake", "events", form=Format.ICEBERG, **{"resume": True, **order})

    return feed


def test_a_feed_goes_on_from_what_the_table_says_it_holds(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    for increment in range(3):
        appender.append(facts(increment * 5, 5))
        done = feed()
        assert (done.since, done.rows, done.files, done.last_seq) == (
            increment * 5,
            5,
            1,
            increment * 5 + 5,
        )
        assert done.bytes > 0
        assert read(tmp_path / "lake") == log(store)
        summary = loaded(tmp_path / "lake").snapshots()[-1].summary
        assert summary is not None
        assert summary[LAST_SEQ] == str(done.last_seq)
    again = feed()

    assert (again.rows, again.files) == (0, 0)
    assert len(loaded(tmp_path / "lake").snapshots()) == 3
    table = loaded(tmp_path / "lake").scan().to_arrow()
    with store.connect() as connection:
        rows = connection.execute(
            "SELECT position_id, created_at, envelope::text FROM events ORDER BY seq"
        ).fetchall()
    read_back = table.sort_by("seq").select(["position_id", "created_at", "envelope"]).to_pylist()
    assert [tuple(row.values()) for row in read_back] == rows


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_table_whole_and_the_next_run_goes_on(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    warehouse = tmp_path / "lake"
    appender.append(facts(0, 3))
    feed()
    killed = True
    step = 0
    with killer() as kill:
        while killed:
            step += 1
            before = log(store)
            appender.append(facts(step * 10, 4))
            killed = kill(store.url, warehouse, at=step, of="iceberg", form="iceberg", resume=True)
            assert read(warehouse) in (before, log(store))
            feed()
            assert read(warehouse) == log(store)
    assert step > 4


def test_of_two_feeders_with_the_same_facts_one_is_told_that_it_came_late(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    appender.append(facts(0, 3))
    feed()
    schema = pa.schema([("seq", pa.int64()), ("event_id", pa.string())])
    batch = pa.RecordBatch.from_pylist([{"seq": 4, "event_id": "evt_4"}], schema=schema)
    first, second = (IcebergTable(tmp_path / "lake", "events") for _ in range(2))

    def overtaken() -> Any:
        first.append([batch], schema, since=3)
        yield batch

    with pytest.raises(PositionstoreError, match=r"changed the table .* meanwhile; nothing"):
        second.append(overtaken(), schema, since=3)
    with pytest.raises(PositionstoreError, match=r"changed the table .* meanwhile; nothing"):
        second.append([batch], schema, since=3)

    assert read(tmp_path / "lake") == [*log(store), (4, "evt_4")]
    assert second.reload().last_seq() == 4


def test_the_snapshots_of_other_programs_do_not_change_where_it_goes_on(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    appender.append(facts(0, 5))
    feed()
    table = loaded(tmp_path / "lake")
    table.delete("seq = 2")
    table.maintenance.expire_snapshots().by_id(table.snapshots()[0].snapshot_id).commit()
    appender.append(facts(5, 5))

    assert feed().rows == 5
    assert read(tmp_path / "lake") == [row for row in log(store) if row[0] != 2]


def test_where_it_begins_has_to_be_where_the_table_ends(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    appender.append(facts(0, 5))
    feed()
    appender.append(facts(5, 5))
    for since in (0, 4, 7):
        with pytest.raises(ConfigurationError, match=r"ends at seq 5\. Go on with --since 5"):
            feed(resume=False, since=since)
    assert feed(resume=False, since=5).rows == 5
    assert feed(resume=False).rows == 10
    assert read(tmp_path / "lake") == log(store)
    assert feed().rows == 0


def test_compaction_merges_small_files_and_keeps_every_fact(
    tmp_path: Path, store: Store, appender: Appender, feed: Any
) -> None:
    for increment in range(4):
        appender.append(facts(increment * 5, 5))
        feed()
    assert len(data_files(loaded(tmp_path / "lake"))) == 4
    appender.append(facts(30, 5))
    feed(compact=True)

    assert len(data_files(loaded(tmp_path / "lake"))) == 1
    assert read(tmp_path / "lake") == log(store)
    appender.append(facts(40, 5))
    assert feed().rows == 5
    assert read(tmp_path / "lake") == log(store)


def test_a_new_column_of_the_log_becomes_one_of_the_table(tmp_path: Path) -> None:
    table = IcebergTable(tmp_path, "events")
    old = pa.schema([("seq", pa.int64())])
    table.append([pa.RecordBatch.from_pylist([{"seq": 1}], schema=old)], old, since=0)
    new = pa.schema([("seq", pa.int64()), ("note", pa.string())])
    table.append(
        [pa.RecordBatch.from_pylist([{"seq": 2, "note": "new"}], schema=new)], new, since=1
    )

    found = loaded(tmp_path).scan().to_arrow().sort_by("seq").to_pylist()
    assert found == [{"seq": 1, "note": None}, {"seq": 2, "note": "new"}]


def test_a_view_is_replaced_as_a_whole_and_exact(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter
) -> None:
    for _ in range(2):
        appender.append(facts(0, 5))
        export(tmp_path, "positions", form=Format.ICEBERG)
    with store.connect() as connection:
        rows = connection.execute(
            "SELECT position_id, entry_notional_usd_pips FROM positions ORDER BY 1"
        ).fetchall()
    found = loaded(tmp_path, "positions").scan().to_arrow().sort_by("position_id")
    assert (
        list(
            zip(
                found["position_id"].to_pylist(),
                found["entry_notional_usd_pips"].to_pylist(),
                strict=True,
            )
        )
        == rows
    )
    export(tmp_path, "position_lifecycle", form=Format.ICEBERG)
    assert loaded(tmp_path, "position_lifecycle").scan().to_arrow().num_rows == len(rows)


def test_types_that_iceberg_lacks_become_wider_ones() -> None:
    given = pa.schema([("a", pa.int16()), ("b", pa.duration("us")), ("c", pa.decimal128(38, 4))])
    assert iceberg_schema(given).types == [pa.int32(), pa.int64(), pa.decimal128(38, 4)]


def test_an_object_store_needs_a_catalogue_elsewhere(
    export: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYICEBERG_CATALOG__POSITIONSTORE__URI", raising=False)
    with pytest.raises(ConfigurationError, match="PYICEBERG_CATALOG__POSITIONSTORE__URI"):
        export("s3://lake/warehouse", "events", form=Format.ICEBERG, resume=True)


@pytest.mark.parametrize(
    ("relation", "query"),
    [("nothing", None), (None, "DELETE FROM positions"), (None, "SELECT x")],
)
def test_what_is_refused_leaves_no_folder(
    export: Exporter, tmp_path: Path, relation: str | None, query: str | None
) -> None:
    with pytest.raises(ConfigurationError):
        export(tmp_path / "lake", relation, form=Format.ICEBERG, query=query)
    assert not (tmp_path / "lake").exists()


EVENTS = "seq, position_id, created_at, envelope"
POSITIONS = "position_id, entry_notional_usd, effective_leverage_bps, opened_at"


@pytest.fixture
def lake(
    tmp_path: Path, store: Store, appender: Appender, export: Exporter, feed: Any
) -> dict[str, list[tuple[str, ...]]]:
    """A warehouse whose log was fed three times and compacted; what the store holds, as text."""
    for increment in range(3):
        appender.append(facts(increment * 5, 5))
        feed(compact=increment == 1)
    export(tmp_path / "lake", "open_positions", form=Format.ICEBERG)
    with store.connect() as connection:
        return {
            "events": as_text(connection.execute(f"SELECT {EVENTS} FROM events").fetchall()),
            "open_positions": as_text(
                connection.execute(f"SELECT {POSITIONS} FROM open_positions").fetchall()
            ),
        }


def as_text(rows: list[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """Sort rows that came by different ways, each value as the text that tells it exactly."""

    def text(value: Any) -> str:
        if isinstance(value, dict):
            return json.dumps(value, sort_keys=True)
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        return str(value)

    return sorted(
        tuple(
            text(json.loads(each) if str(each).startswith("{") else each)
            if isinstance(each, str)
            else text(each)
            for each in row
        )
        for row in rows
    )


def test_duckdb_reads_the_tables_by_their_metadata(
    tmp_path: Path, lake: dict[str, list[tuple[str, ...]]]
) -> None:
    found = {}
    with duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "extension_directory": str(tmp_path / "extensions"),
        }
    ) as connection:
        try:
            importer = importlib.import_module("duckdb_extensions")
            for name in ("avro", "iceberg"):
                importer.import_extension(name, con=connection)
                connection.load_extension(name)
        except (ImportError, duckdb.Error) as error:
            pytest.skip(f"DuckDB's iceberg is not installed: --group readers ({error})"[:200])
        for what, columns in (("events", EVENTS), ("open_positions", POSITIONS)):
            rows: Any = connection.execute(
                f"SELECT {columns} FROM iceberg_scan($metadata)",
                {"metadata": loaded(tmp_path / "lake", what).metadata_location},
            ).to_arrow_table()
            found[what] = as_text([tuple(row.values()) for row in rows.to_pylist()])
    assert found == lake


def by_spark(folder: Path, program: str, *arguments: str) -> list[list[Any]]:
    """Run a program with Spark, which prints a JSON list of rows."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed: pip install --group readers")
    if shutil.which("java") is None:
        pytest.skip("there is no Java for Spark")
    done = subprocess.run(
        [sys.executable, "-c", _SPARK + program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]  # our own JSON


_SPARK = """
import json, sys
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.sql.session.timeZone", "UTC")
"""

_BY_FILES = """
files = builder.getOrCreate().read.parquet(*sys.argv[1:]).orderBy("seq")
print(json.dumps([list(row) for row in files.select("seq", "event_id").collect()]))
"""

_BY_CATALOGUE = """
jars, warehouse, *queries = sys.argv[1:]
for key, value in {
    "spark.jars": jars,
    "spark.sql.catalog.positionstore": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.positionstore.type": "jdbc",
    "spark.sql.catalog.positionstore.uri": f"jdbc:sqlite:{warehouse}/catalog.db",
    "spark.sql.catalog.positionstore.warehouse": warehouse,
}.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
print(json.dumps([[list(row) for row in spark.sql(each).collect()] for each in queries]))
"""


@pytest.mark.slow
def test_spark_reads_the_files_of_the_current_snapshot(
    tmp_path: Path, store: Store, lake: dict[str, list[tuple[str, ...]]]
) -> None:
    found = by_spark(tmp_path, _BY_FILES, *data_files(loaded(tmp_path / "lake")))
    assert [tuple(row) for row in found] == log(store)


@pytest.mark.slow
def test_spark_reads_the_tables_by_their_catalogue(
    tmp_path: Path, lake: dict[str, list[tuple[str, ...]]]
) -> None:
    # iceberg-spark-runtime of the same Scala as pyspark, and a driver of JDBC for SQLite.
    if not (jars := os.environ.get("POSITIONSTORE_TEST_SPARK_JARS")):
        pytest.skip("POSITIONSTORE_TEST_SPARK_JARS names no jars of iceberg-spark-runtime")
    texts = {"created_at", "opened_at"}
    queries = []
    for what, columns in (("events", EVENTS), ("open_positions", POSITIONS)):
        chosen = ", ".join(
            f"date_format({each}, \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS+00:00\")"
            if each in texts
            else f"CAST({each} AS STRING)"
            for each in columns.split(", ")
        )
        queries.append(f"SELECT {chosen} FROM positionstore.positionstore.{what}")
    events, positions = by_spark(tmp_path, _BY_CATALOGUE, jars, str(tmp_path / "lake"), *queries)
    assert {"events": as_text(events), "open_positions": as_text(positions)} == lake
