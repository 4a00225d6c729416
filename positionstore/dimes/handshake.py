"""Why a gateway cannot be reached or does not open a WebSocket: one line, with cause and remedy."""

import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from positionstore.dimes.complaint import complaint
from positionstore.dimes.retrying import LONGEST_ASKED, TransientError, retry_after
from positionstore.escaping import shortened
from positionstore.redaction import redacted

MOST_BODY: Final = 16 * 1024
"""Bytes of an answer's body that are read."""

_NO_WEBSOCKET: Final = (
    "Let the proxy in front of it pass on WebSocket upgrades (its headers Upgrade and Connection)."
)
_BEFORE: Final = (
    " before any credentials were sent: something in front of it, a proxy or a firewall, refuses"
    " this client"
)
_REFUSED: Final = {
    False: (_BEFORE, "Ask who runs it to let this host through; the key is not the cause."),
    True: (
        ", and does not say that the credentials are the cause",
        "A firewall may refuse this host; else look at the key's permissions.",
    ),
}
"""What a 401 or 403 means, by whether credentials were shown, and what to do."""
_TO_TLS: Final = (
    "the HTTP request was sent to an HTTPS port",  # Go
    "plain HTTP request was sent to HTTPS port",  # nginx
    "sent an HTTP request to an HTTPS server",
    "speaking plain HTTP to an SSL-enabled server port",  # Apache
)
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}
)

LOST: Final = "connection lost"
SOCKETIO_2: Final = (
    "speaks the protocol of Socket.IO 2, which carries no credentials as they are sent here"
)
_OTHER_PARSER: Final = (
    "closed the connection without an answer when its namespace was asked for; it may use another"
    " parser than Socket.IO's own, as socket.io-msgpack-parser"
)


class UnreachableError(TransientError):
    """A gateway cannot be reached, or does not accept us at the moment.

    Attributes:
        kind: identifies the cause, which is logged once.
        lasting: whether it is unlikely to pass without intervention.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        kind: str = "",
        lasting: bool = False,
        asked: float | None = None,
    ) -> None:
        super().__init__(message, asked=asked)
        self.remedy = remedy
        self.kind = kind
        self.lasting = lasting


@dataclass(slots=True)
class Answer:
    """An HTTP answer in place of a WebSocket.

    Attributes:
        status: its status; 0 where there was none.
        headers: the relevant ones, by name in lower case.
        body: the beginning of its body.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def trace(self) -> aiohttp.TraceConfig:
        """Return the trace configuration that keeps answers here and follows no redirect."""

        async def redirected(
            _: aiohttp.ClientSession,
            __: SimpleNamespace,
            redirect: aiohttp.TraceRequestRedirectParams,
        ) -> None:
            await self._take(redirect.response)
            # Credentials go to the host that was checked, and nowhere else.
            raise aiohttp.ClientConnectionError("it redirects to another address")

        async def ended(
            _: aiohttp.ClientSession, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams
        ) -> None:
            await self._take(end.response)

        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(redirected)
        trace.on_request_end.append(ended)
        return trace

    async def _take(self, response: aiohttp.ClientResponse) -> None:
        """Keep a response before the library discards it."""
        self.status = response.status
        for name in ("location", "retry-after", "date", "server"):
            if name in response.headers:
                self.headers[name] = response.headers[name]
        if response.status == 101 or 300 <= response.status < 400:
            return
        try:
            while len(self.body) < MOST_BODY:
                piece = await response.content.read(MOST_BODY - len(self.body))
                if not piece:
                    break
                self.body += piece
        except (aiohttp.ClientError, OSError):
            return  # the status says enough


def not_opened(
    who: str, answer: Answer, base_url: str, *, shown: bool, now: datetime
) -> UnreachableError:
    """Return the error for an answer that is not a WebSocket.

    Args:
        who: the gateway.
        answer: its answer.
        base_url: the URL of the request.
        shown: whether the credentials were already sent, in a header.
        now: the local time.
    """
    status = answer.status
    said = complaint(status, answer.body).partition(": ")[2]
    what, remedy, lasting = _explained(who, answer, base_url, shown=shown)
    asked = None
    if status in {429, 503}:
        asked = retry_after(
            answer.headers.get("retry-after"), date=answer.headers.get("date"), now=now
        )
    if asked is not None:
        asked = min(asked, LONGEST_ASKED)
        what += f", and asks to wait for {asked:.0f} s"
    quoted = f' It says: "{said.rstrip(".")}".' if said else ""
    return UnreachableError(
        f"{what}.{quoted}", remedy=remedy, kind=f"HTTP {status}", lasting=lasting, asked=asked
    )


def _explained(who: str, answer: Answer, base_url: str, *, shown: bool) -> tuple[str, str, bool]:
    status = answer.status
    plain = f"{who} answered with HTTP {status}"
    text = answer.body.decode(errors="replace")
    if base_url.startswith("http:") and any(words in text for words in _TO_TLS):
        return f"{plain}: the port speaks TLS", "Write https:// in DIMES_BASE_URL.", True
    if 300 <= status < 400:
        target = _target(answer.headers.get("location", ""), with_path=True)
        return (
            f"{plain}: it redirects to {target}, where no credentials are sent",
            "Set DIMES_BASE_URL to it if it is the gateway's new address.",
            True,
        )
    if status in {401, 403}:
        what, remedy = _REFUSED[shown]
        return f"{plain}{what}", remedy, True
    if status in {404, 405, 410, 501}:
        remedy = f"Look at DIMES_BASE_URL. It names {_target(base_url)}."
        return f"{plain}: no Socket.IO server is at its path /socket.io/", remedy, True
    if status in {200, 400, 426}:
        return (
            f"{plain} in place of a WebSocket: WebSockets do not get through",
            _NO_WEBSOCKET,
            True,
        )
    return plain, "", False


def not_let_in(who: str, *, reason: str, words: str, unclear: bool) -> UnreachableError:
    """Return the error for a WebSocket that ended before the gateway accepted us.

    Args:
        who: the gateway.
        reason: how it ended.
        words: the gateway's text.
        unclear: whether the text leaves open if the credentials are the cause.
    """
    if reason == SOCKETIO_2:
        remedy = "Look at DIMES_BASE_URL: the vendor's gateways speak the current protocol."
        return UnreachableError(f"{who} {reason}.", remedy=remedy, kind=reason, lasting=True)
    if reason == LOST and not words:
        remedy = "Look at DIMES_BASE_URL if it lasts."
        return UnreachableError(
            f"{who} {_OTHER_PARSER}.", remedy=remedy, kind=_OTHER_PARSER, lasting=True
        )
    remedy = ""
    if words == "Invalid namespace":
        remedy = "Look at DIMES_BASE_URL: this Socket.IO server has no such gateway."
    said = f'{who}: {reason} ("{words}").' if words else f"{who}: {reason}."
    return UnreachableError(said, remedy=remedy, kind=reason, lasting=bool(remedy) or unclear)


def not_reached(who: str, causes: Iterable[BaseException], base_url: str) -> UnreachableError:
    """Return the error if there was no HTTP answer.

    Args:
        who: the gateway.
        causes: an error and its causes.
        base_url: the URL of the request.
    """
    chain = list(causes)
    for cause in chain:
        # aiohttp's own error is of this kind too, without a reason.
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NO_TLS:
            return UnreachableError(
                f"{who} cannot be reached: the port of {_target(base_url)} does not speak TLS.",
                remedy="Look at the scheme and the port in DIMES_BASE_URL.",
                kind="no TLS",
                lasting=True,
            )
        if isinstance(cause, aiohttp.ServerDisconnectedError) and base_url.startswith("http:"):
            return UnreachableError(
                f"{who} closed the connection without an answer.",
                remedy="If its port speaks TLS, write https:// in DIMES_BASE_URL.",
                kind="disconnected",
                lasting=True,
            )
    # aiohttp's errors name the host; what they stem from does not.
    root = next((c for c in chain if isinstance(c, aiohttp.ClientError)), chain[-1])
    said = redacted(_in_words(root)) or root.__class__.__name__
    return UnreachableError(f"{who} cannot be reached: {said}.")


def _in_words(error: BaseException) -> str:
    """Return the text of an error, or why a host is unreachable."""
    if isinstance(error, aiohttp.ClientSSLError):  # a kind of the other
        return str(error)
    if not isinstance(error, aiohttp.ClientConnectorError):
        return str(error)
    number, said = error.os_error.errno, error.os_error.strerror
    # Numbers below zero are the resolver's, whose words are its own.
    words = os.strerror(number) if number is not None and number > 0 else said
    return f"{error.host}:{error.port}: {words or error.os_error}"


def _target(url: str, *, with_path: bool = False) -> str:
    """Return scheme, host and port of a URL; the query may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "another address"
    if not parts.hostname:
        return redacted(f"{shortened(parts.path, 80) or 'another page'} of the same host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = shortened(parts.path, 80) if with_path else ""
    return redacted(f"{parts.scheme or 'https'}://{host}{port}{path}")
