"""Envelopes that are all of one thing: of keys, of depth, of one string, of one number."""

from collections.abc import Callable
from typing import Final

_HEAD: Final = (
    b'{"id":"evt_%d","type":"position.opened","created_at":"2026-07-01T12:00:00.123Z",'
    b'"data":{"id":"dm_pos_%d","status":"open","x":'
)
_DEEPEST_THING: Final = 490
"""Levels below ``data``: with those above it they are not too many."""


def _repeated(piece: bytes, *, opening: bytes, closing: bytes) -> Callable[[int], bytes]:
    def thing(length: int) -> bytes:
        return opening + piece * (length // len(piece)) + closing

    return thing


def _keys(length: int) -> bytes:
    return b"{" + b",".join(b'"%07d":0' % n for n in range(length // 12)) + b"}"


def _nests(length: int) -> bytes:
    nest = b"[" * _DEEPEST_THING + b"]" * _DEEPEST_THING
    return b"[" + b",".join([nest] * (length // (len(nest) + 1))) + b"]"


THINGS: Final[dict[str, Callable[[int], bytes]]] = {
    "keys": _keys,
    "one key again and again": _repeated(b',"k":0', opening=b'{"k":0', closing=b"}"),
    "nests": _nests,
    "empty arrays": _repeated(b",[]", opening=b"[0", closing=b"]"),
    "one string": _repeated(b"x", opening=b'"', closing=b'"'),
    "one string of brackets": _repeated(b"[{", opening=b'"', closing=b'"'),
    "one string of quotes": _repeated(rb"\"", opening=b'"', closing=b'"'),
    "one string of backslashes": _repeated(rb"\\", opening=b'"', closing=b'"'),
    "one string of zeros": _repeated(rb"\u0000", opening=b'"', closing=b'"'),
    "one string of halves": _repeated(rb"\ud800", opening=b'"', closing=b'"'),
    "one key": _repeated(b"x", opening=b'{"', closing=b'":0}'),
    "one number": _repeated(b"9", opening=b"1", closing=b""),
    "one fraction": _repeated(b"9", opening=b"0.", closing=b""),
    "one exponent": _repeated(b"9", opening=b"1e", closing=b""),
    "numbers": _repeated(b",1e99", opening=b"[1", closing=b"]"),
    "numbers far away": _repeated(b",1e999", opening=b"[1", closing=b"]"),
    "numbers far away, and zeros": _repeated(rb',1e999,"\u0000"', opening=b"[1", closing=b"]"),
    "zeros": _repeated(rb',"\u0000"', opening=b"[0", closing=b"]"),
    "blanks": _repeated(b" ", opening=b"[", closing=b"]"),
}
"""JSON values of about a length, each all of one thing."""

REFUSED: Final[dict[str, Callable[[int], bytes]]] = {
    "too deep": _repeated(b"[", opening=b"", closing=b""),
    "too deep in objects": _repeated(b'{"a":', opening=b"", closing=b""),
    "no end of a string": _repeated(rb"\"", opening=b'"', closing=b""),
    "no end of strings": _repeated(b'"', opening=b"", closing=b""),
    "zero bytes": _repeated(b"\0", opening=b"", closing=b""),
    "no UTF-8": _repeated(b"\xff", opening=b"", closing=b""),
}
"""The same of what is not JSON, or nests too deep."""


def envelope_of(name: str, length: int, *, number: int = 1) -> bytes:
    """Return an envelope of just this length, nearly all of it the named thing."""
    make = THINGS.get(name) or REFUSED[name]
    head = _HEAD % (number, number)
    # Blanks make up for what is missing, where they mean nothing.
    return (head + make(length - len(head) - 64)).ljust(length - 2) + b"}}"
