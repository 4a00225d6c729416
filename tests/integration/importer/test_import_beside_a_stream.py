"""An import leaves room for an ingester that is at work."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from support.factories import envelope

from positionstore.importer import files
from positionstore.importer.files import import_files
from positionstore.model.facts import Source
from positionstore.store.database import Store
from positionstore.store.sessions import StreamSession

LINES = 12_000
BATCH_SIZE = 10_000


@pytest.fixture
def connection(store_url: str) -> Iterator[psycopg.Connection]:
    with Store(store_url, embedded=False).connect() as connection:
        yield connection


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The size of the batches is to hang on the limit alone, not on how fast this machine is.
    monkeypatch.setattr(files, "_SMALLEST_BATCH", LINES)
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b"\n".join(envelope(f"evt_{n}", position=f"dm_pos_{n % 60}", at=n) for n in range(LINES))
    )
    return path


def transactions(store_url: str, connection: psycopg.Connection, file: Path) -> list[int]:
    """Import it; return how many events each transaction appended."""
    connection.execute("LISTEN positionstore")
    store = Store(store_url, embedded=False)
    result = import_files([str(file)], store.connect, now=datetime.now(UTC), batch_size=BATCH_SIZE)
    assert (result.read, result.appended) == (LINES, LINES)
    heard: list[int] = []
    # The server tells a listener when it comes to it, which may be after the import has ended.
    for notice in connection.notifies(timeout=60):
        heard.append(int(notice.payload))
        if heard[-1] == LINES:
            break
    return [seq - before for before, seq in zip([0, *heard], heard, strict=False)]


def begin(connection: psycopg.Connection, at: datetime) -> StreamSession:
    return StreamSession.begin(connection, gateway=Source.PARTNER, at=at)


def test_alone_it_writes_in_large_batches(
    store_url: str, connection: psycopg.Connection, file: Path
) -> None:
    assert transactions(store_url, connection, file) == [10_000, 2_000]


def test_beside_an_ingester_its_batches_are_a_fifth(
    store_url: str, connection: psycopg.Connection, file: Path
) -> None:
    begin(connection, datetime.now(UTC))
    assert transactions(store_url, connection, file) == [2_000] * 6


def test_a_session_that_ended_or_died_slows_nobody_down(
    store_url: str, connection: psycopg.Connection, file: Path
) -> None:
    now = datetime.now(UTC)
    begin(connection, now - timedelta(minutes=5)).end(now, "stopped")
    begin(connection, now - timedelta(minutes=2))
    assert transactions(store_url, connection, file) == [10_000, 2_000]
