"""Reads the store as Arrow tables, for notebooks; read-only.

:func:`positionstore.connect` opens it.
"""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import psycopg
import pyarrow as pa

from positionstore.settings import load_settings
from positionstore.store.database import Store, opened
from positionstore.store.read import arrow
from positionstore.store.read import query as selection
from positionstore.store.read.query import LOG, ReadQuery

Values = Mapping[str, object]
"""The values of ``%(name)s`` in a query."""


class Book:
    """A store that is open for reading.

    Each call reads in its own read-only transaction, which sees one moment of the store. Amounts in
    ``_usd_pips`` are integers (10,000 are 1 USD), those in ``_usd`` exact decimals, and times
    ``timestamp[us, tz=UTC]``; `docs/export.md` has every type. Every table has ``to_pandas()``,
    which keeps integers integers (``Int64``), NULLs among them or not; polars and DuckDB take it
    directly.

    Close it when done, or use it in ``with``: it keeps an embedded server running.

    Every method raises:
        ConfigurationError: there is no such table or view, or a query is refused.
        DatabaseUnavailableError: the server cannot be reached.
        PositionstoreError: a number has more digits than a decimal holds; see ``connect``.
    """

    def __init__(self, store: Store, held: ExitStack, *, numeric_as_text: bool) -> None:
        self._store, self._held, self._exact_text = store, held, numeric_as_text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; tables that were read stay."""
        self._held.close()

    def positions(
        self, *, phase: str | None = None, wallet: str | None = None, market: str | None = None
    ) -> pa.Table:
        """Return the current positions, one row each: the table ``positions``.

        Args:
            phase: only those that are ``pending``, ``live`` or ``terminal``.
            wallet: only those of this ``wallet_address``.
            market: only those of this ``market_ticker``.
        """
        return self.sql(
            "SELECT * FROM positions WHERE (%(phase)s::text IS NULL OR phase = %(phase)s)"
            " AND (%(wallet)s::text IS NULL OR wallet_address = address_from_wire(%(wallet)s))"
            " AND (%(market)s::text IS NULL OR market_ticker = %(market)s)"
            " ORDER BY position_id",
            {"phase": phase, "wallet": wallet, "market": market},
        )

    def events(self, *, since: int = 0, position: str | None = None) -> pa.Table:
        """Return facts of the log in order, with their envelopes: the table ``events``.

        A whole log may be larger than memory; ``batches("events")`` reads it piece by piece.

        Args:
            since: only facts after this ``seq``.
            position: only those of this ``position_id``.
        """
        return self.sql(
            "SELECT * FROM events WHERE seq > %(since)s"
            " AND (%(position)s::text IS NULL OR position_id = %(position)s) ORDER BY seq",
            {"since": since, "position": position},
        )

    def timeline(self, position: str) -> pa.Table:
        """Return what happened to a position, in the order of facts: ``position_timeline``.

        Args:
            position: its ``position_id``.
        """
        return self.sql(
            "SELECT * FROM position_timeline WHERE position_id = %(position)s ORDER BY place",
            {"position": position},
        )

    def as_of(
        self,
        valid_at: datetime,
        *,
        known_at: datetime | None = None,
        position: str | None = None,
        wallet: str | None = None,
    ) -> pa.Table:
        """Return the positions at a past moment, as the facts said it: ``positions_as_of``.

        A position that had ended by then, though only a later fact says so, is open here.
        :meth:`valid_at` is what really was.

        Args:
            valid_at: the moment; UTC if it has no zone.
            known_at: only with facts received by then; by default with all facts.
            position: only this ``position_id``.
            wallet: only positions of this ``wallet_address``.
        """
        return self._at("positions_as_of", valid_at, known_at, position, wallet)

    def valid_at(
        self,
        valid_time: datetime,
        *,
        known_time: datetime | None = None,
        position: str | None = None,
        wallet: str | None = None,
    ) -> pa.Table:
        """Return the positions at a past moment, as it really was: ``positions_valid_at``.

        The moments that the bodies tell decide, from whichever fact they are known.

        Args:
            valid_time: the moment; UTC if it has no zone.
            known_time: only with facts received by then; by default with all facts.
            position: only this ``position_id``.
            wallet: only positions of this ``wallet_address``.
        """
        return self._at("positions_valid_at", valid_time, known_time, position, wallet)

    def table(self, name: str) -> pa.Table:
        """Return all of a table or view.

        Args:
            name: one of :meth:`names`.
        """
        return self.batches(name).read_all()

    def sql(self, query: str, values: Values | None = None) -> pa.Table:
        """Return the result of a query.

        Args:
            query: one read-only statement.
            values: the values of ``%(name)s`` in it; with values, write ``%`` as ``%%``.
        """
        return self.sql_batches(query, values).read_all()

    def batches(self, name: str, *, since: int = 0) -> pa.RecordBatchReader:
        """Return a reader of a table or view, about 16 MB at a time.

        It has its own connection until it is exhausted or closed. It is an iterator of batches;
        polars, DuckDB and ``pyarrow.dataset`` take it too.

        Args:
            name: one of :meth:`names`.
            since: for ``events``, only facts after this ``seq``.
        """
        with self._store.connect() as connection:
            if name == LOG:
                newest = selection.newest_seq(connection)
                chosen = selection.of_log(connection, after=since, until=newest)
            else:
                chosen = selection.of_relation(connection, name)
        return self._reader(chosen)

    def sql_batches(self, query: str, values: Values | None = None) -> pa.RecordBatchReader:
        """Return a reader of the result of a query, about 16 MB at a time.

        Args:
            query: as in :meth:`sql`.
            values: as in :meth:`sql`.
        """
        with self._store.connect() as connection:
            whole = psycopg.ClientCursor(connection).mogrify(query, values)
            return self._reader(selection.of_query(connection, whole))

    def names(self) -> list[str]:
        """Return the names of the tables and views that can be read."""
        with self._store.connect() as connection:
            return selection.relations(connection)

    def _at(
        self,
        function: str,
        valid: datetime,
        known: datetime | None,
        position: str | None,
        wallet: str | None,
    ) -> pa.Table:
        return self.sql(
            f"SELECT * FROM {function}(%(valid)s, %(known)s::timestamptz,"  # noqa: S608 - one of two names
            " %(position)s::text, %(wallet)s::text) ORDER BY position_id",
            {
                "valid": _in_utc(valid),
                "known": "infinity" if known is None else _in_utc(known),
                "position": position,
                "wallet": wallet,
            },
        )

    def _reader(self, chosen: ReadQuery) -> pa.RecordBatchReader:
        schema = arrow.schema(chosen, exact_text=self._exact_text)
        return pa.RecordBatchReader.from_batches(
            schema.with_metadata(_as_pandas_reads(schema)),
            arrow.batches(self._store, chosen, exact_text=self._exact_text),
        )


def connect(url: str | None, *, numeric_as_text: bool) -> Book:
    """Open a store; see :func:`positionstore.connect`."""
    given = {} if url is None else {"database_url": url}
    held = ExitStack()
    store = held.enter_context(opened(load_settings(**given)))
    return Book(store, held, numeric_as_text=numeric_as_text)


def _as_pandas_reads(schema: pa.Schema) -> dict[bytes, bytes]:
    """Return metadata that keeps pandas from making floats of integers where there are NULLs.

    Source: https://pandas.pydata.org/docs/development/developer.html
    """
    columns = [
        {
            "name": field.name,
            "field_name": field.name,
            "pandas_type": str(field.type),
            "numpy_type": str(field.type).replace("int", "Int"),
            "metadata": None,
        }
        for field in schema
        if pa.types.is_integer(field.type)
    ]
    description = {"columns": columns, "index_columns": [], "column_indexes": []}
    return {b"pandas": json.dumps(description).encode()}


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
