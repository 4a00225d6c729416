"""How the state of the store is put into words, for every command that shows it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from positionstore.health.disk import Disk
from positionstore.ingest.spools import SpoolTotals
from positionstore.store.invalid_fields import InvalidField
from positionstore.store.status import ClockOffset, Coverage, Drift, LastRun


def gaps(coverage: Coverage, now: datetime) -> str:
    """Say how many gaps the stream has, and what to do."""
    recovered = f", {coverage.recovered:,} recovered" if coverage.recovered else ""
    if not coverage.unrepaired:
        return f"none unrepaired, of {coverage.gaps:,}{recovered}" if coverage.gaps else "none"
    since = ago(coverage.oldest_unrepaired_at, now)
    length = span(coverage.unrepaired_seconds)
    words = f"{coverage.unrepaired:,} unrepaired, {length} together, the oldest began {since}"
    words += f"{recovered} of {coverage.gaps:,}" if recovered else ""
    if coverage.open_since is not None:
        return f"{words}; one is open since {coverage.open_since:%F %T} UTC"
    return f"{words}; `positionstore backfill` repairs them"


def last_run(run: LastRun | None, now: datetime) -> str:
    """Say how the reconciliation that began last stands."""
    if run is None:
        return "never"
    words = f"run {run.run_id} ({run.trigger}, {run.scope}) began {ago(run.started_at, now)}, "
    if run.finished_at is None:
        return f"{words}{run.state}"
    words += f"{run.state}: {run.seen:,} seen, {run.differed:,} differed, {run.repaired:,} repaired"
    if run.unresolved:
        words += f", {run.unresolved:,} not"
    return f"{words}; {run.error}" if run.error else words


def invalid_fields(fields: Iterable[InvalidField], *, at_most: int = 20) -> Iterator[str]:
    """Describe each invalid field: in how many positions, and in which."""
    listed = list(fields)
    for each in listed[:at_most]:
        more = ", ..." if each.positions > len(each.examples) else ""
        noun = "position" if each.positions == 1 else "positions"
        yield f"{each.field} in {each.positions:,} {noun} ({', '.join(each.examples)}{more})"
    if len(listed) > at_most:
        yield f"and {len(listed) - at_most:,} more fields"


def drift(drift: Drift, now: datetime) -> str:
    """Say what the reconciliations of a day found, and how many positions still differ."""
    kinds = {
        "missing": drift.missing,
        "stale": drift.stale,
        "divergent": drift.divergent,
        "absent upstream": drift.absent_upstream,
    }
    found = counts({name: count for name, count in kinds.items() if count})
    if found != "none":
        found += f"; {drift.repaired:,} repaired"
    if drift.still_different:
        found += f"; {drift.still_different:,} still different"
    incomplete = f", {drift.incomplete:,} of them incomplete" if drift.incomplete else ""
    return (
        f"{found} ({drift.runs:,} runs in 24 hours{incomplete}); all seen "
        f"{ago(drift.last_complete_at, now)}, in full {ago(drift.last_full_at, now)}"
    )


def spool(spool: SpoolTotals, now: datetime) -> str:
    """Say what waits in the spools of this machine."""
    damaged = f"; {spool.damaged:,} damaged, set aside" if spool.damaged else ""
    if not spool.events:
        return f"empty{damaged}"
    left = f"; {spool.left_behind:,} left behind" if spool.left_behind else ""
    share = spool.largest / spool.max_bytes
    return (
        f"{spool.events:,} events wait for the database, {size(spool.bytes)}, the oldest "
        f"received {ago(spool.oldest, now)}; at {share:.0%} of its bound{left}{damaged}"
    )


def clock(known: ClockOffset | None, now: datetime) -> str:
    """Say how far the vendor's clock and ours are apart."""
    if known is None:
        return "not known: no run could tell yet"
    way = "ahead of" if known.seconds >= 0 else "behind"
    return (
        f"the vendor's is {seconds(abs(known.seconds))} {way} ours, "
        f"by run {known.run_id}, {ago(known.started_at, now)}"
    )


def disks(disks: Sequence[Disk]) -> str:
    """Say how much room there is on each file system of ours."""
    return "; ".join(
        f"{size(disk.free)} free of {size(disk.total)} ({' and '.join(disk.holds)})"
        for disk in disks
    )


def counts(counts: Mapping[str, int]) -> str:
    """Say how many there are of each."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "none"


def ago(moment: datetime | None, now: datetime) -> str:
    """Say how long ago something was."""
    return "never" if moment is None else f"{span((now - moment).total_seconds())} ago"


def span(length: float | timedelta) -> str:
    """Say how long something lasted, in the largest unit of which there are two."""
    length = length.total_seconds() if isinstance(length, timedelta) else length
    whole = max(0, int(length))
    for one, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if whole >= 2 * one:
            return f"{whole // one:,} {unit}"
    return f"{whole} seconds"


def seconds(length: float) -> str:
    """Say a short time exactly."""
    return f"{length * 1000:,.0f} ms" if abs(length) < 1 else f"{length:,.1f} s"


def size(size: float) -> str:
    """Say how many bytes there are."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
