"""The status page: HTML, its style and script, the stream that keeps it live, and what it leads to.

Nothing of it comes from another host. What came over the wire is shown as text: the templates
escape it, and the script puts it into text nodes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import jinja2
import psycopg
from aiohttp import web

from positionstore.dimes.json_exact import sanitize_text
from positionstore.errors import PositionstoreError
from positionstore.escaping import printable_lines
from positionstore.log import get_logger
from positionstore.model.wording import dollars
from positionstore.redaction import in_a_line
from positionstore.store import board, session
from positionstore.store.database import Store
from positionstore.web.http import Respond, lives_on
from positionstore.web.state import as_json, moment
from positionstore.web.store_reader import StoreReader

_log = get_logger(__name__)

T = TypeVar("T")

MOST_STREAMS: Final = 8
"""How many browsers may follow the page at once; each further one is told to try again."""

_FOLDER: Final = Path(__file__).parent / "page"
_EVERY: Final = 2.0
_FIRST_READING: Final = 2.0
_AT_ONCE: Final = 2
_LIMIT: Final = "5s"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
}


def _spelled(value: object) -> object:
    """Let no mark of a text from the wire turn round the writing of what follows it."""
    # Markup is a str too, and of our own making.
    if type(value) is not str:
        return value
    return printable_lines(value)


class StatusPage:
    """Answers a browser.

    Args:
        store: the store, read as its reader.
        reader: reads the parts of ``store/board.py`` while it is asked to.
        state: makes what the page shows.
        version: of this program.
        sleep: waits, seconds.
    """

    def __init__(
        self,
        store: Store,
        reader: StoreReader,
        state: Callable[[], dict[str, Any]],
        *,
        version: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._reader = reader
        self._state = state
        self._version = version
        self._sleep = sleep
        self._streams = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._told = False

    def routes(self) -> dict[str, Respond]:
        """Return what answers, by path."""
        return {
            "/": self._index,
            "/status.css": partial(self._file, name="status.css", content_type="text/css"),
            "/status.js": partial(self._file, name="status.js", content_type="text/javascript"),
            "/stream": self._stream,
            "/position": self._position,
            "/search": self._search,
            "/quarantine": self._quarantine,
        }

    @cached_property
    def _templates(self) -> jinja2.Environment:
        templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            finalize=_spelled,
        )
        templates.filters |= {"dollars": dollars, "moment": moment}
        templates.globals |= {"version": f"positionstore {self._version}", "q": ""}
        return templates

    def _html(self, name: str, *, status: int = 200, **values: object) -> web.Response:
        text = self._templates.get_template(name).render(values)
        return web.Response(status=status, text=text, content_type="text/html", headers=_HEADERS)

    def _message(self, status: int, title: str, text: str) -> web.Response:
        return self._html("message.html", status=status, title=title, text=text)

    async def _file(self, _request: web.Request, name: str, content_type: str) -> web.Response:
        text = (_FOLDER / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=content_type, headers=_HEADERS)

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        self._reader.ask()
        waited = 0.0
        # So that nothing moves when the first state follows.
        while len(self._reader.reading.parts) < len(board.PARTS) and waited < _FIRST_READING:
            await self._sleep(0.1)
            waited += 0.1
        return self._html("status.html", state=as_json(self._state()))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if self._streams >= MOST_STREAMS:
            return web.Response(status=503, text="Too many browsers follow this page.\n")
        self._streams += 1
        response = web.StreamResponse(
            headers=_HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"}
        )
        try:
            with lives_on(request), suppress(ConnectionError, TimeoutError):
                await response.prepare(request)
                await response.write(b"retry: 3000\n\n")
                while True:
                    self._reader.ask()
                    said = f"event: state\ndata: {as_json(self._state())}\n\n"
                    async with asyncio.timeout(_EVERY):  # a client that does not read
                        await response.write(said.encode())
                    await self._sleep(_EVERY)
            return response
        finally:
            self._streams -= 1

    async def _position(self, request: web.Request) -> web.StreamResponse:
        position_id = sanitize_text(request.query.get("id", ""))
        found = await self._read(lambda connection: board.position(connection, position_id))
        if isinstance(found, web.Response):
            return found
        if found is None:
            return self._message(404, "Unknown position", f"The store has no {position_id!r}.")
        return self._html(
            "position.html",
            id=position_id,
            row=found.position,
            valuation=found.valuation,
            timeline=found.timeline,
            discrepancies=found.discrepancies,
        )

    async def _search(self, request: web.Request) -> web.StreamResponse:
        text = sanitize_text(request.query.get("q", "").strip())
        rows = await self._read(lambda connection: board.search(connection, text))
        if isinstance(rows, web.Response):
            return rows
        if len(rows) == 1 and rows[0]["position_id"] == text:
            where = str(request.rel_url.with_path("/position").with_query(id=text))
            return web.Response(status=302, headers=_HEADERS | {"Location": where.lstrip("/")})
        return self._html("search.html", q=text, rows=rows)

    async def _quarantine(self, request: web.Request) -> web.StreamResponse:
        number = request.query.get("id", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            return self._message(404, "Unknown input", "An input in quarantine has a number.")
        entry = await self._read(lambda connection: board.quarantined(connection, int(number)))
        if isinstance(entry, web.Response):
            return entry
        if entry is None:
            return self._message(404, "Unknown input", f"Quarantine has no input {number}.")
        raw = entry["raw"].decode(errors="backslashreplace")
        return self._html("quarantine.html", entry=entry, raw=raw)

    async def _read(self, read: Callable[[psycopg.Connection], T]) -> T | web.Response:
        """Read something of the store; return a page that says why where it cannot be read."""

        def work() -> T:
            connection = self._store.connect_to_look(application_name="positionstore status page")
            with closing(connection):
                session.limit(connection, {"statement_timeout": _LIMIT})
                return read(connection)

        try:
            async with self._turns:
                found = await asyncio.to_thread(work)
        except psycopg.errors.QueryCanceled:
            said = f"The database did not answer within {_LIMIT}: try SQL instead."
            return self._message(503, "It takes too long", said)
        except (PositionstoreError, psycopg.Error) as error:
            # Once, and not for each request: reloading the page must not fill the log.
            if not self._told:
                self._told = True
                _log.warning("page_not_read", error=in_a_line(error))
            return self._message(503, "The database cannot be read", "The log says why.")
        self._told = False
        return found
