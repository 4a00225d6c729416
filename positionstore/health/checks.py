"""All that ``positionstore check`` looks at, one thing after the other.

A further check of the store is a function in :data:`_OF_THE_STORE`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import psycopg

from positionstore.errors import DatabaseUnavailableError
from positionstore.health import words
from positionstore.health.disk import Disk, disks
from positionstore.health.running import Running, ask
from positionstore.ingest.spools import SpoolTotals, totals_of
from positionstore.model.check import Check
from positionstore.redaction import redacted
from positionstore.settings import Settings
from positionstore.store import checks as of_the_database
from positionstore.store import sample, session, status
from positionstore.store.database import opened
from positionstore.store.sessions import DEAD_AFTER

_LIMITS: Final = {"statement_timeout": "10s", "lock_timeout": "2s"}
"""No check of the store holds up the others, nor another session that wants the lock."""

OLDEST_INPUT: Final = 300.0
"""Seconds that an input may wait in a spool while all is well."""

FULL: Final = 0.5
"""The share of its bound from which on a spool is filling."""

CLOCKS_APART: Final = 10.0
"""Seconds that the vendor's clock and ours may be apart; a run tolerates as much."""


def checks(settings: Settings) -> Iterator[Check]:
    """Look at everything that tells whether the book can be trusted.

    Where the database is away, or its schema is not this version's, what needs it is left out.

    Args:
        settings: name the store, its data directory, and where a service listens.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    running = ask(settings)
    try:
        with opened(settings, check=False) as store, store.connect() as connection:
            ready = True
            for each in of_the_database.checks(connection):
                ready = ready and (each.name != "schema" or each.ok)
                yield each
            if ready:
                yield from _of_the_store(connection, running)
    except (DatabaseUnavailableError, psycopg.OperationalError) as error:
        yield Check("database", ok=False, says=redacted(str(error)))
        if running is not None:
            yield Check("gateway", ok=running.connected, says=_by_service(running))
    now = datetime.now(UTC)
    yield spool(totals_of(settings), now)
    yield disk(disks(settings))


# --- of the store --------------------------------------------------------------------------------


def _of_the_store(connection: psycopg.Connection, running: Running | None) -> Iterator[Check]:
    session.limit(connection, _LIMITS)
    looks: dict[str, Callable[[psycopg.Connection], Check]] = {
        "gateway": partial(_gateway, running=running),
        **_OF_THE_STORE,
    }
    for name, look in looks.items():
        try:
            yield look(connection)
        except psycopg.errors.QueryCanceled:
            limit = _LIMITS["statement_timeout"]
            yield Check(name, ok=False, says=f"the database has not answered within {limit}")
        except psycopg.Error as error:
            if connection.broken:
                raise
            yield Check(name, ok=False, says=redacted(error.diag.message_primary or str(error)))


def _gateway(connection: psycopg.Connection, *, running: Running | None) -> Check:
    now = datetime.now(UTC)
    living = [
        session
        for session in status.live_sessions(connection)
        if now - session.last_seen_at < DEAD_AFTER
    ]
    notes = () if running is None else (_by_service(running),)
    if living:
        names = ", ".join(sorted({session.gateway for session in living}))
        seen = words.ago(max(session.last_seen_at for session in living), now)
        return Check("gateway", ok=True, says=f"{names} connected, heard {seen}", notes=notes)
    heard = status.stream(connection).last_seen_at
    if running is not None and running.connected:
        return Check("gateway", ok=True, says=_by_service(running))
    if heard is None and running is None:
        return Check("gateway", ok=True, says="never connected: no ingester has run yet")
    says = f"not connected; last heard {words.ago(heard, now)}"
    return Check("gateway", ok=False, says=says, notes=notes)


def _by_service(running: Running) -> str:
    gateway = "is connected" if running.connected else "is not connected"
    others = [name for name in running.failing if name != "gateway"]
    more = f"; not well there: {', '.join(others)}" if others else ""
    return f"the service on {running.address} says that its gateway {gateway}{more}"


def _coverage(connection: psycopg.Connection) -> Check:
    found = status.coverage(connection)
    says = words.gaps(found, datetime.now(UTC))
    return Check("coverage", ok=not found.unrepaired, says=f"gaps: {says}")


def _drift(connection: psycopg.Connection) -> Check:
    found = status.drift(connection)
    return Check("drift", ok=not found.still_different, says=words.drift(found, datetime.now(UTC)))


def _clock(connection: psycopg.Connection) -> Check:
    known = status.clock_offset(connection)
    return Check(
        "clock",
        ok=known is None or abs(known.seconds) <= CLOCKS_APART,
        says=words.clock(known, datetime.now(UTC)),
    )


def _verify(connection: psycopg.Connection) -> Check:
    found = sample.verify(connection)
    if not found.differences:
        says = f"{found.positions:,} positions, taken at random, are the fold of their facts"
        if not found.positions:
            says = "there are no positions yet"
        return Check("verify", ok=True, says=says)
    first = found.differences[0]
    return Check(
        "verify",
        ok=False,
        says=(
            f"{len(found.differences):,} of {found.positions:,} positions, taken at random, are "
            f"not the fold of their facts, {first.position_id} for one; `positionstore verify` "
            "names all, `positionstore rebuild` puts them right"
        ),
    )


_OF_THE_STORE: Final[dict[str, Callable[[psycopg.Connection], Check]]] = {
    "coverage": _coverage,
    "drift": _drift,
    "clock": _clock,
    "verify": _verify,
}


# --- of this machine -----------------------------------------------------------------------------


def spool(totals: SpoolTotals, now: datetime) -> Check:
    """Check that nothing waits for long, is damaged, or comes near its bound."""
    waits = (now - totals.oldest).total_seconds() if totals.oldest else 0.0
    filling = totals.largest >= FULL * totals.max_bytes
    ok = not totals.damaged and not filling and waits <= OLDEST_INPUT
    says = f"{words.spool(totals, now)}; {words.size(totals.max_bytes)} is the bound of each"
    return Check("spool", ok=ok, says=says)


def disk(disks: Sequence[Disk]) -> Check:
    """Check that there is room where our files are."""
    ok = all(disk.has_room for disk in disks)
    return Check("disk space", ok=ok, says=words.disks(disks))
