"""What folds a lake: an engine that runs the one SQL text, and what that text reads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from positionstore.errors import ConfigurationError, MissingFilesError
from positionstore.export.iceberg import PUT_BACK, TableFile
from positionstore.extras import lake_needed, spark_needed
from positionstore.lake import fold_sql, rules
from positionstore.lake.lake import Lake
from positionstore.lake.names import EngineName
from positionstore.lake.rules import PHASES, Retraction, Rules

_WORD: Final = pa.string()
_STATUSES: Final = pa.schema(
    [
        ("status", _WORD),
        ("phase", _WORD),
        ("phase_place", pa.int64()),
        ("precedence", pa.int64()),
    ]
)
_TYPES: Final = pa.schema([("type", _WORD), ("precedence", pa.int64())])
_RETRACTED: Final = pa.schema(
    [("position_id", _WORD), ("event_id", _WORD), ("retracted_by", _WORD)]
)

_MOST_NAMED: Final = 3
"""How many missing files a message names."""


class Engine(Protocol):
    """Runs queries over relations that it was given by name."""

    def give_facts(self, files: Sequence[TableFile], position_id: str | None) -> None:
        """Let ``facts`` be the rows of a lake's files, at least one; or those of one position."""

    def give(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Let a name stand for some rows."""

    def name(self, name: str, query: str) -> None:
        """Let a name stand for a query."""

    def run(self, query: str) -> pa.Table:
        """Return what a query gives."""

    def write(self, query: str, out: Path) -> int:
        """Write what a query gives as Parquet; return the number of rows."""


@contextmanager
def started(name: EngineName, *, master: str | None = None) -> Iterator[Engine]:
    """Start an engine, and stop it in the end.

    Args:
        name: which one.
        master: of Spark where it runs, such as ``spark://HOST:7077``; None is this machine.

    Raises:
        ConfigurationError: it is not installed, or is none that a master could run.
    """
    if master is not None and name is not EngineName.SPARK:
        raise ConfigurationError("--spark-master goes with --engine spark.")
    starting: AbstractContextManager[Engine]
    if name is EngineName.DUCKDB:
        with lake_needed():
            # Here, because each engine is a large optional library.
            from positionstore.lake.by_duckdb import by_duckdb  # noqa: PLC0415

        starting = by_duckdb()
    else:
        with spark_needed():
            from positionstore.lake.by_spark import by_spark  # noqa: PLC0415 - the same

        starting = by_spark(master)
    with starting as running:
        yield running


@dataclass(frozen=True, slots=True)
class Folding:
    """A lake before an engine: what the fold reads is there, under the names that it reads.

    Attributes:
        engine: the engine.
        lake: the lake.
        rules: the precedences; None for those that were in force when the lake was fed last.
    """

    engine: Engine
    lake: Lake
    rules: Rules | None = None

    def positions(
        self, *, valid_at: datetime | None = None, known_at: datetime | None = None
    ) -> str:
        """Make everything ready and return the query for positions; see :mod:`.fold_sql`."""
        self._ready(None, known_at)
        return fold_sql.positions(valid_at=valid_at, known_at=known_at)

    def timeline(self, position_id: str) -> str:
        """Make everything ready and return the query for one position's facts in their order."""
        self._ready(position_id, None)
        return fold_sql.timeline()

    def _ready(self, position_id: str | None, known_at: datetime | None) -> None:
        known = self.rules or self.lake.rules()
        if lacking := set(fold_sql.facts_columns()) - set(self.lake.table.columns):
            raise ConfigurationError(
                f"The lake in {self.lake.place} lacks columns of this version:"
                f" {', '.join(sorted(lacking))}.",
                remedy=f"Feed it first: positionstore lake feed {self.lake.place}",
            )
        if files := self.lake.files():
            _see_that_none_is_missing(self.lake, files)
            self.engine.give_facts(files, position_id)
        else:
            self.engine.give("facts", self.lake.table.empty())
        self.engine.give("statuses", _statuses(known))
        self.engine.give("types", _types(known))
        found = self.engine.run(fold_sql.retractions(known_at=known_at)).to_pylist()
        named = rules.retracted(Retraction(**each) for each in found)
        self.engine.give(
            "retracted",
            _table(
                {
                    "position_id": [each.position_id for each in named],
                    "event_id": [each.retracts for each in named],
                    "retracted_by": [each.event_id for each in named],
                },
                _RETRACTED,
            ),
        )


def _see_that_none_is_missing(lake: Lake, files: Sequence[TableFile]) -> None:
    """See that the files are there, before an engine says in its own words that one is not.

    Raises:
        MissingFilesError: some are gone.
    """
    gone = sorted(local_path(path) or path for path in lake.table.missing(files))
    if gone:
        shown = ", ".join(gone[:_MOST_NAMED])
        more = f" and {len(gone) - _MOST_NAMED:,} more" if len(gone) > _MOST_NAMED else ""
        raise MissingFilesError(
            f"{len(gone):,} of {len(files):,} files of the lake in {lake.place}"
            f" {'is' if len(gone) == 1 else 'are'} missing: {shown}{more}.",
            gone,
            remedy=f"{PUT_BACK}, or remove the lake and feed it again:"
            f" positionstore lake feed {lake.place}",
        )


def _statuses(known: Rules) -> pa.Table:
    return _table(
        {
            "status": [status for status, _, _ in known.statuses],
            "phase": [phase for _, phase, _ in known.statuses],
            "phase_place": [PHASES.index(phase) for _, phase, _ in known.statuses],
            "precedence": [precedence for *_, precedence in known.statuses],
        },
        _STATUSES,
    )


def _types(known: Rules) -> pa.Table:
    return _table(
        {
            "type": [name for name, _ in known.types],
            "precedence": [precedence for _, precedence in known.types],
        },
        _TYPES,
    )


def _table(columns: Mapping[str, list[object]], schema: pa.Schema) -> pa.Table:
    return pa.table(columns, schema=schema)


def local_path(url: str) -> str | None:
    """Return the path of a file of this machine; None where it is in an object store."""
    if "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    return rest if scheme == "file" else None


def in_a_folder(out: Path) -> None:
    """See that a file can be written.

    Raises:
        ConfigurationError: it is a folder, or its folder is not there.
    """
    if out.is_dir():
        raise ConfigurationError(f"{out} is a folder.", remedy="Name a file in it.")
    if not out.absolute().parent.is_dir():
        raise ConfigurationError(f"There is no folder {out.absolute().parent}.")
