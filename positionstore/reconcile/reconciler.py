"""A reconciliation, from the lock to the record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg

from positionstore import tracing
from positionstore.dimes.access import RestCredentials
from positionstore.dimes.access_book import CredentialProvider
from positionstore.dimes.rest import RestClient
from positionstore.errors import (
    BusyError,
    ConfigurationError,
    CredentialsError,
    GatewayError,
)
from positionstore.log import get_logger
from positionstore.model.address import one_spelling
from positionstore.reconcile.checkpoint import Checkpoint, NoCheckpoint
from positionstore.reconcile.report import RunReport, RunState, as_dict
from positionstore.reconcile.run import ReconcileRun, StoppedError
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.reconcile.server_clock import ServerClock
from positionstore.reconcile.store_side import StoreSide
from positionstore.reconcile.sub_resources import SubResources
from positionstore.settings import Settings
from positionstore.store import identity
from positionstore.store import runs as records
from positionstore.store.database import Store
from positionstore.store.invalid_fields import invalid_fields

_log = get_logger(__name__)
_TOLD: Final = 10


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a run that goes on where another was killed takes over from it.

    Attributes:
        started_at: when the first part began (our clock, UTC): the run is as old as that.
        checkpoint: how far it has come.
        as_of: the earliest as-of of its responses, by the server's clock; None where the run
            begins here, to be gone on with by another.
    """

    started_at: datetime
    checkpoint: Checkpoint
    as_of: datetime | None = None


class Reconciler:
    """Compares the store with ``GET /positions`` and repairs it by appending snapshots.

    Args:
        settings: whom to ask, as whom.
        store: what to compare.
        as_customer: look at the positions of the settings' customer alone, even where there is a
            partner's key.
        clock: tells our time, UTC.
        sleep: waits, in seconds.
        client: makes the REST client, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        as_customer: bool = False,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        client: Callable[[Settings], RestClient] = RestClient.of,
    ) -> None:
        self._settings = settings
        self._store = store
        self._as_customer = as_customer or settings.api_key is None
        self._clock = clock
        self._sleep = sleep
        self._client = client

    def recent_scope(self) -> Scope:
        """Return the scope of a periodic run: what the store may have missed until now."""
        with self._store.connect() as connection:
            return Scope.recent(
                now=self._clock(),
                last_complete_run=records.last_complete_run(connection),
                oldest_unrepaired_gap=records.oldest_unrepaired_gap(connection),
                coverage_begins=records.coverage_begins(connection),
            )

    async def run(
        self,
        trigger: Trigger,
        scope: Scope,
        *,
        dry_run: bool = False,
        resumption: Resumption | None = None,
        progress: Callable[[RunReport], None] = lambda _: None,
    ) -> RunReport:
        """Do one run, and record it.

        Args:
            trigger: what starts it.
            scope: which positions it walks.
            dry_run: only report: nothing is written.
            resumption: the run that this one goes on with.
            progress: called after each page.

        Returns:
            What it found and did. A run that an error ended is ``failed`` there, not raised.

        Raises:
            ConfigurationError: a setting is missing, or does not fit the store.
            BusyError: another reconciler is at work on this database.
            DatabaseUnavailableError: the store cannot be reached.
        """
        settings = self._settings
        if settings.api_key is None and settings.jwt is None:
            raise ConfigurationError(
                "GET /positions wants credentials.",
                remedy="Set DIMES_API_KEY, or DIMES_JWT for one customer's positions.",
            )
        started_at = resumption.started_at if resumption else self._clock()
        report = RunReport(trigger, scope, dry_run, started_at)
        report.as_of = resumption.as_of if resumption else None
        async with AsyncExitStack() as stack:
            reader = stack.enter_context(self._store.connect())
            writer = stack.enter_context(self._store.connect())
            # What a crash of the server can lose of it is found again by the next run.
            reader.execute("SET synchronous_commit = off")
            (identity.check if dry_run else identity.claim)(reader, settings.environment)
            if not await asyncio.to_thread(records.try_lock, reader):
                raise BusyError(
                    "Another reconciliation is at work on this database.",
                    remedy="Wait until it has ended.",
                )
            stack.callback(records.unlock, reader)
            if not dry_run:
                report.run_id = records.begin_run(
                    reader,
                    trigger=trigger,
                    scope=scope.name,
                    closed_since=scope.closed_since,
                    closed_until=scope.closed_until,
                    started_at=started_at,
                )
            rest: RestClient | None = None
            try:
                rest = await stack.enter_async_context(self._client(settings))
                credentials = await self._accesses(reader, rest, report)
                store_side = StoreSide(
                    reader,
                    writer,
                    settle_window=settings.settle_window_duration,
                    history=settings.valuation_history,
                    dry_run=dry_run,
                )
                server_clock = ServerClock(self._clock, records.clock_offsets(reader))
                rest.as_of = server_clock.as_of
                walk = ReconcileRun(
                    store_side,
                    rest,
                    report,
                    settle_window=settings.settle_window_duration,
                    clock=self._clock,
                    server_clock=server_clock,
                    sleep=self._sleep,
                    checkpoint=resumption.checkpoint if resumption else NoCheckpoint(),
                    verified_since=report.as_of,
                    progress=progress,
                )
                await walk.run(credentials, at_once=settings.http_concurrency)
                if not dry_run:
                    provider = CredentialProvider(settings, rest)
                    reading = SubResources(
                        reader,
                        rest,
                        credentials,
                        None if self._as_customer else provider.for_wallet,
                        self._clock,
                    )
                    await reading.read(records.last_complete_run(reader), report)
                if not records.holds_lock(reader):
                    report.errors.append(
                        "Another session of the database answered in the middle of the run, so "
                        "another reconciler may have been at work."
                    )
                    report.end()
            except (StoppedError, CredentialsError, GatewayError) as error:
                report.state = RunState.FAILED
                report.refused = report.refused or isinstance(error, CredentialsError)
                report.errors.append(str(error))
            except BaseException as error:
                report.errors.append(
                    "It was interrupted; the rest was not seen."
                    if isinstance(error, asyncio.CancelledError)
                    else f"It was ended by {type(error).__name__}; the rest was not seen."
                )
                report.end()
                with suppress(psycopg.Error):  # the one that ended it is the one to report
                    self._finish(reader, report, rest)
                raise
            self._finish(reader, report, rest)
        return report

    async def _accesses(
        self, reader: psycopg.Connection, rest: RestClient, report: RunReport
    ) -> Sequence[RestCredentials]:
        settings = self._settings
        provider = CredentialProvider(settings, rest)
        if self._as_customer:
            report.reach = "wallets"
            access = await provider.for_customer()
            self._say_whom_it_leaves_out(reader, access, report)
            return [access]
        partner = await provider.for_partner()
        if partner is not None:
            report.reach = "partner"
            return [partner]
        report.reach = "wallets"
        named = [*settings.wallets, *filter(None, [settings.wallet_address])]
        wallets: dict[str, str] = {}
        for wallet in [*named, *records.wallets(reader)]:
            # As the operator spells it, if the operator does: an API may be strict about checksums.
            wallets.setdefault(one_spelling(wallet), wallet)
        if not wallets:
            raise CredentialsError(
                "The API key may not list positions by itself, and no wallet is known yet.",
                remedy="Name wallets in POSITIONSTORE_WALLETS, or let the ingester hear of them; "
                "and see that DIMES_API_KEY is right.",
            )
        return [provider.for_wallet(wallet) for wallet in wallets.values()]

    @staticmethod
    def _say_whom_it_leaves_out(
        connection: psycopg.Connection, access: RestCredentials, report: RunReport
    ) -> None:
        known = set(records.wallets(connection))
        # A ready token that does not say whose it is may be of a wallet that is known.
        others = len(known - {one_spelling(access.wallet)}) if access.wallet else len(known) - 1
        if others > 0:
            report.errors.append(
                "The credentials show the positions of one wallet; the store has some of "
                f"{others} others, which were not seen."
            )

    def _finish(
        self, connection: psycopg.Connection, report: RunReport, rest: RestClient | None
    ) -> None:
        report.finished_at = self._clock()
        report.invalid_fields = invalid_fields(connection)
        if report.invalid_fields:
            _log.warning(
                "invalid_fields",
                fields={each.field: each.positions for each in report.invalid_fields[:_TOLD]},
                positions=sorted({one for each in report.invalid_fields for one in each.examples})[
                    :_TOLD
                ],
            )
        if rest is not None:
            report.requests, report.retries = rest.requests, rest.retries
        tracing.tell(
            "reconciliation",
            began=report.started_at,
            ended=report.finished_at,
            failed=report.state is not RunState.COMPLETE,
            run_id=report.run_id,
            trigger=report.trigger.value,
            scope=report.scope.name,
            state=report.state.value,
            seen=report.seen,
            repaired=report.repaired,
            unresolved=report.unresolved,
            requests=report.requests,
            retries=report.retries,
        )
        if report.run_id is None:
            return
        record_end(connection, report.run_id, report)
        for note in report.notes:
            _log.warning("reconciliation_note", run_id=report.run_id, note=note)
        level = {RunState.FAILED: logging.ERROR, RunState.PARTIAL: logging.WARNING}
        _log.log(
            level.get(report.state, logging.INFO),
            "reconciled",
            run_id=report.run_id,
            trigger=report.trigger,
            state=report.state,
            seen=report.seen,
            repaired=report.repaired,
            unresolved=report.unresolved,
        )


def record_end(connection: psycopg.Connection, run_id: int, report: RunReport) -> None:
    """Record how a run ended."""
    columns = as_dict(report, at_most=0) | {"clock_offset": report.clock_offset}
    records.finish_run(connection, run_id, columns)
