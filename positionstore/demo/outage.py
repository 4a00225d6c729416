"""The act of a demo that shows connection state recovery."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import psycopg

from positionstore.demo.client import SandboxClient

_EVENTS: Final = 100
"""How many events are emitted while nobody is connected: a second or so of the demo's world."""

_PATIENCE: Final = 20.0
"""Seconds until what ought to happen in two or three is told as not having happened."""

_RECOVERED: Final = "SELECT coalesce(sum(recovered), 0)::int FROM stream_sessions"
_NOW: Final = "SELECT clock_timestamp()"
_GAPS: Final = """
    SELECT count(*) FILTER (WHERE recovered_at IS NOT NULL),
           count(*) FILTER (WHERE recovered_at IS NULL AND repaired_at IS NULL)
    FROM coverage_gaps WHERE ended_at > %s
"""


class Stage(Protocol):
    """What the act needs of the demo."""

    @property
    def vendor(self) -> SandboxClient:
        """The sandbox."""
        ...

    @property
    def connection(self) -> psycopg.Connection:
        """To the store."""
        ...

    def is_connected(self) -> bool:
        """Say whether the ingester is connected to the sandbox."""
        ...

    def wait_for(self, condition: Callable[[], bool], *, within: float = ...) -> bool:
        """Wait until something has happened; return whether it has."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """What became of an outage.

    Attributes:
        seconds: how long nobody was connected.
        emitted: events that were emitted meanwhile.
        recovered: events that the gateway has replayed: these, and what was under way when the
            connection was cut or came over the new one as well.
        needs_repair: whether coverage still counts the outage as a gap that needs a repair.
    """

    seconds: float
    emitted: int
    recovered: int
    needs_repair: bool


def cut_off(stage: Stage) -> Outage:
    """Cut the connection, let the world go on, let the ingester come back, and see what it has."""
    vendor, connection = stage.vendor, stage.connection
    vendor.keep_connections()
    stage.wait_for(stage.is_connected)
    (before,), *_ = connection.execute(_RECOVERED).fetchall()
    ((since,),) = connection.execute(_NOW).fetchall()
    unheard = vendor.counts()["unheard"]
    began = time.monotonic()
    vendor.refuse_connections(refuse=True)
    vendor.cut()
    stage.wait_for(lambda: vendor.counts()["unheard"] >= unheard + _EVENTS, within=_PATIENCE)
    vendor.refuse_connections(refuse=False)
    stage.wait_for(stage.is_connected)
    seconds = time.monotonic() - began
    emitted = vendor.counts()["unheard"] - unheard

    def gaps() -> tuple[int, int]:
        ((recovered, others),) = connection.execute(_GAPS, (since,)).fetchall()
        return recovered, others

    stage.wait_for(lambda: gaps()[0] > 0, within=_PATIENCE)
    recovered, others = gaps()
    (after,), *_ = connection.execute(_RECOVERED).fetchall()
    vendor.lose_connections()
    return Outage(seconds, emitted, after - before, needs_repair=others > 0 or recovered == 0)
