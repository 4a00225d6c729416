"""A log that moves to another store gives the same positions there, in every column."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psycopg
import pytest
from support.factories import envelope, event, moment, received, snapshot
from support.fork_server import completed_in_bytes
from support.histories import LONG_AGO, book, in_batches
from support.kind_of_files import zstd
from support.waiting import DEADLINE

from positionstore.errors import PositionstoreError
from positionstore.importer.files import Imported, import_files
from positionstore.importer.retry_quarantine import Retried, retry_quarantine
from positionstore.model.facts import Retraction
from positionstore.store.appender import Appender
from positionstore.store.database import Store, connect
from positionstore.store.projection import verify

ROWS = "SELECT to_jsonb(p) - 'verified_at' FROM positions p ORDER BY position_id"
FACTS = """
    SELECT event_id, position_id, type, status, created_at, received_at, source, supersedes_before,
        retracts, jsonb_from_wire(envelope)
    FROM events ORDER BY position_id, event_id
"""
WAYS = {
    "export": ("export", "events", "--format", "jsonl"),
    "tail": ("tail", "--json", "--no-follow", "--after", "0"),
}


def written(url: str, folder: Path, way: str) -> bytes:
    """What a command writes of a log."""
    done = completed_in_bytes(
        WAYS[way],
        environment={
            **os.environ,
            "DATABASE_URL": url,
            "POSITIONSTORE_DATA_DIR": str(folder / "data"),
        },
        folder=folder,
        within=DEADLINE,
    )
    done.check_returncode()
    return done.stdout


def imported(url: str, path: Path, content: bytes, batch_size: int = 100_000) -> Imported:
    path.write_bytes(content)
    store = Store(url, embedded=False)
    return import_files([str(path)], store.connect, now=datetime.now(UTC), batch_size=batch_size)


def fill(url: str) -> None:
    """Make a log with facts of every kind, ties, retractions of retractions and duplicates."""
    arrivals = [
        each
        for each in book(Random(19), 60)
        if not (isinstance(each.what, Retraction) and each.what.created_at == LONG_AGO)
    ]
    odd = b'{"id": "evt_odd",\r\n"type": "position.opened", "created_at": "2026-07-01T12:00:00Z",'
    odd += b' "data": {"id": "dm_pos_odd", "status": "open", "x": 1.10, "y": "\xe2\x80\xa8\\u0000'
    odd += b'\\ud800 \\"envelope\\":"}}'
    with psycopg.connect(url) as connection:
        appender = Appender(connection)
        for batch in in_batches(arrivals, 20):
            batch.append(appender)
        appender.append([received(odd), event("evt_twice"), event("evt_twice")])
        appender.append_snapshots([snapshot(position="dm_pos_1", as_of=1)], moment(100))
        # An event whose type is ours is a gateway's all the same.
        appender.append([received(envelope("evt_x", kind="snapshot", position="dm_pos_9"))])


@pytest.mark.parametrize("way", WAYS)
def test_the_positions_are_the_same(
    store_url: str, other_url: str, tmp_path: Path, way: str
) -> None:
    fill(store_url)
    content = written(store_url, tmp_path, way)
    lines = content.splitlines(keepends=True)
    Random(7).shuffle(lines)

    first = imported(other_url, tmp_path / "log.jsonl", b"".join(lines), batch_size=50)
    again = imported(other_url, tmp_path / "log.jsonl.gz", gzip.compress(content))
    third = imported(other_url, tmp_path / "log", zstd.compress(content))

    assert (first.read, first.appended, first.quarantined) == (len(lines), len(lines), 0)
    assert again.duplicates == third.duplicates == len(lines)
    assert again.appended + again.quarantined + third.appended + third.quarantined == 0
    with connect(store_url) as here, connect(other_url) as there:
        assert there.execute(FACTS).fetchall() == here.execute(FACTS).fetchall()
        rows = there.execute(ROWS).fetchall()
        assert rows == here.execute(ROWS).fetchall()
        assert first.positions == len(rows) > 40
        assert verify(there) == []


def test_facts_that_the_database_refused_come_in_whole_by_a_retry(
    store_url: str, other_url: str, tmp_path: Path
) -> None:
    fill(store_url)
    with psycopg.connect(other_url, autocommit=True) as desk:
        desk.execute("ALTER TABLE events ADD CONSTRAINT no_own CHECK (event_id !~ '^(snp|ret)_')")

        done = imported(other_url, tmp_path / "log.jsonl", written(store_url, tmp_path, "export"))

        desk.execute("ALTER TABLE events DROP CONSTRAINT no_own")
    retried = retry_quarantine(Store(other_url, embedded=False).connect)
    assert retried == Retried(tried=done.quarantined, released=done.quarantined)
    with connect(store_url) as here, connect(other_url) as there:
        assert there.execute(FACTS).fetchall() == here.execute(FACTS).fetchall()
        assert there.execute(ROWS).fetchall() == here.execute(ROWS).fetchall()
        assert done.quarantined > 10


def test_a_log_that_moves_into_a_store_with_facts_of_its_own_is_one_book(
    store_url: str, other_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(store_url) as connection:
        appender = Appender(connection)
        appender.append([event("evt_1"), event("evt_2", at=50, status="closed")])
        appender.append_snapshots([snapshot(as_of=200, settle_window=60)], moment(210))
    with psycopg.connect(other_url) as connection:
        Appender(connection).append([event("evt_2", at=50, status="closed")])

    done = imported(other_url, tmp_path / "log.jsonl", written(store_url, tmp_path, "tail"))

    assert (done.appended, done.duplicates, done.positions) == (2, 1, 1)
    with connect(store_url) as here, connect(other_url) as there:
        assert there.execute(ROWS).fetchall() == here.execute(ROWS).fetchall()


@pytest.mark.parametrize("bare", [True, False])
def test_a_snapshot_without_its_supersedes_before_is_one_error(
    store_url: str, tmp_path: Path, bare: bool
) -> None:
    made = snapshot().envelope
    row = (
        b'{"seq": 1, "event_id": "a", "position_id": "dm_pos_1", "type": "snapshot",'
        b' "status": "open", "created_at": "2026-07-01T12:00:00+00:00",'
        b' "received_at": "2026-07-01T12:00:00+00:00", "source": "rest", "envelope": %s}' % made
    )
    content = b"\n".join([envelope("evt_1"), made if bare else row, envelope("evt_2")])

    with pytest.raises(PositionstoreError, match="line 2: a snapshot without") as raised:
        imported(store_url, tmp_path / "log.jsonl", content)

    assert "export events --format jsonl" in raised.value.remedy
    with connect(store_url) as store:
        assert store.execute("SELECT event_id FROM events").fetchall() == [("evt_1",)]


def test_what_the_row_of_a_log_has_wrong_is_kept_in_quarantine(
    store_url: str, tmp_path: Path
) -> None:
    row = {
        "seq": 1,
        "event_id": "evt_1",
        "position_id": "dm_pos_1",
        "type": "position.opened",
        "status": "open",
        "created_at": "2026-07-01T12:00:00+00:00",
        "received_at": "2026-07-01T12:00:01+00:00",
        "source": "partner",
        "envelope": json.loads(envelope("evt_1")),
    }
    wrong: list[dict[str, object]] = [
        {"received_at": "yesterday"},
        {"type": "position.closed"},
        {"envelope": {}},
        {"source": "nobody"},
        {"source": "rest", "supersedes_before": "2027-01-01T00:00:00Z"},
    ]
    content = "\n".join(json.dumps(row | each) for each in [{}, *wrong])

    done = imported(store_url, tmp_path / "log.jsonl", content.encode())

    assert (done.appended, done.quarantined) == (1, len(wrong))


def test_nothing_is_received_later_than_now(store_url: str, tmp_path: Path) -> None:
    row = {
        "seq": 1,
        "type": "position.opened",
        "received_at": "2096-07-01T12:00:01+00:00",
        "source": "customer",
        "envelope": json.loads(envelope("evt_1")),
    }
    imported(store_url, tmp_path / "log.jsonl", json.dumps(row).encode())

    with connect(store_url) as store:
        assert store.execute("SELECT received_at <= now(), source FROM events").fetchall() == [
            (True, "customer")
        ]
