r"""Escapes text from the wire wherever it is shown: the one place for the rules.

A status, a market's title, an error's words: all of it may hold escape sequences of a terminal,
marks that reverse the direction of writing, markup, or a spreadsheet's formula. It is stored as it
came, and made harmless where it leaves, by the function that suits the place:

==================================== =======================================================
a line for a terminal, a log, a file :func:`printable`; :func:`one_line` for a whole message
a page of HTML, text or attribute    :func:`html`
a cell of CSV                        :func:`csv_cell`, then :mod:`csv` for the quotes
Markdown, a table's cell too         :func:`markdown`
JSON that is made here               :func:`json_text`
JSON that came over the wire         :func:`json_as_it_came`
the value of a metric's label        :func:`printable`, then the library for the quotes
==================================== =======================================================

Rich is to be given a ``Text`` of what is printable, never a plain string, which it would read as
markup. What is to be exact (a file that is imported again, ``quarantine show --raw``) is not sent
through here, and not sent to a terminal either.
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
    r"""Return ``value`` as one line of text in which nothing speaks to the terminal.

    Control characters, marks that reverse the direction of writing, lone surrogates and the like
    appear as escapes: ``\x1b``. None is empty.
    """
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """Return a message in one line: white space is one space, and the rest is printable."""
    return printable(" ".join(text.split()))


def shortened(text: str, longest: int) -> str:
    """Return no more of a text than ``longest`` characters; an ellipsis tells that it was more."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def html(value: object) -> str:
    """Return ``value`` as text of a page of HTML, or as an attribute's between quotes."""
    return escape(printable(value), quote=True)


def csv_cell(value: object) -> str:
    """Return ``value`` as a cell that a spreadsheet does not take for a formula.

    A text that would begin one gets an apostrophe in front, as spreadsheets themselves mark a
    text; a plain number, negative ones too, stays a number. Dates and moments are in ISO 8601,
    a boolean is ``true`` or ``false``, None is empty.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = printable(value.isoformat() if isinstance(value, date) else value)
    if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def markdown(value: object) -> str:
    """Return ``value`` as text of Markdown: no link, no markup, no HTML, and no end of a cell."""
    return _MARKDOWN.sub(r"\\\g<0>", escape(printable(value), quote=False))


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return ``value`` as JSON in ASCII, in one line unless it is to be indented.

    Dates and moments are in ISO 8601, anything else unknown as text.
    """
    text = json.dumps(value, default=_as_json, indent=indent)
    return text.replace("\x7f", r"\u007f")


def json_as_it_came(text: str) -> str:
    r"""Return a JSON text as one line that says the same, to the digit, and is printable.

    What is not printable can only stand in its strings, where it becomes ``\u001b``, or be the
    white space between its values, which becomes spaces.
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
