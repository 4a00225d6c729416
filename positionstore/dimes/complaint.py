"""The API's error messages, for people.

Source: the vendor's REST reference, the error body: ``{"error": {"type", "code", "message"}}``.
"""

from typing import Final

import msgspec

from positionstore.dimes.failures import words_of
from positionstore.redaction import redacted

_QUOTED_AT_MOST: Final = 20_000


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | int | None = None
    message: str | None = None


class _Body(msgspec.Struct):
    error: _Error


def is_error_body(content: bytes) -> bool:
    """Whether an answer is the API's own error body, not a proxy's page or other JSON."""
    error = _error_of(content)
    return error is not None and bool(error.type or error.code)


def complaint(status: int, content: bytes, *, secret: str = "") -> str:
    """Return the error of an answer in one line, without secrets.

    The API's error body reads ``404: not_found_error/position_not_found: There is none.``; other
    JSON is quoted by its strings; a page of HTML is not quoted at all.

    Args:
        status: the answer's HTTP status.
        content: its body.
        secret: the credentials that were sent, in case the API quotes them.
    """
    said = _said(content)
    if secret:
        said = said.replace(secret, "***")
    said = redacted(said)
    return f"{status}: {said}" if said else str(status)


def _said(content: bytes) -> str:
    error = _error_of(content)
    if error is not None and (error.type or error.code):
        kind = "/".join(str(part) for part in (error.type, error.code) if part)
        return f"{kind}: {error.message}" if error.message else kind
    is_json = content.lstrip()[:1] in {b"{", b"[", b'"'}
    return words_of(content[:_QUOTED_AT_MOST]) if is_json else ""


def _error_of(content: bytes) -> _Error | None:
    try:
        return msgspec.json.decode(content, type=_Body).error
    except (ValueError, RecursionError):
        return None
