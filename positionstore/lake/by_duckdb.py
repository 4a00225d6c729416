"""DuckDB, in this process: the engine for one machine."""

import atexit
import gc
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from positionstore.errors import PositionstoreError, first_line
from positionstore.export.iceberg import TableFile
from positionstore.lake import fold_sql
from positionstore.lake.engine import local_path

# DuckDB's binding counts what is left at the exit as leaked, and says so line by line: here the
# collection has to be, which the command line otherwise spares itself.
atexit.unregister(gc.freeze)


@contextmanager
def by_duckdb() -> Iterator["DuckDB"]:
    """Open a database in memory, which spills to a folder that goes with it."""
    with (
        tempfile.TemporaryDirectory(prefix="positionstore-lake-") as folder,
        duckdb.connect(config={"temp_directory": folder}) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("CREATE MACRO unix_micros(moment) AS epoch_us(moment)")
        try:
            yield DuckDB(connection)
        except duckdb.InterruptException:
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            # What a signal's handler raises in a query becomes this, without a cause.
            if not isinstance(error, duckdb.Error) and str(error) == "Query interrupted":
                raise KeyboardInterrupt from None
            raise
        except duckdb.Error as error:
            raise PositionstoreError(
                f"DuckDB cannot fold the lake: {first_line(error)[:300].rstrip('.')}."
            ) from None


class DuckDB:
    """An :class:`~positionstore.lake.engine.Engine`.

    Args:
        connection: to a database of its own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def give_facts(self, files: Sequence[TableFile], position_id: str | None) -> None:
        """Let ``facts`` be the rows of a lake's files, at least one; or those of one position."""
        self._connection.execute("CREATE OR REPLACE TEMP TABLE asked (position_id VARCHAR)")
        also = ""
        if position_id is not None:
            self._connection.execute("INSERT INTO asked VALUES (?)", [position_id])
            also = " WHERE position_id = (SELECT position_id FROM asked)"
        columns = ", ".join(fold_sql.facts_columns())
        self._drop("facts")
        self._connection.execute(
            f"CREATE VIEW facts AS SELECT {columns} FROM {self._source(files)}{also}"  # noqa: S608 - names of ours, and paths that are quoted
        )

    def _source(self, files: Sequence[TableFile]) -> str:
        urls = [each.path for each in files]
        paths = [local_path(url) for url in urls]
        if all(path is not None for path in paths):
            listed = ", ".join(f"'{str(path).replace(chr(39), chr(39) * 2)}'" for path in paths)
            return f"read_parquet([{listed}], union_by_name = true)"
        # Here, because it takes long, and a lake in a folder needs none of it.
        from pyarrow import dataset, fs  # noqa: PLC0415

        found, _ = fs.FileSystem.from_uri(urls[0])
        self._connection.register(
            "files_of_facts",
            dataset.dataset([url.partition("://")[2] for url in urls], filesystem=found),
        )
        return "files_of_facts"

    def give(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Let a name stand for some rows."""
        failed: list[BaseException] = []
        if isinstance(rows, pa.RecordBatchReader):
            rows = pa.RecordBatchReader.from_batches(rows.schema, _noting(rows, failed))
        self._connection.register("given", rows)
        self._drop(name)
        try:
            self._connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")  # noqa: S608 - a name of ours
        except duckdb.Error:
            if failed:  # of which DuckDB only has a text
                raise failed[0] from None
            raise
        self._connection.unregister("given")

    def name(self, name: str, query: str) -> None:
        """Let a name stand for a query."""
        self._drop(name)
        self._connection.execute(f"CREATE VIEW {name} AS {query}")

    def _drop(self, name: str) -> None:
        found = self._connection.execute(
            "SELECT table_type FROM information_schema.tables WHERE table_name = ?", [name]
        ).fetchone()
        if found:
            kind = "VIEW" if found[0] == "VIEW" else "TABLE"
            self._connection.execute(f"DROP {kind} {name}")

    def run(self, query: str) -> pa.Table:
        """Return what a query gives."""
        return self._connection.sql(query).to_arrow_table()

    def write(self, query: str, out: Path) -> int:
        """Write what a query gives as Parquet; return the number of rows."""
        path = str(out).replace("'", "''")
        # The lowest level: it takes three quarters of the time of the default for 5 % more bytes.
        row = self._connection.execute(
            f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        return int(row[0]) if row else 0


def _noting(rows: pa.RecordBatchReader, failed: list[BaseException]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of some rows, and note what reading them raised: an interrupt too."""
    try:
        yield from rows
    except BaseException as error:
        failed.append(error)
        raise
