"""What is away in archives, as the store says it."""

from collections.abc import Sequence
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from positionstore.errors import StoreRefusedError
from positionstore.store.archives import Archive
from positionstore.store.queries import queries


def standing(connection: psycopg.Connection) -> list[Archive]:
    """Return the archives whose facts are away."""
    with connection.cursor(row_factory=class_row(Archive)) as cursor:
        return cursor.execute(_query("all_standing")).fetchall()


def digests_of(connection: psycopg.Connection, archive_id: str) -> dict[str, str]:
    """Return the digest of the facts of each position of an archive, where it is recorded."""
    found = connection.execute(_query("digests_of"), {"archive_id": archive_id})
    return {position_id: digest for position_id, digest in found if digest is not None}


def count(connection: psycopg.Connection) -> tuple[int, int]:
    """Return how many positions have facts in an archive, and in how many archives."""
    return connection.execute(_query("count")).fetchone() or (0, 0)


def file_of(connection: psycopg.Connection, position_id: str) -> str | None:
    """Return the file that has a position's facts; None where they are in the log."""
    row = connection.execute(_query("file_of"), {"position_id": position_id}).fetchone()
    return row[0] if row else None


def needing(
    connection: psycopg.Connection, position_ids: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """Return the positions whose archive the fold needs now, and the file that it is in.

    Args:
        connection: where to look.
        position_ids: of these alone; of all where it is None.
    """
    told = _told(connection)
    if not told:
        return []
    values = {
        "told": list(told),
        "seqs": list(told.values()),
        "position_ids": None if position_ids is None else list(position_ids),
    }
    return connection.execute(_query("needing"), values).fetchall()


def faulty(connection: psycopg.Connection) -> list[str]:
    """Return the archives of which the log, ``archives`` and the marks say different things."""
    values = {"told": list(_told(connection))}
    return [name for (name,) in connection.execute(_query("faulty"), values)]


def refuse_needing(connection: psycopg.Connection, position_ids: Sequence[str]) -> None:
    """See that the log alone is enough to fold some positions.

    Raises:
        StoreRefusedError: one needs facts that are in an archive.
    """
    for position_id, file in needing(connection, position_ids):
        raise StoreRefusedError(
            f"The facts of {position_id} are in the archive {file}, and without them the position "
            "cannot be folded again. Nothing was written.",
            remedy="Bring them back first: positionstore import FILE.",
        )


def refuse_behind(connection: psycopg.Connection, seq: int) -> None:
    """See that a reader who has read the log up to a seq finds all that follows in the log.

    Args:
        connection: where to look.
        seq: the last one read; 0 is a reader that begins, for whom archives are files to read too.

    Raises:
        StoreRefusedError: facts went into an archive before it read them.
    """
    if not seq:
        return
    files = []
    for file, last_seq in connection.execute(_query("after"), {"seq": seq}).fetchall():
        values = {"seq": seq, "last_seq": last_seq}
        if connection.execute(_query("lacks"), values).fetchone() == (True,):
            files.append(file)
    if files:
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise StoreRefusedError(
            f"Facts of after seq {seq} are in the archive {files[0]}{more}, and no longer in the "
            "log: what follows would lack them.",
            remedy="Bring them back with `positionstore import FILE`, run this again, and archive "
            "them again.",
        )


def _told(connection: psycopg.Connection) -> dict[str, int]:
    """Return the archives that the log tells of, and the seq of the fact that does."""
    return dict(connection.execute(_query("told")).fetchall())


def _query(name: LiteralString) -> sql.SQL:
    return queries("archives")[name]
