"""Tables of Apache Iceberg: the log as a feed, anything else as a whole, by pyiceberg.

A commit of the catalogue is one step: a reader sees a table before it or after it. The last ``seq``
of the log is in the summary of each snapshot that brought facts, so the facts and how far they go
are committed together, and the next run reads from the table itself where to go on.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy.exc
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, RESTError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table, Transaction
from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.utils.concurrent import ExecutorFactory
from pyiceberg.utils.config import Config

from positionstore.errors import ConfigurationError, PositionstoreError, first_line
from positionstore.escaping import printable
from positionstore.export.object_store import check_url, is_url

CATALOG: Final = "positionstore"
"""What the catalogue is called in pyiceberg's configuration, and the namespace in it."""

LAST_SEQ: Final = "positionstore.last-seq"
"""The property of a snapshot that has the last seq of the log which the table then holds."""

FILE_BYTES: Final = 128 * 1024 * 1024
"""About how much is in memory at once, and in a file at most before it is compressed."""

PUT_BACK: Final = "Put back what is gone, from a backup or the bucket's earlier versions"
"""What to do first where a file of a table is gone."""

_OF_OTHER_SERVERS: Final = {"s3.endpoint": "AWS_ENDPOINT_URL", "s3.region": "AWS_REGION"}
"""What names a server of S3's interface: to pyiceberg, and to all other readers of the place."""

_CATALOG_FILE: Final = "catalog.db"
"""The SQLite database in a folder that is its catalogue, where none is configured."""

_SMALL: Final = 16 * 1024 * 1024
"""A file of fewer bytes is merged with those after it."""

_PROPERTIES: Final = {
    # A commit that another overtook must fail and not be rebased: its facts may be there by now.
    "commit.retry.num-retries": "0",
    "write.parquet.compression-codec": "zstd",
    "write.target-file-size-bytes": str(FILE_BYTES),
}


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file of a table's current snapshot.

    Attributes:
        path: its place, as a URL or a path.
        rows: how many rows the table says it has.
    """

    path: str
    rows: int


class IcebergTable:
    """A table of the namespace ``positionstore`` in the catalogue of a warehouse.

    Args:
        warehouse: a folder, or the URL of a place in an object store.
        what: the table's name.
        arranged: gives the rows of a file in the order in which it is to have them.
        row_group: how many rows a row group of a file has at most; None for what pyiceberg does.

    Attributes:
        name: the table's whole name.
        files: how many files were added.
        size: how large they are.

    Raises:
        ConfigurationError: no catalogue is configured for the place, or its table is elsewhere.
        PositionstoreError: the catalogue cannot be used.
    """

    def __init__(
        self,
        warehouse: Path | str,
        what: str,
        *,
        arranged: Callable[[pa.Table], pa.Table] = lambda rows: rows,
        row_group: int | None = None,
    ) -> None:
        self.name, self.files, self.size = f"{CATALOG}.{what}", 0, 0
        self._arranged = arranged
        self._properties = dict(_PROPERTIES)
        if row_group is not None:
            self._properties["write.parquet.row-group-limit"] = str(row_group)
        self.warehouse = str(warehouse)
        with _errors(self.warehouse):
            self._catalog = _catalog(warehouse)
            self._catalog.create_namespace_if_not_exists(CATALOG)
            try:
                self._table: Table | None = self._catalog.load_table(self.name)
            except NoSuchTableError:
                self._table = None
        if self._table is not None and not _is_in(self._table.location(), warehouse):
            raise ConfigurationError(
                f"The table {self.name} of this catalogue is in {self._table.location()}, not in"
                f" {self.warehouse}.",
                remedy="Name the place that it is in, or have another catalogue there"
                " (PYICEBERG_CATALOG__POSITIONSTORE__URI): a copy of a folder is no table.",
            )

    @property
    def key(self) -> str:
        """What tells it from every other table."""
        uri = self._catalog.properties.get("uri", "")
        return f"iceberg {uri} {self.name}"

    def reload(self) -> Self:
        """See what others have done to it since."""
        if self._table is not None:
            with _errors(self.warehouse):
                self._table.refresh()
        return self

    def last_seq(self) -> int:
        """Return the last seq of the log that the table holds; 0 where there is none yet.

        Raises:
            ConfigurationError: the table has rows that no export of the log has put there.
        """
        if self._table is None or (snapshot := self._table.current_snapshot()) is None:
            return 0
        # The snapshots of other programs, which merge files or delete some, say nothing of it.
        for each in ancestors_of(snapshot, self._table.metadata):
            if each.summary is not None and (
                seq := each.summary.additional_properties.get(LAST_SEQ)
            ):
                return int(seq)
        # Those that said it have expired.
        if seq := self._table.properties.get(LAST_SEQ):
            return int(seq)
        raise ConfigurationError(
            f"The table {self.name} has rows, and does not say which part of the log they are.",
            remedy="Name another place, or export it again without --since and --resume.",
        )

    def property_of(self, name: str) -> str | None:
        """Return a property of the table; None where it has none of that name."""
        return None if self._table is None else self._table.properties.get(name)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Set properties of a table that is there.

        Raises:
            PositionstoreError: another wrote meanwhile; nothing was set.
        """
        if self._table is not None:
            with _errors(self.warehouse), self._table.transaction() as transaction:
                transaction.set_properties(dict(properties))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns; none where there is no table yet."""
        return () if self._table is None else tuple(self._table.schema().column_names)

    def empty(self) -> pa.Table:
        """Return no rows, of the table's columns."""
        if self._table is None:
            return pa.table({})
        return self._table.schema().as_arrow().empty_table()

    def current_files(self) -> list[TableFile]:
        """Return the files of the current snapshot.

        Raises:
            ConfigurationError: another program has marked rows as deleted, which only a reader of
                Iceberg knows.
        """
        if self._table is None:
            return []
        with _errors(self.warehouse):
            tasks = list(self._table.scan().plan_files())
        if any(task.delete_files for task in tasks):
            raise ConfigurationError(
                f"Another program deleted rows of {self.name}, and its files still have them.",
                remedy="Let that program rewrite the table's data files.",
            )
        return [TableFile(task.file.file_path, task.file.record_count) for task in tasks]

    def missing(self, files: Sequence[TableFile]) -> list[str]:
        """Return the paths of those files that are gone; each is looked for, and none is read.

        Raises:
            PositionstoreError: it cannot be seen whether they are there.
        """
        if self._table is None:
            return []
        file_io = self._table.io
        with _errors(self.warehouse):
            # At once, because an object store takes its time for each.
            there = ExecutorFactory.get_or_create().map(
                lambda file: file_io.new_input(file.path).exists(), files
            )
            return [file.path for file, found in zip(files, there, strict=True) if not found]

    def append(
        self,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        *,
        since: int,
        properties: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Add facts of the log, whole or not at all.

        Args:
            batches: the facts, in the order of ``seq``.
            schema: what they look like.
            since: the seq that they come after, and with which the table ends.
            properties: gives what the same commit is to set, after the last batch.

        Raises:
            PositionstoreError: another wrote meanwhile; nothing was added.
        """
        with _errors(self.warehouse):
            table = self._ready(schema)
            # What is committed from here on, to what was read here, fails if another was faster.
            if self.last_seq() != since:
                raise CommitFailedException
            with table.transaction() as transaction:
                self._add(transaction, batches, schema)
                if also := properties():
                    transaction.set_properties(dict(also))

    def replace(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, *, log: bool) -> None:
        """Make these rows the only ones, whole or not at all.

        Args:
            batches: the rows.
            schema: what they look like.
            log: whether they are facts of the log.

        Raises:
            PositionstoreError: another wrote meanwhile; nothing was replaced.
        """
        with _errors(self.warehouse), self._ready(schema).transaction() as transaction:
            if self._table is not None and self._table.current_snapshot() is not None:
                transaction.delete(AlwaysTrue())
            self._add(transaction, batches, schema, log=log)

    def rewrite(self, change: Callable[[pa.Table], pa.Table], schema: pa.Schema) -> None:
        """Change every row, and add the columns that it then has, in one step.

        Args:
            change: makes of some rows what they are to be, with the columns of the schema.
            schema: what they look like then.

        Raises:
            PositionstoreError: another wrote meanwhile; nothing was changed.
        """
        if self._table is None:
            return
        wanted = iceberg_schema(schema)
        said = {LAST_SEQ: str(self.last_seq())}
        with _errors(self.warehouse):
            reader = self._table.scan().to_arrow_batch_reader()
            with self._table.transaction() as transaction:
                with transaction.update_schema() as update:
                    update.union_by_name(wanted)
                transaction.delete(AlwaysTrue(), snapshot_properties=said)
                for some in _chunks(reader):
                    rows = change(pa.Table.from_batches(some, reader.schema))
                    transaction.append(self._arranged(_as(rows, wanted)), snapshot_properties=said)

    def compact(self) -> int:
        """Merge the small files at the end of the table; return how many there were.

        Raises:
            PositionstoreError: another wrote meanwhile; nothing was merged.
        """
        if self._table is None:
            return 0
        with _errors(self.warehouse):
            files = sorted(
                (file["readable_metrics"]["seq"]["lower_bound"], file["file_size_in_bytes"])
                for file in self._table.inspect.files().to_pylist()
            )
            tail = list(itertools.dropwhile(lambda file: file[1] >= _SMALL, files))
            if len(tail) < 2:
                return 0
            since = f"seq >= {tail[0][0]}"
            last_seq = self.last_seq()
            reader = self._table.scan(row_filter=since).to_arrow_batch_reader()
            with self._table.transaction() as transaction:
                transaction.delete(since, snapshot_properties={LAST_SEQ: str(last_seq)})
                self._add(transaction, reader, reader.schema)
        return len(tail)

    def _ready(self, schema: pa.Schema) -> Table:
        """Return the table, with a column for each of the schema's."""
        if self._table is None:
            self._table = self._catalog.create_table(
                self.name, schema=iceberg_schema(schema), properties=self._properties
            )
        if not self._properties.items() <= self._table.properties.items():
            with self._table.transaction() as transaction:
                transaction.set_properties(self._properties)
        with self._table.update_schema() as update:
            update.union_by_name(iceberg_schema(schema))
        return self._table

    def _add(
        self,
        transaction: Transaction,
        batches: Iterable[pa.RecordBatch],
        schema: pa.Schema,
        *,
        log: bool = True,
    ) -> None:
        wanted = iceberg_schema(schema)
        said = {}
        for some in _chunks(batches):
            table = self._arranged(_as(pa.Table.from_batches(some, schema), wanted))
            said = {LAST_SEQ: str(pc.max(table["seq"]).as_py())} if log else {}
            transaction.append(table, snapshot_properties=said)
            added = transaction.table_metadata.snapshots[-1].summary
            if added is not None:
                self.files += int(added.additional_properties.get("added-data-files", 0))
                self.size += int(added.additional_properties.get("added-files-size", 0))
        if said:
            transaction.set_properties(said)


def iceberg_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema in the types of Iceberg, which has no durations and no small integers."""
    return pa.schema([pa.field(each.name, _iceberg_type(each.type)) for each in schema])


def _iceberg_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_duration(kind):
        return pa.int64()  # microseconds
    return pa.int32() if pa.types.is_int16(kind) else kind


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.table(
        [column.cast(field.type) for column, field in zip(table.columns, schema, strict=True)],
        schema=schema,
    )


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Gather batches up to what a file is made of."""
    chunk: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if chunk and size + batch.nbytes > FILE_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(batch)
        size += batch.nbytes
    if chunk:
        yield chunk


def _catalog(warehouse: Path | str) -> Catalog:
    """Return the catalogue that pyiceberg is told of, or else SQLite's in the folder itself."""
    configured = _configured()
    settings: dict[str, Any] = {"type": "sql"} if "type" not in configured else {}
    if isinstance(warehouse, str) and is_url(warehouse):
        check_url(warehouse)
        if "uri" not in configured:
            raise ConfigurationError(
                "A table of Iceberg in an object store needs a catalogue elsewhere.",
                remedy="Name one with PYICEBERG_CATALOG__POSITIONSTORE__URI, such as"
                " postgresql+psycopg://HOST/DATABASE or sqlite:////PATH/catalog.db.",
            )
        settings["warehouse"] = warehouse
        settings |= {
            name: os.environ[variable]
            for name, variable in _OF_OTHER_SERVERS.items()
            if name not in configured and variable in os.environ
        }
    else:
        folder = Path(warehouse).absolute()
        if found := set("%#?\t\n\r") & set(str(folder)):
            raise ConfigurationError(
                f"A table of Iceberg cannot be in {folder}: its files are named by URLs, where"
                f" {' and '.join(map(printable, sorted(found)))} would mean something else.",
                remedy="Name a folder without it.",
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PositionstoreError(
                f"The folder {folder} cannot be made: {error.strerror}.",
                remedy="Name another place.",
            ) from None
        # Not by as_uri(): pyiceberg takes what it is given as the path, escapes and all.
        settings["warehouse"] = f"file://{folder}"
        if "uri" not in configured:
            settings["uri"] = f"sqlite:///{folder / _CATALOG_FILE}"
    return load_catalog(CATALOG, **settings)


def may_have_tables(warehouse: Path | str) -> bool:
    """Whether to look for tables there; only a folder without a catalogue certainly has none."""
    if isinstance(warehouse, str) and is_url(warehouse):
        return True
    return "uri" in _configured() or (Path(warehouse) / _CATALOG_FILE).is_file()


def _configured() -> Mapping[str, Any]:
    """Return what pyiceberg's configuration says of the catalogue."""
    return Config().get_catalog_config(CATALOG) or {}


def _is_in(location: str, warehouse: Path | str) -> bool:
    """Whether the place of a table is in a warehouse."""
    if isinstance(warehouse, str) and is_url(warehouse):
        return location.startswith(warehouse.partition("?")[0].rstrip("/") + "/")
    scheme, found, path = location.partition(":")
    if found and scheme != "file":
        return False
    # As a path of file:/PATH, file:///PATH, or neither; with its escapes, or as it is.
    path = "/" + path.lstrip("/") if found else location
    root = Path(warehouse).resolve()
    return any(Path(each).resolve().is_relative_to(root) for each in (path, unquote(path)))


@contextmanager
def _errors(warehouse: str) -> Iterator[None]:
    """Say in one line what the library says."""
    try:
        yield
    except CommitFailedException:
        raise PositionstoreError(
            f"Another program changed the table in {warehouse} meanwhile; nothing was written.",
            remedy="Run it again.",
        ) from None
    except FileNotFoundError as error:
        raise PositionstoreError(
            f"A file of the table in {warehouse} is missing: {_first(error)}.",
            remedy=f"{PUT_BACK}, or remove the table and begin again.",
        ) from None
    except (OSError, RESTError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise PositionstoreError(
            f"The Iceberg catalogue or its files in {warehouse} cannot be used: {_first(error)}.",
            remedy="Check the place and PYICEBERG_CATALOG__POSITIONSTORE__URI.",
        ) from None


def _first(error: Exception) -> str:
    """Return the first line alone: what follows may have the parameters of a statement."""
    return first_line(error)[:300].rstrip(".")
