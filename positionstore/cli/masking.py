"""Masks secrets in log lines and errors."""

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

MASK: Final = "********"

_SHORTEST: Final = 4  # anything shorter would make every line unreadable, and guards nothing

# No pattern may look far ahead from a place that a hostile text can repeat: lengths are bounded.
_PATTERNS: Final = (
    # An API key: which of the two worlds it opens may be seen. A full stop after the bare prefix is
    # a sentence's, not a key's.
    (
        re.compile(r"(dm_(?:live|sbx)_skey_)(?![.:!?]{1,3}(?:\s|$))[^\s\"'&,;)\]}]+"),
        rf"\1{MASK}",
    ),
    # A JSON Web Token.
    (re.compile(r"eyJ[\w-]{4,600}\.[\w-]+(?:\.[\w-]*)?"), MASK),
    # An Authorization header of either kind.
    (re.compile(r"(Bearer|Api-Key)\s{1,9}[^\s\"',;*]+", re.IGNORECASE), rf"\1 {MASK}"),
    # The password of a URL; it may itself hold an @.
    (
        re.compile(r"([a-z][a-z0-9+.-]{0,30}://[^\s:/@\"']{0,200}):[^\s/\"']+@", re.IGNORECASE),
        rf"\1:{MASK}@",
    ),
    # The password of a connection string, or of a URL's query.
    (
        re.compile(r"(password|pwd)(\s{0,9}=\s{0,9})('[^']*'|[^\s&\"',]+)", re.IGNORECASE),
        rf"\1\2{MASK}",
    ),
)


class _Known:
    """The secrets of this process, in every form in which they may appear."""

    forms: frozenset[str] = frozenset()
    pattern: re.Pattern[str] | None = None


def hide(secrets: Iterable[str]) -> None:
    """Mask these values from now on, wherever :func:`masked` is asked.

    Args:
        secrets: values that must not be seen, in the form they have in memory.
    """
    _Known.forms |= {
        form
        for secret in secrets
        for form in (secret, quote(secret, safe=""), unquote(secret), json.dumps(secret)[1:-1])
        if len(form) >= _SHORTEST
    }
    # The longest first: a secret may be a part of another.
    longest_first = sorted(_Known.forms, key=len, reverse=True)
    alternatives = "|".join(re.escape(form) for form in longest_first)
    _Known.pattern = re.compile(alternatives) if alternatives else None


def masked(text: str) -> str:
    """Return ``text`` with every secret masked: known ones, and what looks like one."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _Known.pattern.sub(MASK, text) if _Known.pattern else text
