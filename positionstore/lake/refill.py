"""New columns of a lake: what the envelopes that it holds say in fields that were added since."""

from typing import Final

import pyarrow as pa

from positionstore.lake.lake import Lake
from positionstore.store.database import Store
from positionstore.store.read import facts

_AT_ONCE: Final = 5_000


def refill(store: Store, lake: Lake, schema: pa.Schema) -> None:
    """Make every column that comes out of an envelope again, for every fact of a lake.

    The envelopes are the lake's, so that facts in an archive have the new columns, too. The store
    reads them with the functions of its schema.

    Args:
        store: the lake's store.
        lake: the lake.
        schema: what its facts look like with the new columns.

    Raises:
        PositionstoreError: another program changed the lake meanwhile; nothing was changed.
    """
    with store.connect(reads=True) as connection:

        def change(rows: pa.Table) -> pa.Table:
            told: list[dict[str, object]] = []
            for first in range(0, len(rows), _AT_ONCE):
                some = rows.slice(first, _AT_ONCE)
                of = [
                    place
                    for place, status in enumerate(some["status"].to_pylist())
                    if status is not None
                ]
                speaking = some.take(of)
                found = facts.of_envelopes(
                    connection,
                    speaking["envelope"].to_pylist(),
                    speaking["supersedes_before"].to_pylist(),
                )
                made: list[dict[str, object]] = [{} for _ in range(len(some))]
                for place, row in zip(of, found, strict=True):
                    made[place] = row
                told += made
            return pa.table(
                [
                    pa.array([row.get(field.name) for row in told], type=field.type)
                    if field.name in facts.OF_A_BODY
                    else rows[field.name]
                    for field in schema
                ],
                names=schema.names,
            )

        lake.table.rewrite(change, schema)
