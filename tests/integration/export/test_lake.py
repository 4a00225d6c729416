"""A lake: fed exactly once whatever befalls the feeder, and the proof of the store by it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table import Table
from support.factories import NOON, event, moment, snapshot
from support.fork_server import completed
from support.killed_exports import killer
from support.lakes import Desk, change, desk, digest, needs_spark
from support.old_positions import LATER, archived, facts, files, fill
from support.waiting import DEADLINE

from positionstore.errors import (
    ConfigurationError,
    MissingFilesError,
    PositionstoreError,
    StoreRefusedError,
)
from positionstore.export.iceberg import IcebergTable, _is_in
from positionstore.importer.archives import bring_back
from positionstore.lake import feed as feeding
from positionstore.lake.by_duckdb import by_duckdb
from positionstore.lake.engine import Folding, local_path
from positionstore.lake.feed import feed
from positionstore.lake.lake import Lake
from positionstore.lake.names import EngineName
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from positionstore.store.fold import Difference


@pytest.fixture
def beside(store: Store, tmp_path: Path) -> Iterator[Desk]:
    with desk(store, tmp_path / "lake", EngineName.DUCKDB) as made:
        yield made


def some(first: int, count: int, **what: Any) -> list[Any]:
    return [
        event(f"evt_{n}", position=f"dm_pos_{n % 7}", at=n * 3600, **what)
        for n in range(first, first + count)
    ]


def log(store: Store) -> list[int]:
    with store.connect() as connection:
        return [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]


def table_of(place: Path) -> Table:
    """The table as another program sees it."""
    catalog = load_catalog("positionstore", type="sql", uri=f"sqlite:///{place / 'catalog.db'}")
    return catalog.load_table("positionstore.facts")


def held(place: Path) -> list[int]:
    """The seqs in the files of the lake's current snapshot."""
    return sorted(
        seq
        for file in Lake(place).table.current_files()
        for seq in pq.read_table(local_path(file.path), columns=["seq"])["seq"].to_pylist()
    )


def test_a_lake_is_fed_in_increments_and_proves_the_store(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    assert (beside.feed().facts, beside.verify().differences) == (0, [])
    appender.append(some(0, 10))
    done = beside.feed(increment=4)
    assert (done.facts, done.increments, done.last_seq) == (10, 3, 10)
    appender.append(some(10, 3))
    proof = beside.verify()
    assert (proof.facts, proof.compared, proof.changed_since, proof.last_seq) == (10, 4, 3, 10)
    assert (beside.feed().facts, beside.feed().facts) == (3, 0)
    proof = beside.verify()
    assert (proof.facts, proof.compared, proof.changed_since, proof.last_seq) == (13, 7, 0, 13)
    assert (proof.differences, proof.findings) == ([], [])
    assert held(tmp_path / "lake") == log(store)


def test_the_facts_that_can_win_stand_together_in_a_file_and_do_so_after_a_merge(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    ends = ["closed", "open", "settled", "pending"]
    for first in (0, 40):
        appender.append(
            [
                event(f"evt_{n}", position=f"dm_pos_{n % 5}", status=ends[n % 4], at=n)
                for n in range(first, first + 40)
            ]
        )
        appender.append_snapshots([snapshot(as_of=first + 20)], moment(first + 21))
        beside.feed(compact=True)
        (file,) = beside.lake.files()
        rows = pq.read_table(local_path(file.path))
        kinds = [
            1 if overrules else 2 if status in {"closed", "settled"} else 0
            for status, overrules in zip(
                rows["status"].to_pylist(), rows["supersedes_before"].to_pylist(), strict=True
            )
        ]
        places = list(
            zip(kinds, rows["position_id"].to_pylist(), rows["seq"].to_pylist(), strict=True)
        )
        assert set(kinds) == {0, 1, 2}
        assert places == sorted(places)
    assert held(tmp_path / "lake") == log(store)
    assert beside.verify().differences == []


def test_no_time_outweighs_a_phase(store: Store, appender: Appender, beside: Desk) -> None:
    first, last = (
        (day - NOON).total_seconds()
        for day in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
    )
    appender.append(
        [
            event("evt_1", position="dm_pos_1", status="closed", at=first),
            event("evt_2", position="dm_pos_1", status="open", at=last),
            event("evt_3", position="dm_pos_2", status="open", at=first),
            event("evt_4", position="dm_pos_2", status="pending", at=last),
        ]
    )
    beside.feed()
    assert beside.verify().differences == []
    found = {row["position_id"]: row["status"] for row in beside.positions().to_pylist()}
    assert found == {"dm_pos_1": "closed", "dm_pos_2": "open"}


def test_what_was_changed_in_the_store_is_named(
    store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 20))
    beside.feed()
    change(store, "UPDATE positions SET status = 'closed' WHERE position_id = 'dm_pos_1'")
    change(store, "UPDATE positions SET data = data || '{\"x\": 1}' WHERE position_id = 'dm_pos_2'")
    change(store, "DELETE FROM positions WHERE position_id = 'dm_pos_3'")
    change(
        store,
        "INSERT INTO positions (position_id, status, phase, data, last_event_id, last_event_type,"
        " last_event_at, source, updated_at)"
        " VALUES ('dm_pos_x', 'open', 'live', '{}', 'evt', 't', now(), 'partner', now())",
    )
    assert beside.verify().differences == [
        Difference("dm_pos_1", "different", ["status"]),
        Difference("dm_pos_2", "different", ["data_md5"]),
        Difference("dm_pos_3", "missing", []),
        Difference("dm_pos_x", "unfounded", []),
    ]


def test_what_was_changed_in_the_lake_is_named(
    store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 20))
    beside.feed()
    (file,) = beside.lake.files()
    path = local_path(file.path)
    rows = pq.read_table(path).sort_by("seq")
    sides = pa.array(["yes" if n == 19 else v for n, v in enumerate(rows["side"].to_pylist())])
    at = rows.schema.get_field_index("side")
    pq.write_table(rows.set_column(at, rows.schema.field(at), sides), path)
    found = beside.verify()
    assert found.differences == [Difference("dm_pos_5", "different", ["side"])]
    assert found.findings == []

    pq.write_table(pa.concat_tables([rows.slice(0, 19), rows.slice(0, 1)]), path)
    found = beside.verify()
    assert "dm_pos_5" in {each.position_id for each in found.differences}
    assert found.findings == [
        "The lake has 1 facts more than once.",
        "The lake's last fact is seq 19, and its table says 20.",
    ]
    pq.write_table(rows.slice(1), path)
    assert beside.verify().findings == ["The lake's files have 19 facts, and its table says 20."]


def test_a_changed_rule_is_that_of_the_next_feed(
    store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 7, status="frozen"))
    beside.feed()
    change(
        store,
        "INSERT INTO position_statuses (status, phase, precedence, description)"
        " VALUES ('frozen', 'terminal', 95, '')",
    )
    differences = beside.verify().differences
    assert {each.columns[0] for each in differences} == {"phase"}
    change(store, "UPDATE positions SET phase = 'terminal'")
    assert beside.verify().differences == []
    assert set(beside.positions()["phase"].to_pylist()) == {"live"}
    beside.feed()
    assert set(beside.positions()["phase"].to_pylist()) == {"terminal"}


@pytest.mark.slow
@pytest.mark.timeout(900)  # some dozen processes
def test_a_kill_at_any_step_loses_one_increment_and_doubles_nothing(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    place = tmp_path / "lake"
    appender.append(some(0, 3))
    feed(store, place)
    killed, step = True, 0
    with killer() as kill:
        while killed:
            step += 1
            before = log(store)
            appender.append(some(step * 10, 4))
            killed = kill(store.url, place, at=step, of="iceberg", lake=True, increment=2)
            now = log(store)
            assert held(place) in (before, now[:-2], now)
            feed(store, place)
            assert held(place) == now
    assert step > 8


def test_of_two_feeders_at_once_one_is_told_to_wait_and_nothing_is_doubled(
    tmp_path: Path, store: Store, appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "lake"
    appender.append(some(0, 3))
    feed(store, place)
    appender.append(some(3, 3))
    add = feeding._add

    def meanwhile(*arguments: Any) -> int:
        monkeypatch.setattr(feeding, "_add", add)
        with pytest.raises(PositionstoreError, match="Another run is writing"):
            feed(store, place)
        # One that cannot see the lock, such as of a store that was restored elsewhere.
        with monkeypatch.context() as patch:
            patch.setattr(feeding, "alone", lambda *_: None)
            assert feed(store, place).facts == 3
        return add(*arguments)

    monkeypatch.setattr(feeding, "_add", meanwhile)
    with pytest.raises(PositionstoreError, match=r"changed the table .* meanwhile; nothing"):
        feed(store, place)
    assert held(place) == log(store)


def test_the_lake_of_another_store_is_refused(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 3))
    feed(store, tmp_path / "lake")
    change(store, "ALTER TABLE events DISABLE TRIGGER USER")
    change(store, "UPDATE events SET event_id = 'evt_other' WHERE seq = 3")
    with pytest.raises(ConfigurationError, match="a fact that is not of this log: seq 3"):
        feed(store, tmp_path / "lake")
    with pytest.raises(ConfigurationError, match="a fact that is not of this log: seq 3"):
        beside.verify()
    change(store, "DELETE FROM events WHERE seq > 1")
    with pytest.raises(ConfigurationError, match="a fact that is not of this log: seq 3"):
        feed(store, tmp_path / "lake")
    # As where a duplicate was refused: the log goes on, and has no such seq.
    appender.append(some(3, 3))
    assert max(log(store)) > 3
    assert 3 not in log(store)
    with pytest.raises(ConfigurationError, match="a fact that is not of this log: seq 3"):
        feed(store, tmp_path / "lake")
    with pytest.raises(ConfigurationError, match="a fact that is not of this log: seq 3"):
        beside.verify()


def test_a_fact_that_another_program_took_out_of_the_lake_is_noticed(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 10))
    beside.feed(increment=4)
    appender.append(some(10, 10))
    beside.feed(increment=4, compact=True)
    assert beside.verify().findings == []
    table_of(tmp_path / "lake").delete("seq = 2")
    proof = beside.verify()
    assert (proof.facts, proof.differences) == (19, [])
    assert proof.findings == ["The lake's table has 19 facts, and 20 were fed."]
    appender.append(some(20, 3))
    beside.feed(compact=True)
    assert beside.verify().findings == ["The lake's table has 22 facts, and 23 were fed."]


@pytest.mark.parametrize(
    "engine",
    [
        EngineName.DUCKDB,
        pytest.param(EngineName.SPARK, marks=[pytest.mark.slow, needs_spark()]),
    ],
)
def test_files_that_are_gone_are_named_and_nothing_is_compared_without_them(
    tmp_path: Path, store: Store, appender: Appender, engine: EngineName
) -> None:
    appender.append(some(0, 10))
    with desk(store, tmp_path / "lake [1]", engine) as beside:
        beside.feed(increment=2)
        paths = sorted(str(local_path(each.path)) for each in beside.lake.files())
        for path in paths[:4]:
            shutil.move(path, tmp_path)
        proof = beside.verify()
        assert (proof.missing, proof.compared, proof.facts) == (paths[:4], 0, 0)
        (finding,) = proof.findings
        assert finding.startswith("4 of 5 files of the lake in ")
        assert f"are missing: {', '.join(paths[:3])} and 1 more. Put back what" in finding
        with pytest.raises(MissingFilesError, match="4 of 5 files"):
            beside.positions()
        appender.append(some(10, 2))
        assert beside.feed().facts == 2
        with pytest.raises(
            PositionstoreError, match=r"A file of the table .* is missing: .*\. Put"
        ):
            beside.feed(compact=True)
        for path in paths[:4]:
            shutil.move(tmp_path / Path(path).name, path)
        proof = beside.verify()
        assert (proof.missing, proof.findings, proof.differences) == ([], [], [])
        assert (proof.facts, proof.compared) == (12, 7)


def test_a_lake_that_lacks_a_column_of_this_version_is_to_be_fed_first(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    appender.append(some(0, 10))
    beside.feed()
    with table_of(tmp_path / "lake").update_schema() as update:
        update.delete_column("provider")
    (file,) = beside.lake.files()
    path = local_path(file.path)
    pq.write_table(pq.read_table(path).drop_columns(["provider"]), path)
    with pytest.raises(ConfigurationError, match=r"lacks columns .*: provider\. Feed it first"):
        beside.verify()
    with pytest.raises(ConfigurationError, match="Feed it first"):
        beside.timeline("dm_pos_1")


@pytest.mark.slow
def test_a_catalogue_whose_table_is_elsewhere_is_refused(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    appender.append(some(0, 3))
    feed(store, tmp_path / "lake")
    shutil.copytree(tmp_path / "lake", tmp_path / "copied")
    with pytest.raises(ConfigurationError, match=r"is in file://.*/lake/.*, not in .*/copied"):
        feed(store, tmp_path / "copied")
    catalogue = {"PYICEBERG_CATALOG__POSITIONSTORE__URI": f"sqlite:///{tmp_path}/another.db"}
    fed = run(store, tmp_path, "lake", "feed", "a", variables=catalogue)
    assert fed.returncode == 0, fed.stderr
    for arguments in (["feed", "b"], ["positions", "neverfed", "--out", "p.parquet"]):
        refused = run(store, tmp_path, "lake", *arguments, variables=catalogue)
        assert refused.returncode == 2, refused
        assert "Name the place that it is in" in refused.stderr
        assert refused.stderr.count("\n") == 1
    (tmp_path / "link").symlink_to(tmp_path / "lake")
    for same in ("lake/", "lake/../lake", "link"):
        assert Lake(f"{tmp_path}/{same}").last_seq() == 3


@pytest.mark.parametrize(
    ("location", "warehouse", "inside"),
    [
        ("s3://desk/lake/positionstore/facts", "s3://desk/lake", True),
        ("s3://desk/lake/positionstore/facts", "s3://desk/lake/?region=eu", True),
        ("s3://desk/lake2/positionstore/facts", "s3://desk/lake", False),
        ("s3://desk/lake/positionstore/facts", "/desk/lake", False),
        ("file:///desk/lake/facts", "s3://desk/lake", False),
        ("file:/desk/lake/facts", "/desk/lake/", True),
        ("file:///desk/my%20lake/facts", "/desk/my lake", True),
        ("file:///desk/my lake/facts", "/desk/my lake", True),
        ("/desk/lake/facts", "/desk/lake", True),
        ("/desk/lake2/facts", "/desk/lake", False),
    ],
)
def test_where_a_table_is_has_several_spellings(
    location: str, warehouse: str, inside: bool
) -> None:
    assert _is_in(location, warehouse) is inside


@pytest.mark.parametrize(
    "said", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")]
)
def test_what_duckdb_makes_of_an_interrupt_is_one_again(said: Exception) -> None:
    with pytest.raises(KeyboardInterrupt), by_duckdb():
        raise said


@pytest.mark.parametrize(
    "raised", [KeyboardInterrupt(), SystemExit(143), PositionstoreError("The store is gone.")]
)
def test_what_ends_the_reading_of_rows_that_duckdb_is_given_is_raised(
    raised: BaseException,
) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise raised

    rows = pa.RecordBatchReader.from_batches(pa.schema({"n": pa.int64()}), batches())

    with pytest.raises(type(raised)) as caught, by_duckdb() as engine:
        engine.give("given_rows", rows)

    assert caught.value is raised


def test_sigterm_ends_a_command_of_a_lake_and_its_folder_goes(tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from positionstore.cli.interrupts import end_on_sigterm\n"
        "from positionstore.lake.by_duckdb import by_duckdb\n"
        "end_on_sigterm()\n"
        "with by_duckdb():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (143, "")
    assert list(tmp_path.iterdir()) == []


def test_a_lake_of_a_newer_version_is_refused(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    appender.append(some(0, 3))
    feed(store, tmp_path / "lake")
    table = IcebergTable(tmp_path / "lake", "facts")
    schema = pa.schema([("seq", pa.int64()), ("risk_funding_bps", pa.int64())])
    table.append([], schema, since=3)
    with pytest.raises(ConfigurationError, match="does not know: risk_funding_bps"):
        feed(store, tmp_path / "lake")


@pytest.mark.superuser
def test_a_field_that_was_added_since_is_filled_in_for_every_fact_the_archived_too(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    odd = {"risk": {"health_bps": "much"}, "current": {"position_token_units": "9" * 38}}
    fill(appender)
    appender.append([event("evt_odd", position="dm_pos_odd", at=9, body=odd)])
    appender.append([event("evt_later", position="dm_pos_odd", at=8, body={"provider": "p"})])
    beside.feed(increment=3)
    before = digest(beside.positions())
    archived(store.url, tmp_path / "archives")
    with table_of(tmp_path / "lake").update_schema() as update:
        for column in ("current_position_token_units", "risk_health_bps", "provider"):
            update.delete_column(column)
    assert beside.feed().facts == 1  # the fact that tells of the archive
    assert digest(beside.positions()) == before
    proof = beside.verify()
    assert (proof.differences, proof.findings) == ([], [])
    (row,) = [r for r in beside.positions().to_pylist() if r["position_id"] == "dm_pos_odd"]
    assert row["misfit_fields"] == '["risk.health_bps"]'
    assert row["current_position_token_units"] == int("9" * 38)


@pytest.mark.superuser
def test_a_lake_that_was_fed_before_an_archive_stays_right_and_one_that_was_not_is_refused(
    tmp_path: Path, store: Store, appender: Appender, beside: Desk
) -> None:
    fill(appender)
    with store.connect() as connection:
        whole = [row[0] for row in facts(connection)]
    beside.feed()
    archived(store.url, tmp_path / "archives")
    proof = beside.verify()
    assert (proof.differences, proof.findings, proof.changed_since) == ([], [], 0)
    assert beside.feed().facts == 1  # the fact that tells of the archive
    assert beside.verify().differences == []
    late = tmp_path / "late"
    with pytest.raises(StoreRefusedError, match=r"a lake that begins now .* import FILE"):
        feed(store, late)
    (file,) = files(tmp_path / "archives")
    bring_back(store, [file], now=LATER + timedelta(days=1))
    feed(store, late)
    assert set(held(late)) >= set(whole)
    beside.feed()
    assert held(tmp_path / "lake") == log(store)


def run(
    store: Store,
    tmp_path: Path,
    *arguments: str,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    environment = {
        "DATABASE_URL": store.url,
        "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        **variables,
    }
    return completed(arguments, environment=environment, folder=tmp_path, within=DEADLINE)


def test_a_user_feeds_folds_and_verifies(tmp_path: Path, store: Store, appender: Appender) -> None:
    appender.append(some(0, 20))
    without = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake")
    assert without.returncode == 2
    assert "There is no lake in lake. Feed it first: positionstore lake feed" in without.stderr
    fed = run(store, tmp_path, "lake", "feed", "lake")
    assert fed.stdout == (
        "Added 20 facts to lake in 1 increment. It holds the log up to seq 20.\n"
    ), fed.stderr
    proved = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake")
    assert proved.stdout == (
        "Compared 7 positions with the fold of 20 facts, up to seq 20.\n"
        "Every position compared is the fold of its facts.\n"
    ), proved.stderr
    change(store, "UPDATE positions SET status = 'closed' WHERE position_id = 'dm_pos_1'")
    appender.append(some(23, 1))
    found = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake")
    assert found.returncode == 3
    assert "Since then 1 position changed; feed the lake.\n" in found.stdout
    assert "dm_pos_1\tdifferent\tstatus\n1 differ from the fold of their facts.\n" in found.stdout
    found = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake", "--json")
    said = json.loads(found.stdout)
    assert said["compared"] == 6
    assert [each["position_id"] for each in said["differences"]] == ["dm_pos_1"]

    written = run(store, tmp_path, "lake", "positions", "lake", "--out", "p.parquet", "--json")
    assert json.loads(written.stdout) == {"out": "p.parquet", "positions": 7, "last_seq": 20}
    assert written.stderr == ""
    assert pq.read_table(tmp_path / "p.parquet").num_rows == 7
    earlier = run(
        store, tmp_path, "lake", "positions", "lake", "--out", "e.parquet",
        "--valid-at", "2026-07-01T14:30:00Z",
    )  # fmt: skip
    assert earlier.stdout.startswith("Wrote 3 positions to e.parquet, by the log up to seq 20.")
    life = run(store, tmp_path, "lake", "timeline", "lake", "dm_pos_1")
    assert len(life.stdout.splitlines()) == 4
    text = run(store, tmp_path, "lake", "sql", "positions")
    assert text.stdout.startswith("-- Reads: facts,")
    assert "max_by(" in text.stdout


def test_a_proof_that_compared_nothing_is_no_success_where_the_log_has_more(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    def verify(*more: str) -> subprocess.CompletedProcess[str]:
        return run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake", *more)

    assert run(store, tmp_path, "lake", "feed", "lake").returncode == 0
    empty = verify()
    assert (empty.returncode, empty.stderr) == (0, "")
    assert empty.stdout.endswith("Every position compared is the fold of its facts.\n")

    appender.append(some(0, 20))
    unfed = verify()
    assert unfed.returncode == 1
    assert unfed.stdout == (
        "Compared 0 positions with the fold of 0 facts, up to seq 0."
        " Since then 7 positions changed; feed the lake.\n"
        "Nothing was proved: the lake lacks facts of every position."
        " Add them: positionstore lake feed lake\n"
    )
    unfed = verify("--json")
    said = json.loads(unfed.stdout)
    assert (unfed.returncode, said["compared"], said["changed_since"]) == (1, 0, 7)
    assert (said["last_seq"], said["newest_seq"]) == (0, 20)

    assert run(store, tmp_path, "lake", "feed", "lake").returncode == 0
    assert verify().returncode == 0
    appender.append(some(20, 7))  # one for each position
    assert verify().returncode == 1
    change(store, "DELETE FROM positions WHERE position_id = 'dm_pos_1'")
    assert run(store, tmp_path, "lake", "feed", "lake").returncode == 0
    assert verify().returncode == 3


def test_facts_that_say_nothing_of_a_position_are_not_proved_by_a_lake_without_them(
    store: Store, appender: Appender, beside: Desk
) -> None:
    beside.feed()
    appender.append([event("evt_1", body={"status": None})])
    proof = beside.verify()
    assert (proof.compared, proof.changed_since, proof.proves_nothing) == (0, 0, True)
    beside.feed()
    proof = beside.verify()
    assert (proof.facts, proof.compared, proof.proves_nothing) == (1, 0, False)


def test_a_file_that_is_gone_is_a_finding_of_verify_and_an_error_of_a_fold(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    appender.append(some(0, 20))
    feed(store, tmp_path / "lake")
    (file,) = Lake(tmp_path / "lake").files()
    path = str(local_path(file.path))
    Path(path).unlink()
    line = (
        f"1 of 1 files of the lake in lake is missing: {path}. Put back what is gone, from a backup"
        " or the bucket's earlier versions, or remove the lake and feed it again:"
        " positionstore lake feed lake\n"
    )
    found = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake")
    assert (found.returncode, found.stdout, found.stderr) == (3, line, "")
    found = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake", "--json")
    assert (found.returncode, json.loads(found.stdout)["missing"]) == (3, [path])
    refused = run(store, tmp_path, "lake", "positions", "lake", "--out", "p.parquet")
    assert (refused.returncode, refused.stderr) == (1, f"positionstore: {line}")
    shutil.rmtree(tmp_path / "lake")
    assert run(store, tmp_path, "lake", "feed", "lake").returncode == 0
    proved = run(store, tmp_path, "verify", "--engine", "duckdb", "--lake", "lake")
    assert proved.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--engine", "duckdb"],
        ["verify", "--lake", "lake"],
        ["verify", "--engine", "duckdb", "--lake", "lake", "--archives", "."],
        ["verify", "--engine", "duckdb", "--lake", "lake", "--spark-master", "local[1]"],
        ["lake", "sql", "dances"],
        ["lake", "sql", "timeline", "--known-at", "2026-07-01"],
        ["lake", "positions", "lake", "--out", "no/where.parquet"],
        ["lake", "positions", "lake", "--out", "."],
        ["lake", "timeline", "lake", "dm_pos_1", "--spark-master", "local[1]"],
        ["lake", "positions", "nowhere", "--out", "p.parquet"],
        ["lake", "feed", ""],
        ["lake", "feed", "50%25"],
        ["lake", "feed", "two\nlines"],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    tmp_path: Path, store: Store, arguments: list[str]
) -> None:
    done = run(store, tmp_path, *arguments)
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_blank_in_its_name_has_all_of_the_lake(
    tmp_path: Path, store: Store, appender: Appender
) -> None:
    appender.append(some(0, 5))
    folder = tmp_path / "desk one" / "lake"
    feed(store, folder)
    assert [each.name for each in tmp_path.iterdir()] == ["desk one"]
    with by_duckdb() as engine:
        assert len(engine.run(Folding(engine, Lake.fed(folder)).positions())) == 5
