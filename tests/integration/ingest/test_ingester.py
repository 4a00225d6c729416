"""From the socket to the table: real gateways, real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg import sql
from support.streams import settings_for
from support.waiting import eventually

from positionstore.errors import (
    CredentialsError,
    WrongEnvironmentError,
)
from positionstore.ingest import ingester as service
from positionstore.ingest.ingester import Ingester
from positionstore.ingest.spools import Listed, Spools, SpoolState, SpoolTotals
from positionstore.model.facts import Source
from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.settings import Environment
from positionstore.store import identity
from positionstore.store.database import Store

Row = tuple[Any, ...]


class Desk:
    """The database, as an analyst sees it."""

    def __init__(self, url: str) -> None:
        self.store = Store(url, embedded=False)

    def rows(self, query: str) -> list[Row]:
        with psycopg.connect(self.store.url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def one(self, query: str) -> Any:
        return self.rows(query)[0][0]

    @property
    def envelopes(self) -> list[bytes]:
        return [
            row[0].encode() for row in self.rows("SELECT envelope::text FROM events ORDER BY seq")
        ]

    async def holds(self, events: int) -> None:
        await eventually(lambda: bool(self.one("SELECT count(*) FROM events") >= events))


@pytest.fixture
def desk(store_url: str) -> Desk:
    return Desk(store_url)


@asynccontextmanager
async def ingesting(
    desk: Desk, serving: Sandbox, gateway: Source = Source.PARTNER, **values: object
) -> AsyncIterator[asyncio.Event]:
    """Run an ingester until the block ends, or the event that it yields is set."""
    settings = settings_for(
        serving.url, **{"api_key": serving.api_key, "heartbeat_every": 0.05, **values}
    )
    stop = asyncio.Event()
    task = asyncio.ensure_future(Ingester(settings, desk.store, gateway).run(stop))
    try:
        yield stop
        stop.set()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def outage(desk: Desk) -> Iterator[None]:
    """Take one database away: it refuses connections, and ends those that are open."""
    name = psycopg.conninfo.conninfo_to_dict(desk.store.url)["dbname"]
    elsewhere = psycopg.conninfo.make_conninfo(desk.store.url, dbname="postgres")

    def allow(*, connections: bool) -> None:
        with psycopg.connect(elsewhere, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
                    sql.Identifier(str(name)), sql.Literal(connections)
                )
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    allow(connections=False)
    try:
        yield
    finally:
        allow(connections=True)


def listed(data_dir: Path) -> list[Listed]:
    return Spools(data_dir, max_bytes=0).listed()


def totals(data_dir: Path) -> SpoolTotals:
    return Spools(data_dir, max_bytes=0).totals()


def sent(serving: Sandbox) -> list[bytes]:
    return [bytes(record.envelope) for record in serving.records if record.recipients]


async def test_what_a_gateway_sends_is_in_the_log_and_in_positions(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving, ingesting(desk, serving):
        await serving.wait_for_clients(1)
        await serving.step(200)
        await desk.holds(len(sent(serving)))
    assert desk.envelopes == sent(serving)
    assert {row[0] for row in desk.rows("SELECT DISTINCT source FROM events")} == {"partner"}
    with_position = {
        data["id"]: data["status"]
        for envelope in sent(serving)
        if "status" in (data := json.loads(envelope)["data"])
    }
    found = {row[0] for row in desk.rows("SELECT position_id FROM positions")}
    assert found == with_position.keys()


async def test_a_customer_s_events_carry_their_source(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False, partners=1, wallets=1)) as serving:
        wallet = serving.wallets[0]
        async with ingesting(desk, serving, Source.CUSTOMER, wallet_address=wallet):
            await serving.wait_for_clients(1)
            await serving.step(20)
            await desk.holds(len(sent(serving)))
    assert {row[0] for row in desk.rows("SELECT DISTINCT source FROM events")} == {"customer"}
    assert desk.rows("SELECT gateway, end_reason FROM stream_sessions") == [("customer", "stopped")]


async def test_duplicates_and_disorder_leave_one_of_each(desk: Desk) -> None:
    faults = Faults(duplicates=0.3, reordering=0.3, reorder_window=0.2)
    async with (
        Sandbox(Options(seed=7, rate=500, faults=faults)) as serving,
        ingesting(desk, serving),
    ):
        await desk.holds(300)
        await serving.quiet()
        await desk.holds(len(set(sent(serving))))
    assert sorted(desk.envelopes) == sorted(set(sent(serving)))
    assert desk.one("SELECT count(*) FROM quarantine") == 0
    received, repeated = len(sent(serving)), len(sent(serving)) - len(set(sent(serving)))
    counted = desk.rows("SELECT received, duplicates, quarantined FROM stream_sessions")
    assert counted == [(received, repeated, 0)]


async def test_what_cannot_be_understood_is_in_quarantine_whole(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving, ingesting(desk, serving):
        await serving.wait_for_clients(1)
        await serving.emit_raw("position.opened", "[1]")
        await serving.emit_raw("position.opened", '{"id":"evt_x"},{"id":"evt_y"}')
        await serving.emit_raw("position.opened", '{"id":"evt_z\\u0000\\ud800","n":1e400}')
        await serving.emit_raw("position.opened", attachments=[b"\x00\xff"])
        await serving.step(3)
        await desk.holds(len(sent(serving)) - 4)
        await eventually(lambda: desk.one("SELECT count(*) FROM quarantine") == 4)
    found = desk.rows("SELECT reason, source, raw FROM quarantine ORDER BY 1")
    assert [row[0] for row in found] == [
        "bad_type",
        "binary_attachment",
        "not_an_object",
        "wrong_arguments",
    ]
    assert {row[1] for row in found} == {"partner"}
    assert bytes(found[0][2]) == b'{"id":"evt_z\\u0000\\ud800","n":1e400}'
    assert bytes(found[1][2]).endswith(b"\x1ebAP8=")
    assert bytes(found[3][2]).startswith(b"42/v1/ws/prediction-markets/positions,[")


async def test_an_event_the_database_refuses_costs_only_itself(desk: Desk) -> None:
    # Whatever the decoder lets through fits; a rule of the operator's own may still object.
    with psycopg.connect(desk.store.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE events ADD CHECK (event_id <> 'evt_refused')")
    envelope = (
        '{"id":"evt_refused","type":"position.opened","created_at":"2026-07-01T12:00:00Z",'
        '"data":{"id":"dm_pos_1","status":"open"}}'
    )
    async with Sandbox(Options(seed=7, ticking=False)) as serving, ingesting(desk, serving):
        await serving.wait_for_clients(1)
        await serving.step(20)
        await serving.emit_raw("position.opened", envelope)
        await serving.step(20)
        await desk.holds(len(sent(serving)) - 1)
    assert desk.envelopes == [text for text in sent(serving) if text != envelope.encode()]
    counted = desk.rows("SELECT received, duplicates, quarantined FROM stream_sessions")
    assert counted == [(len(sent(serving)), 0, 1)]
    found = desk.rows("SELECT reason, raw FROM quarantine")
    assert [(reason, bytes(raw)) for reason, raw in found] == [
        ("refused_by_database", envelope.encode())
    ]


async def test_sessions_begin_at_the_connect_beat_and_end_at_the_last_packet(desk: Desk) -> None:
    options = Options(seed=7, ticking=False, ping_interval=0.1, ping_timeout=60)
    session = (
        "SELECT started_at, last_seen_at, ended_at, end_reason FROM stream_sessions ORDER BY 1"
    )
    async with Sandbox(options) as serving, ingesting(desk, serving):
        await serving.wait_for_clients(1)
        await eventually(lambda: len(desk.rows(session)) == 1)
        started, seen, ended, _ = desk.rows(session)[0]
        assert started <= seen
        assert ended is None
        # No event is sent: the pings prove life.
        await eventually(lambda: desk.rows(session)[0][1] > seen)
        await serving.disconnect_clients("transport")
        await eventually(lambda: len(desk.rows(session)) == 2)
    first, second = desk.rows(session)
    assert (first[3], second[3]) == ("connection lost", "stopped")
    for _, seen, ended, _ in (first, second):
        assert seen == ended
    assert first[2] <= second[0]


async def test_a_database_that_goes_away_costs_nothing(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        with structlog.testing.capture_logs() as lines:
            async with ingesting(desk, serving):
                await serving.wait_for_clients(1)
                await serving.step(20)
                await desk.holds(len(sent(serving)))
                with outage(desk):
                    for _ in range(10):
                        await serving.step(10)
                    await eventually(
                        lambda: any(line["event"] == "database_lost" for line in lines)
                    )
                    await asyncio.sleep(0.5)
                await desk.holds(len(sent(serving)))
        assert len(sent(serving)) > 100
    assert desk.envelopes == sent(serving)
    actions = [line["event"] for line in lines if line["event"].startswith("database")]
    assert actions == ["database_lost", "database_back"]
    sessions = desk.rows("SELECT started_at < last_seen_at, end_reason FROM stream_sessions")
    assert sessions == [(True, "stopped")]


async def test_stopping_without_a_database_leaves_what_came_in_the_spool(
    desk: Desk, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "TIME_TO_WRITE", 0.3)
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        async with ingesting(desk, serving) as stop:
            await serving.wait_for_clients(1)
            with outage(desk):
                await serving.step(20)
                await eventually(lambda: totals(data_dir).events == len(sent(serving)))
                stop.set()
                await eventually(lambda: not serving.clients)
                await eventually(
                    lambda: [spool.state for spool in listed(data_dir)] == [SpoolState.LEFT_BEHIND]
                )
        assert desk.envelopes == []
        assert totals(data_dir).events == len(sent(serving))
        async with ingesting(desk, serving):
            await desk.holds(len(sent(serving)))
        assert desk.envelopes == sent(serving)
        assert listed(data_dir) == []


async def test_stopping_writes_what_has_arrived(desk: Desk) -> None:
    # Led by the test: a rate that a busy machine cannot keep up with would never let it end.
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        async with ingesting(desk, serving):
            await serving.wait_for_clients(1)
            await serving.step(1000)
            await desk.holds(500)
            await serving.step(1000)
        # Whatever had arrived is in the log, from the first to the last, without a hole.
        written, emitted = desk.envelopes, sent(serving)
        assert written == emitted[: len(written)]
        last = desk.one("SELECT max(received_at) FROM events")
        assert desk.one("SELECT ended_at FROM stream_sessions") >= last


async def test_a_store_of_the_other_environment_is_refused_before_anything_is_sent(
    desk: Desk,
) -> None:
    with desk.store.connect() as connection:
        identity.claim(connection, Environment.PRODUCTION)
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        settings = settings_for(serving.url, api_key=serving.api_key)
        with pytest.raises(WrongEnvironmentError):
            Ingester(settings, desk.store, Source.PARTNER)
        assert serving.clients == []
        assert serving.stats()["rest_requests"] == 0


async def test_refused_credentials_end_it(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        settings = settings_for(serving.url, api_key="dm_sbx_skey_0")
        with pytest.raises(CredentialsError, match="DIMES_API_KEY"):
            await Ingester(settings, desk.store, Source.PARTNER).run(asyncio.Event())


async def test_the_hook_is_called_when_the_stream_is_attached(desk: Desk) -> None:
    async with Sandbox(Options(seed=7, ticking=False)) as serving:
        settings = settings_for(serving.url, api_key=serving.api_key)
        attached: list[int] = []
        ingester = Ingester(
            settings,
            desk.store,
            Source.PARTNER,
            on_connected=[lambda: attached.append(1), lambda: attached.append(1 // 0)],
        )
        loop_errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: loop_errors.append(context["exception"])
        )
        stop = asyncio.Event()
        task = asyncio.ensure_future(ingester.run(stop))
        for times in (1, 2):
            await eventually(lambda times=times: len(attached) == times)  # type: ignore[misc] # its argument is given here
            await serving.wait_for_clients(1)
            await serving.disconnect_clients()
        stop.set()
        await task
    assert len(loop_errors) >= 2, "a hook that fails is heard of, and costs nothing"
