"""What the sandbox cannot do to a client: time, proxies, strange lists and stranger servers."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from support.rest_doubles import (
    KEY,
    NOW,
    Server,
    Time,
    access,
    answered,
    client_of,
    failed,
    ids,
    listed,
    walked,
)

from positionstore.dimes.access import MintedToken, ready_token_access
from positionstore.dimes.rest import RestClient
from positionstore.dimes.tokens import Token
from positionstore.errors import CredentialsError, GatewayError
from positionstore.model.facts import Reason
from positionstore.model.secret import SecretStr
from positionstore.settings import load_settings

STAMPED = datetime(2026, 7, 1, 9, tzinfo=UTC)


async def failure(server: Server, kind: type[Exception] = GatewayError, **options: float) -> str:
    async with client_of(server, **options) as client:  # type: ignore[arg-type] # by name
        with pytest.raises(kind) as raised:
            await walked(client)
    line = str(raised.value)
    assert line.isprintable()
    assert KEY.get_secret_value() not in line
    return line


# --- the walk


async def test_a_walk_follows_the_list_to_its_end() -> None:
    server = Server(listed("a", "b", more=True), listed("c", "d", more=True), listed("e"))
    async with client_of(server) as client:
        pages = await walked(client, state="inactive", status="closed", sort_by="closed_at")
    assert ids(pages) == ["a", "b", "c", "d", "e"]
    assert [page.has_more for page in pages] == [True, True, False]
    assert [page.cursor for page in pages] == ["b", "d", "e"]
    asked = [dict(request.url.params) for request in server.requests]
    common = {
        "limit": "100",
        "sort_by": "closed_at",
        "sort_direction": "asc",
        "state": "inactive",
        "status": "closed",
    }
    assert asked == [common, {**common, "starting_after": "b"}, {**common, "starting_after": "d"}]


async def test_a_walk_can_go_on_from_a_cursor() -> None:
    server = Server(listed("c"))
    async with client_of(server) as client:
        assert ids(await walked(client, starting_after="b&x=ü")) == ["c"]
    assert server.requests[0].url.params["starting_after"] == "b&x=ü"


async def test_an_empty_list_is_one_empty_page() -> None:
    async with client_of(Server(listed())) as client:
        [page] = await walked(client)
    assert (page.positions, page.rejected, page.has_more, page.cursor) == ([], [], False, None)
    assert page.as_of == STAMPED


async def test_an_id_seen_twice_is_taken_once() -> None:
    server = Server(listed("a", "b", "a", more=True), listed("b", "c", more=True), listed("a"))
    async with client_of(server) as client:
        pages = await walked(client)
    assert [[each.position_id for each in page.positions] for page in pages] == [
        ["a", "b"],
        ["c"],
        [],
    ]


@pytest.mark.parametrize(
    "answers",
    [
        [listed("a", "b", more=True)],  # the cursor is ignored
        [listed("a", more=True), listed("b", more=True), listed("a", more=True)],  # a circle
        [listed("a", "b", more=True), listed("b", "a", more=True)],
        [listed("a", more=True), listed(more=True)],  # empty, and yet more
        [listed(more=True)],
        [answered('{"data":[{"status":"open"}],"has_more":true}')],  # nothing to start after
        [
            answered('{"data":[{},{"id":"a","status":"x"}],"has_more":true}'),
            answered('{"data":[{},{"id":"b","status":"x"}],"has_more":true}'),
            answered('{"data":[{},{"id":"a","status":"x"}],"has_more":true}'),
        ],
    ],
)
async def test_a_list_that_does_not_advance_ends_the_walk(answers: list[httpx.Response]) -> None:
    server = Server(*answers, *answers, *answers)
    assert "does not advance" in await failure(server)
    assert len(server.requests) <= len(answers) + 1


async def test_what_is_no_position_is_handed_on_whole_and_stops_nothing() -> None:
    first = (
        b'{"data":[{"id":"a","status":"open"},{"id":"b"},7,{"id":"c","status":"\xff"}],'
        b'"has_more":true}'
    )
    server = Server(answered(first), listed("d"))
    async with client_of(server) as client:
        pages = await walked(client)
    assert ids(pages) == ["a", "d"]
    assert [(each.raw, each.reason) for each in pages[0].rejected] == [
        (b'{"id":"b"}', Reason.BAD_DATA),
        (b"7", Reason.NOT_AN_OBJECT),
        (b'{"id":"c","status":"\xff"}', Reason.NOT_UTF8),
    ]
    assert server.requests[1].url.params["starting_after"] == "c"


async def test_every_request_names_us_and_asks_for_nothing_cached() -> None:
    server = Server(listed())
    async with client_of(server) as client:
        await walked(client)
    headers = server.requests[0].headers
    assert headers["user-agent"].startswith("positionstore/")
    assert headers["accept"] == "application/json"
    assert headers["cache-control"] == "no-cache"


# --- the as-of


async def test_the_as_of_is_that_of_the_attempt_that_answered() -> None:
    time = Time()

    def after(seconds: float, response: httpx.Response) -> object:
        def answer(_: httpx.Request) -> httpx.Response:
            time.now += seconds
            return response

        return answer

    later = "Wed, 01 Jul 2026 09:01:00 GMT"
    server = Server(
        after(40, failed(503)),  # type: ignore[arg-type] # a function of the request
        after(0.75, listed("a", Date=later)),  # type: ignore[arg-type] # the same
    )
    async with client_of(server, time=time) as client:
        [page] = await walked(client)
    assert page.as_of == STAMPED + timedelta(seconds=60 - 0.75)


@pytest.mark.parametrize("header", [{}, {"Date": "soon"}])
async def test_without_a_date_the_as_of_is_the_time_before_the_answering_attempt(
    header: dict[str, str],
) -> None:
    time = Time()

    def answer(_: httpx.Request) -> httpx.Response:
        time.now += 3
        return httpx.Response(200, content=b'{"data":[],"has_more":false}', headers=header)

    async with client_of(Server(failed(500), answer), time=time) as client:
        [page] = await walked(client)
    [waited] = time.slept
    assert page.as_of == NOW + timedelta(seconds=waited)


async def test_waiting_for_a_turn_does_not_count_as_the_round_trip() -> None:
    time = Time()
    async with client_of(Server(listed()), time=time, requests_per_second=0.01) as client:
        await walked(client)
        [page] = await walked(client)
    assert time.slept == [pytest.approx(100)]
    assert page.as_of == STAMPED


# --- what is tried again


@pytest.mark.parametrize(
    "fault",
    [
        *(failed(status) for status in (500, 501, 502, 503, 504, 529, 599, 429, 408, 425)),
        answered("<html>Bad gateway</html>", 502),
        answered("<html>Please wait</html>", 200),
        answered("", 200),
        answered('{"data":[{"id":"a","sta', 200),
        answered('{"status":"starting"}', 200),
        httpx.ConnectError("All connection attempts failed"),
        httpx.ConnectTimeout(""),
        httpx.ReadTimeout(""),
        httpx.ReadError(""),
        httpx.WriteError("[Errno 32] Broken pipe"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.DecodingError("bad gzip"),
    ],
    ids=lambda fault: (
        type(fault).__name__
        if isinstance(fault, Exception)
        else f"{fault.status_code}-{len(fault.content)}"
    ),
)
async def test_what_may_pass_is_tried_again(fault: httpx.Response | Exception) -> None:
    server = Server(fault, fault, listed("a"))
    async with client_of(server) as client:
        assert ids(await walked(client)) == ["a"]
    assert (client.requests, client.retries) == (3, 2)

    line = await failure(Server(fault))
    assert line.startswith("GET /v1/prediction-markets/positions failed: ")
    assert "POSITIONSTORE_HTTP_RETRY_BUDGET" in line
    assert "<html>" not in line


async def test_it_is_tried_again_for_as_long_as_the_budget_lasts() -> None:
    time, server = Time(), Server(failed(500, "internal_error", "Went wrong."))
    line = await failure(server, time=time, retry_budget=30, random=lambda: 1.0)  # type: ignore[arg-type] # by name
    assert time.slept == [0.5, 1, 2, 4, 8, 14.5]
    assert "500: a_type/internal_error: Went wrong. Tried 7 times within 30 s." in line


@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_to_wait_is_left_alone_by_everybody(status: int) -> None:
    time = Time()
    asks = failed(status, **{"Retry-After": "20"})
    async with client_of(Server(asks, listed("a")), time=time) as client:
        walking = asyncio.ensure_future(walked(client))
        await walking
        assert time.now >= 1020

        begun = time.now
        client._throttle.hold(20)
        await walked(client)
        assert time.now == begun + 20


async def test_a_wait_until_a_date_is_measured_by_the_server_s_clock() -> None:
    time = Time()
    asks = failed(429, **{"Retry-After": "Wed, 01 Jul 2026 09:00:50 GMT"})
    async with client_of(Server(asks, listed()), time=time) as client:
        await walked(client)
    assert 50 <= time.now - 1000 < 51


async def test_a_server_that_asks_for_too_much_ends_it_at_once() -> None:
    server = Server(failed(429, "rate_limited", "Slow down.", **{"Retry-After": "86400"}))
    line = await failure(server)
    assert len(server.requests) == 1
    assert "it asks to wait for 86400 s. Tried once" in line


# --- what is not


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 414, 418, 422])
async def test_any_other_4xx_is_final_and_quoted(status: int) -> None:
    server = Server(failed(status, "invalid_parameter", "limit is wrong."))
    line = await failure(server)
    assert f"{status}: a_type/invalid_parameter: limit is wrong." in line
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [201, 204, 206])
async def test_another_success_than_200_is_none(status: int) -> None:
    assert str(status) in await failure(Server(answered("", status)))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    server = Server(
        answered("", status, Location="https://thief.example/positions?key=secret-thing")
    )
    line = await failure(server)
    assert [request.url.host for request in server.requests] == ["api.example"]
    assert "thief.example" in line
    assert "secret-thing" not in line
    assert "DIMES_BASE_URL" in line


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("positionstore.dimes.rest.MAX_BODY", 1024)
    server = Server(answered(b'{"data":[' + b" " * 5000))
    assert "more than" in await failure(server)
    assert len(server.requests) == 1


# --- credentials


class Minting:
    def __init__(self) -> None:
        self.minted = 0

    async def __call__(self) -> Token:
        self.minted += 1
        return Token(SecretStr(f"token-{self.minted}"), 3600)


def minted(mint: Minting) -> MintedToken:
    return MintedToken(mint, wallet="0x1", remedy="Look at X.", monotonic=lambda: 0.0)


async def test_a_refused_token_is_renewed_once_a_request() -> None:
    mint = Minting()
    server = Server(
        listed("a", more=True), failed(401), listed("b", more=True), failed(401), listed("c")
    )
    async with client_of(server) as client:
        pages = [page async for page in client.walk(minted(mint))]
    assert ids(pages) == ["a", "b", "c"]
    assert server.shown() == [f"Bearer token-{n}" for n in (1, 1, 2, 2, 3)]
    assert client.retries == 0


async def test_a_token_that_is_refused_again_ends_it_and_names_the_variable() -> None:
    server = Server(failed(401, "invalid_token", "Not token-2!"), failed(503), failed(401))
    async with client_of(server) as client:
        with pytest.raises(CredentialsError, match=r"minted token.*Look at X\."):
            await anext(client.walk(minted(Minting())))
    assert server.shown() == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_a_quoted_token_is_masked_whatever_it_looks_like() -> None:
    server = Server(failed(401, "invalid_token", "The token hush-hush-1 is not valid."))
    async with client_of(server) as client:
        with pytest.raises(CredentialsError, match="DIMES_JWT") as raised:
            await anext(client.walk(ready_token_access(SecretStr("hush-hush-1"), None)))
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_the_variable(status: int) -> None:
    server = Server(failed(status))
    line = await failure(server, CredentialsError)
    assert line.endswith("Look at DIMES_API_KEY.")
    assert len(server.requests) == 1


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with client_of(Server(failed(500), listed())) as client:
        await walked(client)
    assert "GET https://api.example" in caplog.text
    assert KEY.get_secret_value() not in caplog.text


# --- one position


async def test_one_position_comes_with_its_as_of() -> None:
    raw = b'{"id":"a/../b?c#d%2F \xc3\xa4","status":"open"}'
    server = Server(answered(raw + b"\n"))
    async with client_of(server) as client:
        answer = await client.position(access(), "a/../b?c#d%2F ä")
    assert answer is not None
    listed_, as_of = answer
    assert (listed_.body, as_of) == (raw, STAMPED)
    assert server.requests[0].url.raw_path == (
        b"/v1/prediction-markets/positions/a%2F..%2Fb%3Fc%23d%252F%20%C3%A4"
    )


async def test_only_the_api_s_own_404_is_an_absence() -> None:
    async with client_of(Server(failed(404, "position_not_found"))) as client:
        assert await client.position(access(), "a") is None
    for body in ("", "<html>404</html>", "{}", '{"message":"no route"}'):
        async with client_of(Server(answered(body, 404))) as client:
            with pytest.raises(GatewayError, match="404"):
                await client.position(access(), "a")


@pytest.mark.parametrize(
    "body",
    ["<html>", "", "[]", "null", '{"id":"a","st', '{"id":"b","status":"open"}', '{"id":"a"}'],
)
async def test_an_answer_that_is_not_that_position_is_no_answer(body: str) -> None:
    async with client_of(Server(answered(body))) as client:
        with pytest.raises(GatewayError):
            await client.position(access(), "a")


@pytest.mark.parametrize("strange", ["", ".", "..", "\ud800"])
async def test_an_id_that_makes_no_path_is_not_asked_for(strange: str) -> None:
    server = Server(listed())
    async with client_of(server) as client:
        with pytest.raises(GatewayError):
            await client.position(access(), strange)
        with pytest.raises(GatewayError):
            await client.sub_resource(access(), strange, "unwinds")
    assert not server.requests


@pytest.mark.parametrize("strange", ["x" * 100_000, "\ud800"])
async def test_a_cursor_that_makes_no_url_is_no_traceback(strange: str) -> None:
    async with client_of(Server(listed())) as client:
        with pytest.raises(GatewayError, match="no URL"):
            await walked(client, starting_after=strange)


# --- limits


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    under_way, most = 0, 0

    async def answer(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _step in range(10):
            await asyncio.sleep(0)
        under_way -= 1
        return listed("a")

    time = Time()
    client = RestClient(
        "https://api.example",
        concurrency=3,
        requests_per_second=1e9,
        retry_budget=0,
        monotonic=time.monotonic,
        sleep=time.sleep,
        transport=httpx.MockTransport(answer),
    )
    async with client:
        await asyncio.gather(*(walked(client) for _ in range(12)))
    assert (most, client.requests) == (3, 12)


def test_the_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONSTORE_HTTP_CONCURRENCY", "2")
    monkeypatch.setenv("POSITIONSTORE_HTTP_RATE", "0.5")
    monkeypatch.setenv("POSITIONSTORE_HTTP_RETRY_BUDGET", "7")
    settings = load_settings(base_url_setting="http://127.0.0.1:1/")
    client = RestClient.of(settings)
    assert client._throttle._slots._value == 2
    assert client._throttle._interval == 2
    assert client._retry_budget == 7
    assert client._base_url == "http://127.0.0.1:1"


async def test_numbers_and_text_come_through_untouched() -> None:
    raw = (
        rb'{"id":"a","status":"open","n":[1e400,0.10,-0,123456789012345678901],"t":"\u0000\ud800"}'
    )
    server = Server(answered(b'{"data":[' + raw + b'],"has_more":false}'))
    async with client_of(server) as client:
        [page] = await walked(client)
    assert page.positions[0].body == raw
