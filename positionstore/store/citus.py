"""A store on Citus: its tables spread over workers by position, under one coordinator.

What a position needs lies together: its facts, its row, its valuations and what runs found of it.
Small tables that those are joined with are on every worker; the rest stays on the coordinator.

Source: the Citus documentation, "Determining the Data Model", "Utility Functions".
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from positionstore.errors import StoreRefusedError
from positionstore.model.fields import ADDED_FIELDS
from positionstore.store import engine, restored, roles
from positionstore.store.access import FUNCTIONS
from positionstore.store.citus_functions import ADAPTED, adapted
from positionstore.store.locks import APPEND_LOCK, MIGRATION_LOCK
from positionstore.store.queries import queries
from positionstore.store.schema_sql import facts

LOG: Final = "events"
"""What the others stand beside."""

SPREAD: Final = (
    LOG,
    "positions",
    "discrepancies",
    "valuations",
    "valuation_history",
    "position_sub_resources",
)
"""Tables that are spread by ``position_id``."""

COPIED: Final = ("position_statuses", "event_types", "archives", "archived_positions")
"""Tables that are on every worker whole: what the log's trigger reads there, and what is small."""

_OBJECTS: Final = (
    "log_watermark",
    "text_of",
    "publish_watermark",
)


@dataclass(frozen=True, slots=True)
class WorkerShards:
    """What one worker has of the store.

    Attributes:
        worker: its host and port.
        shards: shards of the log; as many of each table beside it.
        bytes: on disk, of all tables that are spread.
        largest: bytes of its largest shard of the log.
        log_bytes: bytes of all its shards of the log.
    """

    worker: str
    shards: int
    bytes: int
    largest: int
    log_bytes: int


def distribute(connection: psycopg.Connection) -> Iterator[str]:
    """Spread a store over the workers; yield a line for each table. One transaction.

    Nothing is appended meanwhile. A store that is spread already is brought to what this version
    wants, and keeps its shards.

    Args:
        connection: of a superuser or the tables' owner, to the coordinator; its schema is at head.

    Raises:
        StoreRefusedError: Citus or its workers are not there.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [APPEND_LOCK])
        require(connection)
        _prepare(connection)
        connection.execute(_query("this_schema_first"))
        comments = connection.execute(_query("comments"), {}).fetchall()
        known = {name for (name,) in connection.execute(_query("known_tables"))}
        for name in COPIED:
            if name not in known:
                _copy(connection, name)
                yield f"{name}: on every worker"
        for name in SPREAD:
            if name not in known:
                _spread(connection, name)
                yield f"{name}: spread by position"
        kept = connection.execute(_query("comments"), {}).fetchall()
        for (comment,) in set(comments) - set(kept):
            connection.execute(sql.SQL(comment))
        _make_objects(connection)
        if (found := roles.recorded(connection)) is not None:
            roles.grant(connection, found)


def require(connection: psycopg.Connection) -> None:
    """Refuse a database in which Citus cannot spread a store; whether there is one does not matter.

    Raises:
        StoreRefusedError: Citus or its workers are not there, or this is one of them.
    """
    remedy = (
        "Install Citus on the coordinator and on each worker, CREATE EXTENSION citus in the "
        "database on all of them, say citus_set_coordinator_host on the coordinator, and add the "
        "workers with citus_add_node."
    )
    if not engine.has_citus(connection):
        raise StoreRefusedError("The extension citus is not in this database.", remedy=remedy)
    workers, is_coordinator = connection.execute(_query("workers")).fetchone() or (0, False)
    if not workers:
        raise StoreRefusedError("Citus has no worker that takes shards.", remedy=remedy)
    if not is_coordinator:
        raise StoreRefusedError(
            "This server is a worker of Citus.", remedy="Point DATABASE_URL to the coordinator."
        )


def prepare(connection: psycopg.Connection) -> None:
    """Let a migration change tables and functions of a store on Citus, in its transaction.

    Where it is no such store, nothing.
    """
    if engine.is_distributed(connection):
        _prepare(connection)


def adapt(connection: psycopg.Connection) -> None:
    """Make what only a store on Citus has over what a migration made, in its transaction.

    Where it is no such store, nothing.
    """
    if engine.is_distributed(connection):
        _make_objects(connection)


def _prepare(connection: psycopg.Connection) -> None:
    connection.execute(_query("allow_triggers"))
    connection.execute(_query("one_connection"))


def _make_objects(connection: psycopg.Connection) -> None:
    for name in _OBJECTS:
        connection.execute(_file(name))
    connection.execute(_view())
    definitions = connection.execute(_query("definitions"), {"names": [*ADAPTED]}).fetchall()
    for (definition,) in definitions:
        connection.execute(sql.SQL(adapted(definition)))
    connection.execute(_query("make_on_workers"), {"names": [*FUNCTIONS]})
    database = sql.Identifier(connection.info.dbname)
    for name in ("allow_nested", "compile_nothing"):
        connection.execute(_query(name).format(database=database))


def publish(connection: psycopg.Connection) -> None:
    """Let readers of the feed go up to what was committed; where it is no store on Citus, nothing.

    What cannot be published now is published with the next batch.

    Args:
        connection: one on which no transaction is open.
    """
    if not engine.is_distributed(connection):
        return
    with suppress(psycopg.Error), connection.transaction():
        connection.execute(_query("publish"))


def watermark(connection: psycopg.Connection) -> int:
    """Return the last seq up to which the feed of a store on Citus may be read."""
    row = connection.execute(_query("watermark")).fetchone()
    return row[0] if row else 0


def shards(connection: psycopg.Connection) -> list[WorkerShards]:
    """Return what each worker has of a store on Citus."""
    with connection.cursor(row_factory=class_row(WorkerShards)) as cursor:
        return cursor.execute(_query("shards"), {}).fetchall()


def count_facts(connection: psycopg.Connection) -> int:
    """Return how many facts the log of a store on Citus has: the workers count them."""
    row = connection.execute(_query("count_facts")).fetchone()
    return row[0] if row else 0


def skew(found: list[WorkerShards]) -> float:
    """Return how much larger the largest shard of the log is than the average one; 1 is even."""
    number, size = sum(each.shards for each in found), sum(each.log_bytes for each in found)
    return max(each.largest for each in found) * number / size if size else 1.0


def described(found: list[WorkerShards]) -> str:
    """Return what the workers have, in one line."""
    parts = [f"{each.worker}: {each.shards} shards, {each.bytes / 1e6:,.1f} MB" for each in found]
    return f"{'; '.join(parts)}; the largest shard is {skew(found):.1f} times the average"


def _copy(connection: psycopg.Connection, name: str) -> None:
    connection.execute(_query("copy_to_all").format(name=sql.Literal(name)))


def _spread(connection: psycopg.Connection, name: str) -> None:
    beside = "default" if name == LOG else LOG
    if name == LOG:
        connection.execute(_query("number_index"))
    connection.execute(_query("spread").format(name=sql.Literal(name), beside=sql.Literal(beside)))
    if name == LOG:
        # Those of the workers are left as they are.
        connection.execute(_query("here_alone"))
        connection.execute(_query("rest_triggers"))
    connection.execute(_query("drop_local_rows").format(name=sql.Literal(name)))
    if name == LOG:
        restored.enable_guard(connection)
        connection.execute(_query("everywhere"))


def _view() -> sql.SQL:
    # The text of an array depends on no setting here, which PostgreSQL cannot know.
    return sql.SQL(facts.view(ADDED_FIELDS, text_of="text_of"))


def _file(name: str) -> sql.SQL:
    text = (Path(__file__).parent / "citus_sql" / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text)


def _query(name: str) -> sql.SQL:
    return queries("citus")[name]
