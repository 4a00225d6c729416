"""What ends the process and what is tried again, against the official ``socket.io`` server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from support.official_server import OfficialServer, Serve
from support.streams import Stream, failing, settings_for, supervised
from support.waiting import eventually

from positionstore.errors import CredentialsError
from positionstore.model.facts import Source
from positionstore.settings import Settings

KEY = "dm_sbx_skey_0123456789abcdef0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIweDAifQ.c2lnbmF0dXJl"
WALLET = "0x" + "ab" * 20

CLEAR = [
    "Authentication failed. Check your API key and try again.",
    "Invalid API key. Connection closed.",
    {"code": "UNAUTHORIZED", "connection_id": 512},
    {"statusCode": 401, "message": "Unauthorized"},
    {"status": "error", "message": "Unauthorized"},
]
DOUBTFUL = [
    "Server busy",
    "Maximum number of connections reached for this API key",
    "A newer connection with the same key has taken over",
    "Auth service is unreachable",
    "Error verifying token: fetch failed",
    {"name": "TypeError", "message": "Cannot read properties of undefined (reading 'apiKey')"},
    "jwt not active",
    None,
    {},
    "nope",
    "Forbidden resource",
    "Connection limit reached for API key",
    "Key not found",
    {"message": "Request failed with status code 401", "name": "AxiosError", "status": 401},
    {"message": "internal", "response": {"status": 401}},
]


@asynccontextmanager
async def outlasting(
    server: OfficialServer, settings: Settings, gateway: Source = Source.PARTNER
) -> AsyncIterator[tuple[Stream, list[structlog.typing.EventDict]]]:
    """A stream that is refused many times, and let in then; and its log."""
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings, gateway) as stream:
            await eventually(lambda: stream.attempts >= 6)
            await server.do("refuse", refusal=None)
            await server.hear_about("connection")
            await server.do("burst", count=1, filler=0)
            await eventually(lambda: len(stream.packets) >= 1)
            yield stream, lines


@pytest.mark.parametrize("answer", CLEAR)
@pytest.mark.parametrize(
    "how",
    [
        {"how": "event"},
        {"how": "event", "close": True},
        {"how": "event", "name": "exception"},
        {"how": "event", "before": True},
        {"how": "before-connect"},
        {"how": "before-connect", "close": True},
        {"how": "middleware"},
    ],
    ids=str,
)
async def test_a_clear_refusal_ends_it_however_it_is_told(
    serve: Serve, answer: object, how: dict[str, object]
) -> None:
    server = await serve(refuse={**how, "error": answer, "text": _text(answer)})
    told = await failing(settings_for(server.url, api_key=KEY), Source.PARTNER)
    assert isinstance(told, CredentialsError)
    assert "DIMES_API_KEY" in str(told)
    assert "\n" not in str(told)


def _text(answer: object) -> str:
    if isinstance(answer, dict):
        return str(answer.get("message", "x"))
    return str(answer)


@pytest.mark.parametrize("answer", DOUBTFUL, ids=str)
@pytest.mark.parametrize("how", ["event", "middleware", "before-connect"])
async def test_a_doubtful_refusal_is_said_once_and_tried_again(
    serve: Serve, how: str, answer: object
) -> None:
    server = await serve(refuse={"how": how, "error": answer, "text": _text(answer)})
    async with outlasting(server, settings_for(server.url, api_key=KEY)) as (_, lines):
        told = [line for line in lines if line["event"] != "gateway_connected"]
        assert len(told) == 1, told
        assert told[0]["log_level"] in {"warning", "error"}
        if isinstance(answer, str):
            assert answer in repr(told[0])


async def test_what_is_not_clear_is_an_error_line_that_quotes_it_without_secrets(
    serve: Serve,
) -> None:
    words = f"Something about {KEY} and {JWT} " + "x" * 5000
    server = await serve(refuse={"how": "event", "error": words})
    async with outlasting(server, settings_for(server.url, api_key=KEY)) as (_, lines):
        (told,) = [line for line in lines if line["event"] == "gateway_turned_away"]
        assert told["log_level"] == "error"
        assert told["said"].startswith("Something about *** and *** xxx")
        assert len(told["said"]) <= 300
        assert KEY not in repr(lines)
        assert JWT not in repr(lines)


async def test_a_refusal_whose_request_id_differs_is_said_once(serve: Serve) -> None:
    server = await serve(refuse={"how": "counting"})
    async with outlasting(server, settings_for(server.url, api_key=KEY)) as (_, lines):
        told = [line for line in lines if line["event"] == "gateway_turned_away"]
        assert len(told) == 1


@pytest.mark.parametrize("answer", ["jwt expired", {"name": "TokenExpiredError", "message": "x"}])
@pytest.mark.parametrize("how", ["event", "middleware"])
async def test_a_ready_token_that_has_expired_ends_it(
    serve: Serve, how: str, answer: object
) -> None:
    server = await serve(refuse={"how": how, "error": answer, "text": _text(answer)})
    told = await failing(settings_for(server.url, jwt=JWT), Source.CUSTOMER)
    assert isinstance(told, CredentialsError)
    assert "DIMES_JWT" in str(told)


@pytest.mark.parametrize("answer", ["jwt expired", "Invalid or expired token"])
async def test_a_minted_token_that_has_expired_is_replaced(serve: Serve, answer: str) -> None:
    server = await serve(refuse={"how": "middleware", "text": answer}, tokens=True)
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET)
    async with outlasting(server, settings, Source.CUSTOMER) as (stream, _):
        assert stream.attempts >= 6


BAD_TOKENS = ["jwt malformed", "invalid signature", {"statusCode": 401, "message": "Invalid token"}]


@pytest.mark.parametrize("answer", BAD_TOKENS, ids=str)
@pytest.mark.parametrize("how", ["event", "middleware"])
async def test_a_minted_token_that_is_called_bad_is_replaced_and_shown(
    serve: Serve, how: str, answer: object
) -> None:
    refusal = {"how": how, "error": answer, "text": _text(answer)}
    server = await serve(refuse=refusal, tokens=True)
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET)
    async with outlasting(server, settings, Source.CUSTOMER) as (_, lines):
        (told,) = [line for line in lines if line["event"] != "gateway_connected"]
        assert told["log_level"] == "error"
        assert _text(answer) in repr(told)


async def test_a_minted_token_in_a_header_that_is_called_bad_is_replaced(serve: Serve) -> None:
    body = json.dumps({"statusCode": 401, "message": "invalid signature"})
    server = await serve(refuseUpgrade=401, answer={"body": body}, tokens=True)
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET, auth_style="header")
    async with supervised(settings, Source.CUSTOMER) as stream:
        await eventually(lambda: stream.attempts >= 3)
        await server.do("welcome")
        await stream.connected()


@pytest.mark.parametrize("answer", BAD_TOKENS, ids=str)
@pytest.mark.parametrize("how", ["event", "middleware"])
async def test_a_ready_token_that_is_called_bad_ends_it(
    serve: Serve, how: str, answer: object
) -> None:
    server = await serve(refuse={"how": how, "error": answer, "text": _text(answer)})
    told = await failing(settings_for(server.url, jwt=JWT), Source.CUSTOMER)
    assert isinstance(told, CredentialsError)
    assert "DIMES_JWT" in str(told)


async def test_an_error_long_before_the_end_is_not_the_end_s_cause(serve: Serve) -> None:
    server = await serve()
    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        await stream.connected()
        await server.do("emit", name="error", args=["Unauthorized"])
        await server.do("burst", count=1, filler=0)  # who is sent events is let in
        await eventually(lambda: len(stream.packets) == 1)
        await server.do("cut")
        await stream.connected(2)
    assert stream.reasons == ["connection lost", "stopped"]


# --- HTTP answers in place of a WebSocket ---------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
async def test_with_the_key_in_the_payload_something_in_front_refuses(
    serve: Serve, status: int
) -> None:
    server = await serve(refuseUpgrade=status, answer={"body": json.dumps({"message": "No."})})
    cause = await _cause(server, settings_for(server.url, api_key=KEY))
    assert f"HTTP {status} before any credentials were sent" in cause
    assert "something in front of it" in cause


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, ""),
        (401, "<html>401</html>"),
        (403, json.dumps({"error": {"code": "invalid_api_key", "message": "Not valid."}})),
        (403, json.dumps({"statusCode": 403, "message": "Invalid API key"})),
    ],
)
async def test_with_the_key_in_the_header_a_clear_answer_is_believed(
    serve: Serve, status: int, body: str
) -> None:
    server = await serve(refuseUpgrade=status, answer={"body": body})
    settings = settings_for(server.url, api_key=KEY, auth_style="header")
    told = await failing(settings, Source.PARTNER)
    assert isinstance(told, CredentialsError)
    assert f"HTTP {status}" in str(told)
    assert "DIMES_API_KEY" in str(told)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><h1>Access denied</h1>Error 1020</html>",
        json.dumps({"statusCode": 403, "message": "Forbidden resource"}),
        json.dumps({"message": "Auth service is unreachable"}),
    ],
)
async def test_with_the_key_in_the_header_a_403_that_does_not_tell_is_tried_again(
    serve: Serve, body: str
) -> None:
    server = await serve(refuseUpgrade=403, answer={"body": body})
    settings = settings_for(server.url, api_key=KEY, auth_style="header")
    cause = await _cause(server, settings)
    assert "HTTP 403, and does not say that the credentials are the cause" in cause


async def test_a_minted_token_in_the_header_that_has_expired_is_replaced(serve: Serve) -> None:
    body = json.dumps({"statusCode": 401, "message": "jwt expired"})
    server = await serve(refuseUpgrade=401, answer={"body": body}, tokens=True)
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET, auth_style="header")
    assert "jwt expired" in await _cause(server, settings, Source.CUSTOMER)


@pytest.mark.parametrize(
    ("status", "answer", "level", "wanted"),
    [
        (404, {"body": "<html>404</html>"}, "error", "no Socket.IO server is at its path"),
        (400, {"body": '{"code":0,"message":"Transport unknown"}'}, "error", "do not get through"),
        (400, {"body": '{"code":3,"message":"Bad request"}'}, "error", "do not get through"),
        (426, {}, "error", "do not get through"),
        (200, {"body": "<html>Welcome</html>"}, "error", "do not get through"),
        (502, {"body": "<html>Bad Gateway</html>"}, "warning", "HTTP 502"),
        (503, {"body": '{"message":"Deploying"}'}, "warning", 'It says: "Deploying".'),
        (
            301,
            {"headers": {"Location": f"https://u:p4ss@new.example:8443/a?api_key={KEY}&x=1"}},
            "error",
            "it redirects to https://new.example:8443/a, where no credentials are sent",
        ),
        (302, {"headers": {"Location": "/login?next=1"}}, "error", "/login of the same host"),
        (307, {}, "error", "HTTP 307"),
    ],
)
async def test_each_answer_in_place_of_a_websocket_is_one_line_with_a_remedy(
    serve: Serve, status: int, answer: object, level: str, wanted: str
) -> None:
    server = await serve(refuseUpgrade=status, answer=answer)
    cause = await _cause(server, settings_for(server.url, api_key=KEY), level=level)
    assert f"HTTP {status}" in cause
    assert wanted in cause
    assert "\n" not in cause
    if level == "error":
        assert "DIMES_BASE_URL" in cause or "WebSocket upgrades" in cause
    for secret in (KEY, "p4ss", "api_key"):
        assert secret not in cause


async def _cause(
    server: OfficialServer,
    settings: Settings,
    gateway: Source = Source.PARTNER,
    *,
    level: str = "error",
) -> str:
    """What is said, once, of attempts that fail; it goes on until it is let in."""
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings, gateway) as stream:
            await eventually(lambda: stream.attempts >= 4)
            await server.do("welcome")
            await stream.connected()
    assert [line["event"] for line in lines] == ["gateway_unreachable", "gateway_connected"]
    assert lines[0]["log_level"] == level
    return str(lines[0]["cause"])


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 7.1),
        (
            {
                "Date": "Sat, 28 Nov 2026 08:00:00 GMT",
                "Retry-After": "Sat, 28 Nov 2026 08:01:30 GMT",
            },
            90,
            90.1,
        ),
        ({"Retry-After": "999999999"}, 3600, 3600.1),
        ({"Retry-After": "soon"}, 0, 0.1),
        ({"Retry-After": "-5"}, 0, 0.1),
        ({}, 0, 0.1),
    ],
)
async def test_a_wait_that_the_server_asks_for_is_kept(
    serve: Serve, status: int, headers: dict[str, str], least: float, most: float
) -> None:
    server = await serve(refuseUpgrade=status, answer={"headers": headers})
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await server.do("welcome")

    async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
        stream.supervisor._sleep = sleep
        await stream.connected()
    assert least <= waits[0] <= most


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_asked_for_when_a_token_is_minted_is_kept(serve: Serve, status: int) -> None:
    server = await serve(tokens=True, mint={"status": status, "headers": {"Retry-After": "7"}})
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds > 60:  # until the token is renewed
            await asyncio.Event().wait()
        waits.append(seconds)

    async with supervised(settings, Source.CUSTOMER) as stream:
        stream.supervisor._sleep = sleep
        await stream.connected()
    assert 7 <= waits[0] <= 7.1


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_a_token_that_a_proxy_refuses_is_asked_for_again(serve: Serve, status: int) -> None:
    server = await serve(tokens=True, mint={"status": status, "body": "<html>Denied</html>"})
    settings = settings_for(server.url, api_key=KEY, wallet_address=WALLET)
    async with supervised(settings, Source.CUSTOMER) as stream:
        await stream.connected()
    assert stream.attempts == 2


# --- other servers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"version": 2}, "speaks the protocol of Socket.IO 2"),
        ({"parser": "msgpack"}, "socket.io-msgpack-parser"),
    ],
)
async def test_a_server_of_another_protocol_is_named_once(
    serve: Serve, options: dict[str, object], wanted: str
) -> None:
    server = await serve(**options)
    with structlog.testing.capture_logs() as lines:
        async with supervised(settings_for(server.url, api_key=KEY), Source.PARTNER) as stream:
            await eventually(lambda: stream.attempts >= 4)
    (line,) = lines
    assert line["event"] == "gateway_unreachable"
    assert line["log_level"] == "error"
    assert wanted in line["cause"]
    assert "DIMES_BASE_URL" in line["cause"]
    assert stream.packets == []
    assert stream.began_ == []
