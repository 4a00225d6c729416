"""What a person and a program get to read of a run: all of it, and never too much."""

from datetime import UTC, datetime, timedelta

import pytest

from positionstore.cli.run_view import print_run, show_run
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import Discrepancy, Resolution, RunReport, RunState, as_dict
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.store.runs import FieldDifference

BEGAN = datetime(2026, 7, 1, 3, 0, tzinfo=UTC)
STATUS = FieldDifference("status", "open", "closed")


def report(*discrepancies: Discrepancy, state: RunState = RunState.COMPLETE) -> RunReport:
    made = RunReport(Trigger.COMMAND, Scope.full(), dry_run=False, started_at=BEGAN, run_id=7)
    made.finished_at = BEGAN + timedelta(seconds=2.5)
    made.state, made.seen, made.requests = state, 1234, 15
    for each in discrepancies:
        made.add(each)
    return made


def discrepancy(
    name: str,
    *fields: FieldDifference,
    resolution: Resolution = Resolution.REPAIRED,
    kind: DiscrepancyKind = DiscrepancyKind.STALE,
) -> Discrepancy:
    return Discrepancy(name, kind, fields, resolution)


def test_the_worst_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(
        report(
            discrepancy("dm_pos_1", STATUS),
            discrepancy("dm_pos_2", STATUS, resolution=Resolution.IN_FLUX),
            discrepancy(
                "dm_pos_3",
                resolution=Resolution.UNRESOLVED,
                kind=DiscrepancyKind.ABSENT_UPSTREAM,
            ),
        )
    )

    assert capsys.readouterr().out.splitlines() == [
        "position_id\tkind\tresolution\tstore → REST",
        "dm_pos_3\tabsent_upstream\tunresolved\t",
        "dm_pos_2\tstale\tin flux\tstatus: open → closed",
        "dm_pos_1\tstale\trepaired\tstatus: open → closed",
        (
            "Run 7 is complete: 1,234 positions seen with 15 requests. "
            "3 differed (1 absent upstream, 2 stale): 1 repaired, 2 not. "
            "1 of them changed too lately to be judged; the next run will."
        ),
    ]


def test_why_a_position_cannot_be_read_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    why = "The API did not show it to the API key (403: forbidden: In words.)."
    field = FieldDifference("", None, why)

    print_run(
        report(
            discrepancy(
                "dm_pos_1",
                field,
                kind=DiscrepancyKind.UNREADABLE,
                resolution=Resolution.UNRESOLVED,
            )
        )
    )

    row = capsys.readouterr().out.splitlines()[1]
    assert row == f"dm_pos_1\tunreadable\tunresolved\t{why}"


def test_many_fields_and_long_values_are_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    fields = [FieldDifference(f"field_{n}", None, "x" * 1_000_000) for n in range(9)]

    print_run(report(discrepancy("dm_pos_1", *fields)))

    row = capsys.readouterr().out.splitlines()[1]
    assert f"field_0: nothing → {'x' * 40}…, field_1" in row
    assert row.endswith(", 6 more fields")
    assert len(row) < 300


def test_many_discrepancies_and_errors_are_counted_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = report(*(discrepancy(f"dm_pos_{n}") for n in range(20_000)), state=RunState.PARTIAL)
    many.errors = [f"dm_pos_{n} was not seen: No answer." for n in range(12)]

    print_run(many)

    lines = capsys.readouterr().out.splitlines()
    assert lines[51] == "And 19,950 more; the table discrepancies has all of them."
    assert lines[-2] == "And 2 more errors."
    assert len(lines) == 1 + 50 + 1 + 10 + 1 + 1


def test_an_account_is_bounded_and_counts_what_it_leaves_out() -> None:
    many = report(*(discrepancy(f"dm_pos_{n}", STATUS) for n in range(20_000)))

    told = as_dict(many)

    assert (told["stale"], told["repaired"]) == (20_000, 20_000)
    listed = told["discrepancies"]
    assert isinstance(listed, list)
    assert len(listed) == 1000
    assert told["discrepancies_omitted"] == 19_000
    assert listed[0] == {
        "position_id": "dm_pos_0",
        "kind": "stale",
        "resolution": "repaired",
        "fields": [{"field": "status", "store_value": "open", "rest_value": "closed"}],
    }
    assert told["duration"] == 2.5


def test_a_failed_run_says_why_and_claims_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    failed = report(state=RunState.FAILED)
    failed.seen, failed.errors = 0, ["GET /positions lists nothing."]

    print_run(failed)

    assert capsys.readouterr().out.splitlines() == [
        "GET /positions lists nothing.",
        "Run 7 is failed: 0 positions seen with 15 requests.",
    ]


def test_progress_counts_what_is_seen_and_differs() -> None:
    shown: list[tuple[int, int | None, str]] = []

    show_run(
        lambda done, total, note="": shown.append((done, total, note)),
        report(discrepancy("dm_pos_1")),
    )

    assert shown == [(1234, None, "1 differ, 15 requests")]
