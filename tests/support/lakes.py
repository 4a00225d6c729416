"""Lakes beside their stores: the same question put to PostgreSQL and to other engines."""

import hashlib
import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from positionstore.lake.engine import Engine, Folding, started
from positionstore.lake.feed import Fed, feed
from positionstore.lake.lake import Lake
from positionstore.lake.names import EngineName
from positionstore.lake.verify import Proof, verify
from positionstore.model.fields import FIELDS, Kind
from positionstore.store.database import Store
from positionstore.store.read import arrow, query
from positionstore.store.read.facts import POSITION_COLUMNS
from support.oracle import State

_UNITS = {field.column for field in FIELDS if field.kind is Kind.UNITS}
_AS_IN_A_LAKE = {
    "data_md5": "md5(data::text)",
    "misfit_fields": "to_json(misfit_fields)::text",
    **{column: f"{column}::numeric(38,0)" for column in _UNITS},
}


@dataclass(frozen=True)
class Desk:
    """A store, its lake, and an engine."""

    store: Store
    place: Path
    engine: Engine

    @property
    def lake(self) -> Lake:
        """The lake as it is now."""
        return Lake(self.place)

    def feed(self, **how: Any) -> Fed:
        """Feed the lake."""
        return feed(self.store, self.place, **how)

    def verify(self) -> Proof:
        """Compare the lake with the store."""
        return verify(self.store, self.lake, self.engine)

    def positions(self, **moment: datetime) -> pa.Table:
        """Return what the engine makes of the lake."""
        query = Folding(self.engine, self.lake).positions(**moment)
        return self.engine.run(query)

    def timeline(self, position_id: str) -> list[dict[str, Any]]:
        """Return what the engine says of one position."""
        query = Folding(self.engine, self.lake).timeline(position_id)
        rows: list[dict[str, Any]] = self.engine.run(query).to_pylist()
        return rows

    def stored(self, relation: str) -> pa.Table:
        """Return the rows of ``positions``, or of a function like it, as a lake has them."""
        columns = ", ".join(
            f"{_AS_IN_A_LAKE[name]} AS {name}" if name in _AS_IN_A_LAKE else name
            for name in POSITION_COLUMNS
        )
        with query.reading(self.store, query.QUERY) as connection:
            chosen = query.of_query(connection, f"SELECT {columns} FROM {relation}")
        with closing(arrow.batches(self.store, chosen)) as batches:
            return pa.Table.from_batches(batches, arrow.schema(chosen))


def digest(rows: pa.Table) -> str:
    """Return a digest of rows of positions, whatever their order and the types of integers."""
    chosen = rows.select(list(POSITION_COLUMNS)).sort_by("position_id").to_pylist()
    texts = [
        [value.timestamp() if isinstance(value, datetime) else str(value) for value in row.values()]
        for row in chosen
    ]
    return hashlib.sha256(repr(texts).encode()).hexdigest()


def states(rows: pa.Table) -> dict[str, State]:
    """Return rows of positions in the oracle's terms."""
    return {
        row["position_id"]: State(
            row["status"],
            row["phase"],
            row["last_event_id"],
            row["last_event_type"],
            row["last_event_at"],
            row["supersedes_before"],
        )
        for row in rows.to_pylist()
    }


def needs_spark() -> pytest.MarkDecorator:
    """Return the mark of a test that runs where pyspark and a Java are."""
    return pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
        reason="pyspark or Java is not installed: `uv pip install 'positionstore[spark]'`",
    )


@contextmanager
def desk(store: Store, place: Path, engine: EngineName) -> Iterator[Desk]:
    """Open a lake that is not there yet beside a store."""
    with started(engine) as running:
        yield Desk(store, place, running)


def change(store: Store, statement: str) -> None:
    """Change the store behind everybody's back."""
    with closing(psycopg.connect(store.url, autocommit=True)) as connection:
        connection.execute(statement.encode())
