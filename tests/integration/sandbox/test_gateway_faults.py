"""What the gateways send, lose, repeat and cut off, and what the recording says of it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import socketio
from support.listener import connect
from support.waiting import DEADLINE

from positionstore.errors import ConfigurationError
from positionstore.sandbox import Faults, Options, Sandbox, read
from positionstore.sandbox.gateway import CUSTOMER_NAMESPACE, ENGINE_PATH, PARTNER_NAMESPACE
from positionstore.sandbox.world import EVENT_TYPES

START = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Ear:
    """A connected client that keeps what it hears."""

    def __init__(self, client: socketio.AsyncClient) -> None:
        self.client = client
        self.heard: list[tuple[Any, ...]] = []
        self.gone = asyncio.Event()

    async def until(self, count: int) -> list[tuple[Any, ...]]:
        """Wait until so many events have been heard."""
        async with asyncio.timeout(DEADLINE):
            while len(self.heard) < count:  # noqa: ASYNC110 - a count is polled
                await asyncio.sleep(0.005)
        return self.heard

    @property
    def ids(self) -> list[str]:
        return [args[1]["id"] for args in self.heard]


@asynccontextmanager
async def listening(
    sandbox: Sandbox, namespace: str = PARTNER_NAMESPACE, **auth: str
) -> AsyncIterator[Ear]:
    client = socketio.AsyncClient(reconnection=False)
    ear = Ear(client)

    def hear(*arguments: Any) -> None:
        ear.heard.append(arguments)

    def left(*_: Any) -> None:
        ear.gone.set()

    client.on("*", hear, namespace=namespace)
    client.on("disconnect", left, namespace=namespace)
    before = len(sandbox.clients)
    await connect(client, sandbox, namespace=namespace, auth=auth)
    await sandbox.wait_for_clients(before + 1)
    yield ear
    await client.disconnect()


def by_hand(**options: Any) -> Sandbox:
    settings = {"ticking": False, "start": START, "positions": 60, "partners": 1, **options}
    return Sandbox(Options(**settings))


async def test_both_keys_of_a_partner_hear_its_events_and_no_others() -> None:
    async with by_hand(partners=2) as sandbox:
        (first, second), (foreign, _) = sandbox.credentials.keys
        async with (
            listening(sandbox, apiKey=first) as one,
            listening(sandbox, apiKey=second) as two,
            listening(sandbox, apiKey=foreign) as other,
        ):
            emissions = await sandbox.step(300)
            own = [each.event_id for each in emissions if each.partner == 0]
            others = [each.event_id for each in emissions if each.partner == 1]
            await one.until(len(own))
            await two.until(len(own))
            await other.until(len(others))
            assert one.ids == two.ids == own
            assert other.ids == others


async def test_a_customer_of_two_partners_hears_of_one() -> None:
    async with by_hand(partners=2, wallets=1) as sandbox:
        token = sandbox.mint_token(sandbox.wallets[0], partner=1)
        async with listening(sandbox, CUSTOMER_NAMESPACE, token=token) as ear:
            emissions = await sandbox.step(300)
            expected = [each.event_id for each in emissions if each.partner == 1]
            assert expected
            await ear.until(len(expected))
            assert ear.ids == expected


async def test_an_expired_token_is_refused_at_the_handshake() -> None:
    async with by_hand(token_life=30) as sandbox:
        token = sandbox.mint_token(sandbox.wallets[0])
        async with listening(sandbox, CUSTOMER_NAMESPACE, token=token):
            pass
        await sandbox.advance(31)
        client = socketio.AsyncClient(reconnection=False)
        errors: list[Any] = []
        client.on("error", errors.append, namespace=CUSTOMER_NAMESPACE)
        await connect(
            client,
            sandbox,
            namespace=CUSTOMER_NAMESPACE,
            auth={"token": token},
            transports=("polling", "websocket"),
        )
        await asyncio.wait_for(client.wait(), DEADLINE)
        assert [each["code"] for each in errors] == ["token_expired"]


async def test_lost_events_reach_nobody_but_change_the_world_and_are_recorded() -> None:
    async with by_hand(faults=Faults(lost=0.3)) as sandbox, listening(sandbox) as ear:
        emissions = await sandbox.step(500)
        lost = {each.event_id for each in sandbox.records if each.fate == "lost"}
        assert 100 < len(lost) < 200
        await ear.until(len(emissions) - len(lost))
        assert ear.ids == [each.event_id for each in emissions if each.event_id not in lost]
        known = {each.position_id for each in emissions}
        assert known == set(sandbox.world.truth())


async def test_duplicates_are_the_same_bytes_once_more() -> None:
    async with by_hand(faults=Faults(duplicates=0.2)) as sandbox, listening(sandbox) as ear:
        emissions = await sandbox.step(500)
        await ear.until(len(sandbox.records))
        assert set(ear.ids) == {each.event_id for each in emissions}
        assert 60 < len(ear.ids) - len(set(ear.ids)) < 140
        twice: dict[str, set[bytes]] = {}
        for record in sandbox.records:
            twice.setdefault(record.event_id, set()).add(bytes(record.envelope))
        assert all(len(each) == 1 for each in twice.values())
        assert Counter(each.copy for each in sandbox.records)[1] == len(ear.ids) - 500


async def test_held_back_events_come_late_and_all_of_them_when_the_world_goes_quiet() -> None:
    faults = Faults(reordering=0.5, reorder_window=30)
    async with by_hand(faults=faults) as sandbox, listening(sandbox) as ear:
        emissions = await sandbox.step(300)
        assert sandbox.stats()["waiting"] > 50
        await sandbox.quiet()
        await ear.until(300)
        expected = [each.event_id for each in emissions]
        assert ear.ids != expected
        assert sorted(ear.ids) == sorted(expected)
        assert sandbox.stats()["waiting"] == 0
        truth = sandbox.world.truth()
        await sandbox.advance(30)
        assert sandbox.world.truth().keys() == truth.keys()
        assert len(sandbox.records) == 300
        sandbox.resume()
        await sandbox.advance(5)
        await sandbox.quiet()
        assert len(sandbox.records) > 350


async def test_clock_skew_shows_in_created_at() -> None:
    async with by_hand(faults=Faults(clock_skew=5)) as sandbox:
        emissions = await sandbox.step(200)
        moments = [json.loads(each.text)["created_at"] for each in emissions]
        assert moments != sorted(moments)


async def test_packets_can_be_sent_that_are_none() -> None:
    async with by_hand() as sandbox, listening(sandbox) as ear:
        await sandbox.send_packet(f'2{PARTNER_NAMESPACE},["by hand",1]')
        await ear.until(1)
        assert ear.heard == [("by hand", 1)]
        with pytest.raises(UnicodeError):
            await sandbox.emit_raw("broken", "\ud800")
        with pytest.raises(UnicodeError):
            await sandbox.emit_raw("broken", b"\xff")


async def test_closing_does_not_wait_for_clients() -> None:
    began = asyncio.get_running_loop().time()
    client = socketio.AsyncClient(reconnection=False)
    async with by_hand() as sandbox:
        await connect(client, sandbox, transports=("polling", "websocket"))
        await sandbox.wait_for_clients(1)
    await asyncio.wait_for(client.wait(), DEADLINE)
    assert asyncio.get_running_loop().time() - began < 30  # the library would wait for a minute


@pytest.mark.parametrize("how", ["server", "transport"])
async def test_clients_are_disconnected_in_either_way(how: str) -> None:
    async with by_hand() as sandbox, listening(sandbox) as one, listening(sandbox) as two:
        assert await sandbox.disconnect_clients(how) == 2
        await asyncio.wait_for(one.gone.wait(), DEADLINE)
        await asyncio.wait_for(two.gone.wait(), DEADLINE)
        await sandbox.wait_for_clients(0)
        (emission,) = await sandbox.step()
        assert sandbox.records[-1].fate == "unheard"
        assert sandbox.records[-1].event_id == emission.event_id


async def test_clients_are_disconnected_every_so_often() -> None:
    async with by_hand(faults=Faults(disconnect_every=10)) as sandbox, listening(sandbox) as ear:
        await sandbox.advance(4)
        assert sandbox.stats()["clients"] == 1
        for _ in range(3):
            await sandbox.advance(5)
        await asyncio.wait_for(ear.gone.wait(), DEADLINE)


async def test_events_come_by_themselves_at_the_rate_asked_for() -> None:
    begun = datetime.now(UTC)
    async with Sandbox(Options(rate=200, partners=1, warm_up=5)) as sandbox:
        before = len(sandbox.world.truth())
        assert before > 50
        async with listening(sandbox) as ear:
            await ear.until(100)
            late = datetime.fromisoformat(ear.heard[-1][1]["created_at"])
            assert begun - timedelta(seconds=1) < late <= datetime.now(UTC)
            assert len(sandbox.world.truth()) > before


async def test_sample_events_reach_the_customer_who_asked_and_nobody_else() -> None:
    async with by_hand() as sandbox:
        token = sandbox.mint_token(sandbox.wallets[0])
        other = sandbox.mint_token(sandbox.wallets[1])
        async with (
            listening(sandbox, CUSTOMER_NAMESPACE, token=token) as ear,
            listening(sandbox, CUSTOMER_NAMESPACE, token=other) as stranger,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        ):
            url = f"{sandbox.url}/v1/prediction-markets/sample-events"
            async with session.post(url) as response:
                answer = await response.json()
            assert answer == {"event_count": len(EVENT_TYPES), "interval_ms": 100}
            await ear.until(len(EVENT_TYPES))
            assert [each[0] for each in ear.heard] == list(EVENT_TYPES)
            assert not {each[1]["data"]["id"] for each in ear.heard} & set(sandbox.world.truth())
            assert stranger.heard == []


async def test_the_recording_tells_what_became_of_every_event(tmp_path: Path) -> None:
    file = tmp_path / "emitted.jsonl"
    faults = Faults(duplicates=0.1, lost=0.1)
    async with by_hand(faults=faults, record=file) as sandbox:
        unheard = await sandbox.step(50)
        async with listening(sandbox) as ear:
            await sandbox.step(200)
            await sandbox.emit_raw("odd", b"{not json")
            await ear.until(sandbox.stats()["delivered"] - 1)
        records = sandbox.records
    assert list(read(file)) == records
    fates = Counter(each.fate for each in records)
    assert fates["lost"]
    assert {each.event_id for each in records[:50]} <= {each.event_id for each in unheard}
    for record in records:
        assert (record.fate == "delivered") == bool(record.recipients)
        if record.event_id:
            assert json.loads(bytes(record.envelope))["id"] == record.event_id
    assert json.loads(bytes(records[-1].envelope)) == "{not json"


async def test_a_recording_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cannot write the recording") as caught:
        async with by_hand(record=tmp_path / "none" / "emitted.jsonl"):
            pass
    assert "\n" not in str(caught.value)


async def test_a_port_in_use_is_refused_in_one_line() -> None:
    async with by_hand() as sandbox:
        with pytest.raises(ConfigurationError, match=f"Port {sandbox.port} .*--port 0") as caught:
            async with by_hand(port=sandbox.port):
                pass
        assert "\n" not in str(caught.value)


async def test_only_the_loopback_address_is_served() -> None:
    async with by_hand() as sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        listening = [
            connection.laddr.ip
            for connection in psutil.Process().net_connections("tcp")
            if (connection.laddr.port, connection.status) == (sandbox.port, psutil.CONN_LISTEN)
        ]
        assert listening == ["127.0.0.1"]


async def test_the_control_endpoints_do_what_the_methods_do() -> None:
    async with by_hand() as sandbox, aiohttp.ClientSession(sandbox.url) as session:

        async def ask(method: str, path: str, expect: int = 200, **body: object) -> Any:
            url = f"/_sandbox{path}"
            async with session.request(method, url, json=body or None) as response:
                assert response.status == expect, await response.text()
                return await response.json()

        state = await ask("GET", "")
        assert state["api_key"] == sandbox.api_key
        assert state["wallets"] == list(sandbox.wallets)
        await ask("POST", "/advance", events=40)
        assert len(sandbox.records) == 40
        before = sandbox.now()
        await ask("POST", "/advance", seconds=2.5)
        assert (sandbox.now() - before).total_seconds() == 2.5
        truth = await ask("GET", "/truth")
        assert truth["positions"] == sandbox.world.truth()
        assert (await ask("GET", "/truth?partner=1"))["positions"] == {}
        state = await ask("POST", "/faults", lost=0.5, hidden=["dm_pos_1"])
        assert state["faults"]["lost"] == sandbox.faults.lost == 0.5
        assert "lots" in (await ask("POST", "/faults", 400, lots=1))["error"]["message"]
        await ask("POST", "/quiet")
        count = len(sandbox.records)
        await ask("POST", "/advance", seconds=20)
        assert len(sandbox.records) == count
        await ask("POST", "/resume")
        await ask("POST", "/advance", seconds=20)
        assert len(sandbox.records) > count
        await ask("POST", "/advance", 400, days=1)
        await ask("POST", "/advance", 400, seconds="long")
        await ask("GET", "/truth?partner=x", 400)
        async with listening(sandbox) as ear:
            await ask("POST", "/emit", event="odd", arguments=['{"a":1}', "2"])
            await ear.until(1)
            assert ear.heard == [("odd", {"a": 1}, 2)]
            await ask("POST", "/disconnect", how="transport")
            await asyncio.wait_for(ear.gone.wait(), DEADLINE)
        token = sandbox.mint_token(sandbox.wallets[0])
        await ask("POST", "/revoke-tokens")
        async with session.get(
            "/v1/prediction-markets/positions", headers={"Authorization": f"Bearer {token}"}
        ) as response:
            assert response.status == 401


async def test_a_client_that_polls_no_more_holds_up_nobody_who_disconnects_it() -> None:
    async with by_hand() as sandbox:
        url = f"{sandbox.url}{ENGINE_PATH}/?EIO=4&transport=polling"
        async with aiohttp.request("GET", url) as response:
            sid = json.loads((await response.text())[1:])["sid"]
        auth = json.dumps({"apiKey": sandbox.api_key})
        packet = f"40{PARTNER_NAMESPACE},{auth}"
        async with aiohttp.request("POST", f"{url}&sid={sid}", data=packet) as response:
            assert response.ok
        await sandbox.wait_for_clients(1)
        await sandbox.step(5)
        async with asyncio.timeout(DEADLINE):
            assert await sandbox.disconnect_clients("transport") == 1
        await sandbox.wait_for_clients(0)
