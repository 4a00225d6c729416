"""The fold of a lake by another engine is what PostgreSQL shows and what the oracle says."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.histories import (
    Arrival,
    deliveries,
    histories,
    ids_of,
    moments,
    receptions,
)
from support.lakes import Desk, desk, digest, needs_spark, states
from support.oracle import Rules
from support.profiles import tries

from positionstore.lake.names import EngineName
from positionstore.store.appender import Appender
from positionstore.store.database import Store

RULES = Rules()
LIKE_POSTGRES = (
    "place, seq, event_id, type, status, phase, created_at, received_at, source,"
    " supersedes_before, out_of_order, overruled, won, retracted_by"
)
ODD = st.fixed_dictionaries(
    {},
    optional={
        "wallet_address": st.sampled_from(["0xABcd", "0xabcd", "base58Q", 7, None, "\U0001f41b"]),
        "market_title": st.sampled_from(["Will it?", "a,b", '"\\', "\u0000", "", None, ["x"]]),
        "current": st.sampled_from(
            [
                None,
                7,
                {"mark_price_usd_pips": "9223372036854775807", "position_token_units": "9" * 38},
                {"mark_price_usd_pips": -1, "position_token_units": "-" + "9" * 38},
                {"mark_price_usd_pips": "9223372036854775808", "position_token_units": "9" * 39},
                {"mark_price_usd_pips": 1.5, "remaining_bps": "007"},
            ]
        ),
        "timing": st.sampled_from(
            [
                {"market_close_time": "2026-07-01T12:00:00.9999999Z", "is_voided": True},
                {"market_close_time": "0001-01-01T00:00:00Z", "is_voided": "true"},
                {"market_close_time": "9999-12-31T23:59:59.999999Z", "is_voided": None},
                {"market_close_time": "1582-10-10T00:00:00+05:30"},
            ]
        ),
    },
)


@pytest.fixture(
    scope="module", params=[EngineName.DUCKDB, pytest.param(EngineName.SPARK, marks=needs_spark())]
)
def beside(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    place: Path = tmp_path_factory.mktemp("lakes") / "lake"
    with desk(store, place, request.param) as made:
        yield made


@pytest.fixture(scope="module")
def appender(store: Store) -> Iterator[Appender]:
    with closing(store.connect()) as connection:
        yield Appender(connection)


def drawn_history(data: st.DataObject, appender: Appender, beside: Desk) -> list[Arrival]:
    history = data.draw(histories(positions=6, bodies=ODD))
    for batch in data.draw(deliveries(history)):
        batch.append(appender)
    beside.feed(increment=data.draw(st.sampled_from([3, 1000])))
    return history


def of(some: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    return {name: state for name, state in some.items() if name in ids}


@tries(10)
@given(st.data())
def test_positions_are_the_same_rows_to_the_digest(
    beside: Desk, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender, beside)
    folded, stored = beside.positions(), beside.stored("positions")
    assert of(states(folded), ids_of(history)) == RULES.fold(each.fact for each in history)
    assert folded.num_rows == stored.num_rows
    assert digest(folded) == digest(stored)
    proof = beside.verify()
    assert (proof.differences, proof.findings, proof.changed_since) == ([], [], 0)
    assert proof.compared == stored.num_rows


@tries(10)
@given(st.data())
def test_positions_of_a_moment_are_the_same_rows_to_the_digest(
    beside: Desk, appender: Appender, data: st.DataObject
) -> None:
    history = drawn_history(data, appender, beside)
    valid_at: datetime = data.draw(moments)
    known_at: datetime = data.draw(receptions)
    folded = beside.positions(valid_at=valid_at, known_at=known_at)
    stored = beside.stored(f"positions_as_of('{valid_at}', '{known_at}')")
    assert of(states(folded), ids_of(history)) == RULES.fold(
        each.fact
        for each in history
        if each.received_at <= known_at
        and (each.fact.retracts is not None or each.fact.created_at <= valid_at)
    )
    assert digest(folded) == digest(stored)


@tries(6)
@given(st.data())
def test_the_timeline_is_the_same(beside: Desk, appender: Appender, data: st.DataObject) -> None:
    history = drawn_history(data, appender, beside)
    with closing(beside.store.connect()) as connection:
        for position_id in ids_of(history):
            wanted = connection.execute(
                f"SELECT position_id, {LIKE_POSTGRES} FROM position_timeline"
                " WHERE position_id = %s ORDER BY place",
                [position_id],
            ).fetchall()
            found = beside.timeline(position_id)
            assert [tuple(row.values()) for row in found] == wanted
