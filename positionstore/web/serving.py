"""Serves metrics and health of a running ingester."""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web

from positionstore.ingest.meter import Meter
from positionstore.model.check import Check
from positionstore.model.facts import Source
from positionstore.model.work import Work
from positionstore.settings import Settings, is_loopback
from positionstore.store import board, migrations
from positionstore.store.database import Store
from positionstore.web.collector import Metrics
from positionstore.web.door import Door
from positionstore.web.health import Pulse, body, readiness
from positionstore.web.http import HttpServer, Respond
from positionstore.web.state import state
from positionstore.web.status_page import StatusPage
from positionstore.web.store_reader import EVERY, StoreReader

_TEXT_FORMAT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What the client library writes; its own name for it differs between its versions."""

_BEAT_EVERY: Final = 1.0
_METRICS_EVERY: Final = EVERY
_PAGE_EVERY: Final = 5.0
_PAGE_FOLLOWED: Final = 30.0
"""Seconds for which the store is still read after the page was last looked at."""

_TIME_TO_END: Final = 1.0
"""Seconds that each of two threads gets to end: the process itself has ten."""


def shown(settings: Settings, store: Store, gateway: Source, meter: Meter, work: Work) -> Work:
    """Return the work with HTTP served meanwhile, or the work itself if that is disabled.

    Args:
        settings: the address to listen on.
        store: the store.
        gateway: the gateway.
        meter: what the work counts with.
        work: ingests until it is stopped.

    Raises:
        ConfigurationError: other machines could read it, and no setting allows that.
    """
    address = settings.listen_address
    if address is None:
        return work

    async def served(stop: asyncio.Event) -> None:
        pulse, reader = Pulse(), StoreReader(store, every=_METRICS_EVERY)
        # Now: an upgrade takes the package's files away while this runs.
        program = version("positionstore")
        metrics = Metrics(
            settings,
            gateway,
            meter,
            lambda: reader.reading,
            version=program,
            schema=migrations.head(),
        )
        door = Door(settings.listen_token, is_loopback=is_loopback(address[0]))
        pages = Pages(
            metrics.text,
            alive=lambda: [pulse.check()],
            ready=lambda: readiness(meter, reader.reading),
            door=door,
        )
        board_reader = StoreReader(
            store,
            every=_PAGE_EVERY,
            parts=board.PARTS,
            application_name="positionstore status page",
            unasked_for=_PAGE_FOLLOWED,
        )
        status_page = StatusPage(
            store,
            board_reader,
            lambda: state(
                meter,
                board_reader.reading,
                gateway=gateway.value,
                version=program,
                spool_bound=settings.spool_max_bytes,
            ),
            version=program,
        )
        server = HttpServer(
            *address, pages.routes() | {path: door(at) for path, at in status_page.routes().items()}
        )

        def end(*parts: StoreReader | HttpServer) -> list[Coroutine[Any, Any, None]]:
            return [asyncio.to_thread(each.stop, _TIME_TO_END) for each in parts]

        async def look_until_stopped() -> None:
            # Before the work ends: an embedded server goes with its last user.
            await stop.wait()
            await asyncio.gather(*end(reader, board_reader))

        tasks = [asyncio.ensure_future(_beat(pulse)), asyncio.ensure_future(look_until_stopped())]
        reader.start()
        board_reader.start()
        server.start()
        try:
            await work(stop)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *end(server, reader, board_reader), return_exceptions=True)

    return served


class Pages:
    """The handlers of all paths.

    Args:
        metrics: returns the metrics.
        alive: checks whether the process is alive.
        ready: checks whether it is ready.
        door: who may see more than the names of failed checks.
    """

    def __init__(
        self,
        metrics: Callable[[], bytes],
        *,
        alive: Callable[[], list[Check]],
        ready: Callable[[], list[Check]],
        door: Door,
    ) -> None:
        self._metrics = metrics
        self._alive = alive
        self._ready = ready
        self._door = door

    def routes(self) -> dict[str, Respond]:
        """Return the handlers by path."""
        return {"/metrics": self._show_metrics, "/livez": self._livez, "/readyz": self._readyz}

    async def _show_metrics(self, request: web.Request) -> web.StreamResponse:
        if not self._door.lets_in(request):
            return web.Response(
                status=401,
                text="A bearer token is wanted: POSITIONSTORE_LISTEN_TOKEN.\n",
                headers={"WWW-Authenticate": 'Bearer realm="positionstore"'},
            )
        return web.Response(body=self._metrics(), headers={"Content-Type": _TEXT_FORMAT})

    async def _livez(self, request: web.Request) -> web.StreamResponse:
        return self._checked(request, self._alive())

    async def _readyz(self, request: web.Request) -> web.StreamResponse:
        return self._checked(request, self._ready())

    def _checked(self, request: web.Request, checks: list[Check]) -> web.StreamResponse:
        # A probe has no token; what fails it may know, but not what was found.
        verbose = "verbose" in request.query and self._door.lets_in(request)
        return web.Response(
            status=200 if all(check.ok for check in checks) else 503,
            text=body(checks, verbose=verbose),
            content_type="application/json",
        )


async def _beat(pulse: Pulse) -> None:
    while True:
        pulse.beat()
        await asyncio.sleep(_BEAT_EVERY)
