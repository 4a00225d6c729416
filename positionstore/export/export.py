"""Exports, from the request to the result."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import IO

from positionstore.errors import ConfigurationError
from positionstore.export.compaction import compact
from positionstore.export.destinations import Begin, Destination, File, Stream
from positionstore.export.folders import Folder, LocalFolder
from positionstore.export.formats import Format, codec
from positionstore.export.increments import FolderContents, Plan
from positionstore.export.object_store import ObjectFile, ObjectFolder
from positionstore.export.partitioned import PartitionedFolder
from positionstore.export.request import Exported, ExportRequest, alone
from positionstore.extras import iceberg_needed
from positionstore.store.database import Store
from positionstore.store.read import query as selection


def export(
    store: Store,
    order: ExportRequest,
    *,
    standard_output: IO[bytes],
    progress: Callable[[int, int | None], None],
) -> Exported:
    """Write the request, row by row, whatever its size.

    Args:
        store: the store.
        order: the request.
        standard_output: the destination without a file.
        progress: called with how many rows are written, and the approximate total.

    Raises:
        ConfigurationError: there is no such relation, or the request is invalid; nothing was
            written.
        PositionstoreError: it failed; no file is left.
    """
    if order.form is Format.ICEBERG:
        with iceberg_needed():
            # Here, because only this format needs the library.
            from positionstore.export.to_iceberg import export_to_iceberg  # noqa: PLC0415

        return export_to_iceberg(store, order, progress=progress)
    destination: Destination
    with ExitStack() as held:
        target = _Target(store, order, held) if order.into_a_folder else None
        since = target.plan.since if target and target.plan else order.since
        with selection.reading(store, selection.QUERY if order.query else "") as connection:
            chosen, last_seq = order.chosen(connection, since)
            expected = selection.expected_rows(connection, chosen)
        if order.by_day:
            chosen = chosen.told_apart_by_day()
        form = codec(order.form, store, chosen, csv=order.csv, exact_text=order.exact_text)
        if target is not None:
            span = None if last_seq is None else ((since or 0) + 1, last_seq)
            destination = target.destination(form.writer, span)
        elif isinstance(order.out, str):
            destination = ObjectFile(order.out, form.writer)
        elif order.out is not None:
            destination = File(order.out, form.writer)
        else:
            destination = Stream(standard_output, form.writer)
        rows = 0
        with destination, closing(form.pieces(by_day=order.by_day)) as pieces:
            for piece in pieces:
                destination.write(piece)
                rows += piece.rows
                progress(rows, max(rows, expected))
            archives = order.archives_left_out(store, since)
        if target is not None and order.compact:
            target.compact()
    return Exported(
        chosen.what,
        order.form,
        order.place,
        rows,
        destination.files,
        destination.size,
        since,
        last_seq,
        archives,
    )


class _Target:
    """A folder that the export goes to; no other export goes there meanwhile.

    Attributes:
        plan: how an increment is added; None where everything is replaced.
    """

    def __init__(self, store: Store, order: ExportRequest, held: ExitStack) -> None:
        if order.out is None:
            raise ConfigurationError("Standard output is no folder.", remedy="Add --out FOLDER.")
        self._order = order
        self._folder: Folder = (
            ObjectFolder(order.out) if isinstance(order.out, str) else LocalFolder(order.out)
        )
        alone(store, self._folder.key, order.place, held)
        if order.since is not None:
            with selection.reading(store, "") as connection:
                order.chosen(connection, order.since)
        contents = self._contents()
        self.plan: Plan | None = None
        if order.resume or order.since is not None:
            self.plan = contents.plan(order.since)
        elif isinstance(order.out, str):
            contents.refuse_to_replace(log=order.is_log)

    def destination(self, begin: Begin, span: tuple[int, int] | None) -> Destination:
        """Return where pieces go."""
        return PartitionedFolder(
            self._folder,
            self._order.form,
            begin,
            what=self._order.what,
            span=span,
            plan=self.plan,
        )

    def compact(self) -> None:
        """Merge the files of each day."""
        if not isinstance(self._folder, LocalFolder):
            raise ConfigurationError("--compact needs a local folder, or --format iceberg.")
        compact(self._folder, self._contents(), self._order.form)

    def _contents(self) -> FolderContents:
        contents = FolderContents(
            self._folder.name, self._order.what, self._order.form, by_day=self._order.by_day
        )
        contents.sort_in(self._folder.sizes())
        if self._order.is_log:
            contents.understand([self._folder.read(path) for path in contents.marker_paths])
        return contents
