"""What the vendor sends in a form that no column holds is counted, told and an exit code."""

import json
from pathlib import Path

import httpx
import pytest
import structlog
from support.nightly import contents_of
from support.programs import programs_on
from support.scripted_api import Api, Body, named, page, position

from positionstore.nightly.report_html import page as html_page
from positionstore.reconcile.report import RunState, as_dict
from positionstore.store.database import Store


@pytest.fixture
def api(store_url: str) -> Api:
    return Api(Store(store_url, embedded=False))


def odd(number: int) -> Body:
    """A position whose pips are no integers."""
    body = position(number)
    body["entry"] = {**body["entry"], "notional_usd_pips": "12.0", "price_usd_pips": "0.5"}
    return body


async def test_invalid_fields_are_counted_told_and_an_exit_code(api: Api) -> None:
    api.bodies = [odd(1), odd(2), position(3)]
    with structlog.testing.capture_logs() as logs:
        report = await api.run()
    assert (report.state, report.exit_code) == (RunState.COMPLETE, 3)
    found = {each.field: (each.positions, list(each.examples)) for each in report.invalid_fields}
    both = (2, ["dm_pos_0001", "dm_pos_0002"])
    assert found == {"entry.notional_usd_pips": both, "entry.price_usd_pips": both}
    told = [line for line in logs if line["event"] == "invalid_fields"]
    assert [(line["log_level"], line["fields"]["entry.price_usd_pips"]) for line in told] == [
        ("warning", 2)
    ]
    listed = as_dict(report)["invalid_fields"]
    assert json.loads(json.dumps(listed))[0]["field"] == "entry.notional_usd_pips"
    contents = contents_of(report, invalid_fields=report.invalid_fields)
    written = html_page(contents)
    assert "Some amounts are missing" in written
    assert "entry.price_usd_pips" in written


async def test_they_are_told_until_they_are_gone(api: Api) -> None:
    api.bodies = [odd(1)]
    assert [(await api.run()).exit_code for _ in range(2)] == [3, 3]
    right = {"notional_usd_pips": "12", "price_usd_pips": "1"}
    api.bodies = [position(1, entry={**position(1)["entry"], **right})]
    api.now = api.now.replace(minute=api.now.minute + 5)
    report = await api.run()
    assert (report.exit_code, report.invalid_fields) == (0, [])


async def test_status_names_them(api: Api, store_url: str, tmp_path: Path) -> None:
    api.bodies = [odd(7)]
    await api.run()
    async with programs_on(store_url, tmp_path) as programs:
        told = (await programs.run("status", "--json")).json
        shown = " ".join((await programs.run("status")).out.split())
    assert told["invalid_fields"][1] == {
        "field": "entry.price_usd_pips",
        "positions": 1,
        "examples": ["dm_pos_0007"],
    }
    assert "entry.price_usd_pips in 1 position (dm_pos_0007)" in shown


async def test_an_item_that_is_no_position_is_in_quarantine_once_however_it_moves(
    api: Api,
) -> None:
    api.bodies = [position(1)]
    marks = iter(range(3))

    def answered(api: Api, request: httpx.Request) -> httpx.Response | None:
        if named(request) is not None or request.url.params.get("state") != "active":
            return None
        current = {"mark_price_usd_pips": str(next(marks))}
        odd_one: Body = {"id": "dm_pos_odd", "status": 7, "current": current}
        nameless: Body = {"status": "open", "wallet_address": "0xa", "current": current}
        return page([*api.bodies, odd_one, nameless, {"status": "open"}], more=False)

    api.answer = answered
    for _ in range(3):
        await api.run()
    assert api.rows("SELECT count(*), count(DISTINCT digest) FROM quarantine") == [(3, 3)]


@pytest.mark.parametrize(
    ("answer", "level"), [("nothing", "error"), ("half", "warning"), ("all", "info")]
)
async def test_a_run_is_logged_as_loud_as_it_ended(api: Api, answer: str, level: str) -> None:
    api.bodies = [position(number) for number in range(150)]

    def answered(_: Api, request: httpx.Request) -> httpx.Response | None:
        later = "starting_after" in request.url.params
        broken = answer == "nothing" or (answer == "half" and later)
        return httpx.Response(500) if broken else None

    api.answer = answered
    with structlog.testing.capture_logs() as logs:
        await api.run()
    (told,) = [line for line in logs if line["event"] == "reconciled"]
    assert told["log_level"] == level
