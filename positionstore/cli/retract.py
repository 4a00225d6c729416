"""``positionstore retract``: marks a fact as wrong, by appending another fact."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import psycopg
import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_line, print_table
from positionstore.cli.masking import masked
from positionstore.dimes.json_exact import sanitize_text
from positionstore.errors import ConfigurationError
from positionstore.model.facts import Retraction
from positionstore.model.wording import counted
from positionstore.store import archived, retractions
from positionstore.store.database import opened
from positionstore.store.retractions import Change, NamedFact, State

_LONGEST_REASON = 1000


def retract(
    event_id: Annotated[
        str,
        typer.Argument(
            metavar="EVENT_ID", help="The fact's id: evt_..., snp_..., or another retraction's."
        ),
    ],
    *,
    reason: Annotated[
        str, typer.Option(help="The reason; it is kept in the log.", show_default=False)
    ],
    undo: Annotated[
        bool, typer.Option("--undo", help="Let the fact count again: retract its retractions.")
    ] = False,
    position: Annotated[
        str | None,
        typer.Option(help="The position, if several have a fact with this id."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Declare a fact of the log wrong, or take that back.

    The fact stops counting. Nothing is deleted: a retraction is appended to the log, and the
    position is folded without the fact that it names. Use it if neither a later event nor a
    reconciliation can correct the position: for an event dated years ahead, or a snapshot stamped
    by a wrong clock. The position is shown before and after. If the fact is retracted already, the
    command says so and writes nothing.

    Example: positionstore retract evt_1 --reason 'Dated 2096'
    """
    reason = _checked(reason)
    with opened(start()) as store, store.connect() as connection:
        fact = _find(connection, sanitize_text(event_id), position)
        standing = retractions.standing(connection, fact.position_id, fact.event_id)
        named = standing if undo else [] if standing else [fact.event_id]
        now = datetime.now(UTC)
        made = [Retraction(fact.position_id, each, masked(reason), now) for each in named]
        if made:
            change = retractions.apply(connection, made, now, dry_run=dry_run)
        else:
            state = retractions.state(connection, fact.position_id)
            change = Change(0, state, state)
    if as_json:
        print_json(
            {
                "position_id": fact.position_id,
                "event_id": fact.event_id,
                "type": fact.type,
                "retracted": not undo,
                "written": bool(made) and not dry_run,
                "dry_run": dry_run,
                "retractions": [each.event_id for each in made],
                "standing": [] if undo else standing or [each.event_id for each in made],
                "before": None if change.before is None else asdict(change.before),
                "after": None if change.after is None else asdict(change.after),
            }
        )
        return
    print_line(_said(fact, standing, made, undo=undo, dry_run=dry_run))
    if made:
        print_table(
            ("", "status", "phase", "last_event_id", "last_event_type", "last_event_at"),
            [("before", *_row(change.before)), ("after", *_row(change.after))],
        )


def _checked(reason: str) -> str:
    reason = sanitize_text(reason).strip()
    if not 0 < len(reason) <= _LONGEST_REASON:
        raise ConfigurationError(
            f"--reason needs 1 to {_LONGEST_REASON:,} characters.",
            remedy="Say why the fact is wrong: readers of the log will ask.",
        )
    return reason


def _find(connection: psycopg.Connection, event_id: str, position: str | None) -> NamedFact:
    """Return the fact that is meant, if it can be retracted."""
    if not event_id:
        raise ConfigurationError(
            "EVENT_ID is empty.", remedy="`positionstore tail` shows the ids of facts."
        )
    if position is None:
        holders = retractions.positions_with(connection, event_id)
        if len(holders) > 1:
            raise ConfigurationError(
                f"{len(holders):,} positions have a fact {event_id}: {', '.join(holders[:3])}"
                f"{', ...' if len(holders) > 3 else ''}.",
                remedy="Say which with --position.",
            )
        place, where = holders[0] if holders else "", "The log"
    else:
        place, where = sanitize_text(position), f"Position {sanitize_text(position)}"
    fact = retractions.fact(connection, place, event_id)
    if fact is None:
        _refuse_archived(connection, event_id, position)
        raise ConfigurationError(
            f"{where} has no fact {event_id}.",
            remedy="List the facts of a position: positionstore db psql -c "
            "\"SELECT * FROM position_timeline WHERE position_id = 'ID'\".",
        )
    if fact.status is None and fact.retracts is None:
        raise ConfigurationError(
            f"{event_id} is a notification ({fact.type}): it counts for no position.",
            remedy="There is nothing to retract.",
        )
    return fact


def _refuse_archived(connection: psycopg.Connection, event_id: str, position: str | None) -> None:
    """See that a fact that the log does not have is not, or hardly, in an archive."""
    if position is not None:
        place = sanitize_text(position)
        if (file := archived.file_of(connection, place)) is not None:
            raise ConfigurationError(
                f"The log has no fact {event_id} of {place}, whose facts are in the archive "
                f"{file}. Nothing was written.",
                remedy="Bring them back first: positionstore import FILE.",
            )
    elif (away := archived.count(connection))[0]:
        raise ConfigurationError(
            f"The log has no fact {event_id}; {counted(away[0], 'position')} have facts in "
            "archives, which it may be one of.",
            remedy="Name its position with --position, to learn in which file they are.",
        )


def _said(
    fact: NamedFact,
    standing: list[str],
    made: list[Retraction],
    *,
    undo: bool,
    dry_run: bool,
) -> str:
    what = f"{fact.event_id} ({fact.type}, of {fact.position_id})"
    if not made:
        if undo:
            return f"{what} is not retracted. Nothing was written."
        return f"{what} is retracted already, by {', '.join(standing)}. Nothing was written."
    by = ", ".join(each.event_id for each in made)
    if dry_run:
        return (
            f"{what} would {'count again' if undo else 'not count any more'}. Nothing was written."
        )
    return f"{what} {'counts again' if undo else 'does not count any more'}, by {by}."


def _row(state: State | None) -> tuple[object, ...]:
    if state is None:
        return ("no fact is left", "", "", "", "")
    return (
        state.status,
        state.phase,
        state.last_event_id,
        state.last_event_type,
        state.last_event_at,
    )
