"""What both HTTP clients need beside the library: trust, size limits, rate limits.

Certificates are verified by one rule for the gateway and for REST; the two libraries use different
defaults. A body is decompressed piece by piece, because the library decompresses each read at once,
and 64 KiB can hold gigabytes. A connection whose TLS handshake was cancelled is closed, which the
library leaves to the garbage collector.
"""

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final, Protocol

import certifi
import httpx

from positionstore.errors import ConfigurationError, GatewayError

ACCEPT_ENCODING: Final = "gzip"
"""The one packing that is understood; to be asked for."""

_GZIP: Final = zlib.MAX_WBITS | 16


class TooLongError(Exception):
    """The body is too long."""


async def read_body(response: httpx.Response, *, at_most: int) -> bytes:
    """Read the decompressed body of an answer.

    Args:
        response: a response that is still unread.
        at_most: the maximum number of bytes, decompressed.

    Raises:
        TooLongError: it has more.
        httpx.HTTPError: it is incomplete, or compressed in a way that was not requested.
    """
    packing = "" if response.is_stream_consumed else _packing(response)
    if packing not in {"", "identity", "gzip"}:
        raise httpx.DecodingError(f"it is packed as {packing[:40]!r}, which was not asked for")
    unpacker = zlib.decompressobj(_GZIP) if packing == "gzip" else None
    content = bytearray()
    async for piece in _pieces(response):
        if unpacker is None:
            content += piece
        else:
            try:
                content += unpacker.decompress(piece, at_most + 1 - len(content))
            except zlib.error as error:
                raise httpx.DecodingError(str(error)) from None
        if len(content) > at_most:
            raise TooLongError
    if unpacker is not None and content and not unpacker.eof:
        raise httpx.DecodingError("what is packed in it is cut short")
    return bytes(content)


def _packing(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:  # it never was on a wire, and is read and unpacked
        yield response.content
    else:
        async for piece in response.aiter_raw():
            yield piece


class _Stream(Protocol):
    async def aclose(self) -> None: ...


class ClosesAbandoned:
    """Closes the connection of a request whose TLS handshake does not complete.

    Passed to a request as its extension ``trace``, which is called for each step.

    Source: the documentation of httpcore, "Extensions", section "trace".
    """

    def __init__(self) -> None:
        self._stream: _Stream | None = None

    async def __call__(self, step: str, about: dict[str, Any]) -> None:
        """Handle a step of the request."""
        if step == "connection.connect_tcp.complete":
            self._stream = about["return_value"]
        elif step == "connection.start_tls.failed" and self._stream is not None:
            await self._stream.aclose()


_REMEDY: Final = (
    "No credentials were sent. Look at DIMES_BASE_URL and at this machine's clock; where the host's"
    " authority is your own, name the file of its certificate in SSL_CERT_FILE."
)


def trusted() -> ssl.SSLContext:
    """Return the CA certificates to verify a host with: the system's and certifi's.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, OpenSSL's own variables, replace them. They are read
    once, so that replacing a file does not affect a running process.

    Raises:
        ConfigurationError: the file has no certificates, or cannot be read.
    """
    return _trusting(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _trusting(file: str | None, folder: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:  # OpenSSL's errors are of this kind too
        why = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(
            f"SSL_CERT_FILE names {file}, which cannot be used: {why}.",
            remedy="Name a file of certificates in PEM form, or unset it.",
        ) from None
    if not file and not folder:
        context.load_verify_locations(certifi.where())
    # A Python that a distribution builds may leave this to OpenSSL's own configuration.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return context


def distrust(what: str, error: BaseException) -> GatewayError | None:
    """Return the error if a host could not prove its identity; None for other causes.

    Args:
        what: what failed.
        error: the exception of a client.
    """
    for cause in causes(error):
        # aiohttp's own error is of this kind too, without the words.
        said = getattr(cause, "verify_message", None)
        if isinstance(cause, ssl.SSLCertVerificationError) and said:
            return GatewayError(
                f"{what}: the host's certificate is not trusted: {said.rstrip('.')}.",
                remedy=_REMEDY,
            )
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Return an error and its causes."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


class Throttle:
    """Limits the number of concurrent requests, and of requests per second.

    Requests begin evenly spaced; there are no bursts.

    Args:
        concurrency: the number of concurrent requests.
        per_second: the number of requests per second.
        monotonic: a monotonic clock, seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        per_second: float,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._interval = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the duration of the request."""
        async with self._slots:
            now = self._monotonic()
            begins = max(self._next, now)
            self._next = begins + self._interval
            if begins > now:
                await self._sleep(begins - now)
            yield

    def hold(self, seconds: float) -> None:
        """Pause all requests for a number of seconds: the server asked for it."""
        self._next = max(self._next, self._monotonic() + seconds)
