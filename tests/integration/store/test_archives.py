"""Archives: the one way out of the log, and back."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.factories import event, moment, snapshot
from support.listening import heard
from support.old_positions import CUT, DAY, LATER, archived, facts, files, fill, life, now, rows
from support.postgres import Server, fresh_database
from support.waiting import DEADLINE

from positionstore.errors import ConfigurationError, PositionstoreError, StoreRefusedError
from positionstore.export.archive import YOUNGEST, archive
from positionstore.export.export import export
from positionstore.export.formats import Format
from positionstore.export.request import ExportRequest
from positionstore.importer import archive_check
from positionstore.importer.archives import bring_back
from positionstore.importer.files import import_files
from positionstore.model.facts import Retraction
from positionstore.store import archived as away
from positionstore.store import archives, database, projection
from positionstore.store.appender import Appender
from positionstore.store.archive_file import ArchiveWriter
from positionstore.store.database import Store
from positionstore.store.status import Archived, status

Connect = Callable[[], psycopg.Connection]
REFUSED = psycopg.errors.RestrictViolation


def back(url: str, *paths: str) -> list[archives.Restored]:
    return bring_back(Store(url, embedded=False), paths, now=LATER + timedelta(days=1))


def newest(connection: psycopg.Connection) -> int:
    (seq,) = connection.execute("SELECT max(seq) FROM events").fetchone() or (0,)
    return int(seq)


@pytest.fixture
def filled(appender: Appender) -> Appender:
    fill(appender)
    return appender


def test_facts_leave_the_log_and_the_book_stays(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before, book = facts(connection), rows(connection)

    done = archived(any_store_url, tmp_path)

    assert (done.positions, done.facts, done.left, done.passed_over) == (3, 16, 12, 0)
    assert [str(tmp_path / name) for name in done.files] == files(tmp_path)
    assert len(facts(connection)) == len(before) - 12
    assert rows(connection) == book
    assert projection.verify(connection) == []
    connection.execute("UPDATE positions SET market_title = 'tampered'")
    assert len(projection.rebuild(connection)) == 4
    assert rows(connection) == book
    assert archive_check.check(connection, tmp_path) == archive_check.Away(3, 1, 1, [])


def test_listeners_are_told_once_of_an_archive_and_of_its_return(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    connection.execute("LISTEN positionstore")

    archived(any_store_url, tmp_path)
    assert heard(connection) == [str(newest(connection))]

    back(any_store_url, *files(tmp_path))
    assert heard(connection) == [str(newest(connection))]


def test_the_log_says_what_went_where(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)

    ((archive_id, file, sha256, digest, number),) = connection.execute(
        "SELECT archive_id, file, sha256, digest, facts FROM archives"
    )
    told = connection.execute("""
        SELECT event_id, type, source, data ->> 'file', data ->> 'sha256', data ->> 'digest',
            (data ->> 'facts')::int, (data ->> 'ended_before')::timestamptz
        FROM (
            SELECT *, jsonb_from_wire(envelope) -> 'data' AS data
            FROM events_after((SELECT max(seq) - 1 FROM events))
        ) e
    """).fetchone()
    assert told == (archive_id, "archive", "import", file, sha256, digest, number, CUT)
    assert Path(files(tmp_path)[0]).name == file


def test_what_comes_back_is_what_was_there(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before, book = facts(connection), rows(connection)
    archived(any_store_url, tmp_path, positions_of_a_file=1)

    done = back(any_store_url, *files(tmp_path))

    assert sorted(each.returned for each in done) == [3, 4, 5]
    assert facts(connection) == before
    assert rows(connection) == book
    assert projection.verify(connection) == []
    assert away.count(connection) == (0, 0)
    assert archive_check.check(connection, tmp_path).findings == []
    again = back(any_store_url, *files(tmp_path))
    assert all(each.back_since == LATER + timedelta(days=1) for each in again)


def test_it_can_go_out_again(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before = facts(connection)
    archived(any_store_url, tmp_path)
    back(any_store_url, *files(tmp_path))
    again = archived(any_store_url, tmp_path, now=LATER + timedelta(days=2))
    assert again.positions == 3
    back(any_store_url, *files(tmp_path))
    assert facts(connection) == before


def test_a_second_run_finds_nothing_to_do(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    again = archived(any_store_url, tmp_path, now=LATER + timedelta(days=2))
    assert (again.positions, again.files) == (0, ())


def test_what_is_young_live_or_has_a_young_fact_stays(
    appender: Appender, connection: psycopg.Connection, any_store_url: str, tmp_path: Path
) -> None:
    appender.append(life("dm_pos_old"))
    appender.append(life("dm_pos_young", at=2 * DAY))
    appender.append(
        [*life("dm_pos_touched"), event("evt_n", position="dm_pos_touched", at=3 * DAY)]
    )
    appender.append([event("evt_one", position="dm_pos_one", status="closed")])
    appender.append(
        [event("evt_1", position="dm_pos_live"), event("evt_2", position="dm_pos_live")]
    )

    archived(any_store_url, tmp_path)

    found = connection.execute("SELECT position_id FROM archived_positions").fetchall()
    assert found == [("dm_pos_old",)]


def test_a_dry_run_counts_and_writes_nothing(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before = facts(connection)
    store = Store(any_store_url, embedded=False)
    done = archive(store, tmp_path / "there", before=CUT, now=LATER, dry_run=True, limit=2)
    assert (done.positions, done.left, done.files) == (2, None, ())
    assert not (tmp_path / "there").exists()
    assert facts(connection) == before


def test_the_limit_is_kept(filled: Appender, any_store_url: str, tmp_path: Path) -> None:
    assert archived(any_store_url, tmp_path, limit=2, positions_of_a_file=1).positions == 2
    assert len(files(tmp_path)) == 2


def test_a_moment_that_is_too_young_is_refused(any_store_url: str, tmp_path: Path) -> None:
    store = Store(any_store_url, embedded=False)
    with pytest.raises(ConfigurationError, match="less than 30 days ago"):
        archive(store, tmp_path, before=LATER - YOUNGEST + timedelta(seconds=1), now=LATER)


# --- the guard -----------------------------------------------------------------------------


@pytest.mark.not_on_citus("a deletion waits there for the one under way")
@pytest.mark.usefixtures("filled")
def test_nothing_else_is_deleted_before_during_or_after(
    connect: Connect,
    any_store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statement = "DELETE FROM events WHERE event_id = 'evt_live'"
    refusals = []

    def try_it() -> None:
        with pytest.raises(REFUSED, match="append-only"):
            connect().execute(statement)
        refusals.append(statement)

    take_out = archives._append

    def during(*arguments: object) -> None:
        try_it()  # the record is there, and its facts are deleted, in another transaction
        take_out(*arguments)  # type: ignore[arg-type] # handed on

    try_it()
    monkeypatch.setattr(archives, "_append", during)
    archived(any_store_url, tmp_path)
    try_it()
    assert len(refusals) == 3


DOORS = {
    "other facts too": ("DELETE FROM events", "DELETE of events is refused"),
    "facts of another position": (
        "DELETE FROM events WHERE event_id = 'evt_live'",
        "not the facts of the archive",
    ),
    "the one that the row shows": (
        "DELETE FROM events WHERE event_id = 'evt_dm_pos_0_3'",
        "the fold of a position would be another",
    ),
    "a retraction": (
        "DELETE FROM events WHERE retracts IS NOT NULL",
        "the fold of a position would be another",
    ),
}


@pytest.mark.parametrize("what", DOORS)
def test_who_records_an_archive_can_delete_nothing_but_its_facts(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path, what: str
) -> None:
    archived(any_store_url, tmp_path)
    row = connection.execute("SELECT * FROM archives").fetchone()
    marks = connection.execute("SELECT * FROM archived_positions").fetchall()
    back(any_store_url, *files(tmp_path))
    before = facts(connection)
    statement, refusal = DOORS[what]

    assert row is not None
    forged = ("arc_forged", *row[1:])

    def forge() -> None:
        with connection.transaction():
            places = ", ".join(["%s"] * len(forged))
            connection.execute(f"INSERT INTO archives VALUES ({places})".encode(), forged)
            for mark in marks:
                connection.execute(
                    "INSERT INTO archived_positions VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    (mark[0], "arc_forged", *mark[2:]),
                )
            connection.execute(statement.encode())

    with pytest.raises(REFUSED, match=refusal):
        forge()

    assert facts(connection) == before


def test_a_row_that_is_wrong_keeps_the_facts_of_its_position_in_the_log(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before = facts(connection)
    connection.execute("""
        UPDATE positions SET status = 'cancelled', last_event_id = 'evt_dm_pos_2_1'
        WHERE position_id = 'dm_pos_2'
    """)

    with pytest.raises(PositionstoreError, match=r"fold .* \(Position dm_pos_2\).* rebuild"):
        archived(any_store_url, tmp_path)

    assert files(tmp_path) == []
    assert facts(connection) == before
    projection.rebuild(connection)
    assert archived(any_store_url, tmp_path).positions == 3


def test_the_latest_of_two_snapshots_stays_whatever_the_row_says(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    filled.append([event("evt_after", position="dm_pos_1", status="closed", at=45)])
    connection.execute("""
        UPDATE positions SET supersedes_before = (
            SELECT min(e.supersedes_before) FROM events e WHERE e.position_id = 'dm_pos_1'
        )
        WHERE position_id = 'dm_pos_1'
    """)
    with pytest.raises(PositionstoreError, match="the fold of a position would be another"):
        archived(any_store_url, tmp_path)


def test_a_mark_from_before_positions_had_digests_lets_no_more_facts_go(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    connection.execute("UPDATE archived_positions SET digest = NULL")
    with pytest.raises(REFUSED, match="not the facts of the archive"):
        connection.execute("DELETE FROM events WHERE position_id = 'dm_pos_2'")
    assert archive_check.check(connection, tmp_path) == archive_check.Away(3, 1, 1, [])


@pytest.mark.parametrize(
    "level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE]
)
def test_a_transaction_that_would_not_see_a_late_fact_lets_none_go(
    connection: psycopg.Connection,
    filled: Appender,
    any_store_url: str,
    tmp_path: Path,
    level: psycopg.IsolationLevel,
) -> None:
    archived(any_store_url, tmp_path)
    connection.autocommit, connection.isolation_level = False, level
    with pytest.raises(REFUSED, match="not read committed"):
        connection.execute("DELETE FROM events WHERE position_id = 'dm_pos_2'")


def test_the_mark_of_an_archive_that_came_back_lets_no_fact_go(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path, positions_of_a_file=1)
    marks = connection.execute("SELECT * FROM archived_positions").fetchall()
    (restored,) = back(any_store_url, files(tmp_path)[0])
    (mark,) = [each for each in marks if each[1] == restored.archive_id]

    def forge() -> None:
        with connection.transaction():
            connection.execute(
                "INSERT INTO archived_positions VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", mark
            )
            connection.execute(
                "DELETE FROM events WHERE position_id = %s AND event_id LIKE %s",
                [mark[0], f"evt_{mark[0]}_0"],
            )

    with pytest.raises(REFUSED, match="not the facts of the archive"):
        forge()


def test_a_file_that_has_other_facts_of_a_position_than_left_the_log_is_named(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    connection.execute(
        "UPDATE archived_positions SET digest = repeat('0', 64) WHERE position_id = 'dm_pos_2'"
    )
    (found,) = archive_check.check(connection, tmp_path).findings
    assert found.fault == "its facts are others than the log tells of"


def test_with_a_record_no_fact_can_be_changed_all_the_same(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)

    def forge(statement: str) -> None:
        with connection.transaction():
            connection.execute("""
                INSERT INTO archives
                SELECT 'arc_forged', file, sha256, digest, ended_before, positions, facts,
                    first_seq, last_seq, first_created_at, last_created_at, first_received_at,
                    last_received_at, archived_at
                FROM archives
            """)
            connection.execute(statement.encode())

    for statement in ("UPDATE events SET type = 'x'", "TRUNCATE events"):
        with pytest.raises(REFUSED, match="append-only"):
            forge(statement)


# --- crashes -------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from positionstore.export import archive as export
from positionstore.store import archive_file, archives
from positionstore.store.database import Store

def killed(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

url, folder, before, now, where = sys.argv[1:]
match where:
    case "before the file has its name": archive_file.ArchiveWriter.keep = killed
    case "before the file is proved": archive_file.ArchiveReader.prove = killed
    case "before the record": archives.take_out = killed
    case "before the fact of the log": archives._append = killed
    case "after the commit":
        take_out = archives.take_out
        archives.take_out = lambda *a, **k: (take_out(*a, **k), killed())
export.archive(
    Store(url, embedded=False), Path(folder), before=datetime.fromisoformat(before),
    now=datetime.fromisoformat(now), positions_of_a_file=2,
)
"""
EDGES = (
    "before the file has its name",
    "before the file is proved",
    "before the record",
    "before the fact of the log",
    "after the commit",
)


@pytest.mark.slow
@pytest.mark.parametrize("where", EDGES)
def test_killed_at_any_step_it_loses_nothing(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path, where: str
) -> None:
    before, book = facts(connection), rows(connection)
    arguments = [any_store_url, str(tmp_path), CUT.isoformat(), LATER.isoformat(), where]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        check=False,
        timeout=DEADLINE,
        env={**os.environ},
    )
    assert done.returncode == -signal.SIGKILL
    if where == "after the commit":
        assert away.count(connection) == (2, 1)
    else:
        while facts(connection) != before:
            pass  # until the server has noticed that the process is gone
        assert away.count(connection) == (0, 0)
    assert rows(connection) == book
    assert projection.verify(connection) == []

    archived(any_store_url, tmp_path, now=now(), positions_of_a_file=2)

    assert away.count(connection) == (3, 2)
    assert rows(connection) == book
    back(any_store_url, *files(tmp_path))
    assert facts(connection) == before


def test_what_a_killed_run_left_half_written_is_removed_and_what_one_writes_is_not(
    filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    left, just_begun = (tmp_path / f".archive-{name}.partial" for name in ("left", "begun"))
    for path in (left, just_begun):
        path.write_bytes(b"PAR1")
    with ArchiveWriter(tmp_path):
        (written,) = set(tmp_path.iterdir()) - {left, just_begun}
        for path in (left, written):
            os.utime(path, (0, 0))

        archived(any_store_url, tmp_path)

        assert set(tmp_path.glob(".*")) == {just_begun, written}
    assert set(tmp_path.glob(".*")) == {just_begun}


def test_a_fact_that_comes_meanwhile_keeps_its_position_in_the_log(
    connection: psycopg.Connection,
    filled: Appender,
    any_store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = facts(connection)
    take_out = archives.take_out

    def late(*arguments: object, **named: object) -> int:
        filled.append([event("evt_late", position="dm_pos_0", status="open", at=1.5)])
        return take_out(*arguments, **named)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(archives, "take_out", late)
    done = archived(any_store_url, tmp_path)

    assert (done.positions, done.passed_over, done.files) == (0, 3, ())
    assert len(facts(connection)) == len(before) + 1
    assert files(tmp_path) == []


@pytest.mark.not_on_citus("an appender waits there for the deletion under way")
def test_so_does_one_that_comes_while_the_others_are_deleted(
    connection: psycopg.Connection,
    filled: Appender,
    any_store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = facts(connection)
    unchanged, late = archives._unchanged, [event("evt_late", position="dm_pos_0", at=1.5)]

    def seen_to_be(*arguments: object) -> None:
        unchanged(*arguments)  # type: ignore[arg-type] # handed on
        if late:
            filled.append([late.pop()])

    monkeypatch.setattr(archives, "_unchanged", seen_to_be)
    done = archived(any_store_url, tmp_path)

    assert (done.positions, done.passed_over, done.files) == (0, 3, ())
    assert len(facts(connection)) == len(before) + 1
    assert files(tmp_path) == []


# --- files ---------------------------------------------------------------------------------


def test_the_file_is_what_an_export_of_the_log_looks_like(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before = [fact for fact in facts(connection) if fact[2] != "dm_pos_live"]
    archived(any_store_url, tmp_path)
    (path,) = files(tmp_path)
    assert [tuple(row.values()) for row in pq.read_table(path).to_pylist()] == before
    with duckdb.connect() as ducks:
        query = f"SELECT count(*), count(DISTINCT position_id) FROM '{path}'"
        assert ducks.execute(query).fetchone() == (16, 3)


def test_a_file_that_another_tool_rewrote_comes_back_too(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before = facts(connection)
    archived(any_store_url, tmp_path)
    (path,) = files(tmp_path)
    with duckdb.connect() as ducks:
        ducks.execute(f"CREATE TABLE f AS SELECT * FROM '{path}'")
        ducks.execute(f"COPY (SELECT * FROM f ORDER BY seq) TO '{path}' (COMPRESSION gzip)")
    assert archive_check.check(connection, tmp_path).findings == []
    back(any_store_url, path)
    assert facts(connection) == before


def damaged(path: str, how: str) -> None:
    table = pq.read_table(path)
    match how:
        case "a fact less":
            pq.write_table(table.slice(0, 7), path)
        case "an envelope changed":
            envelopes = table["envelope"].to_pylist()
            envelopes[1] = envelopes[1].replace("open", "opem")
            place = table.schema.get_field_index("envelope")
            pq.write_table(table.set_column(place, "envelope", pa.array(envelopes)), path)
        case "another order":
            pq.write_table(table.sort_by([("seq", "descending")]), path)
        case "cut short":
            content = Path(path).read_bytes()
            Path(path).write_bytes(content[: len(content) // 2])
        case "other Parquet":
            pq.write_table(pa.table({"a": [1]}), path)


@pytest.mark.parametrize(
    "how", ["a fact less", "an envelope changed", "another order", "cut short", "other Parquet"]
)
def test_a_damaged_file_is_seen_and_changes_nothing(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path, how: str
) -> None:
    archived(any_store_url, tmp_path)
    before = facts(connection)
    (path,) = files(tmp_path)
    damaged(path, how)

    with pytest.raises(PositionstoreError):
        back(any_store_url, path)

    assert facts(connection) == before
    assert away.count(connection) == (3, 1)
    (finding,) = archive_check.check(connection, tmp_path).findings
    assert finding.what == Path(path).name


def test_a_file_that_is_gone_is_named(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    Path(files(tmp_path)[0]).unlink()
    (finding,) = archive_check.check(connection, tmp_path).findings
    assert "is not in" in finding.fault


def test_a_mark_that_is_lost_is_named(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    connection.execute("DELETE FROM archived_positions WHERE position_id = 'dm_pos_1'")
    (finding,) = archive_check.check(connection).findings
    assert "disagree about it" in finding.fault


# --- what comes late -----------------------------------------------------------------------


def test_a_late_correction_is_folded_against_what_the_row_shows(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    book = rows(connection)
    filled.append([event("evt_older", position="dm_pos_0", status="settled", at=1)])
    assert rows(connection) == book
    filled.append([event("evt_newer", position="dm_pos_0", status="settled", at=2 * DAY)])
    found = connection.execute("SELECT status FROM positions WHERE position_id = 'dm_pos_0'")
    assert found.fetchone() == ("settled",)
    filled.append_snapshots([snapshot(position="dm_pos_1", status="open", as_of=3 * DAY)], CUT)
    found = connection.execute("SELECT status FROM positions WHERE position_id = 'dm_pos_1'")
    assert found.fetchone() == ("open",)
    assert projection.verify(connection) == []
    assert archive_check.check(connection).findings == []


def test_one_that_comes_once_more_is_not_twice_there_afterwards(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    before, book = facts(connection), rows(connection)
    archived(any_store_url, tmp_path)
    filled.append(life("dm_pos_2", at=20))
    filled.append([event("evt_dm_pos_0_1", position="dm_pos_0", status="closing", at=77)])

    (done,) = back(any_store_url, *files(tmp_path))

    assert done.conflicting == 1
    ids = sorted((fact[2], fact[1]) for fact in facts(connection))
    assert ids == sorted((fact[2], fact[1]) for fact in before)
    assert rows(connection) == book
    assert projection.verify(connection) == []
    kept = connection.execute("SELECT reason, raw FROM quarantine").fetchall()
    assert [reason for reason, _ in kept] == ["conflicting_duplicate"]
    assert b'"open"' in kept[0][1]


def test_a_retraction_that_needs_the_archive_is_refused(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    before, book = facts(connection), rows(connection)
    wrong = Retraction("dm_pos_0", "evt_dm_pos_0_3", "It did not.", moment(DAY))
    with pytest.raises(StoreRefusedError, match="Bring them back first: positionstore import"):
        filled.append_retractions([wrong], LATER)
    assert facts(connection) == before

    back(any_store_url, *files(tmp_path))
    filled.append_retractions([wrong], LATER)
    found = connection.execute("SELECT status FROM positions WHERE position_id = 'dm_pos_0'")
    assert found.fetchone() == ("closing",)
    assert rows(connection) != book


def test_a_late_fact_can_be_retracted(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    book = rows(connection)
    filled.append([event("evt_bad", position="dm_pos_0", status="settled", at=2 * DAY)])
    assert rows(connection) != book
    filled.append_retractions([Retraction("dm_pos_0", "evt_bad", "No.", moment(3 * DAY))], LATER)
    assert rows(connection) == book


# --- the past ------------------------------------------------------------------------------


def test_a_moment_that_needs_the_archive_is_refused_and_names_the_file(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    at = "SELECT position_id, status FROM positions_as_of(%s) ORDER BY position_id"
    early, amid, after = moment(-1), moment(21), moment(DAY)
    expected = {when: connection.execute(at, [when]).fetchall() for when in (early, amid, after)}
    archived(any_store_url, tmp_path)

    for when in (early, after):
        assert connection.execute(at, [when]).fetchall() == expected[when]
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as raised:
        connection.execute(at, [amid])
    assert Path(files(tmp_path)[0]).name in str(raised.value)
    assert "positionstore import" in str(raised.value.diag.message_hint)
    live = "SELECT status FROM positions_as_of(%s, of_position => 'dm_pos_live')"
    assert connection.execute(live, [amid]).fetchone() == ("open",)
    changes = "SELECT count(*) FROM book_changes(%s, %s)"
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        connection.execute(changes, [moment(0), moment(DAY)])
    assert connection.execute(changes, [moment(DAY), moment(2 * DAY)]).fetchone() == (0,)

    back(any_store_url, *files(tmp_path))
    assert connection.execute(at, [amid]).fetchall() == expected[amid]


# --- other stores, other roles -------------------------------------------------------------


@pytest.fixture
def other_url(postgres: Server, any_store_template: str) -> Iterator[str]:
    """A second store, empty."""
    with fresh_database(postgres, any_store_template) as url:
        yield url


@pytest.mark.usefixtures("filled")
def test_a_store_that_knows_nothing_of_it_takes_no_archive(
    any_store_url: str, other_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path)
    with pytest.raises(StoreRefusedError, match="none of the archives"):
        back(other_url, *files(tmp_path))


def test_a_folder_with_files_that_are_back_comes_back_whole(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    """What an operator types: archive-*.parquet."""
    before = facts(connection)
    archived(any_store_url, tmp_path, positions_of_a_file=1)
    first, *_ = files(tmp_path)
    back(any_store_url, first)

    done = back(any_store_url, *files(tmp_path))

    assert [each.back_since is None for each in done] == [False, True, True]
    assert (done[0].positions, done[0].returned) == (0, 0)
    assert facts(connection) == before
    assert away.count(connection) == (0, 0)


def test_one_file_of_another_log_and_none_comes_back(
    connection: psycopg.Connection, filled: Appender, any_store_url: str, tmp_path: Path
) -> None:
    archived(any_store_url, tmp_path / "others", limit=1)
    back(any_store_url, *files(tmp_path / "others"))
    archived(any_store_url, tmp_path)
    before = facts(connection)
    strange = tmp_path / "strange.parquet"
    ours = pq.read_table(files(tmp_path)[0])
    pq.write_table(ours.slice(1).replace_schema_metadata(), strange)

    with pytest.raises(StoreRefusedError, match=r"strange\.parquet is none .* Nothing was changed"):
        back(any_store_url, *files(tmp_path / "others"), *files(tmp_path), str(strange))

    assert facts(connection) == before


@pytest.mark.usefixtures("filled")
def test_a_log_that_moves_takes_its_archives_along(
    connection: psycopg.Connection, any_store_url: str, other_url: str, tmp_path: Path
) -> None:
    """The new store refuses the moments that need them until they are imported there too."""
    amid = "SELECT position_id, status FROM positions_as_of(%s) ORDER BY position_id"
    book, then = rows(connection), connection.execute(amid, [moment(21)]).fetchall()
    ids = sorted((fact[2], fact[1]) for fact in facts(connection))
    archived(any_store_url, tmp_path)
    log = tmp_path / "log.jsonl"
    export(
        Store(any_store_url, embedded=False),
        ExportRequest(relation="events", query=None, form=Format.JSONL, out=log),
        standard_output=io.BytesIO(),
        progress=lambda *_: None,
    )
    with closing(database.connect(other_url)) as moved:
        store = Store(other_url, embedded=False)
        import_files([str(log)], store.connect, now=LATER, batch_size=1_000)
        assert rows(moved) == book
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            moved.execute(amid, [moment(21)])
        assert moved.execute(amid, [moment(DAY)]).fetchall()
        assert status(moved).archived == Archived(0, 0, 0, 1)

        (done,) = back(other_url, *files(tmp_path))

        assert done.returned == 12
        assert sorted((fact[2], fact[1]) for fact in facts(moved)) == ids
        assert rows(moved) == book
        assert moved.execute(amid, [moment(21)]).fetchall() == then
        assert status(moved).archived == Archived(0, 0, 0, 0)
        assert projection.verify(moved) == []
        (again,) = back(other_url, *files(tmp_path))
        assert again.back_since is not None
        assert again.archive_id == done.archive_id
