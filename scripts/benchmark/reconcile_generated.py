"""Reconcile with an API that lives in memory, and print what it took, as one line of JSON.

Started by ``comparing.py``, in a process of its own, with the numbers of active and of ended
positions as arguments. The first run finds all of them missing; the second is a periodic one. With
a number of seconds as the third argument it then compares all of them without a difference: first
as fast as can be, then with a server in another process that takes so long for each answer, which
it also asks for the same pages without doing anything with them.
"""

import asyncio
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

import httpx
import structlog

from benchmark.import_stdin import peak_bytes
from positionstore.dimes.access_book import CredentialProvider
from positionstore.dimes.rest import PAGE_LIMIT, RestClient
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.sandbox import history
from positionstore.settings import Settings, load_settings
from positionstore.store.database import Store

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOWHERE = "http://127.0.0.1:1"
BETWEEN_ENDS = timedelta(minutes=1)


class Api:
    """So many positions, all alike but for their ids and the moments they ended."""

    def __init__(self, active: int, ended: int, now: datetime = NOW) -> None:
        self.now = now
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
        return httpx.Response(
            200, headers={"Date": format_datetime(self.now, usegmt=True)}, json=page
        )

    def _body(self, number: int) -> dict[str, object]:
        position_id = f"dm_pos_{number:012}"
        if number in self._numbers["active"]:
            return {**self._open, "id": position_id}
        before = self._numbers["inactive"].stop - number
        result = {**self._closed["result"], "closed_at": (NOW - before * BETWEEN_ENDS).isoformat()}
        return {**self._closed, "id": position_id, "result": result}


async def _nobody_waits(_: float) -> None:
    return None


def _client_of(api: Api) -> Any:
    """Return what makes a client that waits for nothing."""

    def client(settings: Settings) -> RestClient:
        return RestClient(
            settings.base_url,
            concurrency=4,
            requests_per_second=1e9,
            retry_budget=0,
            transport=httpx.MockTransport(api),
        )

    return client


def _reconciler(base_url: str, now: datetime, **more: Any) -> Reconciler:
    settings = load_settings(api_key="dm_sbx_skey_0", base_url_setting=base_url, http_rate=1_000)
    store = Store(os.environ["DATABASE_URL"], embedded=False)
    return Reconciler(settings, store, clock=lambda: now, sleep=_nobody_waits, **more)


async def reconcile(active: int, ended: int) -> dict[str, float]:
    """Do both runs; return what they took."""
    reconciler = _reconciler(NOWHERE, NOW, client=_client_of(Api(active, ended)))
    full = await reconciler.run(Trigger.COMMAND, Scope.full())
    periodic = await reconciler.run(Trigger.PERIODIC, reconciler.recent_scope())
    return {
        "seen": full.seen,
        "repaired": full.repaired,
        "periodic_seen": periodic.seen,
        "periodic_requests": periodic.requests,
        "peak_bytes": peak_bytes(),
    }


async def compare(active: int, ended: int, seconds_each: float) -> dict[str, float]:
    """Compare all of them, which are as they were, in three ways; return the seconds of each."""
    took: dict[str, float] = {}
    first, second = (NOW + timedelta(hours=hours) for hours in (1, 2))
    unpaced = _reconciler(NOWHERE, first, client=_client_of(Api(active, ended, first)))
    await _timed(took, "unpaced_seconds", _equal(unpaced))
    with _served(active, ended, second, seconds_each) as url:
        settings = load_settings(api_key="dm_sbx_skey_0", base_url_setting=url, http_rate=1_000)
        async with RestClient.of(settings) as client:
            await _timed(took, "walk_seconds", _walk(client, settings))
        await _timed(took, "run_seconds", _equal(_reconciler(url, second)))
    return took


async def _timed(took: dict[str, float], name: str, work: Any) -> None:
    began = time.perf_counter()
    await work
    took[name] = time.perf_counter() - began


async def _equal(reconciler: Reconciler) -> None:
    report = await reconciler.run(Trigger.COMMAND, Scope.full())
    if report.discrepancies or report.errors:
        raise AssertionError(f"what is the same differs: {report}")


async def _walk(client: RestClient, settings: Settings) -> None:
    access = await CredentialProvider(settings, client).for_partner()
    if access is None:
        raise AssertionError("the server refuses the key")
    for state in ("active", "inactive"):
        async for _ in client.walk(access, state=state):
            pass


@contextmanager
def _served(active: int, ended: int, now: datetime, seconds_each: float) -> Iterator[str]:
    """Serve the API from another process; yield its address."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, active, ended, now, seconds_each), daemon=True
    )
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def _serve(port: Connection, active: int, ended: int, now: datetime, seconds_each: float) -> None:
    api = Api(active, ended, now)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers_at = time.monotonic() + seconds_each
            answer = api(httpx.Request("GET", f"http://127.0.0.1{self.path}"))
            time.sleep(max(0.0, answers_at - time.monotonic()))
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port.send(server.server_address[1])
        server.serve_forever()


def main(active: int, ended: int, seconds_each: float | None = None) -> None:
    """Do it, and print what it took."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    said = asyncio.run(reconcile(active, ended))
    if seconds_each is not None:
        said |= asyncio.run(compare(active, ended, seconds_each))
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
