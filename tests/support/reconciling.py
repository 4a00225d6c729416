"""A sandbox, a store that heard a part of what happened there, and reconcilers between the two.

The sandbox's clock is moved by hand, and a reconciler's sleep moves it too: nothing waits.
"""

import json
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg import sql

from positionstore.dimes.decoder import decode
from positionstore.dimes.rest import RestClient
from positionstore.model.facts import Received, Source
from positionstore.model.fields import FIELDS, Durability, Kind
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import RunReport
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.sandbox import Sandbox
from positionstore.settings import Settings
from positionstore.store.appender import Appender
from positionstore.store.database import Store
from support.streams import settings_for

TERMINAL = {"closed", "settled", "liquidated", "cancelled"}
DURABLE = {
    durability: [each for each in FIELDS if each.durability in {Durability.ALWAYS, durability}]
    for durability in (Durability.ALWAYS, Durability.CLOSED)
}


@dataclass
class Desk:
    """Everything that a scenario needs.

    Attributes:
        serving: the other side.
        store: ours.
        slept: how long each sleep of the reconcilers was, seconds.
        ahead: how much our clock is ahead of the server's.
        meanwhile: happens whenever a reconciler sleeps.
        change: changes the headers of the API's answers on their way to us.
    """

    serving: Sandbox
    store: Store
    slept: list[float] = field(default_factory=list)
    ahead: timedelta = timedelta()
    meanwhile: Callable[[], Awaitable[None]] | None = None
    change: Callable[[httpx.Request, httpx.Headers], None] | None = None
    _heard: int = 0

    # --- the stream ----------------------------------------------------------------------

    def hear(self, *, losing: float = 0.0, seed: int = 0) -> int:
        """Append what the partner's gateway emitted since the last time, less what is lost."""
        records = self.serving.records[self._heard :]
        self._heard = len(self.serving.records)
        rng = random.Random(seed)
        envelopes = [
            bytes(record.envelope)
            for record in records
            if record.partner == 0 and rng.random() >= losing
        ]
        self.append(envelopes)
        return len(envelopes)

    def miss(self) -> list[bytes]:
        """Let what was emitted since the last time pass; return it."""
        records = self.serving.records[self._heard :]
        self._heard = len(self.serving.records)
        return [bytes(record.envelope) for record in records if record.partner == 0]

    def append(self, envelopes: Sequence[bytes]) -> None:
        """Append envelopes, as an ingester would."""
        arrived = datetime.now(UTC)
        with closing(self.store.connect()) as connection:
            Appender(connection).append(
                [Received(decode(each), arrived, Source.PARTNER) for each in envelopes]
            )

    def append_objects(self, envelopes: Sequence[dict[str, Any]]) -> None:
        """Append envelopes that a test made."""
        self.append([self.bytes_of(each) for each in envelopes])

    @staticmethod
    def bytes_of(value: dict[str, Any]) -> bytes:
        """The value as JSON."""
        return json.dumps(value).encode()

    # --- the run -------------------------------------------------------------------------

    def clock(self) -> datetime:
        """Our clock."""
        return self.serving.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        """Let time pass at the other side."""
        self.slept.append(seconds)
        await self.serving.advance(seconds)
        if self.meanwhile is not None:
            await self.meanwhile()

    def settings(self, **values: object) -> Settings:
        """Settings that point to the sandbox and lose no time."""
        given = {
            "api_key": self.serving.api_key,
            "http_rate": 10_000,
            "http_retry_budget": 0.05,
            **values,
        }
        return settings_for(self.serving.url, **given)

    def reconciler(self, **values: object) -> Reconciler:
        """A reconciler between the two."""
        return Reconciler(
            self.settings(**values),
            self.store,
            clock=self.clock,
            sleep=self.sleep,
            client=self.client,
        )

    def client(self, settings: Settings) -> RestClient:
        """A REST client that looks at our clock, whatever the machine's says."""
        return RestClient(
            settings.base_url,
            concurrency=settings.http_concurrency,
            requests_per_second=settings.http_rate,
            retry_budget=settings.http_retry_budget,
            clock=self.clock,
            transport=_Changed(self),
        )

    async def run(
        self, scope: Scope | None = None, *, dry_run: bool = False, **values: object
    ) -> RunReport:
        """Do one run, a full one by default."""
        return await self.reconciler(**values).run(
            Trigger.COMMAND, scope or Scope.full(), dry_run=dry_run
        )

    # --- what stands ---------------------------------------------------------------------

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with closing(self.store.connect()) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def one(self, query: str, parameters: Sequence[object] = ()) -> Any:
        """The one value of a query's answer."""
        return self.rows(query, parameters)[0][0]

    @property
    def facts(self) -> int:
        """How many facts the log has."""
        return int(self.one("SELECT count(*) FROM events"))

    @property
    def snapshots(self) -> int:
        """How many of them are snapshots."""
        return int(self.one("SELECT count(*) FROM events WHERE source = 'rest'"))

    def lists_asked(self, since: datetime) -> int:
        """How many lists of unwinds and partial closes were asked for since then."""
        asked = "SELECT count(*) FROM position_sub_resources WHERE asked_at >= %s"
        return int(self.one(asked, [since]))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        tables = [
            name
            for (name,) in self.rows(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
            )
        ]
        return {name: sorted(self.rows(f"SELECT t::text FROM {name} t")) for name in tables}

    def wrong(self) -> dict[str, dict[str, tuple[object, object]]]:
        """The durable fields in which the store and the partner's truth differ, by position."""
        with closing(self.store.connect()) as connection:
            return wrong(connection, self.serving.world.truth(0))

    def live_ids(self) -> list[str]:
        """Positions of the partner that live."""
        return [
            position_id
            for position_id, body in self.serving.world.truth(0).items()
            if body["status"] not in TERMINAL
        ]


class _Changed(httpx.AsyncHTTPTransport):
    """The way to the API, on which a desk may change the headers of answers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if self._desk.change is not None:
            self._desk.change(request, response.headers)
        return response


def wrong(
    connection: psycopg.Connection, truth: dict[str, Any]
) -> dict[str, dict[str, tuple[object, object]]]:
    """Compare ``positions`` with the truth, in a way of the tests' own.

    Returns:
        By position, by field: what the store has and what is true; ``{"": ...}`` where the one or
        the other does not know the position at all.
    """
    columns = [each.column for each in DURABLE[Durability.CLOSED]]
    query = sql.SQL("SELECT {} FROM positions").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor = connection.execute(query)
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}
    found: dict[str, dict[str, tuple[object, object]]] = {}
    for position_id in truth.keys() | rows.keys():
        if position_id not in truth or position_id not in rows:
            found[position_id] = {"": (position_id in rows, position_id in truth)}
            continue
        body = truth[position_id]
        durability = Durability.CLOSED if body["status"] in TERMINAL else Durability.ALWAYS
        for each in DURABLE[durability]:
            value: Any = body
            for key in each.path:
                value = value.get(key) if isinstance(value, dict) else None
            stored = rows[position_id][each.column]
            if value is not None and each.kind is Kind.TIME:
                value = datetime.fromisoformat(value)
            elif value is not None and each.kind in {Kind.PIPS, Kind.BPS, Kind.UNITS}:
                value, stored = int(value), None if stored is None else int(stored)
            if value != stored:
                found.setdefault(position_id, {})[each.wire_name] = (stored, value)
    return found


@contextmanager
def busy(store: Store) -> Iterator[psycopg.Connection]:
    """Hold the reconcilers' lock."""
    from positionstore.store import runs as reconciliation  # noqa: PLC0415 - only here

    with closing(store.connect()) as connection:
        assert reconciliation.try_lock(connection)
        yield connection


def events_of(envelopes: Sequence[bytes]) -> list[dict[str, Any]]:
    """The envelopes, read."""
    return [json.loads(each) for each in envelopes]
