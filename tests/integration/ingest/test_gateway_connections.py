"""The supervised connection against our sandbox: a real server, real sockets."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog
from aiohttp import ClientResponse, web
from support.streams import Stream, failing, settings_for, supervised
from support.waiting import DEADLINE, eventually

from positionstore.dimes.gateway import Connection
from positionstore.errors import CredentialsError
from positionstore.model.facts import Source
from positionstore.sandbox import Faults, Options, Sandbox

WRONG_KEY = "dm_sbx_skey_00000000000000000000000000000000"
WALLET = "0x" + "ab" * 20
closes_what_is_cancelled = pytest.mark.skipif(
    aiohttp.__version__.startswith("3.11."),
    reason="aiohttp 3.11 now and then leaves an upgrade open that is cancelled meanwhile",
)


@asynccontextmanager
async def sandbox(**options: object) -> AsyncIterator[Sandbox]:
    async with Sandbox(Options(seed=7, ticking=False, **options)) as serving:  # type: ignore[arg-type] # by name
        yield serving


def delivered(serving: Sandbox) -> list[bytes]:
    """The envelopes the sandbox sent, each as often as it was sent."""
    return [bytes(record.envelope) for record in serving.records if record.recipients]


@pytest.mark.parametrize("style", ["payload", "header"])
async def test_a_partner_gets_every_event_exactly_as_it_was_sent(style: str) -> None:
    async with sandbox() as serving:
        settings = settings_for(serving.url, api_key=serving.api_key, auth_style=style)
        async with supervised(settings, Source.PARTNER) as stream:
            await serving.wait_for_clients(1)
            await serving.step(300)
            wanted = delivered(serving)
            assert len(wanted) > 200
            await eventually(lambda: len(stream.packets) == len(wanted))
            assert [event.envelope for event in stream.events] == wanted


@pytest.mark.parametrize("style", ["payload", "header"])
async def test_a_customer_gets_only_the_events_of_the_wallet(style: str) -> None:
    async with sandbox(wallets=3, partners=1) as serving:
        wallet = serving.wallets[0]
        jwt = serving.mint_token(wallet)
        settings = settings_for(serving.url, jwt=jwt, auth_style=style)
        async with supervised(settings, Source.CUSTOMER) as stream:
            await serving.wait_for_clients(1)
            emissions = await serving.step(300)
            wanted = delivered(serving)
            assert 0 < len(wanted) < len(emissions)
            await eventually(lambda: len(stream.packets) == len(wanted))
            wallets = {
                json.loads(event.envelope)["data"]["wallet_address"]
                for event in stream.events
                if event.status is not None
            }
            assert wallets == {wallet}


async def test_a_customer_s_token_is_minted_from_key_and_wallet() -> None:
    async with sandbox(partners=1) as serving:
        settings = settings_for(
            serving.url, api_key=serving.api_key, wallet_address=serving.wallets[0]
        )
        async with supervised(settings, Source.CUSTOMER) as stream:
            await serving.wait_for_clients(1)
            await stream.connected()
            assert stream.began_[0].renew_after == pytest.approx(3240, abs=5)
            await serving.disconnect_clients()
            await stream.connected(2)
            assert serving.stats()["rest_requests"] == 2


@pytest.mark.parametrize(
    ("gateway", "values", "variable"),
    [
        (Source.PARTNER, {"api_key": WRONG_KEY}, "DIMES_API_KEY"),
        (Source.PARTNER, {"api_key": WRONG_KEY, "auth_style": "header"}, "DIMES_API_KEY"),
        (Source.CUSTOMER, {"jwt": "eyJhIjoxfQ.eyJhIjoxfQ.c2ln"}, "DIMES_JWT"),
        (Source.CUSTOMER, {"api_key": WRONG_KEY, "wallet_address": WALLET}, "DIMES_API_KEY"),
        (Source.CUSTOMER, {"wallet_address": "0x1"}, "DIMES_WALLET_ADDRESS"),
    ],
)
async def test_wrong_credentials_end_it_with_one_line_that_names_the_variable(
    gateway: Source, values: dict[str, str], variable: str
) -> None:
    async with sandbox() as serving:
        values = {"api_key": serving.api_key, **values}
        error = await failing(settings_for(serving.url, **values), gateway)
        assert isinstance(error, CredentialsError)
        assert error.exit_code == 1
        line = str(error)
        assert variable in line
        assert "\n" not in line
        for secret in (values["api_key"], values.get("jwt", "eyJ")):
            assert secret not in line


async def test_a_key_that_is_revoked_while_connected_ends_it() -> None:
    async with sandbox() as serving:
        settings = settings_for(serving.url, api_key=serving.api_key)
        ending = asyncio.ensure_future(failing(settings, Source.PARTNER))
        await serving.wait_for_clients(1)
        await serving.step(3)
        serving.faults.refuse_api_keys = True
        await serving.disconnect_clients("transport")
        assert "DIMES_API_KEY" in str(await ending)


@pytest.mark.parametrize("how", ["server", "transport"])
async def test_it_comes_back_after_every_disconnect(how: str) -> None:
    async with sandbox() as serving:
        settings = settings_for(serving.url, api_key=serving.api_key)
        with structlog.testing.capture_logs() as lines:
            async with supervised(settings, Source.PARTNER) as stream:
                for times in range(1, 4):
                    await serving.wait_for_clients(1)
                    await stream.connected(times)
                    await serving.step(5)
                    # Cutting the transport throws away what has not left it yet.
                    await eventually(lambda: len(stream.packets) == len(delivered(serving)))
                    await serving.disconnect_clients(how)
                await stream.connected(4)
                await serving.wait_for_clients(1)
        assert stream.hooks == 4
        assert len(stream.packets) == len(delivered(serving))
        wanted = "disconnected by the gateway" if how == "server" else "connection lost"
        assert stream.reasons == [wanted] * 3 + ["stopped"]
        actions = [line["event"] for line in lines]
        assert actions == ["gateway_connected", *["gateway_lost", "gateway_connected"] * 3]


async def test_an_unwell_gateway_is_tried_again_and_spoken_of_once() -> None:
    async with sandbox(faults=Faults(refuse_connections=True)) as serving:
        settings = settings_for(serving.url, api_key=serving.api_key)
        with structlog.testing.capture_logs() as lines:
            async with supervised(settings, Source.PARTNER) as stream:
                await eventually(lambda: stream.supervisor._backoff.attempts >= 10)
                serving.faults.refuse_connections = False
                await stream.connected()
        assert [line["event"] for line in lines] == ["gateway_unreachable", "gateway_connected"]
        assert "503" in lines[0]["cause"]
        assert lines[1]["seconds_away"] >= 0


async def test_a_gateway_that_is_not_there_yet_is_waited_for() -> None:
    async with sandbox() as serving:
        port, key = serving.port, serving.api_key
    settings = settings_for(f"http://127.0.0.1:{port}", api_key=key)
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings, Source.PARTNER) as stream:
            await eventually(lambda: stream.supervisor._backoff.attempts >= 5)
            async with sandbox(port=port):
                await stream.connected()
    assert lines[0]["cause"] == (
        f"The partner gateway cannot be reached: 127.0.0.1:{port}: Connection refused."
    )


async def test_minting_is_tried_again_while_the_api_is_unwell() -> None:
    async with sandbox(faults=Faults(rest_errors=1.0)) as serving:
        settings = settings_for(
            serving.url, api_key=serving.api_key, wallet_address=serving.wallets[0]
        )
        async with supervised(settings, Source.CUSTOMER) as stream:
            await eventually(lambda: stream.supervisor._backoff.attempts >= 5)
            serving.faults.rest_errors = 0.0
            await stream.connected()


async def test_a_token_is_replaced_before_it_expires_and_nothing_is_missed() -> None:
    options = Options(seed=7, rate=200, partners=1, wallets=1, token_life=2.5)
    async with Sandbox(options) as serving:
        settings = settings_for(
            serving.url, api_key=serving.api_key, wallet_address=serving.wallets[0]
        )
        async with supervised(settings, Source.CUSTOMER) as stream:
            await stream.connected(3)
            await serving.quiet()
            records = serving.records
            first = next(n for n, record in enumerate(records) if record.recipients)
            sent = {bytes(record.envelope) for record in records[first:]}
            await eventually(lambda: {event.envelope for event in stream.events} >= sent)
        assert set(stream.reasons) == {"renewed", "stopped"}
        for (old, _), new in zip(stream.ended_, stream.began_[1:], strict=False):
            assert old.last_packet_at is not None
            assert new.connected_at is not None


@pytest.mark.parametrize("heard", [True, False], ids=["events since", "none since"])
async def test_what_is_missed_after_a_renewal_is_fetched(heard: bool) -> None:
    due = asyncio.Event()

    async def sleep(seconds: float) -> None:
        # The renewal comes when the test says so; the waits between attempts are short.
        await (due.wait() if seconds > 100 else asyncio.sleep(min(seconds, 0.05)))

    async with sandbox(partners=1, wallets=1, recovery=True) as serving:
        settings = settings_for(
            serving.url, api_key=serving.api_key, wallet_address=serving.wallets[0]
        )
        async with supervised(settings, Source.CUSTOMER) as stream:
            stream.supervisor._sleep = sleep
            await stream.connected()
            await serving.step(50)
            await eventually(lambda: len(stream.events) >= 50)
            due.set()
            await stream.connected(2)
            due.clear()
            await eventually(lambda: len(stream.ended_) == 1)
            await serving.wait_for_clients(1)
            if heard:
                await serving.step(10)
            serving.faults.refuse_connections = True
            await serving.disconnect_clients("transport")
            await eventually(lambda: len(stream.ended_) == 2)
            await serving.wait_for_clients(0)
            await serving.step(50)
            assert [record.recipients for record in serving.records[-50:]] == [[]] * 50
            serving.faults.refuse_connections = False
            wanted = {bytes(record.envelope) for record in serving.records}
            await eventually(lambda: {event.envelope for event in stream.events} == wanted)
        assert stream.reasons[0] == "renewed"


async def test_a_connection_that_is_lost_while_its_token_is_renewed_leaves_nobody_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    due = asyncio.Event()
    leave = Connection.close
    settled = asyncio.Event()

    async def sleep(seconds: float) -> None:
        # The renewal comes when the test says so; the waits between attempts are short.
        await (due.wait() if seconds > 100 else asyncio.sleep(seconds))

    async def leave_slowly(connection: Connection) -> None:
        due.set()
        if not settled.is_set():
            settled.set()
            for _ in range(50):
                await asyncio.sleep(0.01)  # time enough for a successor to be let in
        await leave(connection)

    async with sandbox(partners=1) as serving:
        settings = settings_for(
            serving.url, api_key=serving.api_key, wallet_address=serving.wallets[0]
        )
        async with supervised(settings, Source.CUSTOMER) as stream:
            stream.supervisor._sleep = sleep
            await stream.connected()
            monkeypatch.setattr(Connection, "close", leave_slowly)
            await serving.disconnect_clients("transport")
            await eventually(lambda: len(stream.ended_) >= 1)
            due.clear()
            await stream.connected(2)
            await serving.wait_for_clients(1)
        await serving.wait_for_clients(0)
        assert [one for one, _ in stream.ended_] == stream.began_


async def test_no_secret_reaches_the_log() -> None:
    async with sandbox(faults=Faults(refuse_connections=True)) as serving:
        settings = settings_for(
            serving.url,
            api_key=serving.api_key,
            wallet_address=serving.wallets[0],
            auth_style="header",
        )
        with structlog.testing.capture_logs() as lines:
            async with supervised(settings, Source.CUSTOMER) as stream:
                await eventually(lambda: stream.supervisor._backoff.attempts >= 2)
                serving.faults.refuse_connections = False
                await stream.connected()
                await serving.disconnect_clients()
                await stream.connected(2)
        text = repr(lines)
        assert "gateway_lost" in text
        assert serving.api_key not in text
        assert "eyJ" not in text


async def test_credentials_are_not_carried_to_where_a_gateway_redirects() -> None:
    seen: list[str] = []

    async def catch(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://localhost:{port}/stolen")

    app = web.Application()
    app.router.add_get("/socket.io/", redirect)
    app.router.add_get("/stolen", catch)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        settings = settings_for(f"http://127.0.0.1:{port}", api_key=WRONG_KEY, auth_style="header")
        async with supervised(settings, Source.PARTNER) as stream:
            await eventually(lambda: stream.supervisor._backoff.attempts >= 3, within=DEADLINE)
    finally:
        await runner.cleanup()
    assert seen == []


@closes_what_is_cancelled
async def test_cancelled_at_any_step_of_an_attempt_it_leaves_nothing_open() -> None:
    async with sandbox() as serving:
        # Let in, and put out with an error at once.
        settings = settings_for(serving.url, api_key=WRONG_KEY)
        steps, has_ended = 0, False
        while not has_ended:
            steps += 1
            stream = Stream(settings, Source.PARTNER)
            running = asyncio.ensure_future(stream.supervisor.run())
            for _ in range(steps):
                await asyncio.sleep(0)
            has_ended = running.done()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for made in stream.made:
                assert made._http is None or made._http.closed, steps
                assert all(response.closed for response in made._responses), steps
    assert steps > 20


@closes_what_is_cancelled
@pytest.mark.parametrize("said", [None, "6", b"6"])
async def test_a_connection_that_came_to_nothing_leaves_nothing_to_the_garbage_collector(
    said: str | bytes | None,
) -> None:
    over = asyncio.Event()

    async def upgrade(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if isinstance(said, str):
            await socket.send_str(said)
        elif said is not None:
            await socket.send_bytes(said)
        await over.wait()
        return socket

    app = web.Application()
    app.router.add_get("/socket.io/", upgrade)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    # Held here, an upgraded response is closed by who opened it, or not at all.
    upgraded: set[ClientResponse] = set()

    def are_upgraded() -> bool:
        answers = (one for one in gc.get_objects() if isinstance(one, ClientResponse))
        upgraded.update(one for one in answers if one.status == 101 and one.url.port == port)
        return bool(upgraded)

    try:
        settings = settings_for(f"http://127.0.0.1:{port}", api_key=WRONG_KEY)
        async with supervised(settings, Source.PARTNER):
            await eventually(are_upgraded)
        assert all(one.closed for one in upgraded)
    finally:
        over.set()
        await runner.cleanup()
