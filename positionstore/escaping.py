r"""Escapes text from the wire wherever it is shown: the one place for the rules.

A status, a market's title or an error's text may contain escape sequences of a terminal, marks that
reverse the direction of writing, markup, or a spreadsheet's formula. It is stored unchanged and
escaped where it is shown, by the function for that place:

==================================== =======================================================
a line for a terminal, a log, a file :func:`printable`; :func:`one_line` for a whole message
a page of HTML, text or attribute    :func:`html`
a cell of CSV                        :func:`csv_cell`, then :mod:`csv` for the quotes
Markdown, a table's cell too         :func:`markdown`
JSON that is made here               :func:`json_text`
JSON that came over the wire         :func:`json_as_it_came`
the value of a metric's label        :func:`printable`, then the library for the quotes
==================================== =======================================================

Pass Rich a ``Text`` of the printable text, never a plain string, which it would read as markup.
Exact output (a file to be imported again, ``quarantine show --raw``) is not escaped, and is not
written to a terminal either.
"""

import json
import re
from datetime import date
from html import escape
from typing import Final

# A spreadsheet takes these for the beginning of a formula, in their wide forms too.
_FORMULA: Final = re.compile(" *[=+\\-@\uff1d\uff0b\uff0d\uff20]")
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]()#+\-.!|~:@]")


def printable(value: object) -> str:
    r"""Return ``value`` as one line of text without control characters.

    Control characters, marks that reverse the direction of writing, lone surrogates and the like
    appear as escapes: ``\x1b``. None is an empty text.
    """
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def printable_lines(text: str) -> str:
    """Return a text with its line breaks, each line as :func:`printable` gives it."""
    return "\n".join(map(printable, text.split("\n")))


def one_line(text: str) -> str:
    """Return a message in one line, with single spaces and printable characters."""
    return printable(" ".join(text.split()))


def shortened(text: str, longest: int) -> str:
    """Return at most ``longest`` characters of a text, with an ellipsis if it was longer."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def html(value: object) -> str:
    """Return ``value`` as HTML text, or as the value of an attribute in quotes."""
    return escape(printable(value), quote=True)


def csv_cell(value: object) -> str:
    """Return ``value`` as a cell that a spreadsheet does not take for a formula.

    A text that would begin one gets a leading apostrophe, as spreadsheets mark text; a plain
    number, also a negative one, stays a number. Dates and moments are in ISO 8601,
    a boolean is ``true`` or ``false``, None is empty.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = printable(value.isoformat() if isinstance(value, date) else value)
    if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def markdown(value: object) -> str:
    """Return ``value`` as Markdown text without links, markup, HTML or the end of a cell."""
    return _MARKDOWN.sub(r"\\\g<0>", escape(printable(value), quote=False))


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return ``value`` as ASCII JSON, in one line unless indented.

    Dates and times are in ISO 8601, other types are text.
    """
    text = json.dumps(value, default=_as_json, indent=indent)
    return text.replace("\x7f", r"\u007f")


def json_as_it_came(text: str) -> str:
    r"""Return a JSON text as one printable line with the same value, to the digit.

    Unprintable characters can only be in its strings, where they become ``\u001b``, or in the white
    space between its values, which becomes spaces.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable()
        else (" " if character in "\t\n\r" else _json_escape(character))
        for character in text
    )


def _json_escape(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def _as_json(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
