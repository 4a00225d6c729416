"""``positionstore reconcile`` as an operator and as a program use it."""

import signal

import psycopg
import pytest
from support.programs import Programs, ended
from support.waiting import eventually

from positionstore.sandbox import Faults, Options, Sandbox

WORLD = {"seed": 7, "ticking": False, "positions": 150, "warm_up": 60.0, "api_key_lists": True}


def world(**options: object) -> Sandbox:
    return Sandbox(Options(**{**WORLD, **options}))  # type: ignore[arg-type] # by name


def count(database: psycopg.Connection, table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


async def test_the_first_run_fills_the_store_and_the_second_appends_nothing(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        truth = sandbox.world.truth(0)
        first = (await programs.run("reconcile", "--full", "--json")).json
        appended = count(database, "events")
        second = await programs.run("reconcile", "--full")

    assert first["seen"] == first["missing"] == first["repaired"] == len(truth) == appended
    assert (first["state"], first["scope"], first["unresolved"]) == ("complete", "full", 0)
    assert count(database, "events") == appended
    assert second.out.startswith(f"Run 2 is complete: {len(truth):,} positions seen with ")
    assert second.out.endswith("Nothing differed.\n")


async def test_the_json_has_every_column_of_the_runs_table(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(positions=5) as sandbox:
        programs.against(sandbox)
        told = (await programs.run("reconcile", "--json")).json

    cursor = database.execute("SELECT * FROM reconciliation_runs")
    row = dict(
        zip([c.name for c in cursor.description or ()], cursor.fetchone() or (), strict=True)
    )
    assert set(row) - set(told) == set()
    seconds = {"duration", "duration_seconds", "clock_offset", "clock_offset_seconds"}
    moments = {"closed_since", "started_at", "finished_at", "as_of"} | seconds
    assert {name: told[name] for name in row if name not in moments} == {
        name: value for name, value in row.items() if name not in moments
    }
    assert told["started_at"] == row["started_at"].isoformat()
    for name in ("duration", "clock_offset"):
        assert told[name] == told[f"{name}_seconds"] == row[name].total_seconds()
        assert told[name] == float(row[f"{name}_seconds"])


async def test_a_dry_run_writes_nothing_and_says_what_it_would_do(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        told = await programs.run("reconcile", "--full", "--dry-run", expect=3)
        as_json = (await programs.run("reconcile", "--full", "--dry-run", "--json", expect=3)).json

    assert count(database, "events") == count(database, "reconciliation_runs") == 0
    lines = told.out.splitlines()
    assert lines[0] == "position_id\tkind\tresolution\tstore → REST"
    assert lines[1].split("\t")[1:] == ["missing", "not repaired", ""]
    assert len(lines) == 1 + 50 + 2  # bounded, with a word on the rest
    assert lines[-2].startswith("And ")
    assert lines[-2].endswith(" more.")  # the table has none of a dry run
    assert lines[-1].startswith("The dry run is complete: ")
    assert lines[-1].endswith("nothing was written.")
    assert (as_json["run_id"], as_json["missing"]) == (None, as_json["seen"])


async def test_what_differs_is_shown_with_both_values_and_repaired(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(positions=20) as sandbox:
        programs.against(sandbox)
        await programs.run("reconcile", "--full")
        database.execute(
            "UPDATE positions SET side = E'\\x1b[31mup'"
            " WHERE position_id = (SELECT min(position_id) FROM positions WHERE phase = 'live')"
        )
        await sandbox.quiet()
        await sandbox.advance(5)  # a later snapshot: the log has one of this second
        told = await programs.run("reconcile")

    header, row, summary = told.out.splitlines()
    assert header == "position_id\tkind\tresolution\tstore → REST"
    assert row.split("\t")[1:3] == ["divergent", "repaired"]
    assert r"side: \x1b[31mup → " in row
    assert summary.endswith("1 differed (1 divergent): 1 repaired, 0 not.")


async def test_a_page_that_fails_for_good_makes_it_partial(programs: Programs) -> None:
    async with world(faults=Faults(failing_page=2)) as sandbox:
        programs.against(sandbox)
        done = await programs.run("reconcile", expect=1, POSITIONSTORE_HTTP_RETRY_BUDGET="0")
        as_json = await programs.run(
            "reconcile", "--json", expect=1, POSITIONSTORE_HTTP_RETRY_BUDGET="0"
        )

    assert "Run 1 is partial: 100 positions seen" in done.out
    assert "were not all seen: GET /v1/prediction-markets/positions failed" in done.out
    assert as_json.json["state"] == "partial"
    assert "were not all seen" in as_json.json["error"]


async def test_a_refused_key_fails_the_run_in_one_line(programs: Programs) -> None:
    async with world(faults=Faults(refuse_api_keys=True)) as sandbox:
        programs.against(sandbox)
        wallet = sandbox.wallets[0]
        done = await programs.run("reconcile", expect=1, POSITIONSTORE_WALLETS=wallet)

    assert "DIMES_API_KEY" in done.out
    assert "Run 1 is failed" in done.out
    assert sandbox.api_key not in done.out + done.err


async def test_only_one_runs_at_a_time(programs: Programs, database: psycopg.Connection) -> None:
    async with world(faults=Faults(rest_latency=3.0)) as sandbox:
        programs.against(sandbox)
        first = await programs.start("reconcile", "--full")
        await eventually(lambda: count(database, "reconciliation_runs") == 1)
        second = await programs.run("reconcile", "--full", expect=1)
        sandbox.faults.update({"rest_latency": 0.0})
        assert (await ended(first)).code == 0

    assert second.err == (
        "positionstore: Another reconciliation is at work on this database. "
        "Wait until it has ended.\n"
    )


@pytest.mark.parametrize(
    ("latency", "failing_page", "state"),
    [(60.0, 0, "failed"), (0.0, 2, "partial")],
    ids=["before it saw anything", "midway"],
)
async def test_sigterm_ends_it_and_what_it_came_to_is_on_record(
    programs: Programs,
    database: psycopg.Connection,
    latency: float,
    failing_page: int,
    state: str,
) -> None:
    faults = Faults(rest_latency=latency, failing_page=failing_page)
    async with world(faults=faults) as sandbox:
        programs.against(sandbox)
        process = await programs.start("reconcile")
        await eventually(lambda: count(database, "reconciliation_runs") == 1)
        if failing_page:
            # The one that tells whether the key may list, the first page, and the second twice.
            await eventually(lambda: sandbox.stats()["rest_requests"] > 3)
        process.send_signal(signal.SIGTERM)
        done = await ended(process)

    assert done.code == 128 + signal.SIGTERM
    assert database.execute(
        "SELECT state, error, finished_at IS NULL FROM reconciliation_runs"
    ).fetchall() == [(state, "It was interrupted; the rest was not seen.", False)]


async def test_without_a_key_it_is_a_matter_of_configuration(
    programs: Programs, database: psycopg.Connection
) -> None:
    # A host that tells the environment is no credential.
    for environment in ({}, {"DIMES_BASE_URL": "http://127.0.0.1:1"}):
        done = await programs.run("reconcile", expect=2, **environment)
        assert done.err == (
            "positionstore: GET /positions wants credentials. "
            "Set DIMES_API_KEY, or DIMES_JWT for one customer's positions.\n"
        )
    assert count(database, "reconciliation_runs") == 0
