"""The body of an answer, with no more memory than an answer may have.

An HTTP library unpacks what has come from the socket in one go, and a packing within a packing
as well: of sixty-four kilobytes gigabytes. So it is unpacked here, piece by piece.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Final

import httpx

ACCEPT_ENCODING: Final = "gzip"
"""The one packing that is understood; to be asked for."""

_GZIP: Final = zlib.MAX_WBITS | 16


class TooLongError(Exception):
    """The body is longer than it may be."""


async def read_body(response: httpx.Response, *, at_most: int) -> bytes:
    """Read the body of an answer, unpacked.

    Args:
        response: of which nothing was read yet.
        at_most: how many bytes it may have, unpacked.

    Raises:
        TooLongError: it has more.
        httpx.HTTPError: it cannot be read to its end, or is packed as nobody asked for.
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
