"""What a dead process left is written as if it had never died."""

import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.factories import event, rejected

from positionstore.ingest.spool import Spool
from positionstore.ingest.spools import Spools
from positionstore.ingest.store_writer import StoreWriter
from positionstore.model.facts import Received, Source
from positionstore.settings import Environment
from positionstore.store.database import Store


@pytest.fixture
def writer(store_url: str) -> Iterator[StoreWriter]:
    writer = StoreWriter(Store(store_url, embedded=False), batch_size=1000, heartbeat_every=5)
    yield writer
    writer.forget()


def batch(first: int, count: int) -> list[Received]:
    return [event(f"evt_{n}", at=n) for n in range(first, first + count)]


def left(data_dir: Path) -> list[Spool]:
    return list(Spools(data_dir, max_bytes=10**8).adopt_orphans(Environment.SANDBOX))


def test_the_one_that_is_refused_stands_alone_in_quarantine(
    writer: StoreWriter, store_url: str, data_dir: Path
) -> None:
    spool = Spools(data_dir, max_bytes=10**8).own(Environment.SANDBOX)
    refused = event("evt_bad", source=Source.REST)  # REST brings snapshots alone
    spool.append(1, [*batch(0, 20), refused, rejected(b"{"), *batch(20, 20)])
    assert writer.drain(spool) == 42
    with psycopg.connect(store_url) as desk:
        logged = [name for (name,) in desk.execute("SELECT event_id FROM events ORDER BY seq")]
        kept = desk.execute("SELECT reason, raw FROM quarantine ORDER BY reason").fetchall()
    assert logged == [f"evt_{n}" for n in range(40)]
    assert kept == [
        ("not_json", b"{"),
        ("refused_by_database", refused.what.envelope),  # type: ignore[union-attr] # an event
    ]
    assert left(data_dir) == []


def copied_at_once(folder: Path, copy: Path) -> None:
    """Copy what is being written, as it was at one moment."""
    log = "inputs.sqlite3-wal"
    while True:
        begun = head(folder / log)
        # The log last: what is in the file already was in the log before,
        for name in ("lock", "inputs.sqlite3", log):
            shutil.copyfile(folder / name, copy / name)
        # unless it has begun again meanwhile.
        if head(folder / log) == begun:
            return


def head(log: Path) -> bytes:
    """Return what SQLite changes when it restarts its log."""
    with log.open("rb") as file:
        return file.read(32)


def test_copies_made_at_any_moment_of_its_writing_hold_all_that_was_kept(data_dir: Path) -> None:
    chance = random.Random(7)
    spool = Spools(data_dir, max_bytes=10**8).own(Environment.SANDBOX)
    kept, ended = [0], threading.Event()
    allowed = threading.Semaphore(0)  # so much beside each copy, however fast the disk

    def write() -> None:
        while allowed.acquire() and not ended.is_set():
            count = chance.randint(1, 50)
            spool.append(kept[0] + 1, batch(kept[0], count))
            kept[0] += count

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(20):
            before = kept[0]
            copy = data_dir / f"copy{number}" / "spool" / "it"
            copy.mkdir(parents=True)
            allowed.release(15)
            copied_at_once(spool.folder, copy)
            (found,) = left(copy.parent.parent)
            _, content = found.read(0, 10**6)
            assert len(content) >= before
            assert content == batch(0, len(content))
            found.close()
    finally:
        ended.set()
        allowed.release()
        writing.join(60)
    spool.remove()


def test_a_database_that_fails_in_mid_drain_is_no_loss(
    writer: StoreWriter, store_url: str, data_dir: Path
) -> None:
    spool = Spools(data_dir, max_bytes=10**8).own(Environment.SANDBOX)
    spool.append(1, batch(0, 12_000))

    def fail(drained: int) -> None:
        raise ConnectionError(str(drained))

    with pytest.raises(ConnectionError, match="5000"):
        writer.drain(spool, progress=fail)
    (again,) = left(data_dir)
    assert again.size().events == 7_000
    assert writer.drain(again) == 7_000
    with psycopg.connect(store_url) as desk:
        assert desk.execute("SELECT count(*), max(seq) - min(seq) FROM events").fetchone() == (
            12_000,
            11_999,
        )
