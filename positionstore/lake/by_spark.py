"""Spark: the engine for many machines, or for all cores of this one."""

import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, lit

from positionstore.errors import PositionstoreError, first_line
from positionstore.export.iceberg import TableFile
from positionstore.lake import fold_sql

_SETTINGS: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    # Years before 1582 are those of ISO 8601, as in PostgreSQL.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}

_NAMED: Final = re.compile(r"\[[A-Z_]+(?:\.[A-Z_]+)*\] .+")
"""A cause as Spark names it: ``[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered ...``."""


@contextmanager
def by_spark(master: str | None) -> Iterator["Spark"]:
    """Start a session, or join one that this process has, and stop what was started.

    Args:
        master: where it runs; None is this machine.

    Raises:
        PositionstoreError: there is no Java, it ended, or the cluster cannot do it.
    """
    joined = SparkSession.getActiveSession()
    with tempfile.TemporaryDirectory(prefix="positionstore-lake-") as folder:
        try:
            session = joined or _session(master)
            with nullcontext() if joined else _stopped_at_the_end(session):
                yield Spark(session, Path(folder))
        except (PySparkException, Py4JError) as error:
            raise PositionstoreError(
                f"Spark cannot fold the lake: {_said(error)[:300].rstrip('.')}.",
                remedy="It needs Java 17 or newer (JAVA_HOME), and each worker has to see the"
                " lake's files.",
            ) from None


def _said(error: Exception) -> str:
    """Return in one line what Spark says; of an error of Java the cause that it has a name for."""
    text = str(error)
    if isinstance(error, Py4JJavaError) and (found := _NAMED.search(text)):
        return found[0]
    return first_line(text)


@contextmanager
def _stopped_at_the_end(session: SparkSession) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Interrupted, it may be in the middle of Java's answer, and reads the rest for another.
        with suppress(Exception):
            session.stop()
        raise
    session.stop()


def _session(master: str | None) -> SparkSession:
    builder: Any = SparkSession.builder
    builder = builder.appName("positionstore lake").master(master or "local[*]")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    made: SparkSession = builder.getOrCreate()
    return made


class Spark:
    """An :class:`~positionstore.lake.engine.Engine`.

    Args:
        session: with the settings of this module.
        folder: for what is given to it, and goes with it.
    """

    def __init__(self, session: SparkSession, folder: Path) -> None:
        self._session = session
        self._folder = folder

    def give_facts(self, files: Sequence[TableFile], position_id: str | None) -> None:
        """Let ``facts`` be the rows of a lake's files, at least one; or those of one position."""
        paths = [_literal(each.path) for each in files]
        found = self._session.read.option("mergeSchema", "true").parquet(*paths)
        if position_id is not None:
            found = found.where(col("position_id") == lit(position_id))
        found.select(*fold_sql.facts_columns()).createOrReplaceTempView("facts")

    def give(self, name: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """Let a name stand for some rows."""
        if isinstance(rows, pa.Table):
            self._session.createDataFrame(rows).createOrReplaceTempView(name)
            return
        path = self._folder / f"{name}-{uuid.uuid4().hex}.parquet"
        with pq.ParquetWriter(path, rows.schema) as writer:
            for batch in rows:
                writer.write_batch(batch)
        self._session.read.parquet(_literal(str(path))).createOrReplaceTempView(name)

    def name(self, name: str, query: str) -> None:
        """Let a name stand for a query."""
        self._session.sql(query).createOrReplaceTempView(name)

    def run(self, query: str) -> pa.Table:
        """Return what a query gives."""
        return self._session.sql(query).toArrow()

    def write(self, query: str, out: Path) -> int:
        """Write what a query gives as Parquet; return the number of rows."""
        folder = self._folder / f"out-{uuid.uuid4().hex}"
        self._session.sql(query).coalesce(1).write.parquet(str(folder))
        (part,) = folder.glob("part-*.parquet")
        shutil.move(part, out)
        return int(pq.read_metadata(out).num_rows)


def _literal(path: str) -> str:
    """Return a path that stands for itself where Spark takes patterns."""
    return re.sub(r"[][{}*?\\]", r"\\\g<0>", path)
