"""What docs/backup.md tells an operator to type, typed: from one server to another."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from support.postgres import TEST_SETTINGS, fresh_database, shared_server
from support.server_worlds import PG15, programs_of
from support.typed_in import blocks_of, fill, rows, type_in
from support.waiting import wait_until

from positionstore.embedded import cluster
from positionstore.embedded import server as embedded
from positionstore.embedded.os_user import OsUser, account_for
from positionstore.embedded.server import EmbeddedServer
from positionstore.store import migrations

pytestmark = pytest.mark.slow

BLOCKS = blocks_of("backup.md")
AFTERWARDS = "Afterwards, in every case"
IN_TIME = "To a point in time"
DUMPS = sorted(
    title for title, found in BLOCKS.items() if found and title not in {AFTERWARDS, IN_TIME}
)
LOG = "SELECT seq, event_id, position_id, type, envelope::text FROM events ORDER BY seq"
BOOK = "SELECT position_id, status, last_event_id, data::text FROM positions ORDER BY position_id"


@pytest.fixture(scope="module", params=["15 with lz4", "18"])
def store(request: pytest.FixtureRequest, embedded_server: EmbeddedServer) -> Iterator[str]:
    """A filled store."""
    if request.param == "18":
        with fresh_database(embedded_server) as url:
            migrations.migrate(url)
            fill(url, 0, 50)
            yield url
        return
    if not (PG15 / "postgres").exists():
        pytest.skip(f"PostgreSQL 15 is not installed in {PG15}")
    with shared_server("pg15", PG15) as server, fresh_database(server) as url:
        migrations.migrate(url)
        fill(url, 0, 50)
        yield url


def models(url: str, name: str) -> None:
    """Build what dbt would build."""
    made = f"CREATE TABLE IF NOT EXISTS positionstore_models.{name} AS TABLE daily_activity"
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS positionstore_models; {made}".encode())


def proved(url: str, was: str, folder: Path) -> None:
    """See that it is the store that it was, and that it goes on."""
    type_in(BLOCKS[AFTERWARDS], folder, {"NEW": url})
    for query in (LOG, BOOK):
        assert rows(url, query) == rows(was, query)
    newest = max(seq for seq, *_ in rows(url, LOG))  # type: ignore[type-var] # a bigint
    fill(url, 1_000, 10)
    seqs = [seq for seq, *_ in rows(url, LOG)]
    assert len(seqs) == 60
    assert all(seq > newest for seq in seqs[50:])  # type: ignore[operator] # a bigint
    type_in(BLOCKS[AFTERWARDS], folder, {"NEW": url})
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("SET session_replication_role = replica; DELETE FROM events")


@pytest.mark.parametrize("how", DUMPS)
def test_a_dump_restores(
    store: str, embedded_server: EmbeddedServer, tmp_path: Path, how: str
) -> None:
    models(store, "activity")
    with fresh_database(embedded_server) as url:
        if how == "Over a store that is there already":
            migrations.migrate(url)
            fill(url, 500, 5)
            models(url, "of_another")
        variables = {"STORE": store, "NEW": url}
        type_in(BLOCKS[how], tmp_path, variables, programs=programs_of(store))
        proved(url, store, tmp_path)


@contextmanager
def folder_of(account: OsUser | None) -> Iterator[Path]:
    """A folder that the server's account reaches, and owns."""
    with tempfile.TemporaryDirectory(prefix="positionstore-backup-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "archive").mkdir()
        cluster.give(account, folder, folder / "archive")
        yield folder


def test_a_store_goes_back_to_a_point_in_time(tmp_path: Path) -> None:
    data_dir = tmp_path / "primary"
    account = account_for(data_dir / "postgres" / "cluster", tmp_path)
    with folder_of(account) as folder:
        archive, base = folder / "archive", folder / "base"
        settings = TEST_SETTINGS | {
            "full_page_writes": "on",
            "archive_mode": "on",
            "archive_command": f'cp %p "{archive}"/%f',
        }
        take, restore = BLOCKS[IN_TIME]
        with embedded.running(data_dir, settings=settings) as server:
            url = server.url()
            migrations.migrate(url)
            fill(url, 0, 20)
            known = {"STORE": url, "ARCHIVE": str(archive), "BASE": str(base)}
            type_in([take], folder, known, account)
            fill(url, 20, 30)
            log = rows(url, LOG)
            [(moment,)] = rows(url, "SELECT clock_timestamp()::text")
            fill(url, 50, 10)
            last = rows(url, "SELECT pg_walfile_name(pg_switch_wal())")[0][0]
            wait_until((archive / str(last)).exists, "the last WAL is archived")
        port = cluster.choose_port()
        again = {**known, "MOMENT": str(moment), "PORT": str(port)}
        type_in([restore], folder, again, account)
        try:
            new = url.replace(f":{server.port}/", f":{port}/")
            type_in(BLOCKS[AFTERWARDS], folder, {"NEW": new})
            assert rows(new, LOG) == log
            fill(new, 1_000, 10)
            type_in(BLOCKS[AFTERWARDS], folder, {"NEW": new})
        finally:
            type_in(['pg_ctl stop -D "$BASE" -m immediate'], folder, again, account)
