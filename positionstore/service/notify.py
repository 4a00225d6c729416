"""Tells the service manager how the service stands: systemd's notification protocol.

It is a few lines over a datagram socket, so it needs no library: those on the package index either
want libsystemd, or were last released years ago.

Source: the manual pages sd_notify(3) and sd_watchdog_enabled(3).
"""

import asyncio
import faulthandler
import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

from positionstore.ingest.meter import Meter
from positionstore.model.facts import Source
from positionstore.model.work import Work

EVERY: Final = 5.0
"""Seconds between two words on how it stands, at most."""

_BEATS: Final = 3
"""How often the watchdog is notified within its time, so that one late turn is no reason."""

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Sends states to the service manager; where there is none, it does nothing.

    Args:
        address: the manager's socket: a path, or a name of the abstract namespace behind ``@``.
        watchdog: seconds of silence after which the manager restarts the service; None where it
            never does.
    """

    def __init__(self, address: str | None, watchdog: float | None) -> None:
        self.watchdog = watchdog
        self._address = address
        self._socket: socket.socket | None = None
        if address is not None and address[:1] in {"/", "@"}:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A manager that does not read must not hold up the loop.
            self._socket.setblocking(False)
            self._address = "\0" + address[1:] if address[0] == "@" else address

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> "Notifier":
        """Read what the manager says, and take it out: it is not meant for children.

        Args:
            environment: the process's.
        """
        address, limit, pid = (environment.pop(name, None) for name in _VARIABLES)
        watchdog = None
        if pid is None or pid == str(os.getpid()):
            with suppress(ValueError):
                watchdog = int(limit) / 1e6 if limit else None
        return cls(address, watchdog if watchdog and watchdog > 0 else None)

    @property
    def is_on(self) -> bool:
        """Whether there is a manager to tell."""
        return self._socket is not None

    def tell(self, *states: str) -> None:
        """Send states such as ``READY=1``; what the manager does not take is lost."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(states).encode(), self._address or "")

    def close(self) -> None:
        """Tell no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def notified(notifier: Notifier, gateway: Source, meter: Meter, work: Work) -> Work:
    """Return work that notifies the service manager while it is done; as it is without one.

    It is ready once the event loop turns that reads the gateway: neither the gateway nor the
    database is waited for, for a restart brings neither of them back. That loop feeds the watchdog,
    so that one that is blocked is noticed.

    Args:
        notifier: tells the manager.
        gateway: what is ingested from.
        meter: what the work counts with.
        work: ingests until it is told to stop.
    """
    if not notifier.is_on:
        return work

    async def done(stop: asyncio.Event) -> None:
        if notifier.watchdog is not None:
            # The manager's SIGABRT then leaves in the log where the loop stood.
            faulthandler.enable()
        telling = asyncio.ensure_future(_tell(notifier, gateway, meter, stop))
        try:
            await work(stop)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            notifier.tell("STOPPING=1", "STATUS=Stopped.")
            notifier.close()

    return done


async def _tell(notifier: Notifier, gateway: Source, meter: Meter, stop: asyncio.Event) -> None:
    every = EVERY if notifier.watchdog is None else min(EVERY, notifier.watchdog / _BEATS)
    beat = () if notifier.watchdog is None else ("WATCHDOG=1",)
    notifier.tell("READY=1", f"STATUS={status(gateway, meter)}", *beat)
    while True:
        if stop.is_set():
            notifier.tell("STOPPING=1", "STATUS=Writing what has arrived.", *beat)
            await asyncio.sleep(every)
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stop.wait()
        if not stop.is_set():
            notifier.tell(f"STATUS={status(gateway, meter)}", *beat)


def status(gateway: Source, meter: Meter) -> str:
    """Say in one line how the service stands."""
    standing = meter.standing()
    parts = [f"The {gateway} gateway is {'connected' if standing.connected else 'not connected'}"]
    if meter.last_event_at is not None:
        parts.append(f"the last event came at {meter.last_event_at:%F %T} UTC")
    parts.append(f"{meter.received:,} inputs received")
    if standing.spooled:
        parts.append(f"{standing.spooled:,} wait in the spool")
    if meter.database_up is False:
        parts.append("the database is away")
    return "; ".join(parts) + "."
