"""The REST API: tokens, positions and sample events, with the active faults."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
from aiohttp import web

from positionstore.sandbox import listing, wire
from positionstore.sandbox.clock import Clock
from positionstore.sandbox.credentials import (
    Credentials,
    CredentialsRefusedError,
    Scope,
    is_wallet,
)
from positionstore.sandbox.faults import Faults, Outbox
from positionstore.sandbox.world import Emission, Position, World

PREFIX = "/v1/prediction-markets"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    429: "rate_limit_error",
}
_SAMPLE_INTERVAL_MS = 100

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.params = params
        self.headers = headers

    def response(self) -> web.Response:
        """The answer, with the documented error body."""
        error: dict[str, object] = {
            "type": _TYPES.get(self.status, "api_error"),
            "code": self.code,
            "message": str(self),
        }
        if self.params:
            error["params"] = dict(self.params)
        return web.json_response({"error": error}, status=self.status, headers=self.headers)


class RestApi:
    """The handlers of the REST API.

    Args:
        world: the world.
        credentials: the accepted credentials.
        faults: the faults in force.
        outbox: decides when a fault happens.
        clock: the server's time.
        api_key_lists: whether a partner's API key may read positions, which the vendor's
            documentation leaves open.
        push: sends sample events to a customer's connections.
        catch_up: advances the world to the server's time, so that an answer is never older than
            its ``Date``.
    """

    def __init__(
        self,
        *,
        world: World,
        credentials: Credentials,
        faults: Faults,
        outbox: Outbox,
        clock: Clock,
        api_key_lists: bool,
        push: Callable[[list[Emission], float], None],
        catch_up: Callable[[], None],
    ) -> None:
        self.requests = 0
        self._world = world
        self._credentials = credentials
        self._faults = faults
        self._outbox = outbox
        self._clock = clock
        self._api_key_lists = api_key_lists
        self._push = push
        self._catch_up = catch_up
        self._page_ends: dict[str, int] = {}

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_post(f"{PREFIX}/tokens", self._tokens)
        app.router.add_get(f"{PREFIX}/positions", self._list)
        app.router.add_get(f"{PREFIX}/positions/{{id}}", self._get)
        app.router.add_get(f"{PREFIX}/positions/{{id}}/unwinds", self._unwinds)
        app.router.add_get(f"{PREFIX}/positions/{{id}}/partial-closes", self._partial_closes)
        app.router.add_post(f"{PREFIX}/sample-events", self._sample_events)

    # --- around every request ------------------------------------------------------------

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Return every failure as the documented error body, and inject the faults."""
        try:
            if request.path.startswith(f"{PREFIX}/"):
                self.requests += 1
                await self._misbehave(request)
                self._catch_up()
            return await handler(request)
        except ApiError as error:
            return error.response()
        except web.HTTPException as error:
            code = {404: "not_found", 405: "method_not_allowed"}.get(error.status, "bad_request")
            return ApiError(error.status, code, error.reason).response()
        except ConnectionError:
            raise
        except Exception:
            logging.getLogger(__name__).exception("A request failed: %s", request.path)
            return ApiError(
                500, "internal_error", "The sandbox failed; its log says why."
            ).response()

    async def stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the ``Date`` header by the server's own clock, right or wrong."""
        if self._faults.omit_date:
            response.headers.popall("Date", None)
        else:
            moment, wrong_by = self._clock.now(), self._faults.rest_clock_offset
            is_rest = request.path.startswith(f"{PREFIX}/")
            if wrong_by and is_rest and self._outbox.chance(self._faults.rest_clock_wrong):
                moment += round(wrong_by * 1e6)
            response.headers["Date"] = _http_date(moment)

    async def _misbehave(self, request: web.Request) -> None:
        faults, outbox = self._faults, self._outbox
        if faults.rest_latency or faults.rest_jitter:
            await asyncio.sleep(faults.rest_latency + outbox.spread(0, faults.rest_jitter))
        if outbox.chance(faults.rest_resets):
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        if outbox.chance(faults.rest_throttled):
            raise ApiError(429, "rate_limited", "Too many requests.", headers=self._retry_after())
        if outbox.chance(faults.rest_errors):
            raise ApiError(
                *(
                    (500, "internal_error", "Something went wrong.")
                    if outbox.chance(0.5)
                    else (503, "unavailable", "The service is unavailable.")
                )
            )

    def _retry_after(self) -> dict[str, str]:
        seconds = self._faults.retry_after
        if seconds < 0:
            return {}
        if self._faults.retry_after_as_date:
            # Rounded up: a date has whole seconds, and coming back early is no use.
            return {"Retry-After": _http_date(self._clock.now() + round((seconds + 1) * 1e6))}
        return {"Retry-After": f"{seconds:g}"}

    # --- credentials ---------------------------------------------------------------------

    def _partner(self, request: web.Request) -> int | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "api-key":
            return None
        try:
            return self._credentials.partner_of(key.strip())
        except CredentialsRefusedError as refusal:
            raise ApiError(401, refusal.code, str(refusal)) from None

    def _user(self, request: web.Request) -> Scope | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return self._credentials.scope_of(token.strip(), self._clock.now())
        except CredentialsRefusedError as refusal:
            raise ApiError(401, refusal.code, str(refusal)) from None

    def _reader(self, request: web.Request) -> Scope:
        partner = self._partner(request)
        if partner is not None:
            if self._api_key_lists:
                return Scope(partner)
            raise ApiError(403, "user_token_required", "This endpoint wants a user token.")
        scope = self._user(request)
        if scope is None:
            raise ApiError(401, "missing_credentials", "An Authorization header is required.")
        return scope

    # --- endpoints -----------------------------------------------------------------------

    async def _tokens(self, request: web.Request) -> web.Response:
        partner = self._partner(request)
        if partner is None:
            if self._user(request) is not None:
                raise ApiError(403, "api_key_required", "This endpoint wants an API key.")
            raise ApiError(401, "missing_credentials", "An Authorization header is required.")
        try:
            body = msgspec.json.decode(await request.read(), type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ApiError(400, "invalid_json", "The body is not a JSON object.") from None
        wallet = body.get("wallet_address")
        if not isinstance(wallet, str) or not is_wallet(wallet):
            message = "wallet_address must be an address: 0x and 40 hexadecimal digits."
            raise ApiError(400, "invalid_parameter", message, {"wallet_address": message})
        token, expires = self._credentials.mint(partner, wallet, self._clock.now())
        return web.json_response({"token": token, "expires_at": wire.instant(expires)}, status=201)

    async def _list(self, request: web.Request) -> web.Response:
        scope = self._reader(request)
        try:
            query = listing.parse(request.query)
        except listing.BadParameterError as error:
            raise _bad(error.parameter, str(error)) from None
        page = self._page_ends.get(query.starting_after, 0) + 1
        if page == self._faults.failing_page:
            raise ApiError(500, "internal_error", "Something went wrong.")
        shown, has_more = self._shown(scope, query)
        if shown and not query.ending_before:
            self._page_ends[shown[-1].id] = page
        at = self._read_at()
        unwinds = "unwinds" in query.expand
        data = ",".join(position.render(at, expand_unwinds=unwinds) for position in shown)
        return _json(f'{{"data":[{data}],"has_more":{json.dumps(has_more)}}}')

    def _shown(self, scope: Scope, query: listing.Query) -> tuple[list[Position], bool]:
        if self._faults.empty_list:
            return [], False
        backwards = bool(query.ending_before)
        name = "ending_before" if backwards else "starting_after"
        cursor = None
        cursor_id = query.ending_before or query.starting_after
        if cursor_id:
            cursor = self._world.get(cursor_id)
            if cursor is None or not _sees(scope, cursor):
                raise _bad(name, f"{name} is not the id of a position of yours.")
        concealed = {*self._faults.unlisted, *self._faults.hidden}
        book = self._world.book(scope.partner, scope.wallet)
        found: list[Position] = []
        for position in listing.walk(book, query, cursor, lagging=self._faults.replica_lag > 0):
            state = self._world.as_of(position, self._read_at())
            if state is None or state.status not in query.statuses or state.id in concealed:
                continue
            found.append(state)
            if len(found) > query.limit:
                break
        has_more = len(found) > query.limit
        found = found[: query.limit]
        return (found[::-1] if backwards else found), has_more

    async def _get(self, request: web.Request) -> web.Response:
        scope = self._reader(request)
        try:
            expand = listing.parse_expand(request.query)
        except listing.BadParameterError as error:
            raise _bad(error.parameter, str(error)) from None
        state = self._one(request, scope)
        return _json(state.render(self._read_at(), expand_unwinds="unwinds" in expand))

    async def _unwinds(self, request: web.Request) -> web.Response:
        return _json(self._one(request, self._reader(request)).render_unwinds())

    async def _partial_closes(self, request: web.Request) -> web.Response:
        return _json(self._one(request, self._reader(request)).render_partial_closes())

    def _one(self, request: web.Request, scope: Scope) -> Position:
        position = self._world.get(request.match_info["id"])
        if position is not None and (
            not _sees(scope, position) or position.id in self._faults.hidden
        ):
            position = None
        state = None if position is None else self._world.as_of(position, self._read_at())
        if state is None:
            raise ApiError(404, "position_not_found", "There is no such position.")
        return state

    async def _sample_events(self, request: web.Request) -> web.Response:
        if self._partner(request) is not None:
            raise ApiError(403, "user_token_required", "This endpoint wants a user token.")
        scope = self._user(request)
        if scope is None or scope.wallet is None:
            raise ApiError(401, "missing_credentials", "An Authorization header is required.")
        emissions = self._world.sample_events(scope.partner, scope.wallet)
        self._push(emissions, _SAMPLE_INTERVAL_MS / 1000)
        return web.json_response(
            {"event_count": len(emissions), "interval_ms": _SAMPLE_INTERVAL_MS}
        )

    def _read_at(self) -> int:
        return self._world.now - round(self._faults.replica_lag * 1_000_000)


def _sees(scope: Scope, position: Position) -> bool:
    return scope.partner == position.partner and scope.wallet in {None, position.wallet}


def _bad(parameter: str, message: str) -> ApiError:
    return ApiError(400, "invalid_parameter", message, {parameter: message})


def _json(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


def _http_date(micros: int) -> str:
    return format_datetime(_EPOCH + timedelta(seconds=micros // 1_000_000), usegmt=True)
