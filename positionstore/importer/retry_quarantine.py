"""Reads inputs in quarantine again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import psycopg

from positionstore.dimes.decoder import decode
from positionstore.dimes.gateway import NAMESPACES
from positionstore.dimes.packets import Unpacker
from positionstore.dimes.page import Listed, read_item
from positionstore.importer.logged import IncompleteSnapshotError, read_line
from positionstore.importer.spill import received
from positionstore.model.facts import Event, Reason, Received, Rejected, Source
from positionstore.store import quarantine
from positionstore.store.appender import Appender
from positionstore.store.db_errors import ErrorAction, classify
from positionstore.store.quarantine import Kept


@dataclass(frozen=True, slots=True)
class Retried:
    """The result of a retry.

    Attributes:
        tried: entries that were read again.
        released: those that are now in the log, or whose position a later run has seen.
    """

    tried: int
    released: int


def retry_quarantine(
    connect: Callable[[], psycopg.Connection], *, only: Sequence[int] | None = None
) -> Retried:
    """Read inputs in quarantine again, for example after an upgrade.

    Each is read as its source would be read today: packets as a connection reads them, lines as an
    import does. Facts get the source of the entry. A snapshot of a log that the database refused
    was kept as a log row and is appended as such. An item of a REST answer is not a fact on its
    own, since its as-of is no longer known; it is released when it can be read and a later
    reconciliation has seen its position.

    Args:
        connect: opens a connection to the store; called twice.
        only: the numbers of the entries; None for all.
    """
    tried = released = after = 0
    with connect() as reader, connect() as writer:
        appender = Appender(writer)
        while entries := quarantine.to_retry(reader, after=after, only=only):
            after = entries[-1].quarantine_id
            tried += len(entries)
            for entry in entries:
                if _is_settled(reader, appender, entry):
                    quarantine.release(reader, [entry.quarantine_id])
                    released += 1
    return Retried(tried, released)


def _is_settled(reader: psycopg.Connection, appender: Appender, entry: Kept) -> bool:
    if entry.source == Source.REST and entry.reason != Reason.REFUSED_BY_DATABASE:
        item = read_item(entry.raw)
        return isinstance(item.what, Listed) and quarantine.is_seen_since(
            reader, item.what.position_id, entry.received_at
        )
    what = _read(entry)
    if what is None:
        return False
    try:
        return not appender.append([what]).quarantined
    except psycopg.Error as error:
        if classify(error) is not ErrorAction.SPLIT:
            raise
        return False  # it is refused once more, and stays


def _read(entry: Kept) -> Received | None:
    """Return the fact of an input, by its source; None if it is invalid."""
    source, found = Source(entry.source), None
    if source in {Source.IMPORT, Source.REST}:
        with suppress(IncompleteSnapshotError):
            found = received(read_line(entry.raw), entry.received_at)
        return None if found is None or isinstance(found.what, Rejected) else found
    what = decode(entry.raw)
    if isinstance(what, Rejected):
        what = _unpacker(source).unpack(entry.raw)
    return Received(what, entry.received_at, source) if isinstance(what, Event) else None


@cache
def _unpacker(gateway: Source) -> Unpacker:
    return Unpacker(NAMESPACES[gateway])
