"""The unwinds and partial closes of positions that changed their size, over real HTTP."""

import json

import pytest

from positionstore.reconcile.report import RunState
from positionstore.sandbox.rest import ApiError
from positionstore.sandbox.world import Position

from .conftest import Opened

KEPT = "SELECT position_id, resource, problem, body::text FROM position_sub_resources"


def _fails(_: Position) -> str:
    raise ApiError(500, "internal_error", "Something went wrong.")


@pytest.mark.parametrize("api_key_lists", [True, False], ids=["partner", "wallet by wallet"])
async def test_each_change_of_size_gets_what_the_vendor_says_of_it(
    desk_of: Opened, api_key_lists: bool
) -> None:
    async with desk_of(api_key_lists=api_key_lists) as desk:
        await desk.serving.step(400)
        desk.hear()
        report = await desk.run()
        assert report.state is RunState.COMPLETE
        changed = {
            name
            for (name,) in desk.rows(
                "SELECT position_id FROM events"
                " WHERE type IN ('position.force_unwound', 'position.partial_closed')"
            )
        }
        kept = desk.rows(KEPT)
        assert {name for name, *_ in kept} == changed != set()
        for position_id, resource, problem, text in kept:
            position = desk.serving.world.get(position_id)
            assert position is not None
            assert problem is None
            items = position.unwinds if resource == "unwinds" else position.partial_closes
            assert json.loads(text)["data"] == [json.loads(each) for each in items]
        # What the vendor paid out, and why it unwound, is at the facts that show it.
        partly_closed = desk.rows(
            "SELECT average_sale_price_usd * 10000 = mark_price_usd_pips, user_payout_usd,"
            " realized_pnl_usd_pips IS NULL, changed_from"
            " FROM position_size_changes WHERE kind = 'partial_close'"
        )
        assert partly_closed
        assert {(row[0], row[2], row[3]) for row in partly_closed} == {
            (True, False, "sub_resource")
        }
        reasons = desk.rows("SELECT reason FROM position_size_changes WHERE kind = 'unwind'")
        assert reasons
        assert None not in {reason for (reason,) in reasons}


async def test_only_what_changed_since_is_asked_for_again(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(300)
        desk.hear()
        await desk.run()
        before = desk.rows("SELECT position_id, resource, asked_at FROM position_sub_resources")
        facts = desk.facts
        await desk.run()
        assert (
            desk.rows("SELECT position_id, resource, asked_at FROM position_sub_resources")
            == before
        )
        assert desk.facts == facts


async def test_a_list_that_fails_is_one_unresolved_and_is_asked_for_again(
    desk_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_of() as desk:
        await desk.serving.step(300)
        desk.hear()
        with monkeypatch.context() as patched:
            patched.setattr(Position, "render_unwinds", _fails)
            report = await desk.run()
        assert (report.state, report.exit_code) == (RunState.COMPLETE, 0)
        assert "lists of unwinds or partial closes could not be read" in report.notes[-1]
        assert report.retries
        again = await desk.run()
        assert again.notes == []
        assert desk.one("SELECT count(*) FROM position_sub_resources WHERE body IS NULL") == 0
        assert desk.one("SELECT count(problem) FROM position_sub_resources") == 0


async def test_what_is_no_list_goes_to_quarantine_once(
    desk_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_of() as desk:
        await desk.serving.step(300)
        desk.hear()
        monkeypatch.setattr(Position, "render_unwinds", lambda _: '{"data":{"no":"list"}}')
        report = await desk.run()
        assert report.state is RunState.COMPLETE
        unread = (
            "SELECT count(*) FROM position_sub_resources WHERE problem LIKE '%data is no list%'"
        )
        quarantined = "SELECT count(*) FROM quarantine WHERE source = 'rest'"
        assert desk.one(unread) == desk.one(quarantined) > 0
        await desk.run()
        assert desk.one(unread) == desk.one(quarantined)


async def test_a_dry_run_keeps_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(300)
        desk.hear()
        await desk.run(dry_run=True)
        assert desk.rows(KEPT) == []
