"""Reads the answers of ``GET /positions`` and ``GET /positions/{id}`` exactly.

A position is kept as its original bytes, with the strings that a walk needs.

Source: the vendor's REST reference, "List positions" and the position object.
"""

from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from positionstore.dimes.json_exact import (
    MAX_DEPTH,
    InvalidInput,
    beyond_bounds,
    checked_id,
    found,
    name,
    parse,
    sanitize_text,
    string,
)
from positionstore.model.facts import Reason, Rejected
from positionstore.model.fields import FIELDS, Durability
from positionstore.model.timestamps import parse_instant

_LASTING: Final = tuple(
    field
    for field in FIELDS
    if field.durability is Durability.ALWAYS and field.path not in {("id",), ("status",)}
)


class Listed(msgspec.Struct, frozen=True, gc=False):
    """One position of an answer.

    The strings are exact, except for what a Postgres ``text`` cannot hold (U+0000, lone
    surrogates), which becomes U+FFFD as it does for events; the body is unchanged.

    Attributes:
        position_id: its ``id``.
        status: its ``status``, known or not.
        body: the position object as received, valid UTF-8.
        closed_at: ``result.closed_at``, UTC; None if missing or invalid.
        wallet_address: its wallet; None if the body has none.
    """

    position_id: str
    status: str
    body: bytes
    closed_at: datetime | None = None
    wallet_address: str | None = None


class Item(msgspec.Struct, frozen=True, gc=False):
    """One element of a list, position or not.

    Attributes:
        id: its exact ``id``, as the cursor of the next page; None if it has none.
        what: the position, or what is wrong with it.
    """

    id: str | None
    what: Listed | Rejected


class UnreadableError(ValueError):
    """An answer is not the API's: incomplete, or from a proxy."""


class _List(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


_list_decoder: Final = msgspec.json.Decoder(_List)
_SURROGATES: Final = tuple(b"u%c%c" % (d, x) for d in b"dD" for x in b"89abcdefABCDEF")
_VEIL: Final = b"\xff"  # replaces a backslash; it does not occur in UTF-8
_BLANK: Final = b" \t\r\n"
# A snapshot's envelope is one level around it.
_POSITION_DEPTH: Final = MAX_DEPTH - 1


def read_list(content: bytes) -> tuple[list[Item], bool]:
    """Read a list.

    Returns:
        Its elements, and whether there are more.

    Raises:
        UnreadableError: it is not a list of the API.
    """
    try:
        answer = _list_decoder.decode(content)
    except (ValueError, RecursionError) as error:
        if b"\\u" not in content or _VEIL in content:
            raise UnreadableError(str(error)) from None
        return _read_veiled(content)
    return [read_item(bytes(raw)) for raw in answer.data], answer.has_more


def read_item(raw: bytes) -> Item:
    """Read what should be a position.

    It is one when it is an object whose ``id`` is a non-empty string and whose ``status`` is a
    string. Anything else is kept as it is, with the reason.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        flaw = InvalidInput(Reason.NOT_UTF8, f"It is not UTF-8 at byte {error.start}.")
        return _rejected(raw, raw.decode(errors="replace"), flaw)
    if (beyond := beyond_bounds(raw, depth=_POSITION_DEPTH)) is not None:
        return _rejected(raw, text, beyond)
    try:
        return _read(raw, text)
    except InvalidInput as flaw:
        return _rejected(raw, text, flaw)


def read_position(content: bytes) -> Item:
    """Read the answer to a request for one position.

    Raises:
        UnreadableError: it is not a JSON object.
    """
    item = read_item(content.strip(_BLANK))
    if isinstance(item.what, Rejected) and item.what.reason in {
        Reason.NOT_JSON,
        Reason.NOT_AN_OBJECT,
        Reason.NOT_UTF8,
    }:
        raise UnreadableError(item.what.detail)
    return item


def _read_veiled(content: bytes) -> tuple[list[Item], bool]:
    # msgspec refuses a lone surrogate even in what it skips. So the escapes of surrogates are
    # spelled in a way that it passes over, and each element gets its own spelling back. Escaped
    # backslashes are veiled as well: what is left of the others begin an escape.
    veiled = content.replace(rb"\\", _VEIL * 2)
    for surrogate in _SURROGATES:
        veiled = veiled.replace(b"\\" + surrogate, _VEIL + surrogate)
    try:
        answer = _list_decoder.decode(veiled)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(str(error)) from None
    items = [read_item(bytes(raw).replace(_VEIL, b"\\")) for raw in answer.data]
    return items, answer.has_more


def _read(raw: bytes, text: str) -> Item:
    value = parse(text)
    if not isinstance(value, dict):
        raise InvalidInput(Reason.NOT_AN_OBJECT, f"It is {name(value)}, not an object.")
    own, status = string(value, "id"), string(value, "status")
    if not own:
        raise InvalidInput(Reason.BAD_ID, f"id is {found(value, 'id')}.")
    if status is None:
        raise InvalidInput(Reason.BAD_DATA, f"status is {found(value, 'status')}.")
    result, wallet = value.get("result"), string(value, "wallet_address")
    closed_at = _instant(string(result, "closed_at") if isinstance(result, dict) else None)
    listed = Listed(
        checked_id(own, "id"),
        sanitize_text(status),
        raw,
        closed_at,
        None if wallet is None else sanitize_text(wallet),
    )
    return Item(own, listed)


def _rejected(raw: bytes, text: str, flaw: InvalidInput) -> Item:
    try:
        value = parse(text)
    except InvalidInput:
        own, named = None, ""
    else:
        own = string(value, "id") if isinstance(value, dict) else None
        named = own or (_told_apart(value) if isinstance(value, dict) else "")
    # What moves with the market would make of one such position another input at every run.
    name_bytes = named.encode(errors="surrogatepass")
    digest = sha256(b"GET /positions\0" + name_bytes).digest() if named else None
    return Item(own or None, Rejected(raw, flaw.reason, flaw.detail, digest))


def _told_apart(value: dict[str, object]) -> str:
    """Return what an object without an id always says of itself; empty where that is nothing."""
    found: list[tuple[str, object]] = []
    for field in _LASTING:
        inner: object = value
        for key in field.path:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if inner is not None:
            found.append((field.wire_name, inner))
    return repr(found) if found else ""


def _instant(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_instant(text)
    except ValueError:
        return None
