"""``positionstore status``: the store at a glance."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.cli.console import counted, print_json, print_table
from positionstore.cli.run_view import told_fields
from positionstore.errors import DatabaseUnavailableError
from positionstore.ingest.spools import Spools, SpoolTotals
from positionstore.store.database import opened
from positionstore.store.restored import remedy
from positionstore.store.sessions import DEAD_AFTER
from positionstore.store.status import Archived, Coverage, Drift, LastRun, Status
from positionstore.store.status import status as look


def status(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False
) -> None:
    """Show connection, lag, gaps, drift, spool and sizes at a glance.

    If the database is away, only the spool is shown, and the exit code is 1.

    Example: positionstore status
    """
    settings = start()
    spool = Spools(settings.store_dir, max_bytes=settings.spool_max_bytes).totals()
    now = datetime.now(UTC)
    try:
        with opened(settings) as store, store.connect() as connection:
            found = look(connection)
    except DatabaseUnavailableError as error:
        if as_json:
            print_json({"error": str(error), "spool": asdict(spool)})
        else:
            print_table(("what", "is"), [("spool", _spool(spool, now))])
        raise
    if as_json:
        print_json(asdict(found) | {"spool": asdict(spool)})
    else:
        print_table(("what", "is"), [*_rows(found, now), ("spool", _spool(spool, now))])


def _rows(found: Status, now: datetime) -> Iterator[tuple[str, str]]:
    yield "environment", found.environment or "none yet"
    for session in found.live_sessions:
        seen = _ago(session.last_seen_at, now)
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
        yield "gateways", f"not connected; last heard {_ago(found.stream.last_seen_at, now)}"
    yield "gaps", _gaps(found.coverage, now)
    yield "last reconciliation", _last_run(found.last_run, now)
    yield "drift", _drift(found.drift, now)
    log = found.log
    about = f", about {log.events_estimate:,} facts" if log.events_estimate else ""
    yield "log", f"last seq {log.last_seq or 0:,}{about}"
    yield (
        "last event",
        f"received {_ago(log.last_received_at, now)}, emitted {_ago(log.last_created_at, now)}",
    )
    if found.lag.median is not None and found.lag.p95 is not None:
        yield "lag", f"median {_seconds(found.lag.median)}, 95 % within {_seconds(found.lag.p95)}"
    yield (
        "received",
        (
            f"{found.stream.received:,} over {found.stream.sessions:,} sessions: "
            f"{found.stream.duplicates:,} duplicates, {found.stream.quarantined:,} quarantined, "
            f"{found.stream.recovered:,} recovered after an outage"
        ),
    )
    yield "positions", _counts(found.positions_by_phase)
    yield "by status", _counts(found.positions_by_status)
    if told := _archived(found.archived):
        yield "archived", told
    yield "in quarantine", _counts(found.quarantine)
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
        yield "invalid fields", "; ".join(told_fields(found.invalid_fields))
    sizes = found.sizes
    yield (
        "on disk",
        (
            f"{_bytes(sizes.database)}: events {_bytes(sizes.events)}, "
            f"positions {_bytes(sizes.positions)}, quarantine {_bytes(sizes.quarantine)}"
        ),
    )


def _spool(spool: SpoolTotals, now: datetime) -> str:
    damaged = f"; {spool.damaged:,} damaged, set aside" if spool.damaged else ""
    if not spool.events:
        return f"empty{damaged}"
    left = f"; {spool.left_behind:,} left behind" if spool.left_behind else ""
    share = spool.largest / spool.max_bytes
    return (
        f"{spool.events:,} events wait for the database, {_bytes(spool.bytes)}, "
        f"the oldest received {_ago(spool.oldest, now)}; at {share:.0%} of its bound{left}{damaged}"
    )


def _gaps(coverage: Coverage, now: datetime) -> str:
    recovered = f", {coverage.recovered:,} recovered" if coverage.recovered else ""
    if not coverage.unrepaired:
        return f"none unrepaired, of {coverage.gaps:,}{recovered}" if coverage.gaps else "none"
    since = _ago(coverage.oldest_unrepaired_at, now)
    length = _span(coverage.unrepaired_seconds)
    text = f"{coverage.unrepaired:,} unrepaired, {length} together, the oldest began {since}"
    text += f"{recovered} of {coverage.gaps:,}" if recovered else ""
    if coverage.open_since is not None:
        return f"{text}; one is open since {coverage.open_since:%F %T} UTC"
    return f"{text}; `positionstore backfill` repairs them"


def _last_run(run: LastRun | None, now: datetime) -> str:
    if run is None:
        return "never"
    text = f"run {run.run_id} ({run.trigger}, {run.scope}) began {_ago(run.started_at, now)}, "
    if run.finished_at is None:
        return f"{text}{run.state}"
    text += f"{run.state}: {run.seen:,} seen, {run.differed:,} differed, {run.repaired:,} repaired"
    if run.unresolved:
        text += f", {run.unresolved:,} not"
    return f"{text}; {run.error}" if run.error else text


def _drift(drift: Drift, now: datetime) -> str:
    kinds = {
        "missing": drift.missing,
        "stale": drift.stale,
        "divergent": drift.divergent,
        "absent upstream": drift.absent_upstream,
    }
    found = _counts({name: count for name, count in kinds.items() if count})
    if found != "none":
        found += f"; {drift.repaired:,} repaired"
    incomplete = f", {drift.incomplete:,} of them incomplete" if drift.incomplete else ""
    return (
        f"{found} ({drift.runs:,} runs in 24 hours{incomplete}); all seen "
        f"{_ago(drift.last_complete_at, now)}, in full {_ago(drift.last_full_at, now)}"
    )


def _archived(archived: Archived) -> str:
    told = []
    if archived.archives:
        told.append(
            f"{counted(archived.facts, 'fact')} of {counted(archived.positions, 'position')}, "
            f"in {counted(archived.archives, 'file')}"
        )
    if archived.of_other_stores:
        told.append(
            f"{counted(archived.of_other_stores, 'file')} of an imported log, not imported yet"
        )
    return "; ".join(told)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def _ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{_span((now - moment).total_seconds())} ago"


def _span(length: float) -> str:
    seconds = max(0, int(length))
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds} seconds"


def _seconds(length: float) -> str:
    return f"{length * 1000:,.0f} ms" if abs(length) < 1 else f"{length:,.1f} s"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
