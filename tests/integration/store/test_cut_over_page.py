"""What docs/cut-over.md tells an operator to type, typed: from one server to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from support.factories import event, moment
from support.postgres import TEST_SETTINGS, fresh_database
from support.server_worlds import WORLDS
from support.typed_in import blocks_of, fill, rows, type_in

from positionstore.embedded import server as embedded
from positionstore.embedded.server import EmbeddedServer
from positionstore.model.facts import Source
from positionstore.store import database, migrations, sequences
from positionstore.store.appender import Appender
from positionstore.store.feed import pages_after
from positionstore.store.sessions import StreamSession

pytestmark = pytest.mark.slow

BLOCKS = [block for blocks in blocks_of("cut-over.md").values() for block in blocks]
LOG: Final = "SELECT seq, event_id, position_id, type, envelope::text FROM events ORDER BY seq"


@pytest.fixture(scope="module", params=["15", "17"])
def old(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """A server that publishes."""
    world = WORLDS[request.param]
    if not world.is_there:
        pytest.skip(f"The programs of {request.param} are not installed in {world.bin_dir}")
    settings = {**TEST_SETTINGS, "wal_level": "logical"}
    data_dir = tmp_path_factory.mktemp("old")
    with embedded.running(data_dir, bin_dir=world.bin_dir, settings=settings) as server:
        yield server


@contextmanager
def without_subscription(url: str) -> Iterator[None]:
    """Leave none behind, which would keep the database from being dropped."""
    try:
        yield
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            if connection.execute("""
                SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE datname = current_database()
            """).fetchone() is not None:  # fmt: skip
                connection.execute("ALTER SUBSCRIPTION positionstore DISABLE")
                connection.execute("ALTER SUBSCRIPTION positionstore SET (slot_name = NONE)")
                connection.execute("DROP SUBSCRIPTION positionstore")


def begin_session(url: str, at: float) -> int:
    with database.connect(url) as connection:
        begun = StreamSession.begin(connection, gateway=Source.PARTNER, at=moment(at))
        begun.end(moment(at + 1), "moved")
        return begun.session_id


@contextmanager
def moved(old: EmbeddedServer, embedded_server: EmbeddedServer, folder: Path) -> Iterator[str]:
    """A store that was moved by the page, up to the cut; both of them, and its first reader."""
    schema, copy, cut, _ = BLOCKS
    with (
        fresh_database(old) as url,
        fresh_database(embedded_server) as new,
        without_subscription(new),
    ):
        known = {"STORE": url, "NEW": new}
        migrations.migrate(url)
        fill(url, 0, 50)
        begin_session(url, 0)
        type_in([schema, copy], folder, known)
        fill(url, 50, 50)
        begin_session(url, 5)
        type_in([cut], folder, known)
        assert rows(new, LOG) == rows(url, LOG)
        yield new


def test_a_store_moves_while_the_stream_goes_on(
    old: EmbeddedServer, embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    with moved(old, embedded_server, tmp_path) as new:
        with database.connect(new) as connection:
            behind = [each.table for each in sequences.numbers(connection) if each.is_behind]
        assert behind == ["events", "stream_sessions"]
        (*_, (remembered, *_)) = rows(new, LOG)
        assert isinstance(remembered, int)

        type_in(BLOCKS[-1:], tmp_path, {"NEW": new})

        with database.connect(new) as connection:
            assert not any(each.is_behind for each in sequences.numbers(connection))
        fill(new, 1_000, 10)
        assert begin_session(new, 9) == 3
        with database.connect(new) as connection:
            found = [
                f.event_id for p in pages_after(connection, remembered, follow=False) for f in p
            ]
        assert found == [f"evt_{number}" for number in range(1_000, 1_010)]
        type_in(BLOCKS[-1:], tmp_path, {"NEW": new})
        with psycopg.connect(new) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("SET session_replication_role = replica; DELETE FROM events")


def test_whoever_forgets_migrate_loses_no_order(
    old: EmbeddedServer, embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    with moved(old, embedded_server, tmp_path) as new:
        before = rows(new, LOG)
        with database.connect(new) as connection:
            Appender(connection).append([event("evt_new", at=2_000)])
        assert rows(new, LOG)[:-1] == before
        assert begin_session(new, 9) == 3
        type_in(["DATABASE_URL=$NEW positionstore verify"], tmp_path, {"NEW": new})
