"""Connection state recovery: the official client finds our sandbox as it finds the real server."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from support.official_server import OfficialServer, start

from positionstore.sandbox import Emission, Options, Sandbox
from positionstore.sandbox.gateway import PARTNER_NAMESPACE

if TYPE_CHECKING:
    from conformance.client.conftest import Listen, Listener


class Ours:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.url, self.key = sandbox, sandbox.url, sandbox.api_key

    async def emit(self, count: int) -> None:
        await self.sandbox.wait_for_clients(1)
        await self.sandbox.step(count)

    async def cut_and_emit(self, count: int) -> None:
        await self.sandbox.disconnect_clients("transport")
        await self.sandbox.wait_for_clients(0)
        await self.sandbox.step(count)


class Theirs:
    def __init__(self, server: OfficialServer) -> None:
        self.server, self.url, self.key = server, server.url, "any"

    async def _broadcast(self, do: str, count: int) -> None:
        await self.server.do(do, **{"from": 0, "count": count, "filler": 0})

    async def emit(self, count: int) -> None:
        await self._broadcast("broadcast", count)

    async def cut_and_emit(self, count: int) -> None:
        await self._broadcast("cut-and-broadcast", count)


def open_sandbox(**options: Any) -> Sandbox:
    return Sandbox(Options(ticking=False, positions=30, partners=1, recovery=True, **options))


async def connect(listen: "Listen", sandbox: Sandbox) -> "Listener":
    listener = await listen(
        sandbox.url + PARTNER_NAMESPACE,
        auth={"apiKey": sandbox.api_key},
        transports=["websocket"],
        reconnectionDelay=50,
    )
    assert (await listener.hear_about("connect"))["recovered"] is False
    await sandbox.wait_for_clients(1)
    return listener


async def hear(listener: "Listener", emissions: list[Emission]) -> None:
    heard = [(await listener.hear_about("event"))["args"] for _ in emissions]
    assert [args[0]["id"] for args in heard] == [each.event_id for each in emissions]
    assert all(len(args) == 2 and isinstance(args[1], str) for args in heard)


@pytest.fixture(params=["sandbox", "official"])
async def gateway(request: pytest.FixtureRequest) -> AsyncIterator[Ours | Theirs]:
    """The sandbox, and beside it the real server."""
    if request.param == "sandbox":
        async with open_sandbox() as sandbox:
            yield Ours(sandbox)
        return
    server = await start(recovery={"maxDisconnectionDuration": 120_000})
    yield Theirs(server)
    await server.close()


async def test_the_same_script_on_either_server(listen: "Listen", gateway: Ours | Theirs) -> None:
    listener = await listen(
        gateway.url + PARTNER_NAMESPACE,
        auth={"apiKey": gateway.key},
        transports=["websocket"],
        reconnectionDelay=50,
    )
    first = await listener.hear_about("connect")
    said: list[Any] = []
    await gateway.emit(3)
    said += [await listener.hear() for _ in range(3)]
    for missed in (2, 4):  # a session in memory can be recovered several times
        await gateway.cut_and_emit(missed)
        said += [await listener.hear() for _ in range(missed + 2)]
        assert said[-missed - 2]["on"] == "disconnect"
        again = said[-missed - 1] if said[-missed - 1]["on"] == "connect" else said[-1]
        assert (again["recovered"], again["id"]) == (True, first["id"])
    offsets = [each["args"][1] for each in said if each["on"] == "event"]
    assert len(offsets) == len(set(offsets)) == 9
    assert all(isinstance(offset, str) for offset in offsets)


@pytest.mark.parametrize("adapter", ["memory", "redis-streams"])
async def test_missed_events_come_again_and_in_either_form(listen: "Listen", adapter: str) -> None:
    async with open_sandbox() as sandbox:
        sandbox.faults.recovery_adapter = adapter
        listener = await connect(listen, sandbox)
        await hear(listener, await sandbox.step(5))
        await sandbox.disconnect_clients("transport")
        await sandbox.wait_for_clients(0)
        missed = await sandbox.step(5)
        assert (await listener.hear_about("disconnect"))["reason"] == "transport close"
        await hear(listener, missed)  # before it says that it is connected
        assert (await listener.hear_about("connect"))["recovered"] is True
        await sandbox.wait_for_clients(1)
        await hear(listener, await sandbox.step(5))
        stats = sandbox.stats()
        assert (stats["recovered_clients"], stats["replayed"]) == (1, 5)


async def test_what_is_too_long_ago_or_forgotten_is_not_recovered(listen: "Listen") -> None:
    async with open_sandbox(recovery_window=30.0) as sandbox:
        listener = await connect(listen, sandbox)
        for forget in (False, True):
            await hear(listener, await sandbox.step(2))
            sandbox.faults.recovery_forgets = forget
            sandbox.faults.refuse_connections = True
            await sandbox.disconnect_clients("transport")
            await sandbox.wait_for_clients(0)
            await sandbox.advance(0 if forget else 31)
            sandbox.faults.refuse_connections = False
            assert (await listener.hear_about("connect"))["recovered"] is False
            await sandbox.wait_for_clients(1)


async def test_a_quiet_stretch_longer_than_the_window_cannot_be_recovered(
    listen: "Listen",
) -> None:
    async with open_sandbox(recovery_window=30.0) as sandbox:
        listener = await connect(listen, sandbox)
        await hear(listener, await sandbox.step(2))
        sandbox._clock.advance(31)  # the offset that the client holds is purged meanwhile
        await sandbox.disconnect_clients("transport")
        assert (await listener.hear_about("connect"))["recovered"] is False


async def test_a_recovered_connection_can_be_deaf(listen: "Listen") -> None:
    async with open_sandbox() as sandbox:
        listener = await connect(listen, sandbox)
        await hear(listener, await sandbox.step(2))
        sandbox.faults.recovered_deaf = True
        await sandbox.disconnect_clients("transport")
        assert (await listener.hear_about("connect"))["recovered"] is True
        await sandbox.wait_for_clients(1)
        await sandbox.step(2)
        sandbox.faults.recovered_deaf = False
        await hear(listener, await sandbox.step(1))


async def test_a_half_open_connection_is_believed_in_until_a_ping_goes_unanswered(
    listen: "Listen",
) -> None:
    async with open_sandbox(ping_interval=1.0, ping_timeout=1.0) as sandbox:
        listener = await connect(listen, sandbox)
        await hear(listener, await sandbox.step(2))
        await sandbox.disconnect_clients("half-open")
        assert (await listener.hear_about("connect"))["recovered"] is False
        first = sandbox.sessions[0].sid
        await sandbox.step(1)
        assert sandbox.sessions[0].connected
        await sandbox.wait_for_clients(1)
        assert [client.sid == first for client in sandbox.clients] == [False]


async def test_without_the_option_nothing_of_it_is_seen(listen: "Listen") -> None:
    async with Sandbox(Options(ticking=False, positions=30, partners=1)) as sandbox:
        listener = await connect(listen, sandbox)
        await sandbox.step(1)
        assert len((await listener.hear_about("event"))["args"]) == 1
        await sandbox.disconnect_clients("transport")
        assert (await listener.hear_about("connect"))["recovered"] is False


async def test_an_error_event_carries_an_offset_too(listen: "Listen") -> None:
    async with open_sandbox() as sandbox:
        listener = await listen(sandbox.url + PARTNER_NAMESPACE, auth={"apiKey": "wrong"})
        said = await listener.hear_about("event")
        assert said["event"] == "error"
        assert isinstance(said["args"][1], str)
        assert (await listener.hear_about("disconnect"))["reason"] == "io server disconnect"
