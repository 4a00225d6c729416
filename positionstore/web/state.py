"""What the status page shows, put together: what the process counts, and what the store says."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from positionstore.escaping import printable
from positionstore.health import words
from positionstore.health.to_do import to_do
from positionstore.ingest.meter import Meter
from positionstore.model.wording import counted, dollars
from positionstore.store.differing import Differing
from positionstore.store.restored import remedy
from positionstore.store.status import Status
from positionstore.web.health import readiness
from positionstore.web.store_reader import Reading

_LATE: Final = timedelta(hours=26)
"""A day without a complete run, and some time for it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the book can be trusted, in a line, and why not.

    Attributes:
        level: ``good``, ``warn`` or ``bad``.
        line: the answer.
        reasons: what stands against it, each with what to do.
    """

    level: str
    line: str
    reasons: list[str]


def moment(at: datetime | None) -> str:
    """Return a moment for a person, UTC, to the second; None is empty."""
    return "" if at is None else f"{at.astimezone(UTC):%F %T}"


def judge(
    *,
    ready: Mapping[str, str],
    status: Status | None,
    now: datetime,
    unread: Mapping[str, str] | None = None,
) -> Verdict:
    """Say whether the book can be trusted.

    Args:
        ready: the checks of the process that fail, with what was found.
        status: the status of the store; None where it has not been read.
        now: UTC.
        unread: the parts that could not be read when that was last tried, with the reason.
    """
    bad = list(ready.values())
    if unread:
        bad.extend(
            f"{', '.join(sorted(names))}: not read of the store just now: {said}"
            for said, names in _by_reason(unread).items()
            if said not in bad
        )
    if status is None:
        if not bad:
            return Verdict("warn", "Reading the store…", [])
        return Verdict("bad", "The book cannot be vouched for just now.", bad)
    if said := remedy(status.guard):
        bad.append(f"{said[0].upper()}{said[1:]}.")
    warn = [*_doubts_of_the_runs(status, now), *_doubts_of_the_stream(status, now)]
    if bad:
        return Verdict("bad", "The book cannot be vouched for just now.", bad + warn)
    if warn:
        return Verdict("warn", "The book is being kept, and something wants a look.", warn)
    return Verdict("good", "The book can be trusted.", [])


def _by_reason(unread: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, said in unread.items():
        found.setdefault(said, []).append(name)
    return found


def _doubts_of_the_runs(status: Status, now: datetime) -> Iterator[str]:
    last, found = status.last_run, status.drift
    if last is not None and last.state in {"partial", "failed"}:
        yield f"Last reconciliation: {words.last_run(last, now)}"
    if found.still_different or found.last_complete_at is None:
        yield f"Drift: {words.drift(found, now)}"
    elif now - found.last_complete_at > _LATE:
        yield f"Last complete reconciliation: {words.ago(found.last_complete_at, now)}"


def _doubts_of_the_stream(status: Status, now: datetime) -> Iterator[str]:
    if status.coverage.unrepaired:
        yield f"Gaps: {words.gaps(status.coverage, now)}"
    if status.quarantine:
        yield f"Quarantine: {words.counts(status.quarantine)}; `positionstore quarantine list`"
    if invalid := status.oddities.misfits:
        yield f"{counted(invalid, 'position')} with invalid fields, whose columns are NULL."


def _drifting(position: Differing) -> dict[str, Any]:
    todo = to_do(position.position_id, position.kind, position.resolution)
    return asdict(position) | {
        "fields": [name for name, _, _ in position.fields],
        "value": dollars(position.value_usd_pips),
        "to_do": todo.words,
        "command": todo.command,
    }


def state(
    meter: Meter,
    reading: Reading,
    *,
    gateway: str,
    version: str,
    spool_bound: int,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Return what the page shows, as plain values.

    Args:
        meter: what the process counts.
        reading: what was read of the store last, by the parts of ``store/board.py``.
        gateway: what is ingested from.
        version: of this program.
        spool_bound: how many bytes the spool may take.
        clock: tells the time, UTC.
        monotonic: the clock of the reading, seconds.
    """
    now = clock()
    standing = meter.standing()
    checks = readiness(meter, reading, monotonic)
    database = next(check for check in checks if check.name == "database")
    parts: dict[str, Any] = {name: read.what for name, read in reading.parts.items()}
    if "drift" in parts:
        parts["drift"] = [_drifting(row) for row in parts["drift"].positions]
    verdict = judge(
        ready={check.name: check.says for check in checks if not check.ok},
        status=parts.get("status"),
        unread=reading.errors,
        now=now,
    )
    return {
        "now": now,
        "version": version,
        "verdict": verdict,
        "database": {"ok": database.ok, "line": database.says},
        "live": {
            "gateway": gateway,
            "connected": standing.connected,
            "connections": standing.connections,
            "last_packet_at": standing.last_packet_at,
            "last_event_at": meter.last_event_at,
            "received": meter.received,
            "duplicates": meter.duplicates,
            "out_of_order": meter.out_of_order,
            "recovered": standing.recovered,
            "in_memory": standing.in_memory,
            "spooled": standing.spooled,
            "spool_bytes": standing.spool_bytes,
            "spool_bound": spool_bound,
            "has_room": standing.has_room,
        },
        "parts": parts,
    }


def as_json(values: Mapping[str, Any]) -> str:
    """Return plain values as JSON that may stand in a page: no character of it begins markup."""
    plain = _spelled(msgspec.to_builtins(values, enc_hook=_plain, str_keys=True))
    text = msgspec.json.encode(plain).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _plain(value: object) -> object:
    return str(value)


def _spelled(value: object) -> object:
    # A mark of a text from the wire would turn round the writing of what follows it on the page.
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(name): _spelled(each) for name, each in value.items()}
    return [_spelled(each) for each in value] if isinstance(value, list | tuple) else value
