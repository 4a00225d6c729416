"""A clock that is wrong freezes no position: the API's, a cache's, or ours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from support.reconciling import Desk

from positionstore.model.facts import Retraction, Snapshot
from positionstore.reconcile.report import Resolution, RunState
from positionstore.store.appender import Appender
from positionstore.store.projection import verify

from .conftest import Opened

MINUTE = 60.0
YEAR_2040 = datetime(2040, 1, 1, tzinfo=UTC)
SAID = "Sun, 01 Jan 2040 00:00:00 GMT"
Headers = httpx.Headers


def shifted(by: timedelta) -> Callable[[httpx.Request, Headers], None]:
    """Every answer's clock is off by so much."""

    def change(_: httpx.Request, headers: Headers) -> None:
        told = datetime.strptime(headers["Date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        headers["Date"] = format_datetime(told + by, usegmt=True)

    return change


def says_2040(_: httpx.Request, headers: Headers) -> None:
    headers["Date"] = SAID


def is_single(request: httpx.Request) -> bool:
    return "/positions/" in request.url.path


async def settled(desk: Desk, *, losing: float = 0.2, steps: int = 600) -> None:
    """Let events be lost, and everything be older than the settle window."""
    await desk.serving.step(steps)
    desk.hear(losing=losing)
    await desk.serving.quiet()
    await desk.serving.advance(2 * MINUTE)


async def known(desk: Desk) -> None:
    """A complete run, from which the server's clock is known."""
    assert (await desk.run()).state is RunState.COMPLETE


def stamped_ahead(desk: Desk) -> int:
    """How many snapshots are dated later than our clock was when they were appended."""
    return int(
        desk.one("SELECT count(*) FROM events WHERE source = 'rest' AND created_at > received_at")
    )


async def heals(desk: Desk) -> None:
    """With right clocks, runs end every difference, and then append nothing."""
    desk.change = None
    await desk.run()
    report = await desk.run()
    assert (report.state, report.exit_code) == (RunState.COMPLETE, 0)
    assert desk.wrong() == {}
    facts = desk.facts
    assert (await desk.run()).discrepancies == []
    assert desk.facts == facts
    with desk.store.connect() as connection:
        assert verify(connection) == []


async def test_one_answer_with_a_wrong_clock_is_asked_for_again(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)
        await known(desk)
        await settled(desk)
        asked: list[httpx.URL] = []

        def once(request: httpx.Request, headers: Headers) -> None:
            if "state" not in request.url.params:
                return
            asked.append(request.url)
            if len(asked) == 1:
                headers["Date"] = SAID

        desk.change = once
        report = await desk.run()
        assert (report.state, report.errors, report.retries) == (RunState.COMPLETE, [], 1)
        assert asked[0] == asked[1]
        assert desk.wrong() == {}
        assert stamped_ahead(desk) == 0


async def test_answers_that_are_ahead_of_the_known_clock_append_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)
        await known(desk)
        await settled(desk)
        before, facts = desk.wrong(), desk.facts
        assert before
        desk.change = shifted(timedelta(minutes=10))
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        assert (desk.facts, desk.wrong()) == (facts, before)
        (error,) = [each for each in report.errors if "doubtful Date" in each]
        assert "10 minutes ahead" in error
        assert f"{desk.clock():%F}" in error
        assert "\n" not in error
        await heals(desk)


async def test_a_clock_that_is_behind_dates_snapshots_too_early_and_loses_to_events(
    desk_of: Opened,
) -> None:
    async with desk_of() as desk:
        await settled(desk)
        await known(desk)
        await settled(desk)
        before = desk.snapshots
        desk.change = shifted(-timedelta(minutes=10))
        report = await desk.run()
        assert report.state is RunState.COMPLETE
        assert report.retries == 2  # it was asked for again, and stayed so
        assert desk.snapshots - before == report.repaired
        facts = desk.facts
        again = await desk.run()
        assert (again.repaired, desk.facts) == (0, facts)
        await heals(desk)


async def test_a_page_that_is_older_than_the_one_before_it_is_not_believed(desk_of: Opened) -> None:
    async with desk_of(positions=250) as desk:
        await settled(desk)
        back = shifted(-timedelta(minutes=10))

        def second_pages(request: httpx.Request, headers: Headers) -> None:
            if "starting_after" in request.url.params:
                back(request, headers)

        desk.change = second_pages
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        assert any("10 minutes behind" in each for each in report.errors)
        assert desk.wrong() == {}
        await heals(desk)


async def test_a_close_after_a_run_with_a_fast_clock_is_not_lost(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)
        desk.change = shifted(timedelta(minutes=10))
        first = await desk.run()
        assert first.state is not RunState.COMPLETE  # ours, or theirs? it cannot know
        assert desk.snapshots == 0
        second = (
            await desk.run()
        )  # the clocks differ as they did: the snapshots bear the time of ours
        assert second.state is RunState.COMPLETE
        assert (desk.wrong(), stamped_ahead(desk)) == ({}, 0)
        desk.change = None
        desk.serving.resume()
        await desk.serving.step(300)
        desk.hear()
        assert desk.wrong() == {}


async def test_a_server_that_always_says_2040_freezes_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)
        desk.change = says_2040
        for _ in range(4):
            await desk.run()
            assert stamped_ahead(desk) == 0
        facts = desk.facts
        await desk.run()
        assert desk.facts == facts
        desk.serving.resume()
        await settled(desk, losing=0)
        assert desk.wrong() == {}
        await heals(desk)


async def test_a_clock_that_jumps_between_pages_spoils_those_pages_alone(desk_of: Opened) -> None:
    async with desk_of(positions=250) as desk:
        await settled(desk)
        await known(desk)
        await settled(desk)
        before = desk.wrong()

        def second_pages(request: httpx.Request, headers: Headers) -> None:
            if "starting_after" in request.url.params:
                headers["Date"] = SAID

        desk.change = second_pages
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        assert any("2040-01-01" in each and "doubtful Date" in each for each in report.errors)
        assert stamped_ahead(desk) == 0
        # What differs on them is asked for by its id, and those answers are believed.
        assert desk.wrong() == {} != before
        await heals(desk)


async def test_a_single_look_up_with_a_wrong_clock_overrules_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk, losing=0)
        await known(desk)
        position_id = desk.live_ids()[0]
        body = {**desk.serving.world.truth(0)[position_id], "status": "closed"}
        event = {"id": "evt_undone", "type": "position.closed", "data": body}
        created_at = (desk.serving.now() - timedelta(minutes=5)).isoformat()
        desk.append_objects([{**event, "created_at": created_at}])
        facts = desk.facts

        def single(request: httpx.Request, headers: Headers) -> None:
            if is_single(request):
                headers["Date"] = SAID

        desk.change = single
        report = await desk.run()
        assert (report.state, desk.facts) == (RunState.PARTIAL, facts)
        assert len([each for each in report.errors if "doubtful Date" in each]) == 1
        await heals(desk)


async def test_an_answer_from_a_cache_is_not_taken_for_a_new_one(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)
        facts = desk.facts

        def cached(_: httpx.Request, headers: Headers) -> None:
            headers["Age"] = "600"

        desk.change = cached
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        assert desk.facts == facts
        assert any("from a cache" in each for each in report.errors)
        await heals(desk)


async def test_without_a_date_nothing_is_stamped_later_than_our_clock(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk)

        def none(_: httpx.Request, headers: Headers) -> None:
            del headers["Date"]

        desk.change = none
        report = await desk.run()
        assert (report.state, report.clock_offset) == (RunState.COMPLETE, None)
        assert (desk.wrong(), stamped_ahead(desk)) == ({}, 0)


@pytest.mark.parametrize("hours", [3, -3], ids=["put forward", "put back"])
async def test_our_clock_may_be_set_between_runs(desk_of: Opened, hours: int) -> None:
    async with desk_of() as desk:
        await settled(desk)
        await known(desk)
        desk.ahead = timedelta(hours=hours)
        await settled(desk)
        facts = desk.facts
        if hours < 0:  # the server is ahead of it now: it may be wrong, or we are
            first = await desk.run()
            assert (first.state, desk.facts) == (RunState.PARTIAL, facts)
            assert any("3 hours ahead" in each for each in first.errors)
        second = await desk.run()
        assert second.state is RunState.COMPLETE
        assert stamped_ahead(desk) == 0
        desk.ahead = timedelta()
        await heals(desk)


async def test_a_position_frozen_by_a_stored_snapshot_gets_no_further_ones(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await settled(desk, losing=0)
        position_id = desk.live_ids()[0]
        truth = desk.serving.world.truth(0)[position_id]
        body = desk.bytes_of({**truth, "status": "closing"})
        frozen = Snapshot(position_id, "closing", YEAR_2040, YEAR_2040, body)
        with desk.store.connect() as connection:
            Appender(connection).append_snapshots([frozen], desk.clock())
        facts = desk.facts
        for _ in range(3):
            report = await desk.run()
            assert (report.state, report.exit_code) == (RunState.COMPLETE, 3)
            assert [each.resolution for each in report.discrepancies] == [Resolution.UNRESOLVED]
            (note,) = report.notes
            assert f"positionstore retract {frozen.event_id} --reason" in note
            assert "2040-01-01 00:00:00 UTC" in note
            assert desk.facts == facts
        with desk.store.connect() as connection:
            Appender(connection).append_retractions(
                [Retraction(position_id, frozen.event_id, "a wrong clock", desk.clock())],
                desk.clock(),
            )
        report = await desk.run()
        assert (report.exit_code, report.notes, desk.wrong()) == (0, [], {})
