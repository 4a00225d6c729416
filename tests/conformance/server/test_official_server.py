"""Our connection against the official ``socket.io`` server."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from support.official_server import Serve
from support.streams import failing, settings_for, supervised
from support.waiting import eventually

from positionstore.errors import CredentialsError
from positionstore.model.facts import Reason, Rejected, Source

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIweDAifQ.c2lnbmF0dXJl"
PARTNER = "/v1/ws/prediction-markets/positions"
CUSTOMER = "/v1/ws/prediction-markets/customer-positions"


@pytest.mark.parametrize(
    ("gateway", "style", "auth", "authorization"),
    [
        (Source.PARTNER, "payload", {"apiKey": KEY}, None),
        (Source.PARTNER, "header", {}, f"Api-Key {KEY}"),
        (Source.CUSTOMER, "payload", {"token": JWT}, None),
        (Source.CUSTOMER, "header", {}, f"Bearer {JWT}"),
    ],
)
async def test_each_gateway_is_shown_credentials_in_each_documented_way(
    serve: Serve, gateway: Source, style: str, auth: object, authorization: str | None
) -> None:
    server = await serve()
    settings = settings_for(server.url, api_key=KEY, jwt=JWT, auth_style=style)
    async with supervised(settings, gateway) as stream:
        said = await server.hear_about("connection")
        await stream.connected()
        await server.do("burst", count=3, filler=0)
        await eventually(lambda: len(stream.packets) == 3)
    assert said == {
        "on": "connection",
        "namespace": PARTNER if gateway is Source.PARTNER else CUSTOMER,
        "auth": auth,
        "authorization": authorization,
        "transport": "websocket",
    }
    assert [event.event_id for event in stream.events] == ["evt_0", "evt_1", "evt_2"]


@pytest.mark.parametrize("error", [{"message": "Unauthorized"}, "Invalid API key", {"code": 401}])
@pytest.mark.parametrize("close", [False, True])
async def test_an_error_event_and_a_disconnect_refuse_the_credentials(
    serve: Serve, error: object, *, close: bool
) -> None:
    server = await serve(refuse={"how": "event", "error": error, "close": close})
    told = await failing(settings_for(server.url, api_key=KEY), Source.PARTNER)
    assert isinstance(told, CredentialsError)
    assert "DIMES_API_KEY" in str(told)


async def test_middleware_that_refuses_the_credentials_ends_it(serve: Serve) -> None:
    server = await serve(refuse={"how": "middleware", "error": {"message": "Not authorized"}})
    told = await failing(settings_for(server.url, api_key=KEY), Source.PARTNER)
    assert isinstance(told, CredentialsError)
    assert "DIMES_API_KEY" in str(told)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503])
async def test_a_handshake_refused_for_anything_else_is_tried_again(
    serve: Serve, status: int
) -> None:
    server = await serve(refuseUpgrade=status)
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
            await eventually(lambda: stream.attempts >= 5)
            await server.do("welcome")
            await stream.connected()
    assert [line["event"] for line in lines] == ["gateway_unreachable", "gateway_connected"]
    assert f"HTTP {status}" in lines[0]["cause"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"how": "event", "error": {"message": "Internal server error"}},
        {"how": "event", "error": {"message": "Too many connections, try again later"}},
        {"how": "middleware", "error": {"message": "connect ECONNREFUSED 127.0.0.1:6379"}},
        {"how": "middleware", "error": {"message": "x is not a function"}},
        {"how": "disconnect"},
    ],
)
async def test_any_other_refusal_is_tried_again_until_it_passes(
    serve: Serve, refusal: object
) -> None:
    server = await serve(refuse=refusal)
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await eventually(lambda: stream.attempts >= 6)
        await server.do("refuse", refusal=None)
        # One that is let in from now on stays. Those before may still be heard of by us.
        await server.hear_about("connection")
        await server.do("burst", count=1, filler=0)
        await eventually(lambda: len(stream.packets) >= 1)


async def test_an_error_event_alone_changes_nothing(serve: Serve) -> None:
    server = await serve()
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("emit", name="error", args=[{"message": "token of a sample was invalid"}])
        await server.do("burst", count=1, filler=0)
        await eventually(lambda: len(stream.packets) == 1)
        assert stream.errors == ["token of a sample was invalid"]
        await server.do("cut")
        await stream.connected(2)
    assert stream.reasons == ["connection lost", "stopped"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("disconnect", "disconnected by the gateway"),
        ("close", "disconnected by the gateway"),
        ("engine-close", "connection lost"),
        ("cut", "connection lost"),
    ],
)
async def test_every_kind_of_loss_is_followed_by_a_new_connection(
    serve: Serve, how: str, reason: str
) -> None:
    server = await serve()
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        for times in (1, 2, 3):
            await stream.connected(times)
            await server.do("burst", count=1, filler=0)
            await eventually(lambda times=times: len(stream.packets) == times)  # type: ignore[misc] # its argument is given here
            await server.do(how)
        await stream.connected(4)
    assert stream.reasons == [reason] * 3 + ["stopped"]


async def test_a_link_that_went_silent_ends_and_its_last_packet_is_on_record(
    serve: Serve,
) -> None:
    server = await serve(pingInterval=200, pingTimeout=2000)
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("burst", count=1, filler=0)
        await eventually(lambda: len(stream.packets) == 1)
        await server.do("freeze")
        await eventually(lambda: len(stream.ended_) == 1)
        noticed = datetime.now(UTC)
        await stream.connected(2)
        connection, reason = stream.ended_[0]
        assert reason in {"ping timeout", "connection lost"}
        assert connection.last_packet_at is not None
        assert noticed - connection.last_packet_at > timedelta(seconds=2)


async def test_pings_prove_life_on_a_quiet_stream(serve: Serve) -> None:
    server = await serve(pingInterval=100, pingTimeout=60_000)
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        seen: set[datetime | None] = set()

        def proofs() -> int:
            seen.add(stream.began_[0].last_packet_at)
            return len(seen)

        await eventually(lambda: proofs() >= 6)
        assert len(stream.began_) == 1


async def test_a_burst_arrives_whole_and_in_order(serve: Serve) -> None:
    server = await serve()
    count = 20_000
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("burst", count=count, filler=1500)
        await eventually(lambda: len(stream.packets) >= count)
        assert len(stream.began_) == 1
        numbers = [json.loads(event.envelope)["data"]["seq"] for event in stream.events]
    assert numbers == list(range(count))


async def test_a_burst_on_the_heels_of_the_connect_arrives_whole(serve: Serve) -> None:
    server = await serve(onConnection={"do": "burst", "count": 2000, "filler": 100})
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await eventually(lambda: len(stream.packets) >= 2000)
        numbers = [json.loads(event.envelope)["data"]["seq"] for event in stream.events]
    assert numbers == list(range(2000))


@pytest.mark.parametrize("deflate", [False, True])
async def test_a_message_of_more_than_four_megabytes_arrives(
    serve: Serve, *, deflate: bool
) -> None:
    server = await serve(deflate=deflate)
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("burst", count=2, filler=5_000_000)
        await eventually(lambda: len(stream.packets) == 2)
        assert all(len(event.envelope) > 5_000_000 for event in stream.events)
        assert len(stream.began_) == 1


async def test_binary_and_malformed_packets_are_kept_and_the_stream_goes_on(
    serve: Serve,
) -> None:
    server = await serve()
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("binary", name="position.opened", hex="00ff10")
        await server.do("raw", text=f"2{PARTNER},[broken")
        await server.do("raw", text="hello")
        await server.do("burst", count=1, filler=0)
        await eventually(lambda: len(stream.packets) == 4)
        assert len(stream.began_) == 1
    binary, broken, hello, event = stream.packets
    assert isinstance(binary, Rejected)
    assert binary.reason is Reason.BINARY_ATTACHMENT
    assert binary.raw.endswith(b"\x1ebAP8Q")
    assert broken == f"42{PARTNER},[broken"
    assert isinstance(hello, Rejected)
    assert hello.raw == b"4hello"
    assert isinstance(event, str)


async def test_a_wish_for_an_acknowledgement_is_an_event_and_stays_unanswered(
    serve: Serve,
) -> None:
    server = await serve()
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("ack", timeout=200)
        said = await server.hear_about("ack")
        assert [event.event_id for event in stream.events] == ["evt_1"]
    assert said["acknowledged"] is False


async def test_leaving_leaves_nothing_behind(serve: Serve) -> None:
    server = await serve()
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
            await stream.connected()
        said = await server.hear_about("disconnect")
    assert said["reason"] in {"client namespace disconnect", "transport close"}
    assert [line["event"] for line in lines] == ["gateway_connected"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
