"""``positionstore backfill``: what an operator starts after an outage, kills, and starts again."""

import signal
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from support.fork_server import Process
from support.programs import Programs, ended
from support.waiting import eventually

from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.store.locks import RECONCILE_LOCK

NOW = datetime.now(UTC)


def world(**options: object) -> Sandbox:
    settled = {"seed": 7, "ticking": False, "positions": 150, "warm_up": 60.0}
    return Sandbox(Options(**{**settled, "api_key_lists": True, **options}))  # type: ignore[arg-type] # by name


def value(database: psycopg.Connection, query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0] or 0)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def session(database: psycopg.Connection, began: datetime, last_seen: datetime) -> None:
    """A session; one that is seen in the future lives."""
    database.execute(
        "INSERT INTO stream_sessions (gateway, started_at, last_seen_at, ended_at)"
        " VALUES ('partner', %s, %s, %s)",
        [began, last_seen, None if last_seen > NOW else last_seen],
    )


def gap(database: psycopg.Connection, began: datetime, ended: datetime) -> None:
    """A stretch without a stream, between two sessions of a second."""
    session(database, began - timedelta(seconds=1), began)
    session(database, ended, ended + timedelta(seconds=1))


def truth_of(sandbox: Sandbox) -> dict[str, str]:
    return {name: str(position["status"]) for name, position in sandbox.world.truth(0).items()}


def statuses(database: psycopg.Connection) -> dict[str, str]:
    return dict(database.execute("SELECT position_id, status FROM positions").fetchall())


async def halted(
    programs: Programs, database: psycopg.Connection, sandbox: Sandbox, *arguments: str, page: int
) -> Process:
    """Start a backfill, and return it when it cannot get beyond the pages before this one."""
    sandbox.faults.update({"failing_page": page})
    process = await programs.start(*arguments)
    query = "SELECT sum(seen) FROM backfills WHERE state = 'unfinished'"
    await eventually(lambda: value(database, query) >= 100 * (page - 1))
    return process


async def killed(
    programs: Programs, database: psycopg.Connection, sandbox: Sandbox, *arguments: str, page: int
) -> None:
    """Start a backfill, kill it when it has come to this page, and let its lock go."""
    process = await halted(programs, database, sandbox, *arguments, page=page)
    process.kill()
    await process.wait()
    number = RECONCILE_LOCK & 0xFFFFFFFF
    held = (
        "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
        f" WHERE datname = current_database() AND locktype = 'advisory' AND objid = {number}"
    )
    await eventually(lambda: value(database, held) == 0)
    sandbox.faults.update({"failing_page": 0})


async def test_all_of_history_is_loaded_and_a_killed_one_goes_on_where_it_was(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(warm_up=600.0) as sandbox:
        programs.against(sandbox)
        truth = truth_of(sandbox)
        pages = len(truth) // 100 + 2
        await killed(programs, database, sandbox, "backfill", "--all", page=5)
        seen_before = value(database, "SELECT seen FROM backfills")
        lists = "SELECT count(*) FROM position_sub_resources"
        read_before = value(database, lists)
        requests_before = sandbox.stats()["rest_requests"]
        done = await programs.run("backfill", "--all", "--json")
        requests = sandbox.stats()["rest_requests"] - requests_before

    assert statuses(database) == truth
    assert "Going on with backfill 1 of all history, which began " in done.err
    assert f"{seen_before:,} positions were seen" in done.err
    # Besides, the lists of positions whose size has changed.
    requests -= value(database, lists) - read_before
    assert requests < pages - seen_before // 100 + 3
    told = done.json
    assert (told["what"], told["went_on_with"], told["parts"]) == ("all", 1, 2)
    assert len(truth) <= told["seen"] <= len(truth) + 100
    runs = database.execute(
        "SELECT r.state, r.error, r.started_at = b.started_at, b.state, r.trigger"
        " FROM reconciliation_runs r, backfills b ORDER BY r.run_id"
    ).fetchall()
    assert runs == [
        ("failed", "Its process died.", True, "complete", "backfill"),
        ("complete", None, True, "complete", "backfill"),
    ]


async def test_restart_begins_anew(programs: Programs, database: psycopg.Connection) -> None:
    async with world(warm_up=300.0) as sandbox:
        programs.against(sandbox)
        await killed(programs, database, sandbox, "backfill", "--all", page=3)
        done = await programs.run("backfill", "--all", "--restart", "--json")
        truth = truth_of(sandbox)

    assert (done.json["went_on_with"], done.json["parts"]) == (None, 1)
    assert done.json["seen"] == len(truth)
    assert "Going on" not in done.err
    states = database.execute("SELECT state FROM backfills ORDER BY backfill_id").fetchall()
    assert states == [("given_up",), ("complete",)]


async def test_another_window_does_not_go_on_with_what_was_interrupted(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(warm_up=300.0) as sandbox:
        programs.against(sandbox)
        await killed(programs, database, sandbox, "backfill", "--all", page=3)
        window = ("backfill", "--since", f"{ago(days=1):%F}", "--json")
        assert (await programs.run(*window)).json["went_on_with"] is None
        done = await programs.run("backfill", "--all", "--json")

    assert done.json["went_on_with"] == 1
    assert statuses(database) == truth_of(sandbox)


async def test_without_a_gap_there_is_nothing_to_do_and_nobody_is_asked(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        done = await programs.run("backfill")
        as_json = (await programs.run("backfill", "--json")).json

        assert done.out == "There is nothing to repair: no gap is open.\n"
        assert (as_json["runs"], as_json["exit_code"]) == ([], 0)
        assert sandbox.stats()["rest_requests"] == 0


async def test_every_gap_is_repaired_with_no_more_requests_than_the_window_needs(
    programs: Programs, database: psycopg.Connection
) -> None:
    gap(database, ago(minutes=50), ago(minutes=40))
    gap(database, ago(minutes=30), ago(minutes=20))
    session(database, ago(minutes=20), NOW + timedelta(hours=1))
    async with world(warm_up=6 * 3600.0, positions=60, rate=2.0) as sandbox:
        programs.against(sandbox)
        done = await programs.run("backfill")
        again = await programs.run("backfill")
        requests = sandbox.stats()["rest_requests"]
        closed_since = value(database, "SELECT count(*) FROM positions WHERE phase = 'terminal'")
        everything = len(truth_of(sandbox))

    # Two sessions of a second lie between them: the stretch after 40 minutes is a gap, too.
    assert "3 of 3 gaps are repaired." in done.out
    assert again.out == "There is nothing to repair: no gap is open.\n"
    assert closed_since < everything / 2
    # Besides, the lists of positions whose size has changed.
    requests -= value(database, "SELECT count(*) FROM position_sub_resources")
    assert requests <= closed_since // 100 + 4
    window = database.execute("SELECT what, since, until FROM backfills").fetchone()
    assert window == ("gaps", ago(minutes=50), ago(minutes=20))


async def test_while_the_stream_is_down_it_says_that_the_gap_stays_open(
    programs: Programs, database: psycopg.Connection
) -> None:
    session(database, ago(hours=12), ago(hours=6))
    async with world() as sandbox:
        programs.against(sandbox)
        down = await programs.run("backfill")
        session(database, datetime.now(UTC), NOW + timedelta(hours=1))
        back = await programs.run("backfill", "--json")

    since = ago(hours=6)
    assert "0 of 1 gaps are repaired." in down.out
    assert f"There has been no stream since {since:%F %T} UTC." in down.out
    assert (back.json["gaps_before"], back.json["gaps_left"]) == (1, 0)
    assert back.json["repaired"] == 0  # the first had done it


async def test_gaps_that_were_repaired_otherwise_are_not_gone_on_with(
    programs: Programs, database: psycopg.Connection
) -> None:
    gap(database, ago(minutes=50), ago(minutes=40))
    session(database, ago(minutes=40), NOW + timedelta(hours=1))
    async with world(warm_up=300.0) as sandbox:
        programs.against(sandbox)
        await killed(programs, database, sandbox, "backfill", page=2)
        await programs.run("reconcile")
        done = await programs.run("backfill")

    assert done.out == "There is nothing to repair: no gap is open.\n"


async def test_a_killed_backfill_of_gaps_goes_on_and_then_sees_to_those_that_came_since(
    programs: Programs, database: psycopg.Connection
) -> None:
    session(database, ago(minutes=60), ago(minutes=50))
    session(database, ago(minutes=40), NOW + timedelta(hours=1))
    async with world(warm_up=300.0) as sandbox:
        programs.against(sandbox)
        await killed(programs, database, sandbox, "backfill", page=2)
        lost = datetime.now(UTC)
        database.execute(
            "UPDATE stream_sessions SET last_seen_at = %(lost)s, ended_at = %(lost)s"
            " WHERE ended_at IS NULL",
            {"lost": lost},
        )
        session(database, lost + timedelta(milliseconds=1), NOW + timedelta(hours=1))
        done = await programs.run("backfill", "--json")

    assert "Going on with backfill 1 of the gaps since" in done.err
    assert "Meanwhile there were other gaps." in done.err
    assert [run["state"] for run in done.json["runs"]] == ["complete", "complete"]
    assert (done.json["gaps_before"], done.json["gaps_left"]) == (2, 0)


async def test_a_page_that_fails_for_good_leaves_it_unfinished_and_it_goes_on_later(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(warm_up=300.0, faults=Faults(failing_page=4)) as sandbox:
        programs.against(sandbox)
        failed = await programs.run(
            "backfill", "--all", expect=1, POSITIONSTORE_HTTP_RETRY_BUDGET="0"
        )
        sandbox.faults.update({"failing_page": 0})
        done = await programs.run("backfill", "--all", "--json")

    assert "It is not finished. Start it again" in failed.out
    assert done.json["went_on_with"] == 1
    assert statuses(database) == truth_of(sandbox)


async def test_what_one_wallet_hides_is_all_that_is_asked_for_again(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(warm_up=300.0, api_key_lists=False, wallets=3) as sandbox:
        programs.against(sandbox)
        named = ",".join(sandbox.wallets)
        await programs.run(
            "backfill", "--all", expect=1, POSITIONSTORE_WALLETS=f"{named},notanaddress"
        )
        assert statuses(database) == truth_of(sandbox)
        before = sandbox.stats()["rest_requests"]
        done = await programs.run("backfill", "--all", "--json", POSITIONSTORE_WALLETS=named)
        requests = sandbox.stats()["rest_requests"] - before

    assert (done.json["went_on_with"], done.json["exit_code"]) == (1, 0)
    assert requests == 1, "the key's; every list had been walked to its end"


async def test_only_one_at_a_time_and_the_second_leaves_no_trace(
    programs: Programs, database: psycopg.Connection
) -> None:
    database.execute("SELECT pg_advisory_lock(%s)", [RECONCILE_LOCK])
    async with world() as sandbox:
        programs.against(sandbox)
        done = await programs.run("backfill", "--all", expect=1)

    assert done.err.splitlines()[-1] == (
        "positionstore: Another reconciliation is at work on this database. "
        "Wait until it has ended."
    )
    assert value(database, "SELECT count(*) FROM backfills") == 0


async def test_sigterm_ends_it_and_it_goes_on_later(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(warm_up=300.0) as sandbox:
        programs.against(sandbox)
        process = await halted(programs, database, sandbox, "backfill", "--all", page=3)
        process.send_signal(signal.SIGTERM)
        interrupted = await ended(process)
        assert interrupted.code == 128 + signal.SIGTERM
        assert interrupted.err.splitlines()[-1] == (
            "Interrupted. Start it again in the same way, and it goes on where it was."
        )
        sandbox.faults.update({"failing_page": 0})
        done = await programs.run("backfill", "--all", "--json")

    assert done.json["went_on_with"] == 1
    assert statuses(database) == truth_of(sandbox)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "--since yesterday is no moment."),
        (["--since", "2026-07-01T03:00:00"], "--since 2026-07-01T03:00:00 is no moment."),
        (["--until", "2026-02-30"], "--until 2026-02-30 is no moment."),
        (["--since", "9999-07-01"], "--since 9999-07-01 lies in the future."),
        (["--since", "2026-07-02", "--until", "2026-07-01"], "is not before --until 2026-07-01."),
        (["--all", "--since", "2026-07-01"], "--all leaves no room for --since and --until."),
    ],
)
async def test_a_slip_in_the_options_is_one_line(
    programs: Programs, arguments: list[str], said: str
) -> None:
    done = await programs.run("backfill", *arguments, expect=2)

    assert said in done.err
    assert len(done.err.splitlines()) == 1
