"""What came over the wire is harmless where it leaves."""

import csv
import html as library
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.escaping import (
    csv_cell,
    html,
    json_as_it_came,
    json_text,
    markdown,
    one_line,
    printable,
    shortened,
)

anything = st.text(st.characters(exclude_categories=()))
HOSTILE = "\x1b]8;;http://x\x07[link=y]<b onclick='z'>&\"|\r\n\x9b2J\u202e\x00\x7f\ud800"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text", "plain text"),
        ("höchst \N{GRINNING FACE}", "höchst \N{GRINNING FACE}"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("left\u202eright", r"left\u202eright"),
        ("\ud800", r"\ud800"),
        (None, ""),
        (12, "12"),
    ],
)
def test_nothing_speaks_to_the_terminal(value: object, shown: str) -> None:
    assert printable(value) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_came_is_printable_afterwards(text: str) -> None:
    assert printable(text).isprintable()
    assert one_line(text).isprintable()
    one_line(text).encode()


def test_a_message_of_many_lines_becomes_one() -> None:
    assert one_line(" first\n  second\t\x1b[0m\r\n") == r"first second \x1b[0m"


def test_no_more_is_shown_than_there_is_room_for() -> None:
    assert shortened("four", 4) == "four"
    assert shortened("five5", 4) == "fiv…"


class _Reader(HTMLParser):
    """Notes the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(anything)
def test_in_a_page_it_is_text_and_in_an_attribute_a_value(text: str) -> None:
    reader = _Reader()

    reader.feed(f"<p title=\"{html(text)}\" lang='{html(text)}'>{html(text)}</p>")
    reader.close()

    shown = printable(text)
    assert reader.tags == [("p", {"title": shown, "lang": shown})]
    assert reader.text == shown


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\uff1dcmd", "'\uff1dcmd"),
        ("\t=1", r"\t=1"),
        ("\r=1", r"\r=1"),
        ("\x1b[31m", r"\x1b[31m"),
        ("-12.5", "-12.5"),
        ("+12", "'+12"),
        ("a=1", "a=1"),
        (-12, "-12"),
        (Decimal("-0.0001"), "-0.0001"),
        (Decimal("-1E+3"), "-1E+3"),
        (True, "true"),
        (None, ""),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "2026-07-01T12:00:00+00:00"),
    ],
)
def test_a_cell_is_no_formula(value: object, cell: str) -> None:
    assert csv_cell(value) == cell


@given(st.lists(anything, min_size=1, max_size=4))
def test_a_file_of_cells_keeps_its_shape_and_begins_no_formula(row: list[str]) -> None:
    file = io.StringIO()

    csv.writer(file).writerow([csv_cell(text) for text in row])

    [read] = csv.reader(io.StringIO(file.getvalue()))
    assert read == [csv_cell(text) for text in row]
    for cell in read:
        assert cell.isprintable()
        assert cell.lstrip(" ")[:1] not in set("=+@-\uff1d\uff0b\uff0d\uff20") or re.fullmatch(
            r"-?\d+(\.\d+)?([eE][-+]?\d+)?", cell
        )


def test_in_markdown_it_is_no_link_no_markup_and_no_end_of_a_cell() -> None:
    assert markdown("[a](http://x) | <b>*c*</b>") == (
        r"\[a\]\(http\://x\) \| &lt;b&gt;\*c\*&lt;/b&gt;"
    )
    assert markdown("www.x.com\n# h\x1b") == r"www\.x\.com\\n\# h\\x1b"


@given(anything)
def test_in_markdown_nothing_is_left_unescaped(text: str) -> None:
    written = markdown(text)

    assert written.isprintable()
    assert not re.search(r"[\\`*_{}\[\]()#+\-.!|~:@<>]", re.sub(r"\\.", "", written))
    assert library.unescape(re.sub(r"\\(.)", r"\1", written)) == printable(text)


def test_json_made_here_is_printable_ascii() -> None:
    value = {"text": HOSTILE, "at": datetime(2026, 7, 1, tzinfo=UTC), "n": 10**30}

    line = json_text(value)

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == value | {"at": "2026-07-01T00:00:00+00:00"}
    assert json.loads(json_text(value, indent=1)) == json.loads(line)


def test_json_that_came_says_the_same_to_the_digit_and_speaks_to_no_terminal() -> None:
    came = '{\r\n\t"n" : 1.10,"s":"\x7f\x9b\u202e\U000e0041 \\u001b é"}'

    shown = json_as_it_came(came)

    assert shown == r'{   "n" : 1.10,"s":"\u007f\u009b\u202e\udb40\udc41 \u001b é"}'
    assert json.loads(shown) == json.loads(came)


@given(st.recursive(anything, lambda inner: st.lists(inner) | st.dictionaries(anything, inner)))
def test_any_json_that_came_is_one_printable_line_of_the_same_value(value: object) -> None:
    came = json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8", "replace").decode()

    shown = json_as_it_came(came)

    assert shown.isprintable()
    assert json.loads(shown) == json.loads(came)
