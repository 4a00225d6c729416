"""The official socket.io-client, used as in the vendor's example, against our sandbox."""

import json
from typing import TYPE_CHECKING

import pytest

from positionstore.sandbox import Emission, Options, Sandbox
from positionstore.sandbox.gateway import CUSTOMER_NAMESPACE, PARTNER_NAMESPACE

if TYPE_CHECKING:
    from conformance.client.conftest import Listen, Listener


def options_for(sandbox: Sandbox, namespace: str, style: str) -> dict[str, object]:
    """The credentials of the first partner, or of its first customer, in either style."""
    if namespace == PARTNER_NAMESPACE:
        secret, name, scheme = sandbox.api_key, "apiKey", "Api-Key"
    else:
        secret, name, scheme = sandbox.mint_token(sandbox.wallets[0]), "token", "Bearer"
    if style == "auth":
        return {"auth": {name: secret}}
    return {"extraHeaders": {"Authorization": f"{scheme} {secret}"}}


async def hears(listener: "Listener", emissions: list[Emission]) -> None:
    for emission in emissions:
        said = await listener.hear_about("event")
        assert said["event"] == emission.type
        assert said["args"] == [json.loads(emission.text)]


@pytest.mark.parametrize("style", ["auth", "header"])
@pytest.mark.parametrize("namespace", [PARTNER_NAMESPACE, CUSTOMER_NAMESPACE])
async def test_a_client_with_good_credentials_hears_just_what_it_may_see(
    listen: "Listen", namespace: str, style: str
) -> None:
    async with Sandbox(Options(ticking=False, positions=30)) as sandbox:
        listener = await listen(sandbox.url + namespace, **options_for(sandbox, namespace, style))
        await listener.hear_about("connect")
        await sandbox.wait_for_clients(1)
        emissions = await sandbox.step(200)
        mine = [
            each
            for each in emissions
            if each.partner == 0
            and (namespace == PARTNER_NAMESPACE or each.wallet == sandbox.wallets[0])
        ]
        assert 0 < len(mine) < len(emissions)
        await hears(listener, mine)


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_every_transport_carries_the_events(listen: "Listen", transports: list[str]) -> None:
    async with Sandbox(Options(ticking=False, positions=30, partners=1)) as sandbox:
        listener = await listen(
            sandbox.url + PARTNER_NAMESPACE, auth={"apiKey": sandbox.api_key}, transports=transports
        )
        if len(transports) > 1:
            assert (await listener.hear_about("upgrade"))["transport"] == "websocket"
        else:
            assert (await listener.hear_about("connect"))["transport"] == transports[0]
        await sandbox.wait_for_clients(1)
        await hears(listener, await sandbox.step(50))


@pytest.mark.parametrize("style", ["auth", "header", "none"])
@pytest.mark.parametrize("namespace", [PARTNER_NAMESPACE, CUSTOMER_NAMESPACE])
async def test_bad_credentials_get_an_error_event_and_then_a_disconnect(
    listen: "Listen", namespace: str, style: str
) -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        options = {
            "auth": {"auth": {"apiKey": "dm_sbx_skey_wrong", "token": "a.b.c"}},
            "header": {"extraHeaders": {"Authorization": "Api-Key wrong"}},
            "none": {},
        }[style]
        listener = await listen(sandbox.url + namespace, transports=["websocket"], **options)
        said = [await listener.hear() for _ in range(3)]
        assert [each["on"] for each in said] == ["connect", "event", "disconnect"]
        assert said[1]["event"] == "error"
        assert said[1]["args"][0]["code"]
        assert said[1]["args"][0]["message"]
        assert said[2]["reason"] == "io server disconnect"
        assert sandbox.clients == []


async def test_credentials_of_the_other_gateway_are_refused(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        token = sandbox.mint_token(sandbox.wallets[0])
        for namespace, auth in (
            (PARTNER_NAMESPACE, {"token": token}),
            (PARTNER_NAMESPACE, {"apiKey": token}),
            (CUSTOMER_NAMESPACE, {"apiKey": sandbox.api_key}),
            (CUSTOMER_NAMESPACE, {"token": sandbox.api_key}),
        ):
            listener = await listen(sandbox.url + namespace, auth=auth)
            assert (await listener.hear_about("event"))["event"] == "error"


async def test_a_server_disconnect_is_final_for_the_client(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        listener = await listen(sandbox.url + PARTNER_NAMESPACE, auth={"apiKey": sandbox.api_key})
        await listener.hear_about("connect")
        await sandbox.wait_for_clients(1)
        assert await sandbox.disconnect_clients() == 1
        assert (await listener.hear_about("disconnect"))["reason"] == "io server disconnect"
        await sandbox.wait_for_clients(0)


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
async def test_after_a_cut_the_client_comes_back_by_itself(
    listen: "Listen", transports: list[str]
) -> None:
    async with Sandbox(Options(ticking=False, positions=30, partners=1)) as sandbox:
        listener = await listen(
            sandbox.url + PARTNER_NAMESPACE,
            auth={"apiKey": sandbox.api_key},
            transports=transports,
            reconnectionDelay=50,
        )
        await listener.hear_about("upgrade" if len(transports) > 1 else "connect")
        await sandbox.wait_for_clients(1)
        await sandbox.disconnect_clients("transport")
        reason = (await listener.hear_about("disconnect"))["reason"]
        assert reason in {"transport close", "transport error"}
        await listener.hear_about("connect")
        await sandbox.wait_for_clients(1)
        await hears(listener, await sandbox.step(3))


async def test_refused_connections_are_a_lost_network_to_the_client(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        sandbox.faults.refuse_connections = True
        listener = await listen(
            sandbox.url + PARTNER_NAMESPACE, auth={"apiKey": sandbox.api_key}, reconnectionDelay=50
        )
        await listener.hear_about("connect_error")
        sandbox.faults.refuse_connections = False
        await listener.hear_about("connect")


async def test_an_unknown_namespace_does_not_connect(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        listener = await listen(f"{sandbox.url}/v1/ws/other", auth={"apiKey": sandbox.api_key})
        await listener.hear_about("connect_error")


async def test_events_by_hand_arrive_as_they_were_sent(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False)) as sandbox:
        listener = await listen(sandbox.url + PARTNER_NAMESPACE, auth={"apiKey": sandbox.api_key})
        await listener.hear_about("connect")
        await sandbox.wait_for_clients(1)
        await sandbox.emit({"id": "evt_1", "type": "position.new_kind", "data": {"ü": [1, None]}})
        await sandbox.emit_raw("two", b'{"a":1}', '"b"')
        await sandbox.emit_raw("none")
        await sandbox.emit_raw("binary", attachments=[b"\x00\x01", b"\xff"])
        said = [await listener.hear_about("event") for _ in range(4)]
        assert said[0]["event"] == "position.new_kind"
        assert said[0]["args"][0]["data"] == {"ü": [1, None]}
        assert said[1]["args"] == [{"a": 1}, "b"]
        assert said[2]["args"] == []
        assert [each["data"] for each in said[3]["args"]] == [[0, 1], [255]]
