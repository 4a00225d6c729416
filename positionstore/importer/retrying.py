"""Inputs in quarantine, read again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from positionstore.dimes.decoder import decode
from positionstore.facts import Event, Received, Source
from positionstore.store import quarantine
from positionstore.store.log import Appender
from positionstore.store.verdict import Verdict, judge


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of a retry.

    Attributes:
        tried: entries of quarantine that were read again.
        released: those that are in the log now.
    """

    tried: int
    released: int


def retry_quarantine(
    connect: Callable[[], psycopg.Connection], *, only: Sequence[int] | None = None
) -> Retried:
    """Read inputs in quarantine again, as after an upgrade of the decoder.

    Args:
        connect: opens a connection to the store; called twice.
        only: the numbers of the entries; all that wait where it is None.
    """
    tried = released = after = 0
    with connect() as reader, connect() as writer:
        appender = Appender(writer)
        while entries := quarantine.to_retry(reader, after=after, only=only):
            after = entries[-1].quarantine_id
            tried += len(entries)
            for entry in entries:
                what = decode(entry.raw)
                if not isinstance(what, Event):
                    continue
                try:
                    result = appender.append(
                        [Received(what, entry.received_at, Source(entry.source))]
                    )
                except psycopg.Error as error:
                    if judge(error) is not Verdict.SPLIT:
                        raise
                    continue  # it is refused once more, and stays
                if not result.quarantined:
                    quarantine.release(reader, [entry.quarantine_id])
                    released += 1
    return Retried(tried, released)
