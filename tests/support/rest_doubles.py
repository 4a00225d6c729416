"""A REST client whose time and server are a test's own."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx

from positionstore.dimes.access import RestCredentials, api_key_access
from positionstore.dimes.rest import Page, RestClient
from positionstore.dimes.tokens import Token
from positionstore.model.secret import SecretStr

NOW = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)
KEY = SecretStr("dm_sbx_skey_0123456789abcdef")
DATE = "Wed, 01 Jul 2026 09:00:00 GMT"
"""What the server's clock says; ours is three hours ahead."""

Handler = Callable[[httpx.Request], httpx.Response]


class Time:
    """Passes only while something sleeps, or when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.now - 1000.0)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Server:
    """Answers each request with the next of its answers, the last one for ever.

    An answer is a response, an exception to raise, or a function of the request.
    """

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response is read once; every request gets one of its own.
            return httpx.Response(
                answer.status_code, headers=dict(answer.headers), content=answer.content
            )
        return answer(request)

    def shown(self) -> list[str]:
        return [request.headers["authorization"] for request in self.requests]


def client_of(
    handler: Handler,
    *,
    time: Time | None = None,
    retry_budget: float = 120.0,
    random: Callable[[], float] = lambda: 0.5,
    concurrency: int = 4,
    requests_per_second: float = 1e9,
) -> RestClient:
    time = time or Time()
    return RestClient(
        "https://api.example",
        concurrency=concurrency,
        requests_per_second=requests_per_second,
        retry_budget=retry_budget,
        clock=time.clock,
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=random,
        transport=httpx.MockTransport(handler),
    )


def access() -> RestCredentials:
    return api_key_access(KEY)


def token(secret: str, lifetime: float | None = 3600.0) -> Token:
    return Token(SecretStr(secret), lifetime)


def listed(*ids: str, more: bool = False, **headers: str) -> httpx.Response:
    items = ",".join(f'{{"id":{json.dumps(each)},"status":"open"}}' for each in ids)
    return answered(f'{{"data":[{items}],"has_more":{json.dumps(more)}}}', 200, **headers)


def answered(text: str | bytes, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, content=text, headers={"Date": DATE, **headers})


def failed(
    status: int, code: str = "a_code", message: str = "In words.", **headers: str
) -> httpx.Response:
    error = {"error": {"type": "a_type", "code": code, "message": message}}
    return answered(json.dumps(error), status, **headers)


async def walked(client: RestClient, **options: str) -> list[Page]:
    return [page async for page in client.walk(access(), **options)]  # type: ignore[arg-type] # by name


def ids(pages: list[Page]) -> list[str]:
    return [position.position_id for page in pages for position in page.positions]
