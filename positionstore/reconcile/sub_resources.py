"""Reads the unwinds and partial closes of positions that changed their size.

The vendor alone knows why a position was unwound, at which price a part of it was sold, and what
was paid out. What cannot be had is unresolved and asked for by the next run; the run goes on.

Source: the vendor's REST reference, "Unwinds and partial closes".
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final

import psycopg

from positionstore.dimes.access import RestCredentials
from positionstore.dimes.json_exact import InvalidInput, beyond_bounds, may_hold_nul, parse
from positionstore.dimes.rest import OutOfReachError, RestClient
from positionstore.errors import CredentialsError, GatewayError
from positionstore.model.address import one_spelling
from positionstore.model.facts import Reason, Received, Rejected, Source
from positionstore.reconcile.report import RunReport
from positionstore.reconcile.together import gather
from positionstore.store import quarantine, sub_resources
from positionstore.store.sub_resources import Due

PATHS: Final[Mapping[str, str]] = {"unwinds": "unwinds", "partial_closes": "partial-closes"}
"""Resource: its path. That of partial closes is inferred from the vendor's SDK."""

_LATE: Final = timedelta(hours=1)  # an event of an ended position may come late by that
_AT_A_TIME: Final = 50
_GIVE_UP_AFTER: Final = 3  # failures in a row, each of which has used up a request's patience


@dataclass
class SubResources:
    """Asks for what is due, and keeps what it is answered.

    Args:
        connection: where it is kept; in autocommit mode.
        rest: the REST API.
        credentials: those of the run: the partner's, or one for each wallet.
        for_wallet: makes the credentials of a wallet, where the API wants a user's; None where
            that cannot be.
        clock: tells our time, UTC.

    Attributes:
        unresolved: how many could not be read.
    """

    connection: psycopg.Connection
    rest: RestClient
    credentials: Sequence[RestCredentials]
    for_wallet: Callable[[str], RestCredentials] | None
    clock: Callable[[], datetime]
    unresolved: int = 0
    _in_a_row: int = 0
    _first: str | None = None
    _key_refused: bool = field(default=False)

    async def read(self, since: datetime | None, report: RunReport) -> None:
        """Ask for what is due; say in the report what could not be had.

        Args:
            since: when the run before began: of what ended, only later changes are asked for.
            report: the run's.

        Raises:
            psycopg.Error: the database failed.
        """
        after = None if since is None else since - _LATE
        wanted = await asyncio.to_thread(partial(sub_resources.due, self.connection, after))
        for first in range(0, len(wanted), _AT_A_TIME):
            if self._in_a_row >= _GIVE_UP_AFTER:
                self.unresolved += len(wanted) - first
                break
            wave = wanted[first : first + _AT_A_TIME]
            answers = await gather([self._ask(each) for each in wave])
            await asyncio.to_thread(self._keep, list(zip(wave, answers, strict=True)))
        if self.unresolved:
            report.notes.append(
                f"{self.unresolved:,} lists of unwinds or partial closes could not be read, and "
                f"will be asked for by the next run: {self._first}"
            )

    async def _ask(self, what: Due) -> bytes | str:
        """Return the answer, or why there is none."""
        if self._in_a_row >= _GIVE_UP_AFTER:
            return "The API had not answered before."
        try:
            access = self._access(what)
            try:
                content = await self._request(access, what)
            except CredentialsError:
                # The partner's key lists positions, but this wants a user's token.
                if access.wallet is not None or self.for_wallet is None or not what.wallet_address:
                    raise
                self._key_refused = True
                content = await self._request(self._access(what), what)
        except (GatewayError, CredentialsError) as error:
            answered = isinstance(error, CredentialsError) or (
                isinstance(error, OutOfReachError) and error.answered
            )
            self._in_a_row = 0 if answered else self._in_a_row + 1
            return str(error)
        self._in_a_row = 0
        return content or "The API knows no such list."

    async def _request(self, access: RestCredentials, what: Due) -> bytes | None:
        return await self.rest.sub_resource(access, what.position_id, PATHS[what.resource])

    def _access(self, what: Due) -> RestCredentials:
        wallet = what.wallet_address
        for access in self.credentials:
            if access.wallet is None and not self._key_refused:
                return access
            if access.wallet and wallet and one_spelling(access.wallet) == one_spelling(wallet):
                return access
        if wallet is None or self.for_wallet is None:
            raise GatewayError("No credentials show the position.")
        return self.for_wallet(wallet)

    def _keep(self, answers: Sequence[tuple[Due, bytes | str]]) -> None:
        now = self.clock()
        with self.connection.transaction():
            for what, answer in answers:
                if isinstance(answer, str):
                    self._keep_problem(what, now, answer)
                elif (rejected := _rejected(what, answer)) is not None:
                    received = Received(rejected, now, Source.REST)
                    quarantine.keep(self.connection, [quarantine.Entry.of(received, rejected)])
                    self._keep_problem(what, now, rejected.detail)
                else:
                    sub_resources.keep(self.connection, what, now, body=answer.decode())

    def _keep_problem(self, what: Due, now: datetime, problem: str) -> None:
        self.unresolved += 1
        self._first = self._first or problem
        said = problem.encode(errors="replace").decode().replace("\0", "\ufffd")
        sub_resources.keep(self.connection, what, now, problem=said)


def _rejected(what: Due, content: bytes) -> Rejected | None:
    """Return what is wrong with an answer that is JSON; None if it is a list with moments."""
    flaw = _flaw(content)
    if flaw is None:
        return None
    named = f"{what.position_id}\0{what.resource}".encode(errors="surrogatepass")
    digest = sha256(b"GET sub-resource\0" + named).digest()
    return Rejected(
        content, flaw.reason, f"{what.resource} of {what.position_id}: {flaw.detail}", digest
    )


def _flaw(content: bytes) -> InvalidInput | None:
    if (beyond := beyond_bounds(content)) is not None:
        return beyond
    if may_hold_nul(content):
        return InvalidInput(Reason.BAD_DATA, "It holds U+0000.")
    value = parse(content.decode())
    if not isinstance(value, dict):
        return InvalidInput(Reason.NOT_AN_OBJECT, "It is no object.")
    items = value.get("data")
    if not isinstance(items, list):
        return InvalidInput(Reason.BAD_DATA, "data is no list.")
    if not all(
        isinstance(each, dict) and isinstance(each.get("executed_at"), str) for each in items
    ):
        return InvalidInput(Reason.BAD_DATA, "An item of data has no executed_at.")
    return None
