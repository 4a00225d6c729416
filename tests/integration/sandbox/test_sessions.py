"""What a client has certainly read: an event counts once a ping that came after it is answered."""

import json

import aiohttp
import socketio
from support.listener import connect
from support.waiting import eventually

from positionstore.sandbox import Options, Sandbox
from positionstore.sandbox.gateway import PARTNER_NAMESPACE


def by_hand() -> Sandbox:
    return Sandbox(Options(ticking=False, partners=1, ping_interval=0.05, ping_timeout=60.0))


async def test_an_answered_ping_vouches_for_all_that_was_sent_before_it() -> None:
    async with by_hand() as sandbox:
        client = socketio.AsyncClient(reconnection=False)
        await connect(client, sandbox, headers={"Via": "1.1 here"})
        await sandbox.wait_for_clients(1)
        await sandbox.step(30)
        (session,) = sandbox.sessions
        assert session.sent == 30
        await eventually(lambda: session.answered == 30)
        assert (session.via, session.namespace) == ("1.1 here", PARTNER_NAMESPACE)
        assert [record.recipients for record in sandbox.records] == [[session.sid]] * 30
        await client.disconnect()
        await eventually(lambda: not session.connected)


async def test_what_was_sent_but_never_read_is_not_vouched_for() -> None:
    async with by_hand() as sandbox, aiohttp.ClientSession() as http:
        url = f"{sandbox.url}/socket.io/?EIO=4&transport=websocket"
        async with http.ws_connect(url) as socket:
            await socket.receive_str()
            await socket.send_str(
                f"40{PARTNER_NAMESPACE},{json.dumps({'apiKey': sandbox.api_key})}"
            )
            await sandbox.wait_for_clients(1)
            (session,) = sandbox.sessions
            await sandbox.step(10)
            assert (session.sent, session.answered) == (10, 0)
            while not session.answered:
                if await socket.receive_str() == "2":
                    await socket.send_str("3")
            await sandbox.step(5)
            assert session.answered == 10
        async with http.get(f"{sandbox.url}/_sandbox/sessions") as response:
            (told,) = await response.json()
        assert told["sent"] == 15
        assert told["answered"] == 10
