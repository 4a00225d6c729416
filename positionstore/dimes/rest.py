"""The REST client: positions by the page and by their id, and user tokens.

Every request uses one connection pool, waits for its turn (:mod:`~positionstore.dimes.http`), and
is retried for a while if the failure is temporary (:mod:`~positionstore.dimes.retrying`). Each
answer has an as-of: a moment before the server read its data.

Source: the vendor's REST reference.
"""

import asyncio
import importlib.metadata
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from positionstore.dimes.access import RestCredentials, api_key_access
from positionstore.dimes.clock_reading import ClockReading, age_of
from positionstore.dimes.complaint import complaint, is_error_body
from positionstore.dimes.http import (
    ACCEPT_ENCODING,
    ClosesAbandoned,
    Throttle,
    TooLongError,
    distrust,
    read_body,
    trusted,
)
from positionstore.dimes.json_exact import InvalidInput, parse
from positionstore.dimes.page import (
    Item,
    Listed,
    UnreadableError,
    read_list,
    read_position,
)
from positionstore.dimes.paging import CursorLostError, Paging, Shown
from positionstore.dimes.proxy import Proxy, proxy_for, proxy_trouble
from positionstore.dimes.retrying import RetryBudget, TransientError, retry_after
from positionstore.dimes.tokens import TOKENS_PATH, Token, read_token
from positionstore.errors import CredentialsError, DoubtfulClockError, GatewayError
from positionstore.model.facts import Rejected
from positionstore.model.secret import SecretStr
from positionstore.model.timestamps import parse_http_date
from positionstore.redaction import redacted
from positionstore.settings import Settings

POSITIONS_PATH: Final = "/v1/prediction-markets/positions"
PAGE_LIMIT: Final = 100
"""The most positions that the API puts into a page."""

MAX_BODY: Final = 64 * 1024 * 1024
"""The longest answer that is taken, in bytes; a usual page has a fifth of a million."""

_CLOCK_WAITS: Final = (
    0.5,
    1.0,
)  # seconds before an answer with a doubtful clock is asked for again
_CLOCK_RETRIES: Final = 20  # of one client; where all answers are doubtful more would say no more
_ATTEMPT: Final = 60.0  # seconds that one attempt may take, from connecting to the last byte
_TIMEOUTS: Final = httpx.Timeout(30.0, connect=10.0, pool=None)

_ROW_UNKNOWN: Final = frozenset({400, 404, 409, 410, 422})
"""How an API may say that it does not know the row to start after."""

State = Literal["active", "inactive"]
SortBy = Literal["created_at", "closed_at"]
Direction = Literal["asc", "desc"]
T = TypeVar("T")


class OutOfReachError(GatewayError):
    """One position is unavailable; others may be available.

    Attributes:
        answered: whether the API answered at once; if not, a retry budget was used up.
    """

    def __init__(self, message: str, *, answered: bool = True) -> None:
        super().__init__(message)
        self.answered = answered


class _UnreadableSetbackError(TransientError):
    """What came in place of one position may have been cut short."""


class Page(msgspec.Struct, frozen=True):
    """One page of a walk.

    Attributes:
        positions: positions that no earlier page of the walk had.
        rejected: its elements that are not positions.
        as_of: a moment at which the server had certainly not yet read the page, UTC.
        has_more: whether the walk continues.
        cursor: the id to continue after; None on an empty page.
        doubtful: whether the server's clock was unreliable even when asked again; the time of the
            page is unknown.
    """

    positions: list[Listed]
    rejected: list[Rejected]
    as_of: datetime
    has_more: bool
    cursor: str | None
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    method: Literal["GET", "POST"]
    path: str
    parameters: dict[str, str] | None = None
    body: dict[str, str] | None = None

    def __str__(self) -> str:
        return redacted(f"{self.method} {self.path}")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx.Headers = field(repr=False)
    content: bytes = field(repr=False)
    reading: ClockReading

    @property
    def date(self) -> str | None:
        return str(self.headers["date"]) if "date" in self.headers else None


class RestClient:
    """A client of the REST API; an async context manager that holds one pool of connections.

    Credentials go to the host of ``base_url`` and nowhere else: redirects are not followed, and
    neither proxies nor passwords are taken from the environment.

    Args:
        base_url: the host, without a trailing slash, as ``Settings.base_url`` has checked it.
        concurrency: the number of concurrent requests.
        requests_per_second: the number of requests per second.
        retry_budget: seconds from its first failure for which a request is retried.
        clock: the current time, UTC.
        monotonic: a monotonic clock, seconds.
        sleep: waits for a number of seconds.
        random: returns a random number from 0 to 1.
        transport: carries the requests, for tests.

    Raises:
        ConfigurationError: ``SSL_CERT_FILE`` has no certificates.

    Attributes:
        requests: the number of requests, including retries and minted tokens.
        retries: the number of retries.
        as_of: returns the as-of of an answer, or None if its clock is unreliable; the request is
            then repeated.
    """

    def __init__(
        self,
        base_url: str,
        *,
        concurrency: int,
        requests_per_second: float,
        retry_budget: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random.random,
        transport: httpx.AsyncBaseTransport | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self._proxy = proxy
        self.requests = 0
        self.retries = 0
        self.monotonic = monotonic
        self.as_of: Callable[[ClockReading], datetime | None] = lambda reading: reading.as_of
        self._clock_retries = _CLOCK_RETRIES
        self._base_url = base_url
        self._retry_budget = retry_budget
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._throttle = Throttle(
            concurrency=concurrency,
            per_second=requests_per_second,
            monotonic=monotonic,
            sleep=sleep,
        )
        self._http = httpx.AsyncClient(
            headers={
                "Accept": "application/json",
                "Accept-Encoding": ACCEPT_ENCODING,
                "Cache-Control": "no-cache",  # an answer from a cache has the Date of another
                "User-Agent": f"positionstore/{importlib.metadata.version('positionstore')}",
            },
            timeout=_TIMEOUTS,
            limits=httpx.Limits(max_connections=concurrency),
            follow_redirects=False,
            trust_env=False,
            verify=trusted(),
            transport=transport,
            proxy=None if proxy is None else proxy.for_httpx(),
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the client that the settings describe.

        Raises:
            ConfigurationError: the host may not be sent credentials, or ``SSL_CERT_FILE`` names no
                certificates.
        """
        return cls(
            settings.base_url,
            concurrency=settings.http_concurrency,
            requests_per_second=settings.http_rate,
            retry_budget=settings.http_retry_budget,
            proxy=proxy_for(settings),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def walk(
        self,
        access: RestCredentials,
        *,
        state: State | None = None,
        status: str | None = None,
        sort_by: SortBy = "created_at",
        sort_direction: Direction = "asc",
        starting_after: str | None = None,
    ) -> AsyncIterator[Page]:
        """Yield every page of a list in order, at least one.

        A position that appears twice (it moved during the walk) is yielded once. If the last row of
        a page has left the list, the walk goes back (:mod:`~positionstore.dimes.paging`).

        Args:
            access: the credentials.
            state: only living, or only ended positions.
            status: only positions of this status.
            sort_by: the order of the list.
            sort_direction: oldest or newest first.
            starting_after: the id to start after, such as an earlier page's cursor.

        Raises:
            CredentialsError: the access is refused; the message names the variable.
            CursorLostError: the API does not know ``starting_after``.
            GatewayError: a page is unavailable, or the list does not advance.
        """
        parameters = {
            "limit": str(PAGE_LIMIT),
            "sort_by": sort_by,
            "sort_direction": sort_direction,
            **({"state": state} if state else {}),
            **({"status": status} if status else {}),
        }

        async def ask(after: str | None) -> Shown:
            cursor = {"starting_after": after} if after else {}
            as_of, answer, (items, has_more) = await self._ask_when(
                _Request("GET", POSITIONS_PATH, {**parameters, **cursor}),
                access,
                _page_of if after else _list_of,
            )
            return Shown(items, has_more, as_of or answer.reading.as_of, as_of is None)

        paging = Paging(ask, pause=self._sleep)
        async for new, has_more, read_at, cursor, doubtful in paging.steps(starting_after):
            yield Page(
                [item.what for item in new if isinstance(item.what, Listed)],
                [item.what for item in new if isinstance(item.what, Rejected)],
                read_at,
                has_more,
                cursor,
                doubtful,
            )

    async def position(
        self, access: RestCredentials, position_id: str
    ) -> tuple[Listed, datetime] | None:
        """Request one position.

        Returns:
            It and the as-of of the answer; None if the API itself says that it does not know it.

        Raises:
            CredentialsError: the access is refused; the message names the variable.
            OutOfReachError: this one is not shown, or the answer is another.
            DoubtfulClockError: the server's clock is unreliable.
            GatewayError: no answer can be had, or it cannot be understood.
        """
        path = _path_of(position_id)
        as_of, _, listed = await self._ask_when(_Request("GET", path), access, _position_of)
        if as_of is None:
            raise DoubtfulClockError("The clock of the API's answer cannot be believed.")
        if listed is None:
            return None
        if listed.position_id != position_id:
            raise OutOfReachError(
                f"{redacted(f'GET {path}')} was answered with another position: "
                f"{redacted(listed.position_id)}."
            )
        return listed, as_of

    async def sub_resource(
        self, access: RestCredentials, position_id: str, path: str
    ) -> bytes | None:
        """Request a list that belongs to one position, such as its unwinds.

        Returns:
            The JSON as it came; None if the API itself says that there is none.

        Raises:
            CredentialsError: the access is refused; the message names the variable.
            OutOfReachError: this one is not shown, or cannot be read.
            GatewayError: no answer can be had.
        """
        where = f"{_path_of(position_id)}/{path}"
        request = _Request("GET", where, {"limit": str(PAGE_LIMIT)})
        _, content = await self._ask(request, access, _sub_resource_of)
        return content

    async def allows(self, access: RestCredentials) -> bool:
        """Whether the API allows these credentials to list positions.

        Raises:
            GatewayError: that is unknown at the moment.
        """
        try:
            await self._ask(_Request("GET", POSITIONS_PATH, {"limit": "1"}), access, _list_of)
        except CredentialsError:
            return False
        return True

    async def mint_token(self, api_key: SecretStr, wallet: str, *, wallet_remedy: str) -> Token:
        """Mint a token for one wallet.

        Args:
            api_key: the partner's key.
            wallet: the customer's address.
            wallet_remedy: what to check if no token is minted for the wallet.

        Raises:
            KeyRefusedError: the key is not valid.
            CredentialsError: the key or the wallet is refused; the message names the variable.
            GatewayError: no token is available at the moment.
        """

        def read(answer: _Answer, _: RestCredentials, __: str) -> Token:
            return read_token(
                answer.status,
                answer.content,
                date=answer.date,
                clock=self._clock,
                wallet_remedy=wallet_remedy,
            )

        request = _Request("POST", TOKENS_PATH, body={"wallet_address": wallet})
        _, token = await self._ask(request, api_key_access(api_key), read)
        return token

    async def _ask_when(
        self,
        request: _Request,
        access: RestCredentials,
        read: Callable[[_Answer, RestCredentials, str], T],
    ) -> tuple[datetime | None, _Answer, T]:
        """Request, and repeat while the clock is unreliable; no as-of if it stays so."""
        waits = iter(_CLOCK_WAITS)
        while True:
            answer, content = await self._ask(request, access, read)
            as_of = self.as_of(answer.reading)
            wait = next(waits, None)
            if as_of is not None or wait is None or not self._clock_retries:
                return as_of, answer, content
            self._clock_retries -= 1
            self.retries += 1
            await self._sleep(wait)

    async def _ask(
        self,
        request: _Request,
        access: RestCredentials,
        read: Callable[[_Answer, RestCredentials, str], T],
    ) -> tuple[_Answer, T]:
        patience = RetryBudget(self._retry_budget, monotonic=self.monotonic, random=self._random)
        may_renew = True
        while True:
            shown = await access.authorization()
            try:
                answer = await self._send(request, shown)
                if answer.status == 401 and may_renew:
                    may_renew = False
                    if await access.renew(shown):
                        continue
                self._screen(answer, request)
                return answer, read(answer, access, shown.get_secret_value().partition(" ")[2])
            except TransientError as setback:
                wait = patience.wait(setback.asked)
                if wait is None:
                    raise _given_up(request, setback, patience) from None
                if setback.asked:
                    self._throttle.hold(setback.asked)
            self.retries += 1
            await self._sleep(wait)

    async def _send(self, request: _Request, shown: SecretStr) -> _Answer:
        async with self._throttle.turn():
            self.requests += 1
            sent_at, started = self._clock(), self.monotonic()
            try:
                async with (
                    asyncio.timeout(_ATTEMPT),
                    self._http.stream(
                        request.method,
                        self._base_url + request.path,
                        params=request.parameters,
                        json=request.body,
                        headers={"Authorization": shown.get_secret_value()},
                        extensions={"trace": ClosesAbandoned()},
                    ) as response,
                ):
                    round_trip = self.monotonic() - started
                    content = await read_body(response, at_most=MAX_BODY)
            except TooLongError:
                raise GatewayError(
                    f"{request} was answered with more than {MAX_BODY // 1024**2} MiB, "
                    "which cannot be right."
                ) from None
            except TimeoutError:
                raise TransientError(f"no answer within {_ATTEMPT:.0f} s") from None
            except httpx.HTTPError as error:
                raise _transport_failure(error, request, self._proxy) from None
            except (httpx.InvalidURL, UnicodeError):
                raise GatewayError(f"{request} cannot be sent: the id makes no URL.") from None
        reading = ClockReading(
            parse_http_date(response.headers.get("date")),
            sent_at,
            round_trip,
            age_of(response.headers.get("age")),
        )
        return _Answer(response.status_code, response.headers, content, reading)

    def _screen(self, answer: _Answer, request: _Request) -> None:
        """Raise for errors that do not depend on the request."""
        status = answer.status
        if status >= 500 or status in {408, 425, 429}:
            asked = retry_after(
                answer.headers.get("retry-after"), date=answer.date, now=self._clock()
            )
            raise TransientError(complaint(status, answer.content), asked=asked)
        if 300 <= status < 400:
            host = _host_of(answer.headers.get("location", ""))
            raise GatewayError(
                f"{request} was answered with a redirect ({status}) to {host}, which was not "
                "followed.",
                remedy="Look at DIMES_BASE_URL.",
            )


def _host_of(location: str) -> str:
    try:
        return redacted(urlsplit(location).hostname or "") or "another page"
    except ValueError:
        return "another page"


def _list_of(answer: _Answer, access: RestCredentials, secret: str) -> tuple[list[Item], bool]:
    _check_status(answer, access, secret)
    try:
        return read_list(answer.content)
    except UnreadableError:
        raise TransientError("the answer is no list of positions, or was cut short") from None


def _page_of(answer: _Answer, access: RestCredentials, secret: str) -> tuple[list[Item], bool]:
    """Read a page after a cursor."""
    if answer.status in _ROW_UNKNOWN and is_error_body(answer.content):
        said = complaint(answer.status, answer.content, secret=secret)
        raise CursorLostError(f"The API did not answer as it should ({said}).")
    return _list_of(answer, access, secret)


def _position_of(answer: _Answer, access: RestCredentials, secret: str) -> Listed | None:
    if answer.status == 410 or (answer.status == 404 and is_error_body(answer.content)):
        return None
    if answer.status != 401 and 400 <= answer.status < 500:
        # It lists others for the same credentials: this is about the one.
        said = complaint(answer.status, answer.content, secret=secret)
        raise OutOfReachError(f"The API did not show it to the {access.what} ({said}).")
    _check_status(answer, access, secret)
    try:
        item = read_position(answer.content)
    except UnreadableError:
        raise _UnreadableSetbackError("the answer is no position, or was cut short") from None
    if isinstance(item.what, Rejected):
        raise OutOfReachError(
            f"The API answered with something that is not a position: {item.what.detail}"
        )
    return item.what


def _path_of(position_id: str) -> str:
    """Return the path of a position.

    Raises:
        GatewayError: its id is no part of a path.
    """
    if position_id in {"", ".", ".."}:  # paths that lead elsewhere
        raise GatewayError(f"A position with the id {position_id!r} cannot be requested.")
    try:
        return f"{POSITIONS_PATH}/{quote(position_id, safe='')}"
    except UnicodeEncodeError:
        raise GatewayError("A position with such an id cannot be requested.") from None


def _sub_resource_of(answer: _Answer, access: RestCredentials, secret: str) -> bytes | None:
    if answer.status == 410 or (answer.status == 404 and is_error_body(answer.content)):
        return None
    _check_status(answer, access, secret)
    try:
        parse(answer.content.decode())
    except (InvalidInput, UnicodeDecodeError):
        raise _UnreadableSetbackError("the answer is no JSON, or was cut short") from None
    return answer.content


def _check_status(answer: _Answer, access: RestCredentials, secret: str) -> None:
    if answer.status == 200:
        return
    said = complaint(answer.status, answer.content, secret=secret)
    if answer.status in {401, 403}:
        raise CredentialsError(f"The API refused the {access.what} ({said}).", remedy=access.remedy)
    raise GatewayError(f"The API did not answer as it should ({said}).")


def _transport_failure(
    error: httpx.HTTPError, request: _Request, proxy: Proxy | None
) -> GatewayError:
    if trouble := proxy_trouble(proxy, error):
        # One that refuses us will go on to; one that is away may come back.
        return trouble if isinstance(error, httpx.ProxyError) else TransientError(str(trouble))
    if isinstance(error, httpx.TimeoutException):
        return TransientError("no answer in time")
    if distrusted := distrust(f"{request} was not sent", error):
        return distrusted
    return TransientError(redacted(str(error)) or error.__class__.__name__)


def _given_up(request: _Request, setback: TransientError, patience: RetryBudget) -> GatewayError:
    said = str(setback).rstrip(".")
    if setback.asked and setback.asked > 0:
        said += f"; it asks to wait for {setback.asked:.0f} s"
    times = "once" if patience.attempts == 1 else f"{patience.attempts} times"
    if isinstance(setback, _UnreadableSetbackError):
        return OutOfReachError(
            f"{request} failed: {said}. Tried {times} within {patience.spent:.0f} s.",
            answered=False,
        )
    return GatewayError(
        f"{request} failed: {said}. Tried {times} within {patience.spent:.0f} s.",
        remedy="Try again later; POSITIONSTORE_HTTP_RETRY_BUDGET is how long it keeps trying.",
    )
