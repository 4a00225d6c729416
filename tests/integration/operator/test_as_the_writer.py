"""The service and every command run as the writer; what reads runs as the reader."""

import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.programs import Programs, ended, programs_on
from support.roles import Urls, connected, roles_on
from support.waiting import eventually

from positionstore.sandbox import Options, Sandbox
from positionstore.store import migrations
from positionstore.store.grants import Role

pytestmark = pytest.mark.slow

NO_EVENT = b"no event\n"


@pytest.fixture
def urls(any_store_url: str) -> Iterator[Urls]:
    with roles_on(any_store_url) as urls:
        yield urls


@pytest.fixture
async def programs(urls: Urls, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(urls[Role.WRITER], tmp_path) as programs:
        yield programs


async def test_everything_but_a_migration_is_done_as_the_writer(
    programs: Programs, urls: Urls, tmp_path: Path
) -> None:
    options = Options(seed=7, positions=30, rate=100.0, api_key_lists=True, warm_up=60.0)
    with connected(urls[Role.READER]) as reader:

        def count(what: str) -> int:
            row = reader.execute(f"SELECT count(*) FROM {what}".encode()).fetchone()
            return int(row[0]) if row else 0

        async with Sandbox(options) as sandbox:
            programs.against(sandbox)
            ingester = await programs.start("ingest")
            await eventually(lambda: count("events") > 20)
            ingester.send_signal(signal.SIGTERM)
            assert (await ended(ingester)).code == 0
            service = await programs.start("run", POSITIONSTORE_VALUATION_HISTORY="true")
            await eventually(
                lambda: count("reconciliation_runs WHERE state = 'complete'") > 0, within=60
            )
            service.send_signal(signal.SIGTERM)
            assert (await ended(service)).code == 0
            await sandbox.quiet()
            await programs.run("reconcile", "--full")
            await programs.run("backfill", "--all", "--json")
        assert count("events WHERE source = 'rest'") > 0
        assert count("valuation_history") > 0

        captured = [
            json.dumps(envelope).encode() + b"\n"
            for (envelope,) in reader.execute("SELECT envelope FROM events WHERE source <> 'rest'")
        ]
        (tmp_path / "events.jsonl").write_bytes(b"".join([*captured, NO_EVENT]))
        await programs.run("import", "events.jsonl", expect=3)
        assert count("quarantine") == 1
        await programs.run("quarantine", "list")
        await programs.run("quarantine", "retry", expect=3)
        await programs.run("rebuild")
        await programs.run("verify")
        await programs.run("status")


async def test_a_migration_wants_the_owner(programs: Programs, urls: Urls) -> None:
    stands = "UPDATE alembic_version SET version_num = %s"
    with connected(urls[Role.OWNER]) as owner:
        owner.execute(stands, ["0010"])
        refused = await programs.run("migrate", expect=1)
        owner.execute(stands, [migrations.head()])
    assert "must be owner of table" in refused.err
    assert ", the tables' owner, or let it: GRANT " in refused.err
    programs.environment["DATABASE_URL"] = urls[Role.OWNER]
    await programs.run("migrate")


async def test_what_only_reads_runs_as_the_reader(programs: Programs, urls: Urls) -> None:
    programs.environment["DATABASE_URL"] = urls[Role.READER]
    await programs.run("status", "--json")
    await programs.run("quarantine", "list")
    await programs.run("verify")  # which writes no table
    done = await programs.run("rebuild", expect=1)
    assert "the reader" in done.err
    assert len(done.err.splitlines()) == 1
