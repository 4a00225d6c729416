"""Tables of Iceberg: the log as a feed, exactly once, and read back by other engines."""

import importlib.util
import shutil
import subprocess
import sys
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


@pytest.fixture
def metadata(tmp_path: Path, store: Store, appender: Appender, feed: Any) -> str:
    """Where the metadata of a table is that was fed three times."""
    for increment in range(3):
        appender.append(facts(increment * 5, 5))
        feed()
    return loaded(tmp_path / "lake").metadata_location.removeprefix("file://")


def test_duckdb_reads_the_table_by_its_metadata(store: Store, metadata: str) -> None:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        try:
            connection.load_extension("iceberg")
        except duckdb.Error as error:
            pytest.skip(f"DuckDB's extension iceberg is not installed: {error}"[:200])
        rows = connection.execute(
            "SELECT seq, event_id FROM iceberg_scan($metadata) ORDER BY seq",
            {"metadata": metadata},
        ).fetchall()
    assert rows == log(store)


_BY_SPARK = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
for row in spark.read.parquet(*sys.argv[1:]).orderBy("seq").select("seq", "event_id").collect():
    print(row.seq, row.event_id)
"""


@pytest.mark.slow
def test_spark_reads_the_files_of_the_current_snapshot(
    tmp_path: Path, store: Store, metadata: str
) -> None:
    # The jar iceberg-spark-runtime is in no registry that the tests use, so Spark is given the
    # files that the table's manifests name.
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed: pip install --group spark")
    if shutil.which("java") is None:
        pytest.skip("there is no Java for Spark")
    done = subprocess.run(
        [sys.executable, "-c", _BY_SPARK, *data_files(loaded(tmp_path / "lake"))],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.stdout.split() == [str(word) for row in log(store) for word in row]
