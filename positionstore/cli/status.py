"""``positionstore status``: the store at a glance."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from positionstore.cli.console import print_json, print_table
from positionstore.cli.start import start
from positionstore.store.database import opened
from positionstore.store.status import Status
from positionstore.store.status import status as look


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Show connection, lag and sizes at a glance.

    Example: positionstore status
    """
    with opened(start()) as store, store.connect() as connection:
        found = look(connection)
    if as_json:
        print_json(asdict(found))
    else:
        print_table(("what", "is"), list(_rows(found, datetime.now(UTC))))


def _rows(found: Status, now: datetime) -> Iterator[tuple[str, str]]:
    yield "environment", found.environment or "none yet"
    for session in found.live_sessions:
        seen = _ago(session.last_seen_at, now)
        yield (
            f"{session.gateway} gateway",
            f"last heard {seen}, since {session.started_at:%F %T} UTC",
        )
    if not found.live_sessions:
        yield "gateways", f"not connected; last heard {_ago(found.stream.last_seen_at, now)}"
    log = found.log
    about = f", about {log.events_estimate:,} facts" if log.events_estimate else ""
    yield "log", f"last seq {log.last_seq or 0:,}{about}"
    yield (
        "last event",
        f"received {_ago(log.last_received_at, now)}, emitted {_ago(log.last_created_at, now)}",
    )
    yield (
        "received",
        (
            f"{found.stream.received:,} over {found.stream.sessions:,} sessions: "
            f"{found.stream.duplicates:,} duplicates, {found.stream.quarantined:,} quarantined"
        ),
    )
    yield "positions", _counts(found.positions_by_phase)
    yield "by status", _counts(found.positions_by_status)
    yield "in quarantine", _counts(found.quarantine)
    oddities = found.oddities
    yield (
        "odd positions",
        (
            f"{oddities.unknown_statuses:,} of unknown status, "
            f"{oddities.unknown_types:,} of unknown event type, "
            f"{oddities.misfits:,} with a field of the wrong kind"
        ),
    )
    sizes = found.sizes
    yield (
        "on disk",
        (
            f"{_bytes(sizes.database)}: events {_bytes(sizes.events)}, "
            f"positions {_bytes(sizes.positions)}, quarantine {_bytes(sizes.quarantine)}"
        ),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit} ago"
    return f"{seconds} seconds ago"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
