"""``positionstore backfill``: repairs what an outage hid."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from positionstore.cli.bootstrap import start_work
from positionstore.cli.console import Show, print_json, print_line, progress
from positionstore.cli.run_view import print_run, settling
from positionstore.cli.signals import complete
from positionstore.escaping import printable
from positionstore.reconcile.backfill import Backfill, BackfillRequest, Outcome, Progress, What
from positionstore.reconcile.report import EXIT_FAILED, as_dict
from positionstore.store.database import opened

_GOES_ON: Final = "Start it again in the same way, and it goes on where it was."


def backfill(
    *,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Start of a time window: a time or a date, UTC."),
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="TIME", help="End of the window; a date is included.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Load all of history, for example into a new store.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Start from the beginning, ignoring an interrupted backfill."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Repair what was missed: every gap that nothing has repaired, a window, or all of history.

    An interrupted or killed backfill continues where it was when you start it again in the same
    way, and says so. The exit code is 0 if nothing differs or everything was repaired, 3 if
    differences or invalid fields remain, 1 if it failed or was partial. `positionstore status`
    shows the gaps.

    Example: positionstore backfill --since 2026-07-01T03:00:00Z --until 2026-07-01T09:00:00Z
    """
    settings = start_work()
    wanted = BackfillRequest.parse(since, until, everything=everything, now=datetime.now(UTC))
    with opened(settings) as store, progress("Backfilling", unit="positions") as show:
        work = Backfill(settings, store, say=_say, progress=lambda now: _show(show, now))
        try:
            outcome = complete(work.run(wanted, restart=restart))
        except (KeyboardInterrupt, SystemExit):
            _say(f"Interrupted. {_GOES_ON}")
            raise
    if as_json:
        print_json(_plain(outcome))
    else:
        for report in outcome.reports:
            print_run(report)
        for line in _summary(outcome):
            print_line(line)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _show(show: Show, now: Progress) -> None:
    minutes, seconds = divmod(int(now.seconds), 60)
    show(
        now.seen,
        now.expected,
        f"{now.per_second:,.0f} a second, {minutes}:{seconds:02} so far, "
        f"{now.differed:,} differ, {now.requests:,} requests{settling(now.settling)}",
    )


def _summary(outcome: Outcome) -> Iterator[str]:
    left = outcome.gaps_left
    if not outcome.reports:
        yield "There is nothing to repair: no gap is open."
        return
    if outcome.done.parts > 1:
        yield (
            f"In all {outcome.done.parts:,} parts: {outcome.done.seen:,} positions seen, "
            f"{outcome.done.repaired:,} repaired, with {outcome.done.requests:,} requests."
        )
    if outcome.exit_code == EXIT_FAILED:
        yield f"It is not finished. {_GOES_ON}"
    if outcome.wanted.what is What.GAPS:
        before = outcome.gaps_before.gaps
        yield f"{max(0, before - left.gaps):,} of {before:,} gaps are repaired."
    if left.open_since is not None:
        yield (
            f"There has been no stream since {left.open_since:%F %T} UTC. What happens until it is "
            "back is repaired when it is: by `positionstore run`, or by this once more."
        )


def _plain(outcome: Outcome) -> dict[str, object]:
    wanted, went_on = outcome.wanted, outcome.went_on
    return {
        "what": wanted.what.value,
        "since": wanted.since,
        "until": wanted.until,
        "went_on_with": went_on and went_on.backfill_id,
        "began_at": went_on and went_on.started_at,
        "parts": outcome.done.parts,
        "seen": outcome.done.seen,
        "repaired": outcome.done.repaired,
        "unresolved": outcome.done.unresolved,
        "requests": outcome.done.requests,
        "gaps_before": outcome.gaps_before.gaps,
        "gaps_left": outcome.gaps_left.gaps,
        "open_since": outcome.gaps_left.open_since,
        "exit_code": outcome.exit_code,
        "runs": [as_dict(report) for report in outcome.reports],
    }
