"""What differs is what a snapshot of the body would change in the row, for whatever bodies.

If it were not, a repair would be repeated for ever.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.rows import dict_row
from support.profiles import tries

from positionstore.dimes.page import Listed, read_item
from positionstore.model.facts import Snapshot
from positionstore.model.fields import (
    DURABLE_FIELDS,
    FIELDS,
    VALUATION_FIELDS,
    Durability,
    Field,
    Kind,
    Shape,
)
from positionstore.sandbox import history
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.database import Store

AS_OF = datetime(2026, 7, 1, 12, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
_numbers = count()

digits = st.text("0123456789", min_size=1, max_size=25)
spellings = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(
        [
            *(
                "0",
                "-0",
                "007",
                "-007",
                "+1",
                "1.0",
                "1e2",
                "1E+2",
                "12e-1",
                "10e-1",
                "0e5",
                "0e-5",
            ),
            *("0.0", "-0.0", "1e18", "1e19", "1e400", "-1e400", "1e999", "1e1000", "-1e999"),
            *("0e99999", "1e131071", "1e131072", "1e9999999999", "0e9999999999999999999999"),
            *(
                "9" * 999,
                "9" * 1000,
                "9" * 1001,
                "-" + "9" * 999,
                "-" + "9" * 1000,
                "1" + "0" * 5000,
            ),
            *(
                str(2**63 - 1),
                str(2**63),
                str(-(2**63)),
                str(-(2**63) - 1),
                "0" * 19,
                "0" * 20 + "1",
            ),
            *(
                "\N{DEVANAGARI DIGIT ONE}",
                " 1",
                "1 ",
                "1\n",
                "",
                "-",
                "--1",
                "1-",
                "1_000",
                "1,000",
            ),
        ]
    ),
    digits,
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


def is_number(text: str) -> bool:
    try:
        return isinstance(json.loads(text), int | float) and text == text.strip()
    except ValueError:
        return False


two = st.integers(0, 99).map("{:02}".format)
instants = st.one_of(
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z")),
    st.builds(
        "{}-{}-{}{}{}:{}{}{}{}".format,
        st.sampled_from(["2026", "0001", "9999", "0000", "10000", "1900"]),
        st.sampled_from(["01", "02", "12", "13", "00"]),
        st.sampled_from(["01", "28", "29", "31", "32"]),
        st.sampled_from(["T", "t", " ", ""]),
        st.sampled_from(["00", "12", "23", "24", "25"]),
        st.sampled_from(["00", "59", "60"]),
        st.sampled_from(["", ":00", ":59", ":60", ":61", "00"]),
        st.sampled_from(
            ["", ".1", ".123456", ".1234567", ".999999999", ",5", ".", "." + "9" * 200]
        ),
        st.one_of(
            st.sampled_from(["Z", "z", "", "+00", "-00:00", "+0530", "+05:30", "UTC", "+15:59"]),
            st.builds("{}{}:{}".format, st.sampled_from("+-"), two, two),
        ),
    ),
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["open", "closed", "0xAbC", "\0", "a\0b", "\ud800", "\udfff\ud800", "\U0001f41b"]
    ),
)
IDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
STRANGE_IDS = [
    '"',
    "\\",
    '\\"',
    "\\\\",
    ",",
    "{",
    "}",
    "{}",
    "NULL",
    " ",
    "\n",
    "','",
    '","',
    "%s",
    "🦆",
]
# Each as the JSON text that stands in the body.
anything = st.one_of(
    spellings.filter(is_number),
    spellings.map(json.dumps),
    instants.map(json.dumps),
    texts.map(json.dumps),
    st.sampled_from(["null", "true", "false", "[]", "{}", "[1]", '{"a":"\\u0000"}', '"\\\\u0000"']),
)
BY_KIND = {
    Kind.TEXT: texts.map(json.dumps),
    Kind.TIME: instants.map(json.dumps),
    Kind.FLAG: st.sampled_from(["true", "false"]),
}
USUAL = st.one_of(spellings.filter(is_number), spellings.map(json.dumps))


def value_of(field: Field) -> st.SearchStrategy[str]:
    usual = BY_KIND.get(field.kind, USUAL)
    return st.one_of(usual, usual, usual, anything)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Return the JSON of a position object without an id and a status."""
    top: list[tuple[str, str]] = []
    sections: dict[str, list[tuple[str, str]]] = {}
    for field in draw(st.lists(st.sampled_from(FIELDS), max_size=12)):
        if field.path[0] in {"id", "status"}:
            continue
        target = sections.setdefault(field.section, []) if field.section else top
        target.append((field.path[-1], draw(value_of(field))))
    whole = top + [(name, as_object(members)) for name, members in sections.items()]
    names = sorted({field.section for field in FIELDS if field.section})
    whole += [(name, draw(anything)) for name in draw(st.lists(st.sampled_from(names), max_size=1))]
    whole += [
        (json.loads(json.dumps(key)), draw(anything)) for key in draw(st.lists(texts, max_size=2))
    ]
    return as_object(draw(st.permutations(whole)))


def as_object(members: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members) + "}"


@dataclass
class Shelf:
    """Takes snapshots, shows the rows that they make, and compares."""

    appender: Appender
    reader: psycopg.Connection

    def row_of(self, listed: Listed) -> dict[str, Any]:
        self.appender.append_snapshots([snapshot_of(listed, AS_OF)], AS_OF)
        with self.reader.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(
                "SELECT * FROM positions WHERE position_id = %s", [listed.position_id]
            ).fetchone()
        assert row is not None
        return row

    def compared(self, listed: Listed) -> records.Compared:
        (found,) = records.compare(
            self.reader, [snapshot_of(listed, AS_OF + timedelta(seconds=1))], WINDOW
        )
        assert found.position_id == listed.position_id
        return found


def snapshot_of(listed: Listed, as_of: datetime) -> Snapshot:
    return Snapshot(listed.position_id, listed.status, as_of, as_of - WINDOW, listed.body)


@pytest.fixture(scope="module")
def shelf(store: Store) -> Iterator[Shelf]:
    with closing(store.connect()) as one, closing(store.connect()) as other:
        yield Shelf(Appender(one), other)


def listed_of(members: str, status: str, position_id: str | None = None) -> Listed:
    position_id = position_id or f"dm_pos_read_{next(_numbers)}"
    head = f'"id":{json.dumps(position_id)},"status":{json.dumps(status)}'
    listed = read_item(f"{{{head}{',' if members != '{}' else ''}{members[1:]}".encode()).what
    assert isinstance(listed, Listed)
    return listed


@tries(300)
@given(bodies(), texts)
@example('{"entry":{"collateral_usd_pips":"00000000000000000001"}}', "open")
@example('{"entry":{"position_token_units":' + "9" * 1001 + "}}", "open")
@example('{"entry":{"position_token_units":1e1000}}', "open")
@example('{"entry":{"position_token_units":-1e999,"price_usd_pips":0e99999}}', "open")
@example('{"current":{"position_token_units":"-0","remaining_bps":1.0}}', "open")
@example('{"entry":{"price_usd_pips":1e99999999999999999999}}', "open")
@example('{"market_ticker":1e131072,"side":1e131071}', "open")
@example('{"market_ticker":1e-16384,"side":1e-16383,"provider":0e-16384}', "open")
@example('{"market_ticker":0e2000000000,"side":0e1000000000,"provider":-0e131072}', "open")
@example('{"entry":null,"result":[],"timing":"x"}', "closed\0")
def test_a_body_reads_as_the_row_that_its_snapshot_makes(
    shelf: Shelf, members: str, status: str
) -> None:
    listed = listed_of(members, status)
    row = shelf.row_of(listed)
    found = shelf.compared(listed)
    assert (found.kind, found.fields, found.last_event_id) == (None, (), row["last_event_id"])
    assert found.valuation == tuple(row[field.column] for field in VALUATION_FIELDS)


@st.composite
def ways_to_say(draw: st.DrawFn) -> tuple[str, str]:
    """Return the members of two bodies that differ in a field at most."""
    field = draw(st.sampled_from([each for each in DURABLE_FIELDS if each.path != ("status",)]))
    value = draw(value_of(field))
    other = draw(st.one_of(value_of(field), st.just(value), st.just(json.dumps(value))))
    one, another = (
        as_object([(field.path[-1], spelled)] * draw(st.integers(0, 2)))
        for spelled in (value, other)
    )
    if field.section:
        one, another = (as_object([(field.section, said)]) for said in (one, another))
    return one, another


@tries(300)
@given(ways_to_say(), st.sampled_from(["open", "closed"]))
@example(('{"entry":{"leverage_bps":1}}', '{"entry":{"leverage_bps":true}}'), "open")
@example(('{"entry":{"leverage_bps":0}}', '{"entry":{"leverage_bps":false}}'), "open")
@example(('{"entry":{"leverage_bps":1}}', '{"entry":{"leverage_bps":1.0}}'), "open")
@example(('{"entry":{"price_usd_pips":"1"}}', '{"entry":{"price_usd_pips":"01"}}'), "open")
@example(('{"side":"5"}', '{"side":5}'), "open")
@example(('{"side":"a\\ufffd"}', '{"side":"a\\u0000"}'), "open")
@example(('{"side":"a\\ufffd"}', '{"side":"a\\ud800"}'), "open")
@example(
    (
        '{"entry":{"opened_at":"2026-07-01T12:00:00.123456Z"}}',
        '{"entry":{"opened_at":"2026-07-01T12:00:00.123Z"}}',
    ),
    "open",
)
@example(
    (
        '{"entry":{"opened_at":"0001-01-01T00:00:00+00:01"}}',
        '{"entry":{"opened_at":"0001-01-01T00:00:00.000Z"}}',
    ),
    "open",
)
def test_what_differs_is_named_with_both_values_and_nothing_else_is(
    shelf: Shelf, said: tuple[str, str], status: str
) -> None:
    one = listed_of(said[0], status)
    mine = shelf.row_of(one)
    theirs = shelf.row_of(listed_of(said[1], status))
    found = shelf.compared(listed_of(said[1], status, one.position_id))
    assert {each.field: each[1:] for each in found.fields} == {
        field.wire_name: (as_text(mine[field.column]), as_text(theirs[field.column]))
        for field in DURABLE_FIELDS
        if mine[field.column] != theirs[field.column]
        and (status == "closed" or field.durability is Durability.ALWAYS)
        and not is_absent(json.loads(said[1], parse_int=str), field, status)
    }
    assert (found.kind is None) == (found.fields == ())


def as_text(value: object) -> str | None:
    match value:
        case None:
            return None
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def is_absent(body: Any, field: Field, status: str) -> bool:
    """Whether a body lacks the key of a field, though its shape has it."""
    shape = Shape.CLOSED if status == "closed" else Shape.LIVE
    section = body.get(field.section, {}) if field.section else body
    return shape in field.shapes and isinstance(section, dict) and field.path[-1] not in section


@tries(50)
@given(st.lists(st.one_of(IDS, st.sampled_from(STRANGE_IDS)), min_size=1, max_size=6, unique=True))
@example(STRANGE_IDS)
def test_a_row_is_found_whatever_its_id_is(shelf: Shelf, names: list[str]) -> None:
    listed = [
        Listed(name, "open", json.dumps({"id": name, "status": "open"}).encode()) for name in names
    ]
    for each in listed:
        shelf.row_of(each)
    found = records.compare(shelf.reader, [snapshot_of(each, AS_OF) for each in listed], WINDOW)
    assert {each.position_id: each.kind for each in found} == dict.fromkeys(names)


@tries(100)
@given(st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 9).map(str), max_size=20))
def test_what_moves_with_the_market_is_never_a_difference(
    shelf: Shelf, moves: dict[Field, str]
) -> None:
    body: dict[str, Any] = {}
    for field, value in moves.items():
        if field.durability is Durability.NEVER:
            (body.setdefault(field.section, {}) if field.section else body)[field.path[-1]] = value
    bare = listed_of("{}", "open")
    shelf.row_of(bare)
    assert shelf.compared(listed_of(json.dumps(body), "open", bare.position_id)).kind is None


def test_what_the_vendor_says_equals_its_row(shelf: Shelf) -> None:
    bodies = {
        position["id"]: json.dumps(position).encode()
        for envelope in history(events=500, positions=20)
        if "status" in (position := json.loads(envelope)["data"])
    }
    assert len(bodies) > 20
    for body in bodies.values():
        listed = read_item(body).what
        assert isinstance(listed, Listed)
        row = shelf.row_of(listed)
        found = shelf.compared(listed)
        assert (found.kind, found.carried) == (None, None)
        assert found.valuation == tuple(row[field.column] for field in VALUATION_FIELDS)


def test_the_fields_that_count_are_those_that_the_catalogue_calls_durable() -> None:
    assert {field.wire_name for field in DURABLE_FIELDS} == {
        field.wire_name
        for field in FIELDS
        if field.durability is not Durability.NEVER and field.path != ("id",)
    }
    assert {each for each in FIELDS if each.durability is Durability.NEVER and each.section} <= {
        *VALUATION_FIELDS
    }
