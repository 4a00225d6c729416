"""``positionstore demo``: the whole system at work."""

import signal
import sys
from typing import Annotated, NoReturn

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_exact, print_line
from positionstore.cli.demo_view import view
from positionstore.demo import scenario as acts
from positionstore.demo.next_steps import commands, shown, stop_command
from positionstore.demo.scenario import Outcome
from positionstore.settings import Settings


def demo(
    *,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long the demo runs, in seconds.")
    ] = 20.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep everything running afterwards.")
    ] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop what --keep left running.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same world; random by default.")
    ] = None,
) -> None:
    """Show the whole system at work, with nothing to configure.

    The sandbox plays the vendor and injects faults: events are duplicated, late or lost, and
    connections are cut. The ingester writes the events into an embedded database, in a data
    directory of the demo that starts empty each time. Events emitted while a connection is cut are
    recovered from the gateway. At the end a reconciliation repairs what the stream missed, and the
    projection is verified; the exit code is 3 if the result is wrong.

    A status page can be watched in a browser meanwhile; --keep leaves it up, with everything else,
    and reconciles every minute.

    Example: positionstore demo --seconds 30
    """
    settings = start()
    if stop:
        stopped = acts.stop(settings)
        print_line("The demo is stopped." if stopped else "No demo was left running.")
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _leave)
    with view(seconds) as audience:
        outcome = acts.play(settings, audience, seconds=seconds, keep=keep, seed=seed)
    _conclude(outcome)
    _suggest(settings, kept=keep, page=outcome.page)
    if outcome.differences:
        raise typer.Exit(3)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _conclude(outcome: Outcome) -> None:
    if (outage := outcome.outage) is not None:
        print_line(
            f"Cut off for {outage.seconds:.1f} s, in which {outage.emitted:,} events were emitted: "
            f"{outage.recovered:,} came by recovery, including those in transit, and the gap "
            f"{'still needs repair' if outage.needs_repair else 'needs no repair'}."
        )
    if (sight := outcome.sight) is not None and sight.recovered:
        print_line(
            f"In total, {sight.recovered:,} events of all outages were recovered: "
            f"{sight.recovered_gaps:,} of {sight.connections - 1:,} gaps need no repair."
        )
    if (heard := outcome.heard) is not None:
        print_line(
            f"{heard.events_missed:,} events never arrived: {heard.behind:,} positions are out of "
            f"date, and {heard.unheard:,} are missing."
        )
    if (reconciled := outcome.reconciled) is not None:
        print_line(
            f"Reconciled: of {reconciled.seen:,} positions {reconciled.different:,} differed, and "
            f"{reconciled.repaired:,} were repaired by appending a snapshot."
        )
    if outcome.differences:
        print_line(
            f"Not verified: {len(outcome.differences):,} positions differ from the fold of their "
            f"facts. `positionstore verify` names them (seed {outcome.seed})."
        )
    else:
        print_line(
            "Verified: every position is the fold of its facts, whatever their order of arrival."
        )
    if (truth := outcome.truth) is not None:
        print_line(
            f"Compared with the truth (seed {outcome.seed}): {truth.right:,} of "
            f"{truth.positions:,} positions have the right status."
        )


def _suggest(settings: Settings, *, kept: bool, page: str | None) -> None:
    directory = acts.directory_of(settings)
    shielded = settings.database_url is not None or settings.schema_name is not None
    program = shown(acts.program(), anywhere=shielded)
    print_line("")
    print_line("What to try next (the database starts automatically):")
    for words, line in commands(program, directory, shielded=shielded):
        print_exact(f"\n# {words}\n{line}")
    print_line("")
    if kept:
        print_line(
            "The sandbox, the ingester and the database keep running, and the log grows by more "
            "than a gigabyte an hour. To stop them:"
        )
        print_exact(f"\n{stop_command(program, settings.data_dir)}")
        print_line("")
    if page is None:
        print_line("The status page did not answer: the log of the ingester says why.")
    elif kept:
        print_line(f"The status page: {page}")
    else:
        print_line(
            f"The status page was at {page}; `positionstore demo --keep` leaves it up, and all of "
            "the above with it."
        )
