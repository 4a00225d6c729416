"""Whatever a body holds: it is kept whole, what fits a column shows, and nothing stops a batch."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.histories import new_position_ids
from support.profiles import tries
from support.wire_model import Json, as_jsonb, fit, read_jsonb

from positionstore.dimes.decoder import decode
from positionstore.model.facts import Event, Received, Rejected, Source
from positionstore.model.fields import FIELDS, FOLDED_COLUMNS, Field, Kind
from positionstore.store.appender import Appended, Appender
from positionstore.store.database import Store
from positionstore.store.projection import rebuild, verify

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
SECTIONS = sorted({field.section for field in FIELDS if field.section})
COLUMNS = [field for field in FIELDS if field.column not in {"position_id", "status"}]

# What a JSON string is made of, as it is spelled: also halves of pairs and runs of backslashes.
PIECES = [
    *("a", "7", "u0000", "ud83d", "ude00", " ", ",", "[", "{", ":", "1e999999", "-", "\x7f"),
    *("\\\\", '\\"', "\\/", "\\n", "\\u005c", "\\u0022", "\\u0000", "\\u0001", "\\ufffd"),
    *("\\ud83d", "\\uDE00", "\\ud83d\\ude00", "\\uDBFF", "\\udfff", "\\u00e9"),
    *("\xe9", "\U0001f41b", "\uffff"),
]
NUMBERS = [
    *("0", "-0", "7", "-7", "007"[2:], "1e3", "1E+3", "1.0", "1.50e1", "10e-1", "0.5", "0e5"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "9" * 18, "9" * 19),
    *("-9223372036854775809", "123456789012345678901234567890", "1e18", "1e19", "1e999", "1e1001"),
    *("9" * 1000, "9" * 1001, "1e9999", "1e-9999", "1e999999", "-1e999999", "1e-999999"),
    *("0e999999", "0.0e-999999", "1e99999999999", "9" * 5000, f"0.{'1' * 5000}", "1e000003"),
]
strings = st.lists(st.sampled_from(PIECES), max_size=6).map(lambda parts: f'"{"".join(parts)}"')
scalars = strings | st.sampled_from([*NUMBERS, "true", "false", "null", "[]", "{}"])


def _objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(strings, values).map(lambda member: f"{member[0]} :{member[1]}")
    return st.lists(members, max_size=4).map(lambda parts: f"{{{', '.join(parts)}}}")


texts = st.recursive(
    scalars,
    lambda inner: (
        _objects(inner) | st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
    ),
    max_leaves=8,
)
TIMES = [
    *("2026-07-01T12:00:00Z", "2026-07-01t12:00:00.1z", "2026-07-01 12:00+02", "2026-07-01T12:00Z"),
    *("2026-07-01T12:00:00.9999999Z", "2026-07-01T12:00:00.%sZ" % ("123456789" * 20)),
    *("2026-06-30T24:00:00Z", "2026-06-30T23:59:60Z", "2026-07-01T25:00:00Z"),
    *("2026-07-01T12:00:00", "2026-07-01", "12:00:00Z", "2026-13-01T00:00:00Z"),
    *("2026-02-29T00:00:00Z", "2024-02-29T00:00:00-0330", "0000-01-01T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999999Z"),
    *("9999-12-31T23:59:59-01:00", "2026-07-01T12:00:00+15:59", "2026-07-01T12:00:00-16:00"),
    *(
        "infinity",
        "now",
        "epoch",
        "2026-07-01T12:00:00Z\\n",
        "20260701T120000Z",
        "12026-07-01T00:00Z",
    ),
]
WHOLE = [
    "",
    "-",
    "--1",
    "1-",
    "+1",
    " 1",
    "1 ",
    "1,2",
    ",",
    "007",
    "-0",
    "1e3",
    "1.0",
    "NaN",
    "0x10",
    "1\\n",
]
values = st.one_of(
    st.sampled_from([f'"{number}"' for number in NUMBERS]),
    st.sampled_from(NUMBERS),
    st.sampled_from([f'"{text}"' for text in [*TIMES, *WHOLE]]),
    st.sampled_from([f'"{"9" * digits}"' for digits in (18, 19, 20)]),
    scalars,
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)).map(  # noqa: DTZ001 - the offset is added below
        lambda moment: f'"{moment.isoformat()}-05:30"'
    ),
)


class Desk:
    """A store, one appender, one reader."""

    def __init__(self, appender: Appender, reader: psycopg.Connection) -> None:
        self.appender = appender
        self.reader = reader

    def append(self, envelopes: Sequence[str]) -> Appended:
        """Append envelopes as they come over the wire."""
        return self.appender.append(
            [Received(decode(text.encode()), NOON, Source.IMPORT) for text in envelopes]
        )


@pytest.fixture(scope="module")
def desk(store: Store) -> Iterator[Desk]:
    with closing(store.connect()) as connection, closing(store.connect()) as reader:
        yield Desk(Appender(connection), reader)


def _envelope(position_id: str, members: str, extra: str = "") -> str:
    return (
        f'{{"id":"evt_1","type":"position.opened","created_at":"2026-07-01T12:00:00Z"{extra},'
        f'"data":{{"id":"{position_id}","status":"open"{members}}}}}'
    )


@tries(40)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=12))
@example([("[" * 480 + "1e999999" + "]" * 480, "{}")])
@example([(r'["\\ud83d\ude00","\ud83d\ude00","\\\u0000","\\\\u0000"]', '"\\ud83d"')])
@example([(f"[{','.join(['1e999999'] * 2000)}]", r'{"\u0000":1,"\ud800":2,"\ufffd":3}')])
def test_any_body_is_projected_and_data_is_the_same_json(
    desk: Desk, bodies: list[tuple[str, str]]
) -> None:
    ids = new_position_ids(len(bodies))
    envelopes = [
        _envelope(position_id, f', "x": {inside}', f', "y": {outside}')
        for position_id, (inside, outside) in zip(ids, bodies, strict=True)
    ]
    assert desk.append(envelopes).positions == len(ids)
    found = desk.reader.execute(
        "SELECT p.position_id, p.data::text, jsonb_from_wire(e.envelope)::text, e.envelope::text"
        " FROM positions p JOIN events e USING (position_id) WHERE p.position_id = ANY (%s)",
        [ids],
    ).fetchall()
    assert sorted(row[0] for row in found) == sorted(ids)
    for position_id, data, whole, kept in found:
        envelope = envelopes[ids.index(position_id)]
        wanted = as_jsonb(envelope)
        assert isinstance(wanted, dict)
        assert read_jsonb(whole) == wanted
        assert read_jsonb(data) == wanted["data"]
        assert kept == envelope


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return an envelope with something more, or less, somewhere."""
    text = _envelope("dm_pos_damaged", f',"x":{draw(texts)}')
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        gone = draw(st.integers(0, 3))
        text = text[:at] + draw(st.sampled_from([*PIECES, "\\", "}", "]", '"'])) + text[at + gone :]
    return text


@tries(40)
@given(st.lists(damaged(), min_size=1, max_size=30))
def test_what_the_decoder_takes_the_log_takes(desk: Desk, envelopes: list[str]) -> None:
    what = [decode(text.encode()) for text in envelopes]
    # Each with an id of its own, or it is a duplicate; one with the same id, to be compared.
    events = [each for each in what if isinstance(each, Event)]
    done = desk.append(envelopes)
    assert done.received == len(envelopes)
    assert done.quarantined >= len([each for each in what if isinstance(each, Rejected)])
    known = desk.reader.execute(
        "SELECT count(*) FROM unnest(%s::text[], %s::text[]) AS given (position_id, event_id)"
        " JOIN events USING (position_id, event_id)",
        [[each.position_id for each in events], [each.event_id for each in events]],
    ).fetchone()
    assert known == (len(events),)


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Return the members of a position object, some of them odd."""
    sections: dict[str, dict[str, str]] = {section: {} for section in ["", *SECTIONS]}
    for field in draw(st.lists(st.sampled_from(COLUMNS), max_size=8)):
        sections[field.section][field.path[-1]] = draw(values)
    members = dict(sections.pop(""))
    for section, inner in sections.items():
        usual = f"{{{','.join(f'{json.dumps(key)}:{value}' for key, value in inner.items())}}}"
        odd = draw(st.integers(0, 19)) == 19
        members[section] = draw(scalars) if odd else usual
    return "".join(f",{json.dumps(key)}:{value}" for key, value in members.items())


def _plain(field: Field) -> str:
    spelled = {
        Kind.TEXT: '"text"',
        Kind.TIME: '"2026-07-01T12:00:00.000Z"',
        Kind.FLAG: "true",
        Kind.BPS: "20000",
        Kind.MINUTES: "7",
    }
    return spelled.get(field.kind, '"123456"')


def _whole(oddities: dict[str, str]) -> str:
    members = []
    for section in ["", *SECTIONS]:
        inner = ",".join(
            f'"{field.path[-1]}":{oddities.get(field.wire_name, _plain(field))}'
            for field in COLUMNS
            if field.section == section
        )
        members.append(f'"{section}":{{{inner}}}' if section else inner)
    return "," + ",".join(members)


whole_bodies = st.dictionaries(
    st.sampled_from([field.wire_name for field in COLUMNS]), values, max_size=2
).map(_whole)


@tries(40)
@given(st.lists(bodies() | whole_bodies, min_size=1, max_size=20))
def test_a_column_shows_what_fits_and_misfits_are_named(desk: Desk, members: list[str]) -> None:
    ids = new_position_ids(len(members))
    envelopes = [_envelope(*pair) for pair in zip(ids, members, strict=True)]
    assert desk.append(envelopes).positions == len(ids)
    _check_columns(desk.reader, ids, envelopes)


def test_each_kind_of_field_shows_what_fits_it(desk: Desk) -> None:
    _check_columns(desk.reader, *_append_each_kind(desk))


def _append_each_kind(desk: Desk) -> tuple[list[str], list[str]]:
    """Append a body for every odd value of a field; return the positions and the envelopes."""
    spelled = [
        *NUMBERS,
        *(f'"{text}"' for text in [*NUMBERS, *TIMES, *WHOLE]),
        *("true", "false", "null", "[]", "[5]", '{"a":1}', '"\\u0000"', '"\\ud83d"'),
    ]
    first_of_kind = {field.kind: field for field in reversed(COLUMNS)}.values()
    # Every value for a field of each kind; for the others one in nine, each time other ones.
    cases = [
        (field, value)
        for row, field in enumerate(COLUMNS)
        for place, value in enumerate(spelled)
        if field in first_of_kind or row % 9 == place % 9
    ]
    ids = new_position_ids(len(cases))
    envelopes = [
        _envelope(position_id, _whole({field.wire_name: value}))
        for position_id, (field, value) in zip(ids, cases, strict=True)
    ]
    assert desk.append(envelopes).positions == len(ids)
    return ids, envelopes


def test_odd_bodies_rebuild_to_the_same_rows(desk: Desk) -> None:
    assert verify(desk.reader) == []
    assert rebuild(desk.reader) == []


@pytest.mark.slow
def test_a_row_that_says_what_is_another_s_is_found_whatever_the_body(desk: Desk) -> None:
    """The quick proof that a row is right agrees with reading the fact: for each column alone."""
    _append_each_kind(desk)
    execute = desk.reader.execute
    shifted = [
        *(
            column
            for column in FOLDED_COLUMNS
            if column not in {"position_id", "supersedes_before"}
        ),
        # Twice, so that misfits are also hidden where all else is right.
        "misfit_fields",
    ]
    for number, column in enumerate(shifted):
        execute(
            f"UPDATE positions p SET {column} = q.other FROM (SELECT position_id,"
            f" lead({column}) OVER (ORDER BY position_id) AS other,"
            " row_number() OVER (ORDER BY md5(position_id)) AS place FROM positions"
            f") q WHERE q.position_id = p.position_id AND q.place %% %s = %s"
            f" AND (q.other IS NOT NULL OR '{column}' = ANY (%s))",
            [len(shifted), number, [field.column for field in COLUMNS]],
        )
    # What PostgreSQL spells as the wire does, though it is no value of the field.
    for column, value in (("entry_position_token_units", "NaN"), ("entry_opened_at", "infinity")):
        done = execute(
            f"UPDATE positions SET {column} = %s, misfit_fields = '{{}}'"
            f" WHERE data -> 'entry' ->> '{column.removeprefix('entry_')}' = %s",
            [value, value],
        )
        assert done.rowcount > 0
    execute("UPDATE positions SET misfit_fields = '{}' WHERE hashtext(position_id) % 5 = 0")
    columns = [", ".join(f"{of}.{column}" for column in FOLDED_COLUMNS) for of in ("p", "f")]
    wanted = execute(
        "SELECT p.position_id FROM positions p JOIN fold_facts() w USING (position_id)"
        " CROSS JOIN LATERAL (SELECT f.*, w.supersedes_before FROM fact_positions f"
        f" WHERE f.seq = w.seq OFFSET 0) f WHERE ({columns[0]}) IS DISTINCT FROM ({columns[1]})"
        " ORDER BY 1"
    ).fetchall()
    assert [(each.position_id,) for each in verify(desk.reader)] == wanted
    assert len(rebuild(desk.reader)) == len(wanted) > len(shifted)
    assert verify(desk.reader) == []


def _check_columns(
    reader: psycopg.Connection, ids: Sequence[str], envelopes: Sequence[str]
) -> None:
    names = ", ".join(field.column for field in COLUMNS)
    found = {
        position_id: (misfits, shown)
        for position_id, misfits, *shown in reader.execute(
            f"SELECT position_id, misfit_fields, {names} FROM positions"
            " WHERE position_id = ANY (%s)",
            [list(ids)],
        )
    }
    for position_id, envelope in zip(ids, envelopes, strict=True):
        wanted = as_jsonb(envelope)
        assert isinstance(wanted, dict)
        body = wanted["data"]
        assert isinstance(body, dict)
        misfits, shown = found[position_id]
        expected, named = _row(body)
        assert dict(zip([field.column for field in COLUMNS], shown, strict=True)) == expected
        assert sorted(misfits) == sorted(named)


def _row(body: Mapping[str, Json]) -> tuple[dict[str, object], list[str]]:
    row: dict[str, object] = {}
    misfits = [
        section
        for section in SECTIONS
        if body.get(section) is not None and not isinstance(body[section], dict)
    ]
    for field in COLUMNS:
        holder = body.get(field.section) if field.section else body
        value = holder.get(field.path[-1]) if isinstance(holder, dict) else None
        row[field.column] = fit(field.kind, value)
        if value is not None and row[field.column] is None:
            misfits.append(field.wire_name)
    return row, misfits
