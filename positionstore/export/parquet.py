"""Parquet, from Arrow batches; each batch is a row group."""

from collections.abc import Generator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from positionstore.export.formats import Piece, Writer
from positionstore.store.database import Store
from positionstore.store.read import arrow
from positionstore.store.read.query import ReadQuery


class Parquet:
    """The format for a query."""

    def __init__(self, store: Store, selection: ReadQuery, *, exact_text: bool) -> None:
        self._store, self._selection, self._exact_text = store, selection, exact_text
        self._schema = arrow.schema(selection, exact_text=exact_text)

    def pieces(self, *, by_day: bool) -> Generator[Piece]:
        """Read the rows."""
        for batch in arrow.batches(
            self._store, self._selection, by_day=by_day, exact_text=self._exact_text
        ):
            if not by_day:
                yield Piece("", len(batch), batch)
                continue
            days, rows = batch.column(0), batch.select(range(1, batch.num_columns))
            for day in sorted(pc.unique(days).to_pylist()):
                own = rows.filter(pc.equal(days, day))
                yield Piece(day, len(own), own)

    def writer(self, file: IO[bytes]) -> Writer:
        """Open a writer on a file."""
        return _Writer(file, self._schema)


class _Writer:
    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = _Counted(file)
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def write(self, content: pa.RecordBatch) -> None:
        self._writer.write_batch(content)

    def close(self, *, whole: bool) -> None:
        # It cannot be closed without the end that makes a file look whole.
        self._file.taken = whole
        self._writer.close()


class _Counted:
    """A file that counts what is written to it, also for a pipe.

    Attributes:
        taken: whether writes go into the file.
    """

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self.taken = True
        self._file, self._written = file, 0

    def write(self, data: bytes) -> int:
        if self.taken:
            self._file.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Do nothing: the owner of the file does that."""

    def close(self) -> None:
        """Leave the file open; it is not ours."""
