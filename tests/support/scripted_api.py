"""GET /positions as a test scripts it, behind a reconciler and a store that are real."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from positionstore.dimes.rest import POSITIONS_PATH, RestClient
from positionstore.reconcile.reconciler import Reconciler, Resumption
from positionstore.reconcile.report import RunReport
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.settings import Settings
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from support.factories import NOON, event
from support.streams import settings_for

KEY = "dm_sbx_skey_0123456789abcdef"
ENDED = {"closed", "settled", "liquidated", "cancelled"}
Body = dict[str, Any]
Answer = Callable[["Api", httpx.Request], httpx.Response | None]


def position(number: int, status: str = "open", **more: object) -> Body:
    """Return a position object; positions are listed in the order of their numbers."""
    body: Body = {
        "id": f"dm_pos_{number:04}",
        "status": status,
        "market_ticker": "M",
        "entry": {"collateral_usd_pips": str(10_000 * number), "leverage_bps": 20_000},
        "current": {"position_token_units": str(number), "remaining_bps": 10_000},
        **more,
    }
    if status in ENDED:
        del body["current"]
        body["result"] = {"closed_at": "2026-07-01T11:00:00.000Z", "proceeds_usd_pips": "5"}
    return body


def refusal(status: int, code: str = "a_code") -> httpx.Response:
    """Return the API's own error body."""
    error = {"error": {"type": "a_type", "code": code, "message": "In words."}}
    return httpx.Response(status, json=error)


def page(items: Sequence[Body], *, more: bool) -> httpx.Response:
    """Return a list."""
    return httpx.Response(200, json={"data": list(items), "has_more": more})


@dataclass
class Api:
    """The API; its list is filtered as the vendor's, and a cursor has to be in it.

    Attributes:
        store: ours.
        bodies: its positions, in the order of the list.
        answer: is asked first; None leaves the request to the API.
        now: the time of its clock and of ours, which sleeps alone move.
        requests: what it was asked.
    """

    store: Store
    bodies: list[Body] = field(default_factory=list)
    answer: Answer = lambda _, __: None
    now: datetime = NOON + timedelta(hours=1)
    requests: list[httpx.Request] = field(default_factory=list)

    def hear(self, bodies: Sequence[Body], *, at: float = 0) -> None:
        """Have the store hear of positions, as they are."""
        with closing(self.store.connect()) as connection:
            Appender(connection).append(
                [
                    event(f"evt_{b['id']}", position=b["id"], status=b["status"], body=b, at=at)
                    for b in bodies
                ]
            )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.answer(self, request) or self.honest(request)
        response.headers["Date"] = self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return response

    def honest(self, request: httpx.Request) -> httpx.Response:
        """Answer as the API does."""
        name = named(request)
        if name is not None:
            found = next((each for each in self.bodies if each["id"] == name), None)
            return httpx.Response(200, json=found) if found else refusal(404, "not_found")
        asked = request.url.params
        wants_ended = asked.get("state") == "inactive"
        shown = [
            each
            for each in self.bodies
            if "state" not in asked or (each["status"] in ENDED) == wants_ended
        ]
        after = asked.get("starting_after")
        if after:
            ids = [each["id"] for each in shown]
            if after not in ids:
                return refusal(400, "INVALID_CURSOR")
            shown = shown[ids.index(after) + 1 :]
        limit = int(asked["limit"])
        return page(shown[:limit], more=len(shown) > limit)

    # --- ours ----------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def settings(self, **values: object) -> Settings:
        """Settings that point here."""
        return settings_for("http://127.0.0.1:1", **{"api_key": KEY, **values})

    def client(self, settings: Settings) -> RestClient:
        """A client of the API."""
        return RestClient(
            settings.base_url,
            concurrency=4,
            requests_per_second=1e9,
            retry_budget=5,
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),  # noqa: PLW0108 - now is another each time
            sleep=self.sleep,
            transport=httpx.MockTransport(self),
        )

    def reconciler(
        self, settings: Settings | None = None, store: Store | None = None
    ) -> Reconciler:
        """A reconciler between the two."""
        return Reconciler(
            settings or self.settings(),
            store or self.store,
            clock=lambda: self.now,
            sleep=self.sleep,
            client=self.client,
        )

    async def run(self, resumption: Resumption | None = None, **values: object) -> RunReport:
        """Reconcile in full."""
        return await self.reconciler(self.settings(**values)).run(
            Trigger.COMMAND, Scope.full(), resumption=resumption
        )

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with closing(self.store.connect()) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()


def named(request: httpx.Request) -> str | None:
    """Return the position that a request asks for; None where it asks for a list."""
    _, _, name = request.url.path.partition(f"{POSITIONS_PATH}/")
    return name or None


def lists_of(api: Api, state: str = "active") -> list[str | None]:
    """Return the cursors of the lists of a state that were asked for, in order."""
    return [
        each.url.params.get("starting_after")
        for each in api.requests
        if named(each) is None and each.url.params.get("state") == state
    ]
