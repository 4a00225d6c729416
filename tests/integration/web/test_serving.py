"""``run`` and ``ingest`` show their metrics and their health."""

import socket
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.programs import Programs, ended
from support.proxy import proxy_to
from support.shown import Shown, checked, needs_promtool, samples, total
from support.waiting import eventually

from positionstore.sandbox import Options, Sandbox
from positionstore.store import migrations
from positionstore.web.catalogue import BY_NAME

WORLD = {"seed": 7, "positions": 40, "rate": 100.0, "api_key_lists": True, "warm_up": 60.0}
TOKEN = "a-token-that-nobody-guesses"


def world(**options: object) -> Sandbox:
    return Sandbox(Options(**{**WORLD, **options}))  # type: ignore[arg-type] # by name


def count(database: psycopg.Connection, query: str) -> int:
    row = database.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def test_the_metrics_of_the_service_say_what_the_store_holds(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("run", POSITIONSTORE_HEARTBEAT_EVERY="0.1"))
        await shown.wait_for(events_appended_total=200, reconciliation_repaired_total=1)
        await sandbox.quiet()
        logged = "SELECT count(*) FROM events WHERE source = 'partner'"
        sent = sum(1 for record in sandbox.records if record.recipients)
        await eventually(lambda: count(database, logged) >= sent)
        found = await shown.wait_for(events_appended_total=count(database, logged))
        ready = await shown.get("/readyz?verbose")
        done = await shown.stopped()

    def one(name: str) -> float:
        ((_, value),) = found[f"positionstore_{name}"].items()
        return value

    appended = count(database, logged)
    assert one("events_received_total") == one("events_appended_total") == appended
    assert found["positionstore_events_received_total"] == {("partner",): appended}
    assert one("events_duplicate_total") == one("events_quarantined_total") == 0
    assert one("gateway_connected") == one("gateway_connections_total") == one("database_up") == 1
    assert one("event_delay_seconds_count") == one("commit_delay_seconds_count") == appended
    assert one("commit_size_inputs_sum") == appended
    assert one("buffer_inputs") == one("spool_inputs") == one("database_failures_total") == 0
    assert one("spool_bound_bytes") == 4e9
    newest = "SELECT extract(epoch FROM max(received_at)) FROM events WHERE source = 'partner'"
    ((at,),) = database.execute(newest.encode()).fetchall()
    assert one("last_event_timestamp_seconds") == pytest.approx(float(at), abs=1e-3)
    assert one("gateway_last_packet_timestamp_seconds") >= one("last_event_timestamp_seconds")
    assert found["positionstore_build_info"] == {(migrations.head(), "0.1.0"): 1}
    assert total(found, "positions") > 0
    runs = found["positionstore_reconciliation_runs"]
    assert set(runs) == {("running",), ("complete",), ("partial",), ("failed",)}
    assert runs["complete",] >= 1
    assert one("reconciliation_requests_total") >= 1
    assert one("reconciliation_unresolved_positions") == 0
    assert (ready.status, ready.json["failing"]) == (200, [])
    assert [check["name"] for check in ready.json["checks"]] == ["database", "schema", "gateway"]
    assert done.code == 0
    assert done.actions[-1] == "stopped"


@needs_promtool
async def test_promtool_has_nothing_against_them_and_each_is_in_the_catalogue(
    programs: Programs,
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("run"))
        # All there is to tell is told then, but for a full run.
        await shown.wait_for(
            events_appended_total=50,
            vendor_clock_offset_seconds=-60,
            positions=1,
            quarantine_inputs=0,
        )
        answer = await shown.get("/metrics")
        await shown.stopped()

    done = checked(answer.text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    types = {
        line.split()[2]: line.split()[3]
        for line in answer.text.splitlines()
        if line.startswith("# TYPE positionstore_")
    }
    assert types == {metric.full_name: metric.kind for metric in BY_NAME.values()}
    ours = {name for name in samples(answer.text) if name.startswith("positionstore_")}
    suffixed = {
        f"{m.full_name}{s}" for m in BY_NAME.values() for s in ("_bucket", "_sum", "_count")
    }
    assert ours <= suffixed | {metric.full_name for metric in BY_NAME.values()}
    # No position, wallet or secret is a label: there are few of them, and they are ours.
    assert len(answer.text.splitlines()) < 500
    assert "dm_pos_" not in answer.text
    assert "0x" not in answer.text


async def test_what_is_no_event_and_what_came_before_is_counted(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world(ticking=False) as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("ingest"))
        await sandbox.wait_for_clients(1, within=60)
        await sandbox.step(20)
        await shown.wait_for(events_appended_total=1)
        sandbox.faults.update({"duplicates": 1.0})
        await sandbox.step(20)
        await sandbox.emit_raw("position.opened", "no envelope")
        found = await shown.wait_for(events_duplicate_total=1, events_quarantined_total=1)
        await shown.stopped()

    reasons = found["positionstore_quarantine_inputs"]
    assert ("not_json",) in reasons
    assert total(found, "events_received_total") >= total(found, "events_quarantined_total")


async def test_without_a_database_a_scrape_is_answered_and_the_process_is_alive_but_not_ready(
    programs: Programs, store_url: str
) -> None:
    async with world(rate=50.0) as sandbox:
        programs.against(sandbox)
        url = programs.environment["DATABASE_URL"]
        port = int(str(conninfo_to_dict(url)["port"]))
        with proxy_to(lambda: port) as proxy:
            shown = Shown(await programs.start("ingest", DATABASE_URL=proxy.of(url)))
            await shown.wait_for(events_appended_total=10, positions=1)
            proxy.stop()
            lost = await shown.wait_for(database_failures_total=1, spool_inputs=1)
            ready, alive = await shown.get("/readyz"), await shown.get("/livez")
            proxy.start()
            back = await shown.wait_for(database_up=1)
            await shown.ready()
            await shown.stopped()

    assert total(lost, "database_up") == 0
    assert total(lost, "positions") >= 1  # the last reading
    assert (ready.status, ready.json) == (503, {"status": "failing", "failing": ["database"]})
    assert alive.status == 200
    assert total(back, "database_failures_total") >= 1


async def test_a_part_that_the_database_keeps_waiting_for_delays_nothing(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        with database.transaction():
            database.execute("LOCK TABLE reconciliation_runs IN ACCESS EXCLUSIVE MODE")
            shown = Shown(await programs.start("ingest"))
            # The gaps ask that table, too; what comes after both is read all the same.
            found = await shown.wait_for(
                store_read_failures_total=2, events_appended_total=50, quarantine_inputs=0
            )
            done = await shown.stopped()

    failures = found["positionstore_store_read_failures_total"]
    assert {part for (part,), count in failures.items() if count} == {"coverage", "reconciliation"}
    told = [line["part"] for line in done.log if line["action"] == "metrics_not_read"]
    assert told == ["coverage", "reconciliation"]


async def test_with_a_token_only_who_shows_it_sees_more_than_what_fails(
    programs: Programs,
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("ingest", POSITIONSTORE_LISTEN_TOKEN=TOKEN))
        without = await shown.get("/metrics")
        wrong = await shown.get("/metrics", Authorization=f"Bearer {TOKEN}x")
        right = await shown.get("/metrics", Authorization=f"bearer {TOKEN}")
        probe = await shown.get("/readyz?verbose")
        known = await shown.get("/readyz?verbose", Authorization=f"Bearer {TOKEN}")
        done = await shown.stopped()

    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert without.headers["WWW-Authenticate"].startswith("Bearer ")
    assert "checks" not in probe.json
    assert "checks" in known.json
    assert TOKEN not in done.err + without.text + wrong.text + right.text


@pytest.mark.parametrize("command", ["run", "ingest"])
async def test_another_address_than_loopback_is_refused_in_one_line(
    command: str, programs: Programs
) -> None:
    programs.environment["DIMES_API_KEY"] = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
    done = await programs.run(command, expect=2, POSITIONSTORE_LISTEN="0.0.0.0:9464")

    (line,) = done.err.splitlines()
    assert "POSITIONSTORE_LISTEN_TOKEN" in line


async def test_a_port_in_use_is_said_and_ingesting_goes_on(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        with closing(socket.create_server(("127.0.0.1", 0))) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            process = await programs.start("ingest", POSITIONSTORE_LISTEN=address)
            await eventually(lambda: count(database, "SELECT count(*) FROM events") > 10)
            process.terminate()
            done = await ended(process)

    (told,) = [line for line in done.log if line["action"] == "not_listening"]
    assert (done.code, told["address"], told["level"]) == (0, address, "warning")
    assert "POSITIONSTORE_LISTEN" in told["remedy"]


async def test_it_looks_as_a_session_that_can_write_nothing(
    programs: Programs, database: psycopg.Connection
) -> None:
    async with world() as sandbox:
        programs.against(sandbox)
        shown = Shown(await programs.start("ingest"))
        await shown.wait_for(positions=1)
        sessions = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE '%metrics'"
        )
        assert count(database, sessions) == 1
        await shown.stopped()
