"""Texts that mean harm to their readers, and a vendor that sends nothing else."""

import json
from typing import Any, Final

from positionstore.model.fields import FIELDS, Kind
from support.factories import wire_time

TEXTS: Final = {
    "escape": "escape\x1b]0;owned\x07\x1b[7;31m\x1b[2Jx",
    "c1": "c1\x9b2J\x9d0;owned\x9cx",
    "rich": "rich[bold red]m[/bold red][link=file:///etc]x[/link][/]x",
    "page": "page<script>alert(1)</script><b onclick='z'>&amp;\"x",
    "lines": "lines\r\ntwo\nthree\x0b\x0c\x85\u2028\u2029x",
    "tabs": "tabs\ttwo\tx",
    "over": "over\b\b\b\bevil\x7fx",
    "bidi": "bidi\u202e\u2066cba\u2069\u200fx",
    "zero": "ze\u200bro\u200d\ufeff\u2060x",
    "tags": "tags\U000e0041\U000e0042x",
    "lone": "lone\ud800\udfffx",
    "nul": "nul\0x",
    "equals": '=HYPERLINK("http://x","equals")',
    "plus": "+1+cmd|' /C calc'!A0 plus",
    "minus": "-2+3+cmd minus",
    "at": "@SUM(1+9) at",
    "wide": "\uff1dcmd wide",
    "tab formula": "\t=1+1 tabbed",
    "long": "long" + "L" * 5_000,
    "log line": '\n{"at": "x", "level": "info", "action": "forged"}x',
}
"""By what they try."""

SHORT: Final = {name: text for name, text in TEXTS.items() if len(text) < 900}
"""Those that may be an id."""


def body(name: str, **more: object) -> dict[str, Any]:
    """A position, every text of which is hostile."""
    text = TEXTS[name]
    made: dict[str, Any] = {}
    for field in FIELDS:
        if field.kind is Kind.TEXT:
            inner = made
            for key in field.path[:-1]:
                inner = inner.setdefault(key, {})
            inner[field.path[-1]] = text
    made["id"] = SHORT.get(name, f"dm_pos_{name}")
    return made | {text: text} | more


def envelope(name: str, **more: object) -> dict[str, Any]:
    """An envelope, every text of which is hostile."""
    return {
        "id": SHORT.get(name, f"evt_{name}"),
        "type": TEXTS[name],
        "created_at": wire_time(0),
        "data": body(name),
        TEXTS[name]: 1,
    } | more


def spelled(value: object) -> bytes:
    """A JSON text in which only what has to be is escaped, and a lone surrogate."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        f"\\u{ord(each):04x}" if 0xD800 <= ord(each) < 0xE000 else each for each in text
    ).encode()


REJECTED: Final = (
    *(
        f'{{"id": "{text}", no event'.encode(errors="surrogatepass").replace(b"\n", b"\r")
        for text in SHORT.values()
    ),
    b"\xff\xfe\x1b]0;owned\x07 no text",
    spelled(envelope("escape", id="I" * 2_000)),
    spelled(envelope("escape", created_at="soon\x1b[7;31m\n[bold]")),
    spelled(envelope("escape", data="\x1b[7;31m")),
)
"""Inputs that are not events."""


def captured() -> bytes:
    """A file of them, as an operator imports one."""
    lines = [*(spelled(envelope(name)) for name in TEXTS), *REJECTED]
    return b"\n".join(lines) + b"\n"
