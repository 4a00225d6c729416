"""What the status page says, of what it knows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from positionstore.model.wording import dollars
from positionstore.store.restored import Guard
from positionstore.store.status import (
    Archived,
    Coverage,
    Drift,
    Lag,
    LastRun,
    LogState,
    Oddities,
    SessionTotals,
    Sizes,
    Status,
)
from positionstore.web.state import as_json, judge, moment

NOW = datetime(2026, 7, 3, 12, tzinfo=UTC)


WELL = Status(
    environment="sandbox",
    log=LogState(1, 1, NOW, NOW),
    positions_by_status={},
    positions_by_phase={},
    archived=Archived(0, 0, 0, 0),
    oddities=Oddities(unknown_statuses=0, unknown_types=0, misfits=0),
    invalid_fields=[],
    quarantine={},
    live_sessions=[],
    stream=SessionTotals(1, 1, 0, 0, 0, NOW),
    lag=Lag(None, None),
    coverage=Coverage(0, 0, 0, 0.0, None, None),
    last_run=LastRun(1, "periodic", "full", "complete", NOW, NOW, 1, 0, 0, 0, None),
    drift=Drift(1, 0, 0, 0, 0, 0, 0, NOW - timedelta(hours=1), None),
    clock=None,
    sizes=Sizes(0, 0, 0, 0),
    shards=[],
    guard=Guard.WHOLE,
    others_may_change=[],
)


def status(**changes: Any) -> Status:
    """A store about which all is well, but for these values of its parts."""
    parts: dict[str, Any] = {
        name: msgspec.structs.replace(part, **change)
        if isinstance(part := getattr(WELL, name), msgspec.Struct)
        else change
        for name, change in changes.items()
    }
    return msgspec.structs.replace(WELL, **parts)


def test_a_book_about_which_all_is_well_can_be_trusted() -> None:
    assert judge(ready={}, status=status(), now=NOW).level == "good"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"coverage": {"unrepaired": 1, "oldest_unrepaired_at": NOW - timedelta(hours=3)}},
            "the oldest began 3 hours ago; `positionstore backfill` repairs them",
        ),
        ({"quarantine": {"not_json": 2, "too_long": 1}}, "2 not_json, 1 too_long"),
        ({"oddities": {"misfits": 4}}, "4 positions with invalid fields"),
        ({"drift": {"last_complete_at": None}}, "all seen never"),
        ({"drift": {"last_complete_at": NOW - timedelta(days=2)}}, "reconciliation: 2 days ago"),
        (
            {"last_run": {"state": "partial", "unresolved": 0, "error": "page 2"}},
            "partial: 1 seen, 0 differed, 0 repaired; page 2",
        ),
        ({"drift": {"still_different": 2}}, "2 still different"),
    ],
)
def test_what_wants_a_look_is_a_warning_that_says_so(changes: dict[str, Any], said: str) -> None:
    verdict = judge(ready={}, status=status(**changes), now=NOW)
    assert verdict.level == "warn"
    assert [said in reason for reason in verdict.reasons] == [True]


def test_a_process_that_is_not_ready_can_vouch_for_nothing() -> None:
    ready = {"gateway": "The gateway is not connected; the log says why."}
    verdict = judge(ready=ready, status=status(quarantine={"not_json": 1}), now=NOW)
    assert verdict.level == "bad"
    assert verdict.reasons[0] == ready["gateway"]
    assert len(verdict.reasons) == 2
    assert judge(ready=ready, status=None, now=NOW).reasons == [ready["gateway"]]


def test_a_part_that_cannot_be_read_is_told_with_the_reason_and_not_waited_for() -> None:
    unread = {"status": "canceling statement", "runs": "canceling statement"}
    verdict = judge(ready={}, status=None, now=NOW, unread=unread)
    assert verdict.level == "bad"
    assert verdict.reasons == ["runs, status: not read of the store just now: canceling statement"]
    assert judge(ready={}, status=None, now=NOW).line == "Reading the store…"


def test_what_differed_in_a_run_and_was_found_equal_since_is_no_reason() -> None:
    last = {"state": "complete", "unresolved": 2, "error": None}
    assert judge(ready={}, status=status(last_run=last), now=NOW).level == "good"


def test_a_log_that_could_be_altered_can_vouch_for_nothing() -> None:
    verdict = judge(ready={}, status=status(guard=Guard.OFF), now=NOW)
    assert verdict.level == "bad"
    assert "append-only" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("pips", "said"),
    [
        (None, ""),
        (0, "$0.00"),
        (-12_345_600, "-$1,234.56"),
        (1, "$0.0001"),
        (2**63 - 1, "$922,337,203,685,477.5807"),
    ],
)
def test_dollars_are_exact(pips: int | None, said: str) -> None:
    assert dollars(pips) == said


def test_moments_are_utc() -> None:
    there = NOW.astimezone(tz=datetime.strptime("+0530", "%z").tzinfo)
    assert moment(there) == "2026-07-03 12:00:00"
    assert moment(None) == ""


def test_no_text_of_the_json_ends_the_script_that_it_stands_in() -> None:
    said = {"what": "</script><!--&\u2028", "at": NOW, "bytes": timedelta(seconds=1)}
    text = as_json(said)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["what"] == "</script><!--&\\u2028"
    assert json.loads(text)["at"] == "2026-07-03T12:00:00Z"
