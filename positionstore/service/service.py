"""The ingester and the periodic reconciler, side by side; neither stops the other."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from datetime import time as time_of_day
from functools import partial
from typing import Final

from positionstore.errors import (
    ConfigurationError,
    CredentialsError,
    DatabaseUnavailableError,
)
from positionstore.ingest.backoff import Backoff
from positionstore.ingest.ingester import Ingester
from positionstore.ingest.meter import Meter
from positionstore.log import get_logger
from positionstore.model.facts import Source
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import RunReport
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.service.aside import WorkerThread
from positionstore.service.rounds import ReconcileLoop, wait_for
from positionstore.service.schedule import Schedule
from positionstore.settings import Settings
from positionstore.store.database import Store

_log = get_logger(__name__)

_TIME_TO_END: Final = 2.0
"""Seconds the reconciler has to end after the ingester; both are stopped at once."""

_BASE_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0


class Service:
    """Ingests, and reconciles after each connection, every few minutes, and once a day in full.

    The reconciler has its own thread, so that the ingester keeps receiving while it computes or
    waits for the database.

    Args:
        settings: the gateway, the credentials and the schedule.
        store: the store; its schema is at head.
        gateway: ``Source.PARTNER`` or ``Source.CUSTOMER``.
        meter: counts what the ingester does.
        reconciler: executes the runs; for tests.

    Raises:
        ConfigurationError: a setting is missing, or does not fit the store.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        gateway: Source,
        *,
        meter: Meter | None = None,
        reconciler: Callable[[Settings, Store], Reconciler] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._gateway = gateway
        self._meter = meter or Meter()
        # What the gateway does not tell of would drift from one run to the next.
        make = reconciler or partial(Reconciler, as_customer=gateway is Source.CUSTOMER)
        self._reconciler = make(settings, store)
        self._rounds = ReconcileLoop(_timetable(settings), self._run)
        self._aside = WorkerThread("reconciler", self._rounds.run)
        self._next_ingester: Ingester | None = self._new_ingester()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then write what has arrived, and end the current run.

        Raises:
            CredentialsError: the gateway refuses the credentials.
            DatabaseUnavailableError: on stopping, what has arrived could not be written.
        """
        self._aside.start()
        stopping = asyncio.ensure_future(self._stop_aside_after(stop))
        try:
            await self._ingest(stop)
        finally:
            stopping.cancel()
            self._aside.stop()
            await self._end_aside()

    async def _ingest(self, stop: asyncio.Event) -> None:
        """Ingest; start again after an unexpected error."""
        backoff = Backoff(base=_BASE_WAIT, cap=_LONGEST_WAIT, random=random.random)
        while not stop.is_set():
            began = time.monotonic()
            try:
                ingester, self._next_ingester = self._next_ingester or self._new_ingester(), None
                await ingester.run(stop)
            except (ConfigurationError, CredentialsError):
                raise
            except DatabaseUnavailableError as error:
                if stop.is_set():
                    raise
                _log.error("ingester_failed", error=str(error))
            except Exception:
                if stop.is_set():
                    raise
                _log.exception("ingester_failed")
            else:
                return
            backoff.succeeded(lasted=time.monotonic() - began)
            await wait_for(stop, backoff.draw())

    async def _run(self, trigger: Trigger) -> RunReport:
        full = trigger is Trigger.DAILY
        scope = Scope.full() if full else self._reconciler.recent_scope()
        return await self._reconciler.run(trigger, scope)

    def _new_ingester(self) -> Ingester:
        return Ingester(
            self._settings,
            self._store,
            self._gateway,
            on_connected=[self._on_connected],
            meter=self._meter,
        )

    def _on_connected(self) -> None:
        self._aside.call(self._rounds.connected)

    async def _stop_aside_after(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._aside.stop()

    async def _end_aside(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIME_TO_END):
                await self._aside.ended()
                return
        _log.warning("reconciler_not_ended")


def _timetable(settings: Settings) -> Schedule:
    hours, minutes = map(int, settings.full_pass_at.split(":"))
    return Schedule(
        every=settings.reconcile_every,
        full_pass_at=time_of_day(hours, minutes),
        random=random.random,
        monotonic=time.monotonic,
        clock=lambda: datetime.now(UTC),
    )
