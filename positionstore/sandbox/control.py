"""The control endpoints, for tests whose sandbox runs in another process.

They are beside the API under ``/_sandbox`` and need no credentials: the sandbox listens on the
loopback address only, and has only simulated data.
"""

from typing import TYPE_CHECKING, TypeVar

import msgspec
from aiohttp import web

if TYPE_CHECKING:
    from positionstore.sandbox.server import Sandbox


_Body = TypeVar("_Body")


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float = 0.0
    events: int = 0


class _Disconnect(msgspec.Struct, forbid_unknown_fields=True):
    how: str = "server"


class _Emit(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    arguments: list[str]


class ControlApi:
    """The handlers under ``/_sandbox``; each answers with the sandbox's counts and clock."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox

    def attach(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get("/_sandbox", self._state)
        app.router.add_get("/_sandbox/truth", self._truth)
        app.router.add_get("/_sandbox/sessions", self._sessions)
        app.router.add_get("/_sandbox/faults", self._state)
        app.router.add_post("/_sandbox/faults", self._faults)
        app.router.add_post("/_sandbox/advance", self._advance)
        app.router.add_post("/_sandbox/quiet", self._quiet)
        app.router.add_post("/_sandbox/resume", self._resume)
        app.router.add_post("/_sandbox/disconnect", self._disconnect)
        app.router.add_post("/_sandbox/revoke-tokens", self._revoke)
        app.router.add_post("/_sandbox/emit", self._emit)

    async def _state(self, _: web.Request) -> web.Response:
        sandbox = self._sandbox
        return web.json_response(
            {
                **sandbox.describe(),
                "stats": sandbox.stats(),
                "faults": sandbox.faults.as_dict(),
            }
        )

    async def _truth(self, request: web.Request) -> web.Response:
        partner = request.query.get("partner", "")
        try:
            number = int(partner) if partner else None
        except ValueError:
            raise web.HTTPBadRequest from None
        positions = self._sandbox.world.truth(number)
        return web.json_response({"now": self._sandbox.describe()["now"], "positions": positions})

    async def _sessions(self, _: web.Request) -> web.Response:
        body = msgspec.json.encode(self._sandbox.sessions)
        return web.Response(body=body, content_type="application/json")

    async def _faults(self, request: web.Request) -> web.Response:
        changes = await _body(request, dict[str, object])
        try:
            self._sandbox.faults.update(changes)
        except ValueError as error:
            return web.json_response({"error": {"message": str(error)}}, status=400)
        return await self._state(request)

    async def _advance(self, request: web.Request) -> web.Response:
        body = await _body(request, _Advance)
        await self._sandbox.advance(body.seconds)
        await self._sandbox.step(body.events)
        return await self._state(request)

    async def _quiet(self, request: web.Request) -> web.Response:
        await self._sandbox.quiet()
        return await self._state(request)

    async def _resume(self, request: web.Request) -> web.Response:
        self._sandbox.resume()
        return await self._state(request)

    async def _disconnect(self, request: web.Request) -> web.Response:
        body = await _body(request, _Disconnect)
        await self._sandbox.disconnect_clients(body.how)
        return await self._state(request)

    async def _revoke(self, request: web.Request) -> web.Response:
        self._sandbox.revoke_tokens()
        return await self._state(request)

    async def _emit(self, request: web.Request) -> web.Response:
        body = await _body(request, _Emit)
        await self._sandbox.emit_raw(body.event, *body.arguments)
        return await self._state(request)


async def _body(request: web.Request, kind: type[_Body]) -> _Body:
    data = await request.read()
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(reason=f"The body is wrong: {error}") from None
