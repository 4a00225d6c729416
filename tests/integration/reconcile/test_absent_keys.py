"""A key that a body lacks erases nothing; one that is null does, and so does another shape."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from psycopg.rows import dict_row
from support.scripted_api import Api, Body, named, position

from positionstore.model.fields import FIELDS
from positionstore.reconcile.report import RunState
from positionstore.sandbox import World
from positionstore.store.database import Store
from positionstore.store.projection import verify

UNITS = "SELECT current_position_token_units::int, entry_leverage_bps FROM positions"
SNAPSHOTS = """
    SELECT envelope #> '{data,current}', envelope -> 'carried'
    FROM events WHERE source = 'rest' ORDER BY seq
"""


@pytest.fixture
def api(store_url: str) -> Iterator[Api]:
    api = Api(Store(store_url, embedded=False))
    yield api
    with closing(api.store.connect()) as connection:
        assert verify(connection) == [], "the fold is a function of the facts alone"


def without_units(number: int, **entry: object) -> Body:
    body = position(number)
    del body["current"]["position_token_units"]
    body["entry"] |= entry
    return body


def asked_for(api: Api) -> list[str]:
    return [name for request in api.requests if (name := named(request)) is not None]


async def test_a_key_that_a_list_lacks_is_no_difference(api: Api) -> None:
    api.hear([position(1)])
    api.bodies = [without_units(1)]
    report = await api.run()
    assert (report.state, report.discrepancies, asked_for(api)) == (RunState.COMPLETE, [], [])
    assert api.rows(UNITS) == [(1, 20_000)]
    assert api.rows("SELECT count(*) FROM positions WHERE verified_at IS NOT NULL") == [(1,)]


async def test_what_a_list_lacks_is_asked_for_before_a_repair(api: Api) -> None:
    api.hear([position(1)])
    api.bodies = [position(1)]
    api.bodies[0]["entry"]["leverage_bps"] = 30_000
    shorter = without_units(1, leverage_bps=30_000)

    def list_less(_: Api, request: httpx.Request) -> httpx.Response | None:
        if named(request) or request.url.params.get("state") == "inactive":
            return None
        return httpx.Response(200, json={"data": [shorter], "has_more": False})

    api.answer = list_less
    report = await api.run()
    (found,) = report.discrepancies
    assert [each.field for each in found.fields] == ["entry.leverage_bps"]
    assert (report.repaired, asked_for(api)) == (1, ["dm_pos_0001"])
    assert api.rows(UNITS) == [(1, 30_000)]
    ((current, carried),) = api.rows(SNAPSHOTS)
    assert (current["position_token_units"], carried) == ("1", None)
    assert (await api.run()).discrepancies == []


async def test_what_nobody_tells_is_carried_and_the_body_stays_the_wires(api: Api) -> None:
    api.hear([position(1)])
    api.bodies = [without_units(1, leverage_bps=30_000)]
    report = await api.run()
    assert (report.repaired, asked_for(api)) == (1, ["dm_pos_0001"])
    assert api.rows(UNITS) == [(1, 30_000)]
    assert api.rows(SNAPSHOTS) == [
        ({"remaining_bps": 10_000}, {"current": {"position_token_units": "1"}})
    ]
    assert api.rows("SELECT data -> 'current' FROM positions") == [({"remaining_bps": 10_000},)]
    assert (await api.run()).discrepancies == []
    # It is carried on from one snapshot to the next.
    api.bodies = [without_units(1, leverage_bps=40_000)]
    assert (await api.run()).repaired == 1
    assert api.rows(UNITS) == [(1, 40_000)]
    assert (await api.run()).discrepancies == []


async def test_a_key_that_is_null_is_a_value(api: Api) -> None:
    api.hear([position(1)])
    api.bodies = [without_units(1)]
    api.bodies[0]["current"]["position_token_units"] = None
    report = await api.run()
    assert [each.field for each in report.discrepancies[0].fields] == [
        "current.position_token_units"
    ]
    assert (report.repaired, asked_for(api)) == (1, [])
    assert api.rows(UNITS) == [(None, 20_000)]


async def test_a_section_that_a_body_lacks_erases_nothing(api: Api) -> None:
    api.hear([position(1)])
    api.bodies = [position(1, market_ticker="N")]
    del api.bodies[0]["entry"]
    assert (await api.run()).repaired == 1
    assert api.rows("SELECT market_ticker, entry_collateral_usd_pips FROM positions") == [
        ("N", 10_000)
    ]


async def test_what_a_shape_does_not_have_goes(api: Api) -> None:
    api.hear([position(1), position(2, "closed", close_reason="closed")])
    api.bodies = [position(1, "closed"), position(2)]
    assert (await api.run()).repaired == 2
    assert api.rows(
        "SELECT status, current_position_token_units::int, result_proceeds_usd_pips, close_reason"
        " FROM positions ORDER BY position_id"
    ) == [("closed", None, 5, None), ("open", 2, None, None)]
    assert api.rows("SELECT count(*) FROM events WHERE envelope -> 'carried' IS NOT NULL") == [(0,)]
    assert (await api.run()).discrepancies == []


def row_of(api: Api) -> dict[str, Any]:
    with closing(api.store.connect()) as connection:
        row = connection.cursor(row_factory=dict_row).execute("SELECT * FROM positions").fetchone()
        assert row is not None
        return {field.column: row[field.column] for field in FIELDS}


def shapes() -> dict[bool, Body]:
    """A body of each shape, with all that the sandbox can say of one."""
    world = World(seed=11, positions=60)
    fullest: dict[bool, Body] = {}
    for _ in range(3_000):
        body = json.loads(world.step().envelope)["data"]
        ended = "result" in body
        if len(json.dumps(body)) > len(json.dumps(fullest.get(ended, ""))):
            fullest[ended] = body
    return fullest


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
async def test_every_field_is_carried_as_it_is(api: Api, ended: bool) -> None:
    body = shapes()[ended]
    api.hear([body])
    before = row_of(api)
    assert sum(value is not None for value in before.values()) > 25
    api.bodies = [{"id": body["id"], "status": body["status"], "market_ticker": "ANOTHER"}]
    assert (await api.run()).repaired == 1
    by_shape = ("current_", "risk_", "timing_") if ended else ("result_", "close_", "failure_")
    assert row_of(api) == {
        column: None if column.startswith(by_shape) else value
        for column, value in (before | {"market_ticker": "ANOTHER"}).items()
    }
    assert (await api.run()).discrepancies == []
