"""What is read out of a body is what a snapshot of that body puts into its row.

If it were not, a repair would be repeated for ever.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.profiles import tries

from positionstore.dimes.page import Listed, read_item
from positionstore.dimes.spelling import Spelling
from positionstore.model.facts import Snapshot
from positionstore.model.fields import (
    DURABLE_FIELDS,
    FIELDS,
    VALUATION_FIELDS,
    Durability,
    Field,
    Kind,
)
from positionstore.reconcile.compare import (
    differences,
    read_body,
    spelled_alike,
    spelled_valuation,
    values_of_row,
)
from positionstore.sandbox import history
from positionstore.store import runs as records
from positionstore.store.appender import Appender
from positionstore.store.database import Store

AS_OF = datetime(2026, 7, 1, 12, tzinfo=UTC)
COLUMNS = [field.column for field in (*DURABLE_FIELDS, *VALUATION_FIELDS)]
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
    """Takes snapshots, and shows the rows that they make."""

    appender: Appender
    reader: psycopg.Connection

    def row_of(self, listed: Listed) -> tuple[object, ...]:
        snapshot = Snapshot(
            listed.position_id, listed.status, AS_OF, AS_OF - timedelta(seconds=60), listed.body
        )
        self.appender.append_snapshots([snapshot], AS_OF)
        found = records.rows(self.reader, [listed.position_id], COLUMNS)
        return found[listed.position_id].columns

    def spelling_of(self, position_id: str) -> Spelling:
        with records.spelled_rows(self.reader, [position_id]) as fetch:
            return fetch()[position_id][1]


@pytest.fixture(scope="module")
def shelf(store: Store) -> Iterator[Shelf]:
    with closing(store.connect()) as one, closing(store.connect()) as other:
        yield Shelf(Appender(one), other)


def body_of(members: str, status: str) -> bytes:
    position_id = f"dm_pos_read_{next(_numbers)}"
    head = f'"id":{json.dumps(position_id)},"status":{json.dumps(status)}'
    return f"{{{head}{',' if members != '{}' else ''}{members[1:]}".encode()


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
    listed = read_item(body_of(members, status)).what
    assert isinstance(listed, Listed)
    reading = read_body(listed.body)
    assert read_body(listed.body, listed.spelling) == reading
    row = values_of_row(shelf.row_of(listed))
    names = [field.wire_name for field in (*DURABLE_FIELDS, *VALUATION_FIELDS)]
    read = dict(zip(names, (*reading.values, *reading.valuation), strict=True))
    assert read == dict(zip(names, row, strict=True))
    for closed in (False, True):
        assert differences(row[: len(DURABLE_FIELDS)], reading.values, closed=closed) == []


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
@given(ways_to_say())
@example(('{"entry":{"leverage_bps":1}}', '{"entry":{"leverage_bps":true}}'))
@example(('{"entry":{"leverage_bps":0}}', '{"entry":{"leverage_bps":false}}'))
@example(('{"entry":{"leverage_bps":1}}', '{"entry":{"leverage_bps":1.0}}'))
@example(('{"entry":{"price_usd_pips":"1"}}', '{"entry":{"price_usd_pips":"01"}}'))
@example(('{"side":"5"}', '{"side":5}'))
@example(('{"side":"a\\ufffd"}', '{"side":"a\\u0000"}'))
@example(('{"side":"a\\ufffd"}', '{"side":"a\\ud800"}'))
@example(
    (
        '{"entry":{"opened_at":"2026-07-01T12:00:00.123456Z"}}',
        '{"entry":{"opened_at":"2026-07-01T12:00:00.123Z"}}',
    )
)
@example(
    (
        '{"entry":{"opened_at":"0001-01-01T00:00:00+00:01"}}',
        '{"entry":{"opened_at":"0001-01-01T00:00:00.000Z"}}',
    )
)
def test_what_is_spelled_as_its_row_is_equal_to_it(shelf: Shelf, said: tuple[str, str]) -> None:
    one, other = (read_item(body_of(each, "open")).what for each in said)
    assert isinstance(one, Listed)
    assert isinstance(other, Listed)
    row = values_of_row(shelf.row_of(one)[: len(DURABLE_FIELDS)])
    reading, spelling = read_body(other.body), other.spelling
    if spelling is None:
        return
    assert spelled_valuation(spelling) == reading.valuation
    for closed in (False, True):
        if spelled_alike(shelf.spelling_of(one.position_id), spelling, closed=closed):
            assert differences(row, reading.values, closed=closed) == []


@tries(50)
@given(st.lists(st.one_of(IDS, st.sampled_from(STRANGE_IDS)), min_size=1, max_size=6, unique=True))
@example(STRANGE_IDS)
def test_a_row_is_found_whatever_its_id_is(shelf: Shelf, names: list[str]) -> None:
    for name in names:
        body = json.dumps({"id": name, "status": "open"}).encode()
        shelf.row_of(Listed(name, "open", body))
    with records.spelled_rows(shelf.reader, names) as fetch:
        assert fetch().keys() == set(names)


def test_what_the_vendor_says_is_spelled_as_its_row(shelf: Shelf) -> None:
    """Where it were not, each position would be compared the slow way."""
    bodies = {
        position["id"]: json.dumps(position).encode()
        for envelope in history(events=500, positions=20)
        if "status" in (position := json.loads(envelope)["data"])
    }
    assert len(bodies) > 20
    for body in bodies.values():
        listed = read_item(body).what
        assert isinstance(listed, Listed)
        assert listed.spelling is not None
        shelf.row_of(listed)
        assert spelled_alike(shelf.spelling_of(listed.position_id), listed.spelling, closed=True)


def test_the_fields_that_count_are_those_that_the_catalogue_calls_durable() -> None:
    assert {field.wire_name for field in DURABLE_FIELDS} == {
        field.wire_name
        for field in FIELDS
        if field.durability is not Durability.NEVER and field.path != ("id",)
    }
    assert {each for each in FIELDS if each.durability is Durability.NEVER and each.section} <= {
        *VALUATION_FIELDS
    }
