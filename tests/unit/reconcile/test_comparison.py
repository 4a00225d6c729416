"""The pure comparison: what counts as a difference, and of which kind it is."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positionstore.model.fields import DURABLE_FIELDS, FIELDS, Durability, Kind
from positionstore.reconcile.compare import (
    DiscrepancyKind,
    Value,
    Values,
    differences,
    kind_of,
    read_body,
    values_of_row,
)

NAMES = [field.wire_name for field in DURABLE_FIELDS]
SIZE = len(DURABLE_FIELDS)
NOTHING: Values = (None,) * SIZE


def values(**changes: Value) -> Values:
    """Values of a position; ``entry__price_usd_pips`` is ``entry.price_usd_pips``."""
    by_name = {name.replace("__", "."): value for name, value in changes.items()}
    assert by_name.keys() <= set(NAMES)
    return tuple(by_name.get(name) for name in NAMES)


@dataclass(frozen=True)
class Pair:
    store: Values
    rest: Values


value = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from(["", "open", "closed", "0"]),
    st.booleans(),
    st.sampled_from([datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 7, 2, tzinfo=UTC)]),
)
some_values = st.lists(value, min_size=SIZE, max_size=SIZE).map(tuple)


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    store = draw(some_values)
    rest = list(store)
    for index in draw(st.sets(st.integers(0, SIZE - 1), max_size=5)):
        rest[index] = draw(value)
    return Pair(store, tuple(rest))


@given(some_values, st.booleans())
def test_a_position_does_not_differ_from_itself(some: Values, closed: bool) -> None:
    assert differences(some, some, closed=closed) == []


@given(pairs(), st.booleans())
def test_what_differs_is_named_with_both_values_and_nothing_else_is(
    pair: Pair, closed: bool
) -> None:
    found = differences(pair.store, pair.rest, closed=closed)
    expected = {
        field.wire_name
        for field, mine, theirs in zip(DURABLE_FIELDS, pair.store, pair.rest, strict=True)
        if mine != theirs and (closed or field.durability is Durability.ALWAYS)
    }
    assert {each.field for each in found} == expected
    assert all(each.store_value is None or isinstance(each.store_value, str) for each in found)


@given(pairs(), st.booleans())
def test_the_two_sides_can_change_places(pair: Pair, closed: bool) -> None:
    there = differences(pair.store, pair.rest, closed=closed)
    back = differences(pair.rest, pair.store, closed=closed)
    assert [(each.field, each.store_value, each.rest_value) for each in there] == [
        (each.field, each.rest_value, each.store_value) for each in back
    ]
    assert kind_of(pair.store, pair.rest) is kind_of(pair.rest, pair.store)


@given(pairs())
def test_what_differs_while_it_lives_differs_after_its_end(pair: Pair) -> None:
    alive = {each.field for each in differences(pair.store, pair.rest, closed=False)}
    ended = {each.field for each in differences(pair.store, pair.rest, closed=True)}
    assert alive <= ended


@pytest.mark.parametrize(
    "name",
    [
        "status",
        "entry.opened_at",
        "result.closed_at",
        "current.remaining_bps",
        "current.position_token_units",
        "timing.settlement_state",
    ],
)
def test_what_happens_to_a_position_makes_a_row_stale(name: str) -> None:
    moved = tuple("x" if each == name else None for each in NAMES)
    assert kind_of(NOTHING, moved) is DiscrepancyKind.STALE


def test_other_values_at_the_same_moment_make_it_divergent() -> None:
    store, rest = values(entry__price_usd_pips=1), values(entry__price_usd_pips=2)
    assert kind_of(store, rest) is DiscrepancyKind.DIVERGENT
    assert kind_of(store, values(entry__price_usd_pips=2, status="closed")) is DiscrepancyKind.STALE


def test_values_are_told_as_text() -> None:
    store = values(entry__opened_at=datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC))
    rest = values(status="open", entry__price_usd_pips=-7)
    told = {each.field: each for each in differences(store, rest, closed=False)}
    assert told["entry.opened_at"].store_value == "2026-07-01T12:00:00.000005+00:00"
    assert told["entry.opened_at"].rest_value is None
    assert told["entry.price_usd_pips"].rest_value == "-7"
    assert told["status"].rest_value == "open"


def test_fees_count_only_once_they_are_final() -> None:
    store, rest = values(fees__total_fees_usd_pips=1), values(fees__total_fees_usd_pips=2)
    assert differences(store, rest, closed=False) == []
    assert [each.field for each in differences(store, rest, closed=True)] == [
        "fees.total_fees_usd_pips"
    ]


def test_a_number_of_units_may_be_longer_than_any_machine_word() -> None:
    units = 10**30 + 1
    index = NAMES.index("entry.position_token_units")
    row: list[object] = [None] * SIZE
    row[index] = Decimal(units)
    body = json.dumps({"entry": {"position_token_units": str(units)}}).encode()
    assert values_of_row(row) == read_body(body).values


@given(st.dictionaries(st.sampled_from([field.wire_name for field in FIELDS]), st.integers()))
def test_what_moves_with_the_market_is_never_a_difference(moves: dict[str, int]) -> None:
    body: dict[str, object] = {}
    for field in FIELDS:
        if field.wire_name in moves and field.durability is Durability.NEVER:
            section = body
            for key in field.path[:-1]:
                section = section.setdefault(key, {})  # type: ignore[assignment] # sections are objects
            section[field.path[-1]] = moves[field.wire_name]
    reading = read_body(json.dumps(body).encode())
    assert differences(NOTHING, reading.values, closed=True) == []


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null"])
def test_what_is_no_object_is_no_position(text: str) -> None:
    with pytest.raises(TypeError):
        read_body(text.encode())


def test_amounts_are_integers_on_both_sides() -> None:
    reading = read_body(b'{"entry":{"price_usd_pips":"12"},"risk":{"health_bps":7}}')
    for field, read in zip(DURABLE_FIELDS, reading.values, strict=True):
        if field.kind in {Kind.PIPS, Kind.BPS, Kind.UNITS}:
            assert read is None or type(read) is int
    assert 12 in reading.values
    assert 7 in reading.valuation


def test_an_instant_is_read_in_utc_and_cut_to_microseconds() -> None:
    body = b'{"result":{"closed_at":"2026-07-01T14:00:00.1234569+02:00"}}'
    expected = datetime(2026, 7, 1, 12, tzinfo=UTC) + timedelta(microseconds=123456)
    assert expected in read_body(body).values
