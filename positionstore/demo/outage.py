"""The part of a demo that shows connection state recovery."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import psycopg

from positionstore.demo.client import SandboxClient

_EVENTS: Final = 100
"""How many events are emitted during the outage: about a second of the demo's world."""

_PATIENCE: Final = 20.0
"""Seconds to wait for something that should take two or three."""

_RECOVERED: Final = "SELECT coalesce(sum(recovered), 0)::int FROM stream_sessions"
_NOW: Final = "SELECT clock_timestamp()"
_GAPS: Final = """
    SELECT count(*) FILTER (WHERE recovered_at IS NOT NULL),
           count(*) FILTER (WHERE recovered_at IS NULL AND repaired_at IS NULL)
    FROM coverage_gaps WHERE ended_at > %s
"""


class Stage(Protocol):
    """What this part needs of the demo."""

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
        """Wait for a condition; return whether it became true."""
        ...


@dataclass(frozen=True, slots=True)
class Outage:
    """The result of an outage.

    Attributes:
        seconds: how long the ingester was disconnected.
        emitted: events emitted meanwhile.
        recovered: events that the gateway replayed: these, those in transit when the connection
            was cut, and those that also came over the new one.
        needs_repair: whether the outage is still a gap that needs repair.
    """

    seconds: float
    emitted: int
    recovered: int
    needs_repair: bool


def cut_off(stage: Stage) -> Outage:
    """Cut the connection, emit events, let the ingester reconnect, and check what it has."""
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
