"""What a run finds and does, with the world at rest and in every trouble."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from support.reconciling import Desk, busy, events_of
from support.waiting import DEADLINE

from positionstore.dimes import rest
from positionstore.dimes.rest import Page, RestClient
from positionstore.errors import (
    BusyError,
    DatabaseUnavailableError,
    GatewayError,
    WrongEnvironmentError,
)
from positionstore.model.fields import VALUATION_FIELDS, Field, Kind
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.findings import Findings
from positionstore.reconcile.reconciler import Reconciler, Resumption
from positionstore.reconcile.report import Resolution, RunReport, RunState
from positionstore.reconcile.run import GRACE
from positionstore.reconcile.scope import MARGIN, Scope, Trigger
from positionstore.reconcile.store_side import Mismatch
from positionstore.settings import Environment
from positionstore.store import identity
from positionstore.store import runs as records
from positionstore.store.projection import verify

from .conftest import Opened

MINUTE = 60.0


async def at_rest(desk: Desk) -> None:
    """Let the stream be quiet, and everything in it older than the settle window."""
    await desk.serving.quiet()
    await desk.serving.advance(2 * MINUTE)


async def repaired_and_stays_so(desk: Desk) -> RunReport:
    """Do a run that repairs everything, and one that finds nothing left to do."""
    first = await desk.run()
    assert (first.state, first.exit_code, first.errors) == (RunState.COMPLETE, 0, [])
    assert desk.wrong() == {}
    facts = desk.facts
    second = await desk.run()
    assert (second.state, second.exit_code) == (RunState.COMPLETE, 0)
    assert second.discrepancies == []
    assert desk.facts == facts
    return first


@pytest.mark.parametrize("api_key_lists", [True, False], ids=["partner", "wallet by wallet"])
async def test_what_was_lost_is_repaired_once(desk_of: Opened, api_key_lists: bool) -> None:
    async with desk_of(api_key_lists=api_key_lists) as desk:
        await desk.serving.step(1500)
        desk.hear(losing=0.2)
        await at_rest(desk)
        before = desk.wrong()
        assert len(before) > 30
        report = await repaired_and_stays_so(desk)
        assert report.repaired == len(before) == desk.snapshots
        assert report.reach == ("partner" if api_key_lists else "wallets")
        assert {each.position_id for each in report.discrepancies} == before.keys()
        missing = {key for key, fields in before.items() if "" in fields}
        assert report.by_kind[DiscrepancyKind.MISSING] == len(missing)
        with desk.store.connect() as connection:
            assert verify(connection) == []


async def test_a_store_that_heard_everything_differs_in_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(1500)
        desk.hear()
        report = await desk.run()
        assert (report.exit_code, report.discrepancies, desk.snapshots) == (0, [], 0)
        assert desk.slept == []
        # As soon as it is looked at, prices have moved: that is no difference.
        await at_rest(desk)
        assert (await desk.run()).discrepancies == []


async def test_each_difference_is_recorded_field_by_field(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(800)
        desk.hear(losing=0.2)
        await at_rest(desk)
        before = desk.wrong()
        report = await desk.run()
        found = desk.rows(
            "SELECT position_id, field, kind, resolution, store_value, rest_value"
            " FROM discrepancies WHERE run_id = %s",
            [report.run_id],
        )
        by_position: dict[str, set[str]] = {}
        for position_id, name, *_ in found:
            by_position.setdefault(position_id, set()).add(name)
        assert by_position == {key: set(fields) for key, fields in before.items()}
        assert {row[3] for row in found} == {"repaired"}
        for position_id, name, kind, _, store_value, rest_value in found:
            if name == "status":
                assert (store_value, rest_value) == before[position_id]["status"]
                assert kind == "stale"
            if name == "":
                assert kind == "missing"
        (row,) = desk.rows(
            "SELECT state, reach, seen, missing + stale + divergent, repaired, unresolved, error,"
            " requests, as_of <= started_at, duration IS NOT NULL, scope, trigger"
            " FROM reconciliation_runs"
        )
        assert row == (
            "complete", "partner", report.seen, len(before), len(before), 0, None,
            report.requests, True, True, "full", "command",
        )  # fmt: skip


async def test_every_row_that_was_seen_and_is_right_is_verified(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(600)
        desk.hear(losing=0.1)
        await at_rest(desk)
        report = await desk.run()
        assert report.as_of is not None
        assert desk.rows(
            "SELECT count(*), min(verified_at) >= %s FROM positions WHERE verified_at IS NOT NULL",
            [report.as_of],
        ) == [(desk.one("SELECT count(*) FROM positions"), True)]


async def test_a_row_that_changed_since_it_was_compared_is_not_called_verified(
    desk_of: Opened,
) -> None:
    async with desk_of() as desk:
        await desk.serving.step(300)
        desk.hear()
        desk.rows("UPDATE positions SET last_event_id = 'evt_other' RETURNING 1")
        from positionstore.store import runs as records  # noqa: PLC0415 - only here

        (position_id,) = desk.rows("SELECT position_id FROM positions LIMIT 1")[0]
        with desk.store.connect() as connection, connection.transaction():
            records.mark_verified(
                connection,
                [records.Verified(position_id, "evt_seen", desk.clock())],
            )
        assert desk.one("SELECT count(*) FROM positions WHERE verified_at IS NOT NULL") == 0


def told_of(body: Mapping[str, object], field: Field) -> object:
    """Return what a body tells of a field, as the column of a valuation has it."""
    section = body[field.section] if field.section else body
    assert isinstance(section, dict)
    value = section.get(field.path[-1])
    if isinstance(value, str) and field.kind is Kind.TIME:
        return datetime.fromisoformat(value)
    return int(value) if isinstance(value, str) and field.kind is not Kind.TEXT else value


async def test_the_latest_valuation_is_of_every_live_position_and_of_no_other(
    desk_of: Opened,
) -> None:
    async with desk_of() as desk:
        await desk.serving.step(600)
        desk.hear(losing=0.1)
        await at_rest(desk)
        await desk.run()
        facts = desk.facts
        await desk.serving.advance(MINUTE)
        await desk.run()
        truth = desk.serving.world.truth(0)
        names = ", ".join(field.path[-1] for field in VALUATION_FIELDS)
        found = {
            row[0]: row[1:] for row in desk.rows(f"SELECT position_id, {names} FROM valuations")
        }
        assert found.keys() == set(desk.live_ids())
        for position_id, values in found.items():
            assert [*values] == [told_of(truth[position_id], field) for field in VALUATION_FIELDS]
            assert sum(value is not None for value in values) > 25
        assert desk.facts == facts, "prices that move are no facts"
        assert desk.one("SELECT count(*) FROM valuation_history") == 0
        desk.serving.resume()
        await desk.serving.step(600)
        desk.hear()
        await desk.run()
        known = {row[0] for row in desk.rows("SELECT position_id FROM valuations")}
        assert known == set(desk.live_ids())


async def test_every_valuation_is_kept_where_the_setting_says_so(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(200)
        desk.hear()
        await desk.serving.quiet()
        for _ in range(3):
            await desk.serving.advance(MINUTE)
            await desk.run(valuation_history=True)
        assert desk.rows("SELECT count(*), count(DISTINCT as_of) FROM valuation_history") == [
            (3 * len(desk.live_ids()), 3)
        ]


async def test_a_dry_run_writes_nothing(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(600)
        desk.hear(losing=0.2)
        await at_rest(desk)
        await desk.run()
        desk.serving.resume()
        await desk.serving.step(300)
        desk.hear(losing=0.2, seed=1)
        await at_rest(desk)
        before, expected = desk.dump(), desk.wrong().keys()
        assert expected
        report = await desk.run(dry_run=True)
        assert desk.dump() == before
        assert {each.position_id for each in report.discrepancies} == expected
        assert {each.resolution for each in report.discrepancies} == {Resolution.UNRESOLVED}
        assert (report.run_id, report.exit_code, report.state) == (None, 3, RunState.COMPLETE)


async def test_a_dry_run_does_not_even_say_whose_the_store_is(desk_of: Opened) -> None:
    async with desk_of() as desk:
        before = desk.dump()
        await desk.run(dry_run=True)
        assert desk.dump() == before
        with desk.store.connect() as connection:
            identity.claim(connection, Environment.PRODUCTION)
        for dry_run in (True, False):
            with pytest.raises(WrongEnvironmentError):
                await desk.run(dry_run=dry_run)
        assert desk.one("SELECT count(*) FROM reconciliation_runs") == 0


# --- rule 6: a failed read is not an absence ---------------------------------------------


async def test_a_page_that_fails_for_good_makes_the_run_partial(desk_of: Opened) -> None:
    async with desk_of(positions=400) as desk:
        await desk.serving.step(2500)
        desk.hear(losing=0.1)
        await at_rest(desk)
        before = desk.wrong()
        desk.serving.faults.failing_page = 2
        report = await desk.run()
        assert (report.state, report.exit_code) == (RunState.PARTIAL, 1)
        (error,) = report.errors
        assert "active positions were not all seen" in error
        assert "GET /v1/prediction-markets/positions" in error
        # What it did see is repaired, and nothing is said of what it did not see.
        assert 0 < report.repaired < len(before)
        assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0
        assert set(desk.wrong()) < set(before)
        state, told = desk.rows("SELECT state, error FROM reconciliation_runs")[0]
        assert (state, told) == ("partial", error)
        desk.serving.faults.failing_page = 0
        await repaired_and_stays_so(desk)


async def test_a_failing_page_of_ended_positions_says_so(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(3000)
        desk.hear()
        desk.serving.faults.failing_page = 3
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        assert "ended positions were not all seen" in report.errors[0]


async def test_a_token_refused_midway_makes_the_run_partial(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False, positions=400, wallets=4) as desk:
        await desk.serving.step(1500)
        desk.hear(losing=0.05)
        await at_rest(desk)

        def refuse(report: RunReport) -> None:
            desk.serving.faults.refuse_tokens = True
            desk.serving.faults.refuse_api_keys = True

        reconciler = desk.reconciler(http_concurrency=1)
        report = await reconciler.run(Trigger.COMMAND, Scope.full(), progress=refuse)
        assert report.state is RunState.PARTIAL
        assert report.errors
        assert all("DIMES_API_KEY" in error for error in report.errors)
        assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0
        desk.serving.faults.refuse_tokens = desk.serving.faults.refuse_api_keys = False
        await repaired_and_stays_so(desk)


async def test_tokens_that_are_revoked_midway_are_renewed(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False, positions=400, wallets=4) as desk:
        await desk.serving.step(1500)
        desk.hear(losing=0.05)
        await at_rest(desk)
        revoked: list[int] = []

        def revoke(report: RunReport) -> None:
            if not revoked:
                desk.serving.revoke_tokens()
                revoked.append(report.requests)

        report = await desk.reconciler().run(Trigger.COMMAND, Scope.full(), progress=revoke)
        assert revoked
        assert (report.state, report.errors) == (RunState.COMPLETE, [])
        assert desk.wrong() == {}


async def test_the_next_page_is_asked_for_while_this_one_is_compared(
    desk_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    waited: list[bool] = []
    walk, compare = RestClient.walk, records.compare

    async def noting_walk(*whose: Any, **which: Any) -> AsyncIterator[Page]:
        async for page in walk(*whose, **which):
            yield page
            asked.set()  # it goes on when the next one is asked for

    def patient_compare(*page: Any) -> list[records.Compared]:
        waited.append(asked.wait(DEADLINE))
        asked.clear()
        return compare(*page)

    async with desk_of() as desk:
        await desk.serving.step(600)
        desk.hear()
        await at_rest(desk)
        monkeypatch.setattr(rest, "PAGE_LIMIT", 10)
        monkeypatch.setattr(RestClient, "walk", noting_walk)
        monkeypatch.setattr(records, "compare", patient_compare)
        report = await desk.run(dry_run=True)
    assert (report.state, report.exit_code) == (RunState.COMPLETE, 0)
    assert len(waited) > 4
    assert all(waited)


@pytest.mark.parametrize("api_key_lists", [True, False], ids=["partner", "wallet by wallet"])
async def test_an_empty_list_stops_the_run(desk_of: Opened, api_key_lists: bool) -> None:
    async with desk_of(api_key_lists=api_key_lists) as desk:
        await desk.serving.step(600)
        desk.hear(losing=0.1)
        await at_rest(desk)
        before = desk.dump()
        desk.serving.faults.empty_list = True
        report = await desk.run()
        assert (report.state, report.exit_code) == (RunState.FAILED, 1)
        assert "lists no active positions" in report.errors[0]
        after = desk.dump()
        for unchanged in ("events", "positions", "discrepancies", "valuations", "quarantine"):
            assert after[unchanged] == before[unchanged]
        desk.serving.faults.empty_list = False
        await repaired_and_stays_so(desk)


async def test_a_list_that_lost_everything_even_by_id_is_not_believed(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(400)
        desk.hear()
        desk.serving.faults.hidden = tuple(desk.serving.world.truth(0))
        report = await desk.run()
        assert report.state is RunState.FAILED
        assert desk.snapshots == 0


async def test_an_empty_list_is_true_where_everything_has_ended(desk_of: Opened) -> None:
    async with desk_of(positions=2, rate=5) as desk:
        seen_alive = 0
        for _ in range(400):
            await desk.serving.step()
            if desk.live_ids():
                desk.hear()
                seen_alive += 1
            else:
                break
        assert seen_alive
        assert desk.live_ids() == []
        await at_rest(desk)
        lost = desk.miss()
        assert lost, "the last close was not heard"
        await repaired_and_stays_so(desk)


async def test_an_empty_store_believes_an_empty_list(desk_of: Opened) -> None:
    async with desk_of() as desk:
        report = await desk.run()
        assert (report.state, report.exit_code, report.seen) == (RunState.COMPLETE, 0, 0)


@pytest.mark.parametrize("api_key_lists", [True, False], ids=["partner", "wallet by wallet"])
async def test_what_rest_does_not_know_is_reported_and_never_closed(
    desk_of: Opened, api_key_lists: bool
) -> None:
    async with desk_of(api_key_lists=api_key_lists) as desk:
        await desk.serving.step(600)
        desk.hear()
        await at_rest(desk)
        hidden, unlisted = desk.live_ids()[:3], desk.live_ids()[3:6]
        desk.serving.faults.hidden, desk.serving.faults.unlisted = tuple(hidden), tuple(unlisted)
        before = desk.rows("SELECT to_jsonb(p) - 'verified_at' FROM positions p ORDER BY 1")
        for _ in range(2):
            report = await desk.run()
            assert (report.state, report.exit_code) == (RunState.COMPLETE, 3)
            found = {
                (each.position_id, each.kind, each.resolution) for each in report.discrepancies
            }
            assert found == {
                (each, DiscrepancyKind.ABSENT_UPSTREAM, Resolution.UNRESOLVED) for each in hidden
            }
        assert desk.snapshots == 0
        assert desk.rows("SELECT to_jsonb(p) - 'verified_at' FROM positions p ORDER BY 1") == before
        verified = {row[0] for row in desk.rows(
            "SELECT position_id FROM positions WHERE verified_at IS NOT NULL"
        )}  # fmt: skip
        assert verified >= set(unlisted), "known by their id, though no list showed them"
        assert not verified & set(hidden)


async def test_errors_are_one_line_each_and_hold_no_secret(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False, positions=100) as desk:
        await desk.serving.step(400)
        desk.hear()
        desk.serving.faults.rest_resets = 1.0
        report = await desk.run()
        assert report.state is RunState.FAILED
        desk.serving.faults.rest_resets = 0.0
        desk.serving.faults.failing_page = 1
        report = await desk.run(wallets="0x" + "ab" * 20)
        assert report.state is RunState.FAILED, "nothing was seen"
        told = [row[0] for row in desk.rows("SELECT error FROM reconciliation_runs")]
        for error in told:
            assert "\n" not in error
            assert desk.serving.api_key not in error
            assert not re.search(r"eyJ|Bearer", error)


async def test_an_api_that_answers_no_more_is_not_asked_for_each_position(desk_of: Opened) -> None:
    async with desk_of(positions=300) as desk:
        await desk.serving.step(1200)
        desk.hear()
        live = desk.live_ids()
        desk.serving.faults.unlisted = tuple(live[1:])

        def fail(report: RunReport) -> None:
            desk.serving.faults.rest_errors = 1.0 if report.seen >= 1 else 0.0

        # Of the ended ones there is one page, before which nothing fails.
        reconciler = desk.reconciler(http_retry_budget=0)
        report = await reconciler.run(
            Trigger.COMMAND, Scope("recent", desk.clock() + MARGIN), progress=fail
        )
        assert report.state is RunState.PARTIAL
        assert report.requests < 60


async def test_a_fault_that_passes_is_no_fault(desk_of: Opened) -> None:
    async with desk_of(positions=400) as desk:
        await desk.serving.step(2000)
        desk.hear(losing=0.1)
        await at_rest(desk)
        faults = desk.serving.faults
        faults.rest_errors, faults.rest_resets, faults.rest_throttled = 0.1, 0.1, 0.1
        faults.retry_after = 0
        report = await desk.run(http_retry_budget=60)
        assert (report.state, report.exit_code) == (RunState.COMPLETE, 0)
        assert report.retries > 0
        assert desk.wrong() == {}


async def test_what_is_no_position_is_kept_and_the_rest_compared(desk_of: Opened) -> None:
    async with desk_of(positions=20) as desk:
        await desk.serving.step(100)
        desk.hear()
        odd = desk.live_ids()[0]
        position = desk.serving.world.get(odd)
        assert position is not None
        real = position.head
        position.head = position.head.replace(f'"id":"{odd}"', f'"id":"{"x" * 3000}"')
        report = await desk.run()
        assert report.rejected == 1
        assert desk.rows("SELECT source, reason FROM quarantine") == [("rest", "bad_id")]
        position.head = real
        assert (await desk.run()).exit_code == 0


# --- in flux -----------------------------------------------------------------------------


async def test_an_event_that_is_on_its_way_is_neither_stale_nor_repaired(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(800)
        desk.hear()
        await at_rest(desk)
        desk.serving.resume()
        await desk.serving.step(30)
        on_its_way = desk.miss()
        await desk.serving.quiet()

        async def arrive() -> None:
            desk.append(on_its_way)
            on_its_way.clear()

        desk.meanwhile = arrive
        report = await desk.run()
        assert (report.exit_code, report.discrepancies, desk.snapshots) == (0, [], 0)
        assert desk.slept == [GRACE.total_seconds()]


async def test_a_lost_event_is_repaired_at_once_where_the_snapshot_wins_already(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=10) as desk:
        await desk.serving.step(200)
        desk.hear()
        await at_rest(desk)
        desk.serving.resume()
        # Two events of one position within the window: the first is heard, the second lost.
        heard: set[str] = set()
        while not (desk.wrong().keys() & heard):
            await desk.serving.step()
            for event in events_of(envelopes := desk.miss()):
                position_id = event["data"].get("id", "")
                if position_id not in heard:
                    desk.append(envelopes)
                heard.add(position_id)
        await desk.serving.quiet()
        report = await desk.run()
        assert (report.exit_code, report.repaired) == (0, 1)
        assert desk.wrong() == {}
        # For an event on its way, and not for the settle window.
        assert desk.slept == [GRACE.total_seconds()]
        facts = desk.facts
        assert (await desk.run()).discrepancies == []
        assert desk.facts == facts


async def test_a_replica_that_lags_the_stream_is_waited_for(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(800)
        desk.hear()
        await at_rest(desk)
        desk.serving.resume()
        await desk.serving.step(100)  # some five seconds of it
        desk.hear()
        await desk.serving.quiet()
        desk.serving.faults.replica_lag = 10.0
        before = desk.wrong()
        report = await desk.run()
        assert (report.exit_code, report.discrepancies, desk.snapshots) == (0, [], 0)
        assert desk.wrong() == before == {}


async def test_a_new_position_that_a_lagging_replica_does_not_know_is_not_absent(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=20, rate=2) as desk:
        await desk.serving.step(5)
        await at_rest(desk)
        desk.hear()
        desk.serving.resume()
        await desk.serving.step(12)
        desk.hear()
        await desk.serving.quiet()
        desk.serving.faults.replica_lag = 9.0
        report = await desk.run()
        assert (report.state, report.exit_code, report.discrepancies) == (RunState.COMPLETE, 0, [])


async def test_an_absence_is_still_one_when_the_window_has_passed(desk_of: Opened) -> None:
    async with desk_of(positions=20) as desk:
        await desk.serving.step(60)
        desk.hear()
        await desk.serving.quiet()
        hidden = desk.live_ids()[-1]
        desk.serving.faults.hidden = (hidden,)
        report = await desk.run()
        assert report.exit_code == 3
        assert [(each.position_id, each.resolution) for each in report.discrepancies] == [
            (hidden, Resolution.UNRESOLVED)
        ]
        assert sum(desk.slept) < MINUTE + 10


async def test_an_event_that_arrives_while_its_position_is_repaired_is_no_drift(
    desk_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtaken: list[str] = []
    repair = Findings.repair

    async with desk_of(positions=20) as desk:

        async def too_late(findings: Findings, suspects: Sequence[Mismatch]) -> list[Mismatch]:
            lives = [each for each in suspects if each.listed and each.listed.status == "open"]
            if lives and not overtaken:
                overtaken.append(lives[0].position_id)
                desk.serving.resume()
                heard: set[str] = set()
                while overtaken[0] not in heard:
                    await desk.serving.step()
                    envelopes = desk.miss()
                    desk.append(envelopes)
                    heard |= {event["data"].get("id", "") for event in events_of(envelopes)}
                await desk.serving.quiet()
            return await repair(findings, suspects)

        await desk.serving.step(400)
        desk.hear(losing=0.2)
        await at_rest(desk)
        monkeypatch.setattr(Findings, "repair", too_late)
        report = await desk.run()
        assert overtaken
        assert (report.exit_code, report.unresolved) == (0, 0)
        assert desk.wrong() == {}
        # It had missed something, and a snapshot told it so; what came then is newer still.
        assert desk.rows(
            "SELECT DISTINCT resolution FROM discrepancies WHERE position_id = %s", overtaken
        ) == [("repaired",)]
        assert report.repaired == len({each.position_id for each in report.discrepancies})
        facts = desk.facts
        assert (await desk.run()).discrepancies == []
        assert desk.facts == facts


async def test_whoever_waits_is_told_what_for(desk_of: Opened) -> None:
    async with desk_of(positions=20) as desk:
        await desk.serving.step(60)
        desk.hear()
        await desk.serving.quiet()
        desk.serving.faults.hidden = tuple(desk.live_ids()[-1:])
        told: list[int] = []
        report = await desk.reconciler().run(
            Trigger.COMMAND, Scope.full(), progress=lambda now: told.append(now.settling)
        )
        assert max(told) == 1
        assert (told[-1], report.settling) == (0, 0)


async def test_churn_is_looked_at_a_few_times_and_then_left_to_the_next_run(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=2, rate=5, wallets=3) as desk:
        await desk.serving.step(40)
        desk.hear()

        async def churn() -> None:
            # Something happens to every position all the time, and is heard a little late.
            desk.hear()
            await desk.serving.step(6)

        desk.meanwhile = churn
        await desk.serving.step(6)
        report = await desk.run()
        assert report.state is RunState.COMPLETE
        assert {each.resolution for each in report.discrepancies} <= {
            Resolution.IN_FLUX, Resolution.REPAIRED,
        }  # fmt: skip
        assert sum(desk.slept) < 3 * MINUTE
        desk.meanwhile = None
        desk.hear()
        await at_rest(desk)
        await repaired_and_stays_so(desk)


@pytest.mark.parametrize("ahead", [20.0, 86_400.0], ids=["a little", "for days"])
async def test_an_emitter_whose_clock_is_ahead_holds_nobody_up_for_long(
    desk_of: Opened, ahead: float
) -> None:
    async with desk_of(positions=10) as desk:
        await desk.serving.step(200)
        desk.hear()
        await at_rest(desk)
        position_id = next(
            each
            for each in desk.live_ids()
            if desk.serving.world.truth(0)[each]["status"] == "open"
        )
        moment = desk.serving.now() + timedelta(seconds=ahead)
        body = {**desk.serving.world.truth(0)[position_id], "status": "closing"}
        event = {"id": "evt_ahead", "type": "position.close_requested", "data": body}
        desk.append([json.dumps({**event, "created_at": moment.isoformat()}).encode()])
        report = await desk.run()
        if ahead < MINUTE:
            assert (report.exit_code, report.repaired) == (0, 1)
            assert desk.wrong() == {}
            assert sum(desk.slept) > MINUTE  # a snapshot would have lost until then
        else:
            assert (report.exit_code, report.repaired) == (3, 0)
            assert [each.resolution for each in report.discrepancies] == [Resolution.UNRESOLVED]
            assert "positionstore retract evt_ahead --reason" in report.notes[0]
        assert sum(desk.slept) < 2 * MINUTE
        facts = desk.facts
        await desk.run()
        assert desk.facts == facts


async def test_a_close_that_is_undone_is_believed_after_asking_again(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(1000)
        desk.hear()
        world = desk.serving.world
        undone: list[str] = []
        for position_id, body in world.truth(0).items():
            if body["status"] in {"closed", "settled", "liquidated"} and len(undone) < 3:
                world.undo_close(position_id)
                undone.append(position_id)
        await at_rest(desk)
        requests: list[str] = []
        report = await desk.run()
        assert {each.position_id for each in report.discrepancies} == set(undone)
        assert report.repaired == 3
        assert desk.wrong() == {}
        assert report.requests >= 3 + len(requests)
        facts = desk.facts
        assert (await desk.run()).discrepancies == []
        assert desk.facts == facts


async def test_a_close_undone_within_the_window_is_repaired_once_it_has_settled(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=10) as desk:
        await desk.serving.step(300)
        desk.hear(losing=0.3)
        await at_rest(desk)
        await desk.run()
        desk.serving.resume()
        # A position ends; the store learns it from a snapshot first, and then from the event too.
        closed, envelopes = "", list[bytes]()
        while not closed:
            await desk.serving.step()
            envelopes = desk.miss()
            for event in events_of(envelopes):
                if event["data"].get("status") == "closed" and event["data"]["entry"]["opened_at"]:
                    closed = event["data"]["id"]
            if not closed:
                desk.append(envelopes)
        await desk.serving.quiet()
        await desk.run(settle_window=0)
        assert desk.one("SELECT source FROM positions WHERE position_id = %s", [closed]) == "rest"
        desk.append(envelopes)
        desk.serving.world.undo_close(closed)
        report = await desk.run()
        assert (report.exit_code, report.repaired) == (0, 1)
        assert desk.wrong() == {}
        assert report.unresolved == 0


async def test_a_terminal_row_is_not_overruled_by_one_bad_page(desk_of: Opened) -> None:
    async with desk_of() as desk:
        await desk.serving.step(600)
        desk.hear()
        await at_rest(desk)
        ended = desk.one("SELECT position_id FROM positions WHERE status = 'closed' LIMIT 1")
        before = desk.rows("SELECT to_jsonb(p) FROM positions p WHERE position_id = %s", [ended])
        desk.serving.world.undo_close(ended)

        async def redo() -> None:
            # What the list showed was not so: by its id it is as it was, then unknown.
            desk.serving.faults.hidden = (ended,)

        desk.meanwhile = redo
        report = await desk.run()
        assert report.exit_code == 3
        assert [(each.position_id, each.resolution) for each in report.discrepancies] == [
            (ended, Resolution.UNRESOLVED)
        ]
        assert (
            desk.rows("SELECT to_jsonb(p) FROM positions p WHERE position_id = %s", [ended])
            == before
        )
        assert desk.snapshots == 0


async def test_positions_that_come_and_go_during_the_walk_are_all_right_afterwards(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=300, rate=50) as desk:
        await desk.serving.step(2500)
        desk.hear(losing=0.1)
        moved: list[asyncio.Task[object]] = []

        def happen(_: RunReport) -> None:
            async def step() -> None:
                await desk.serving.step(40)
                desk.hear(losing=0.1, seed=len(moved))

            moved.append(asyncio.ensure_future(step()))

        async def hear() -> None:
            desk.hear()

        desk.meanwhile = hear
        report = await desk.reconciler(http_concurrency=1).run(
            Trigger.COMMAND, Scope.full(), progress=happen
        )
        await asyncio.gather(*moved)
        assert report.state is RunState.COMPLETE
        assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0
        assert len(moved) > 5
        desk.meanwhile = None
        desk.hear()
        await at_rest(desk)
        await repaired_and_stays_so(desk)


@pytest.mark.parametrize("hours", [3, -3], ids=["ahead", "behind"])
async def test_our_clock_may_be_wrong(desk_of: Opened, hours: int) -> None:
    async with desk_of() as desk:
        desk.ahead = timedelta(hours=hours)
        await desk.serving.step(500)
        desk.hear(losing=0.1)
        await at_rest(desk)
        if hours < 0:
            # A server ahead of us may be wrong, or we are: the next run knows that it stays so. By
            # our clock the events are still to come, and what they say beats a snapshot until then.
            assert (await desk.run()).state is RunState.PARTIAL
            assert desk.snapshots == 0
            desk.ahead = timedelta()
            await desk.run()
            desk.slept.clear()
        await repaired_and_stays_so(desk)
        assert desk.slept in ([], [GRACE.total_seconds()])


@pytest.mark.parametrize("hours", [3, -3], ids=["ahead", "behind"])
async def test_nor_does_a_wrong_clock_hide_what_ended_lately(desk_of: Opened, hours: int) -> None:
    async with desk_of(positions=40, rate=20) as desk:
        desk.ahead = timedelta(hours=hours)
        await desk.serving.step(500)
        desk.hear()
        await at_rest(desk)
        if hours < 0:
            assert (await desk.run()).state is RunState.PARTIAL
        assert (await desk.run()).exit_code == 0
        desk.serving.resume()
        await desk.serving.step(3_000)  # positions come and go, more than a page of them
        desk.miss()
        await at_rest(desk)
        gone = [each for each, fields in desk.wrong().items() if "" in fields]
        live = set(desk.live_ids())
        ended = [each for each in gone if each not in live]
        assert len(ended) > 150
        report = await desk.run(desk.reconciler().recent_scope())
        assert report.state is RunState.COMPLETE
        assert desk.wrong() == {}


async def test_answers_without_a_date_are_as_of_our_clock_before_they_were_asked_for(
    desk_of: Opened,
) -> None:
    async with desk_of(ticking=True, rate=0.001) as desk:
        await desk.serving.step(500)
        desk.hear(losing=0.1)
        await at_rest(desk)
        desk.serving.faults.omit_date = True
        # Its clock was put forward: what happened lies in the future of ours, and is in flux.
        report = await desk.run(settle_window=0)
        assert report.state is RunState.COMPLETE


# --- one at a time, and the end of a run -------------------------------------------------


async def test_one_reconciler_works_at_a_time(desk_of: Opened) -> None:
    async with desk_of() as desk:
        with busy(desk.store):
            with pytest.raises(BusyError):
                await desk.run()
            with pytest.raises(BusyError):
                await desk.run(dry_run=True)
        assert desk.one("SELECT count(*) FROM reconciliation_runs") == 0
        assert (await desk.run()).exit_code == 0


async def as_soon_as_it_is_free(desk: Desk) -> RunReport:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await desk.run()
            except BusyError:
                await asyncio.sleep(0.01)


async def test_the_lock_dies_with_its_holder(desk_of: Opened) -> None:
    async with desk_of() as desk:
        with busy(desk.store) as connection:
            desk.rows("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
            report = await as_soon_as_it_is_free(desk)
        assert report.exit_code == 0


@pytest.mark.parametrize("how", ["cancelled", "database", "killed"])
async def test_a_run_that_dies_is_failed_and_the_next_one_goes_on(
    desk_of: Opened, how: str
) -> None:
    async with desk_of(positions=300) as desk:
        await desk.serving.step(1500)
        desk.hear(losing=0.1)
        await at_rest(desk)
        ends: dict[str, Callable[[], Awaitable[None]]] = {}

        def end(report: RunReport) -> None:
            if how == "cancelled":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            else:
                desk.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )

        assert ends == {}
        with pytest.raises((asyncio.CancelledError, psycopg.Error, DatabaseUnavailableError)):
            await desk.reconciler().run(Trigger.COMMAND, Scope.full(), progress=end)
        state = desk.one("SELECT state FROM reconciliation_runs")
        assert state == ("partial" if how == "cancelled" else "running")
        await repaired_and_stays_so(desk)
        first, *others = desk.rows("SELECT state, error, finished_at IS NULL"
                                   " FROM reconciliation_runs ORDER BY run_id")  # fmt: skip
        assert [row[0] for row in others] == ["complete", "complete"]
        if how == "cancelled":
            assert first == ("partial", "It was interrupted; the rest was not seen.", False)
        else:
            assert first == ("failed", "Its process died.", True)


async def test_the_database_s_failure_is_what_is_told(desk_of: Opened) -> None:
    async with desk_of() as desk:
        nowhere = Reconciler(
            desk.settings(),
            type(desk.store)("postgresql://nobody@127.0.0.1:1/none", embedded=False),
            clock=desk.clock,
            sleep=desk.sleep,
        )
        with pytest.raises(DatabaseUnavailableError):
            await nowhere.run(Trigger.COMMAND, Scope.full())


# --- a run that another one goes on with ---------------------------------------------------


class Remembered:
    """A checkpoint that is looked at."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[str | None, bool]] = {}

    def position_of(self, walk: str) -> tuple[str | None, bool]:
        return self.places.get(walk, (None, False))

    def passed(self, walk: str, last_id: str | None, *, ended: bool) -> None:
        self.places[walk] = last_id, ended


async def test_a_wallet_that_cannot_be_walked_keeps_no_other_from_being_passed(
    desk_of: Opened,
) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await desk.serving.step(800)
        desk.hear(losing=0.1)
        await at_rest(desk)
        checkpoint = Remembered()
        goes_on = Resumption(desk.clock(), checkpoint)
        report = await desk.reconciler(wallets="notanaddress").run(
            Trigger.BACKFILL, Scope.full(), resumption=goes_on
        )
        assert report.state is RunState.PARTIAL
        known = {row[0] for row in desk.rows("SELECT DISTINCT wallet_address FROM positions")}
        assert {walk for walk, (_, ended) in checkpoint.places.items() if ended} == {
            f"{state} {wallet}" for state in ("active", "inactive") for wallet in known
        }
        assert desk.wrong() == {}


async def test_a_page_is_not_passed_before_all_that_it_asks_for_is_answered(
    desk_of: Opened,
) -> None:
    async with desk_of() as desk:
        await desk.serving.step(1000)
        desk.hear()
        world = desk.serving.world
        ended = desk.one("SELECT position_id FROM positions WHERE status = 'closed' LIMIT 1")
        world.undo_close(ended)
        await at_rest(desk)
        position = RestClient.position

        async def unanswered(*_: object) -> None:
            raise GatewayError("It does not answer.")

        checkpoint = Remembered()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RestClient, "position", unanswered)
            report = await desk.reconciler().run(
                Trigger.BACKFILL, Scope.full(), resumption=Resumption(desk.clock(), checkpoint)
            )
        assert RestClient.position is position
        assert report.state is RunState.PARTIAL
        assert "active" not in checkpoint.places
        assert checkpoint.places["inactive"][1] is True
        report = await desk.reconciler().run(
            Trigger.BACKFILL, Scope.full(), resumption=Resumption(desk.clock(), checkpoint)
        )
        assert (report.state, report.repaired) == (RunState.COMPLETE, 1)
        assert desk.wrong() == {}


# --- the scope ---------------------------------------------------------------------------


async def test_a_periodic_run_asks_for_the_active_and_the_newly_ended_alone(
    desk_of: Opened,
) -> None:
    async with desk_of(positions=40, rate=20) as desk:
        await desk.serving.step(12_000)  # ten minutes
        desk.hear()
        await at_rest(desk)
        await desk.serving.advance(3600)
        first = await desk.run()
        assert first.requests > 15, "there is a long history"
        desk.serving.resume()
        await desk.serving.step(200)
        desk.hear(losing=0.1)
        await at_rest(desk)
        scope = desk.reconciler().recent_scope()
        assert scope.name == "recent"
        differing = len(desk.wrong())
        report = await desk.run(scope)
        assert report.exit_code == 0
        assert desk.wrong() == {}
        # Besides, two lists of each position whose size has changed.
        assert report.requests - desk.lists_asked(report.started_at) <= 3 + differing
        again = await desk.run(desk.reconciler().recent_scope())
        assert again.requests - desk.lists_asked(again.started_at) <= 3
