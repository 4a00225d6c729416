"""Exports to a table of Iceberg, exactly once."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pyarrow as pa

from positionstore.errors import ConfigurationError
from positionstore.export.iceberg import IcebergTable
from positionstore.export.request import Exported, ExportRequest, alone
from positionstore.store.database import Store
from positionstore.store.read import arrow
from positionstore.store.read import query as selection


def export_to_iceberg(
    store: Store, order: ExportRequest, *, progress: Callable[[int, int | None], None]
) -> Exported:
    """Add to a table what the log has since, or replace what it holds; in one step either way.

    Args:
        store: the store.
        order: the request.
        progress: called with how many rows are written, and the approximate total.

    Raises:
        ConfigurationError: the request is invalid; nothing was written.
        PositionstoreError: it failed; the table is as it was.
    """
    what = selection.QUERY if order.query else ""
    with selection.reading(store, what) as connection:
        # Before there is a folder with a catalogue in it.
        order.chosen(connection, order.since)
    with ExitStack() as held:
        table = IcebergTable(order.out or Path(), order.what)
        alone(store, table.key, order.place, held)
        since = order.since
        if order.resume or since is not None:
            since = table.reload().last_seq()
            if order.since is not None and since != order.since:
                raise ConfigurationError(
                    f"The table {table.name} in {order.place} ends at seq {since}.",
                    remedy=f"Go on with --since {since}, or with --resume.",
                )
        with selection.reading(store, what) as connection:
            chosen, last_seq = order.chosen(connection, since)
            expected = selection.expected_rows(connection, chosen)
        rows = archives = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows, archives
            for batch in pieces:
                yield batch
                rows += len(batch)
                progress(rows, max(rows, expected))
            archives = order.archives_left_out(store, since)

        schema = arrow.schema(chosen, exact_text=order.exact_text)
        with closing(arrow.batches(store, chosen, exact_text=order.exact_text)) as pieces:
            if since is None:
                table.replace(counted(), schema, log=order.is_log)
            elif last_seq is not None and last_seq > since:
                table.append(counted(), schema, since=since)
        if order.compact:
            table.compact()
    return Exported(
        chosen.what,
        order.form,
        order.place,
        rows,
        table.files,
        table.size,
        since,
        last_seq,
        archives,
    )
