"""Reconcile with an API that lives in memory, and print what it took, as one line of JSON.

Started by ``comparing.py``, in a process of its own, with the numbers of active and of ended
positions as arguments. The first run finds all of them missing; the second is a periodic one.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import structlog

from benchmark.import_stdin import peak_bytes
from positionstore.dimes.rest import PAGE_LIMIT, RestClient
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.sandbox import history
from positionstore.settings import Settings, load_settings
from positionstore.store.database import Store

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
BETWEEN_ENDS = timedelta(minutes=1)


class Api:
    """So many positions, all alike but for their ids and the moments they ended."""

    def __init__(self, active: int, ended: int) -> None:
        self._numbers = {"active": range(active), "inactive": range(active, active + ended)}
        bodies = [json.loads(envelope)["data"] for envelope in history(events=2_000, positions=20)]
        self._open = next(body for body in bodies if body.get("status") == "open")
        self._closed = next(body for body in bodies if body.get("status") == "closed")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer with a page of a list."""
        asked = request.url.params
        numbers = self._numbers.get(asked.get("state", ""), range(0))
        if asked.get("sort_direction") == "desc":
            numbers = numbers[::-1]
        after = asked.get("starting_after")
        first = 0 if after is None else numbers.index(int(after.removeprefix("dm_pos_"))) + 1
        shown = numbers[first : first + PAGE_LIMIT]
        page = {
            "data": [self._body(number) for number in shown],
            "has_more": first + len(shown) < len(numbers),
        }
        return httpx.Response(200, headers={"Date": format_datetime(NOW, usegmt=True)}, json=page)

    def _body(self, number: int) -> dict[str, object]:
        position_id = f"dm_pos_{number:012}"
        if number in self._numbers["active"]:
            return {**self._open, "id": position_id}
        before = self._numbers["inactive"].stop - number
        result = {**self._closed["result"], "closed_at": (NOW - before * BETWEEN_ENDS).isoformat()}
        return {**self._closed, "id": position_id, "result": result}


async def _nobody_waits(_: float) -> None:
    return None


async def reconcile(active: int, ended: int) -> dict[str, int]:
    """Do both runs; return what they took."""
    api = Api(active, ended)

    def client(settings: Settings) -> RestClient:
        return RestClient(
            settings.base_url,
            concurrency=4,
            requests_per_second=1e9,
            retry_budget=0,
            transport=httpx.MockTransport(api),
        )

    settings = load_settings(api_key="dm_sbx_skey_0", base_url_setting="http://127.0.0.1:1")
    reconciler = Reconciler(
        settings,
        Store(os.environ["DATABASE_URL"], embedded=False),
        clock=lambda: NOW,
        sleep=_nobody_waits,
        client=client,
    )
    full = await reconciler.run(Trigger.COMMAND, Scope.full())
    periodic = await reconciler.run(Trigger.PERIODIC, reconciler.recent_scope())
    return {
        "seen": full.seen,
        "repaired": full.repaired,
        "periodic_seen": periodic.seen,
        "periodic_requests": periodic.requests,
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    print(json.dumps(asyncio.run(reconcile(int(sys.argv[1]), int(sys.argv[2])))))
