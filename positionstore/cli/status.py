"""``positionstore status``: the store at a glance."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import print_json, print_table
from positionstore.errors import DatabaseUnavailableError
from positionstore.health import words
from positionstore.health.disk import disks
from positionstore.ingest.spools import totals_of
from positionstore.model.wording import counted
from positionstore.store import citus
from positionstore.store.database import opened
from positionstore.store.restored import remedy
from positionstore.store.sessions import DEAD_AFTER
from positionstore.store.status import Archived, Status
from positionstore.store.status import status as look


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Show connection, lag, gaps, drift, spool and sizes at a glance.

    If the database is away, only spool and disk space are shown, and the exit code is 1.

    Example: positionstore status
    """
    settings = start()
    spool, rooms = totals_of(settings), disks(settings)
    now = datetime.now(UTC)
    here = [("spool", words.spool(spool, now)), ("disk space", words.disks(rooms))]
    here_in_json = {"spool": asdict(spool), "disks": [asdict(room) for room in rooms]}
    try:
        with opened(settings) as store, store.connect() as connection:
            found = look(connection)
    except DatabaseUnavailableError as error:
        if as_json:
            print_json({"error": str(error), **here_in_json})
        else:
            print_table(("what", "is"), here)
        raise
    if as_json:
        print_json(msgspec.to_builtins(found, builtin_types=(datetime,)) | here_in_json)
    else:
        print_table(("what", "is"), [*_rows(found, now), *here])


def _rows(found: Status, now: datetime) -> Iterator[tuple[str, str]]:
    yield "environment", found.environment or "none yet"
    for session in found.live_sessions:
        seen = words.ago(session.last_seen_at, now)
        lost = "" if now - session.last_seen_at < DEAD_AFTER else "no sign of life: "
        yield (
            f"{session.gateway} gateway",
            f"{lost}last heard {seen}, since {session.started_at:%F %T} UTC",
        )
        if session.understands_nothing:
            yield (
                "error",
                (
                    f"each of the {session.received:,} inputs of this session is in quarantine; "
                    "see `positionstore quarantine list`"
                ),
            )
    if not any(now - session.last_seen_at < DEAD_AFTER for session in found.live_sessions):
        yield "gateways", f"not connected; last heard {words.ago(found.stream.last_seen_at, now)}"
    yield "gaps", words.gaps(found.coverage, now)
    yield "last reconciliation", words.last_run(found.last_run, now)
    yield "drift", words.drift(found.drift, now)
    yield "clock", words.clock(found.clock, now)
    log = found.log
    about = f", about {log.events_estimate:,} facts" if log.events_estimate else ""
    yield "log", f"last seq {log.last_seq or 0:,}{about}"
    yield (
        "last event",
        (
            f"received {words.ago(log.last_received_at, now)}, "
            f"emitted {words.ago(log.last_created_at, now)}"
        ),
    )
    if found.lag.median is not None and found.lag.p95 is not None:
        yield (
            "lag",
            f"median {words.seconds(found.lag.median)}, 95 % within {words.seconds(found.lag.p95)}",
        )
    yield (
        "received",
        (
            f"{found.stream.received:,} over {found.stream.sessions:,} sessions: "
            f"{found.stream.duplicates:,} duplicates, {found.stream.quarantined:,} quarantined, "
            f"{found.stream.recovered:,} recovered after an outage"
        ),
    )
    yield "positions", words.counts(found.positions_by_phase)
    yield "by status", words.counts(found.positions_by_status)
    if found.shards:
        yield "workers", citus.described(found.shards)
    if archived := _archived(found.archived):
        yield "archived", archived
    yield "in quarantine", words.counts(found.quarantine)
    oddities = found.oddities
    yield (
        "odd positions",
        (
            f"{oddities.unknown_statuses:,} of unknown status, "
            f"{oddities.unknown_types:,} of unknown event type, "
            f"{oddities.misfits:,} with an invalid field"
        ),
    )
    if (guard := remedy(found.guard)) is not None:
        yield "error", guard
    if found.others_may_change:
        who = ", ".join(found.others_may_change)
        yield "error", f"{who} can change the store: see `positionstore check`"
    if found.invalid_fields:
        yield "invalid fields", "; ".join(words.invalid_fields(found.invalid_fields))
    sizes = found.sizes
    yield (
        "on disk",
        (
            f"{words.size(sizes.database)}: events {words.size(sizes.events)}, "
            f"positions {words.size(sizes.positions)}, quarantine {words.size(sizes.quarantine)}"
        ),
    )


def _archived(archived: Archived) -> str:
    parts = []
    if archived.archives:
        parts.append(
            f"{counted(archived.facts, 'fact')} of {counted(archived.positions, 'position')}, "
            f"in {counted(archived.archives, 'file')}"
        )
    if archived.of_other_stores:
        parts.append(
            f"{counted(archived.of_other_stores, 'file')} of an imported log, not imported yet"
        )
    return "; ".join(parts)
