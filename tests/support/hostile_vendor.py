"""A vendor that means harm: its gateway, its API's answers and their errors."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import socketio
from aiohttp import web

from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.rest import POSITIONS_PATH
from positionstore.dimes.tokens import TOKENS_PATH
from positionstore.model.facts import Source
from support.hostile_texts import TEXTS, body, envelope, spelled

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SAID = "".join(TEXTS[name] for name in ("escape", "rich", "lines", "over", "bidi", "page"))
"""Words of an error; the first 300 characters are shown."""


class Vendor:
    """Its behaviour: every second connection is thrown out for good.

    Attributes:
        url: where it listens.
        unwell: whether its API answers with errors alone.
        answered_at: when it last answered a request for positions, by its ``Date``.
    """

    def __init__(self) -> None:
        self.url = ""
        self.unwell = False
        self.answered_at = 0.0
        self._connections = 0
        self._sio = socketio.AsyncServer(
            async_mode="aiohttp", always_connect=True, namespaces=[*NAMESPACES.values()]
        )
        self._sio.on("connect", self._connected, namespace=NAMESPACES[Source.PARTNER])
        self.app = web.Application(middlewares=[self._answer])
        self._sio.attach(self.app)
        self.app.router.add_get(POSITIONS_PATH, self._list)
        self.app.router.add_get(f"{POSITIONS_PATH}/{{id}}", self._refuse)
        self.app.router.add_post(TOKENS_PATH, self._refuse)

    async def close(self) -> None:
        await self._sio.shutdown()

    async def _connected(self, sid: str, *_: object) -> None:
        self._connections += 1
        namespace = NAMESPACES[Source.PARTNER]
        words = "authentication_error"
        if self._connections % 2:
            words = "Overloaded, try again"
            for name in TEXTS:
                await self._sio.emit(envelope(name)["type"], envelope(name), sid, namespace)
        error = {"type": words, "code": SAID, "message": SAID}
        await self._sio.emit("error", error, sid, namespace=namespace)
        await self._sio.disconnect(sid, namespace=namespace)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        answer = await (self._refuse if self.unwell else handler)(request)
        self.answered_at = time.time()
        answer.headers["Date"] = formatdate(self.answered_at, usegmt=True)
        return answer

    async def _list(self, _: web.Request) -> web.Response:
        found = [body(name, side="yes") for name in TEXTS]
        found += [body("escape", id=f"new {name} {TEXTS[name][:99]}") for name in TEXTS]
        found += [{"id": 5, "status": TEXTS["escape"]}]
        return _json({"data": found, "has_more": False})

    async def _refuse(self, _: web.Request) -> web.Response:
        return _json({"error": {"type": SAID, "code": SAID, "message": SAID}}, status=400)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=spelled(value), status=status, content_type="application/json")


@contextmanager
def serving() -> Iterator[Vendor]:
    """Serve it from a thread of its own."""
    vendor = Vendor()
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        runner = web.AppRunner(vendor.app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        vendor.url = "http://{}:{}".format(*runner.addresses[0][:2])
        started.set()
        await stop.wait()
        await vendor.close()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(60)
        yield vendor
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(60)
