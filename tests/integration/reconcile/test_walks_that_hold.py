"""A walk goes on to its end, whatever one row, one page or one position does."""

import httpx
import pytest
from support.scripted_api import Api, Body, lists_of, named, page, position, refusal

from positionstore.reconcile.backfill import Backfill, BackfillRequest, What
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import Resolution, RunState
from positionstore.settings import Settings
from positionstore.store.database import Store


@pytest.fixture
def api(store_url: str) -> Api:
    return Api(Store(store_url, embedded=False))


def ended(body: Body) -> Body:
    return position(int(body["id"][-4:]), "closed")


def known(api: Api) -> set[str]:
    return {name for (name,) in api.rows("SELECT position_id FROM positions")}


# --- a cursor whose row has left the list


@pytest.mark.parametrize("leaving", [1, 3, 100], ids=["the last", "the last three", "all of them"])
async def test_a_cursor_whose_row_left_the_list_leads_back_and_on(api: Api, leaving: int) -> None:
    api.bodies = [position(number) for number in range(250)]
    gone = {position(number)["id"] for number in range(100 - leaving, 100)}

    def leave(api: Api, request: httpx.Request) -> None:
        if request.url.params.get("starting_after") == "dm_pos_0099":
            api.bodies = [ended(each) if each["id"] in gone else each for each in api.bodies]

    api.answer = leave
    report = await api.run()
    assert (report.state, report.exit_code, report.errors) == (RunState.COMPLETE, 0, [])
    assert known(api) == {each["id"] for each in api.bodies}
    assert dict(api.rows("SELECT status, count(*) FROM positions GROUP BY 1")) == {
        "open": 250 - leaving,
        "closed": leaving,
    }
    assert len(lists_of(api)) <= 12


async def test_an_api_that_knows_no_cursor_is_not_asked_for_ever(api: Api) -> None:
    api.bodies = [position(number) for number in range(250)]

    def forget(_: Api, request: httpx.Request) -> httpx.Response | None:
        return refusal(400, "INVALID_CURSOR") if "starting_after" in request.url.params else None

    api.answer = forget
    report = await api.run()
    assert report.state is RunState.PARTIAL
    assert "INVALID_CURSOR" in str(report.error)
    assert len(known(api)) == 100
    assert len(api.requests) < 50


async def test_a_stored_cursor_whose_row_left_the_list_begins_it_again(api: Api) -> None:
    api.bodies = [position(number) for number in range(250)]
    broken = True

    def fail(_: Api, request: httpx.Request) -> httpx.Response | None:
        fails = broken and request.url.params.get("starting_after") == "dm_pos_0199"
        return refusal(500) if fails else None

    api.answer = fail

    def backfill() -> Backfill:
        def between(settings: Settings, store: Store):  # type: ignore[no-untyped-def] # a double
            return api.reconciler(settings, store)

        return Backfill(api.settings(), api.store, clock=lambda: api.now, reconciler=between)

    first = await backfill().run(BackfillRequest(What.ALL))
    assert first.exit_code == 1
    broken = False
    api.bodies[199] = ended(api.bodies[199])
    second = await backfill().run(BackfillRequest(What.ALL))
    assert second.went_on is not None
    assert (second.exit_code, second.reports[0].errors) == (0, [])
    assert len(known(api)) == 250
    assert api.rows("SELECT count(*) FROM backfills WHERE finished_at IS NULL") == [(0,)]


# --- pages that contradict each other


async def test_an_empty_page_where_more_were_promised_is_asked_for_again(api: Api) -> None:
    api.bodies = [position(number) for number in range(250)]

    def empty_once(api: Api, request: httpx.Request) -> httpx.Response | None:
        is_first = lists_of(api).count("dm_pos_0099") == 1
        is_it = request.url.params.get("starting_after") == "dm_pos_0099"
        return page([], more=False) if is_it and is_first else None

    api.answer = empty_once
    report = await api.run()
    assert (report.state, report.seen, len(known(api))) == (RunState.COMPLETE, 250, 250)


@pytest.mark.parametrize("more", [True, False])
async def test_a_list_that_stays_empty_where_more_were_promised_is_partial(
    api: Api, more: bool
) -> None:
    api.bodies = [position(number) for number in range(250)]

    def empty(_: Api, request: httpx.Request) -> httpx.Response | None:
        return page([], more=more) if "starting_after" in request.url.params else None

    api.answer = empty
    report = await api.run()
    assert (report.state, report.seen, report.exit_code) == (RunState.PARTIAL, 100, 1)
    assert "The active positions were not all seen" in str(report.error)
    assert len(api.requests) < 12


async def test_a_list_whose_rest_has_just_left_it_is_whole(api: Api) -> None:
    api.bodies = [position(number) for number in range(130)]

    def leave(api: Api, request: httpx.Request) -> None:
        if request.url.params.get("starting_after") == "dm_pos_0099":
            api.bodies[100:] = [ended(each) for each in api.bodies[100:]]

    api.answer = leave
    report = await api.run()
    assert (report.state, report.errors, len(known(api))) == (RunState.COMPLETE, [], 130)


@pytest.mark.parametrize("more", [True, False])
async def test_a_page_that_is_shown_again_is_partial(api: Api, more: bool) -> None:
    """As from a cache that looks at the path alone: today's last page is yesterday's first."""
    api.bodies = [position(number) for number in range(250)]

    def first_page(api: Api, request: httpx.Request) -> httpx.Response | None:
        if named(request) is None and request.url.params.get("state") == "active":
            is_first = "starting_after" not in request.url.params
            return page(api.bodies[:100], more=more or is_first)
        return None

    api.answer = first_page
    report = await api.run()
    assert (report.state, len(known(api))) == (RunState.PARTIAL, 100)
    assert "does not advance" in str(report.error)
    assert len(api.requests) < 10


async def test_a_circle_of_cursors_is_partial(api: Api) -> None:
    api.bodies = [position(number) for number in range(300)]

    def circle(api: Api, request: httpx.Request) -> httpx.Response | None:
        after = request.url.params.get("starting_after")
        return page(api.bodies[:100], more=True) if after == "dm_pos_0199" else None

    api.answer = circle
    report = await api.run()
    assert (report.state, len(known(api))) == (RunState.PARTIAL, 200)
    assert "does not advance" in str(report.error)


# --- one position that cannot be had

UNREADABLE = {
    "403": lambda: refusal(403, "forbidden"),
    "404 of a proxy": lambda: httpx.Response(404, html="<html>Not here</html>"),
    "no position": lambda: httpx.Response(200, json={"message": "try later"}),
    "another": lambda: httpx.Response(200, json=position(9999)),
    "html": lambda: httpx.Response(200, html="<html>Please wait</html>"),
    "418": lambda: httpx.Response(418),
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_one_position_that_cannot_be_read_is_unresolved_and_the_rest_repaired(
    api: Api, what: str
) -> None:
    api.bodies = [position(number) for number in range(150)]
    missing, hidden = position(700), position(701)
    api.hear([*api.bodies[:100], missing, hidden])
    api.bodies.append(ended(missing))

    def hide(_: Api, request: httpx.Request) -> httpx.Response | None:
        return UNREADABLE[what]() if named(request) == hidden["id"] else None

    api.answer = hide
    report = await api.run()
    assert (report.state, report.exit_code, report.errors) == (RunState.COMPLETE, 3, [])
    assert (report.repaired, report.unresolved) == (51, 1)
    [left] = [each for each in report.discrepancies if each.resolution is Resolution.UNRESOLVED]
    assert (left.position_id, left.kind) == (hidden["id"], DiscrepancyKind.UNREADABLE)
    assert "DIMES_API_KEY" not in str(left.fields[0].rest_value)
    assert api.rows("SELECT kind, resolution FROM discrepancies WHERE position_id = %s",
                    [hidden["id"]]) == [("unreadable", "unresolved")]  # fmt: skip
    assert api.rows("SELECT status FROM positions WHERE position_id = %s", [hidden["id"]]) == [
        ("open",)
    ]
    # It is said by each run, and never called an absence.
    again = await api.run()
    assert (again.state, again.repaired, again.unresolved) == (RunState.COMPLETE, 0, 1)


@pytest.mark.parametrize("status", [404, 410])
async def test_what_the_api_says_is_gone_is_an_absence(api: Api, status: int) -> None:
    api.bodies = [position(number) for number in range(3)]
    gone = position(800)
    api.hear([*api.bodies, gone])
    api.answer = lambda _, request: refusal(status) if named(request) == gone["id"] else None
    report = await api.run()
    assert (report.state, report.exit_code) == (RunState.COMPLETE, 3)
    assert report.by_kind == {DiscrepancyKind.ABSENT_UPSTREAM: 1}


async def test_many_that_cannot_be_read_do_not_end_the_run(api: Api) -> None:
    """Each was answered at once: that is no outage."""
    api.bodies = [position(number) for number in range(5)]
    hidden = [position(number) for number in range(800, 830)]
    api.hear([*api.bodies, *hidden])
    names = {each["id"] for each in hidden}
    api.answer = lambda _, request: refusal(403) if named(request) in names else None
    report = await api.run()
    assert (report.state, report.unresolved, report.errors) == (RunState.COMPLETE, 30, [])


async def test_an_empty_list_is_not_believed_where_nobody_can_be_asked(api: Api) -> None:
    api.hear([position(number) for number in range(20)])
    api.answer = lambda _, request: None if named(request) is None else refusal(403)
    report = await api.run()
    assert (report.state, api.rows("SELECT count(*) FROM positions WHERE phase = 'live'")) == (
        RunState.FAILED,
        [(20,)],
    )


async def test_a_500_of_one_position_is_a_failed_read_and_no_finding(api: Api) -> None:
    api.bodies = [position(number) for number in range(3)]
    hidden = position(800)
    api.hear([*api.bodies, hidden])
    api.answer = lambda _, request: refusal(500) if named(request) == hidden["id"] else None
    report = await api.run()
    assert (report.state, report.unresolved) == (RunState.PARTIAL, 0)
    assert f"{hidden['id']} was not seen" in str(report.error)
