"""Feeding a lake: what the log has since the last time, in increments, each exactly once.

An increment is a range of ``seq`` and one commit of the catalogue, which also says how far the
lake then goes. So a feeder that is killed loses the increment it is at and nothing else, and of two
feeders with the same facts one is told that the other was faster.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import pyarrow as pa

from positionstore.errors import ConfigurationError, StoreRefusedError
from positionstore.export.request import alone
from positionstore.lake import fold_sql
from positionstore.lake.lake import Lake
from positionstore.lake.refill import refill
from positionstore.lake.rules import Rules
from positionstore.store import archived
from positionstore.store.database import Store
from positionstore.store.read import arrow, facts, query

INCREMENT: Final = 500_000
"""Seqs that one commit adds at most."""


@dataclass(frozen=True, slots=True)
class Fed:
    """What a run added.

    Attributes:
        lake: the place.
        facts: the number of facts.
        increments: the number of commits that added them.
        files: the number of files.
        bytes: their size.
        last_seq: the last seq of the log that the lake now holds.
    """

    lake: str
    facts: int
    increments: int
    files: int
    bytes: int
    last_seq: int


def feed(
    store: Store,
    place: Path | str,
    *,
    compact: bool = False,
    progress: Callable[[int, int | None], None] = lambda *_: None,
    increment: int = INCREMENT,
) -> Fed:
    """Add to a lake all facts that the log has and the lake has not.

    Args:
        store: the store.
        place: a folder, or the URL of a place in an object store.
        compact: whether to merge the lake's small files.
        progress: called with how many seqs are read, and of how many.
        increment: how many seqs a commit adds at most.

    Raises:
        ConfigurationError: it is the lake of another store, or of a newer version.
        StoreRefusedError: facts that it lacks are in an archive.
        PositionstoreError: another program changed the lake meanwhile; what was committed before
            stays, and the next run goes on from there.
    """
    with query.reading(store, facts.FACTS) as connection:
        rules = rules_of(connection)
    with ExitStack() as held:
        lake = Lake(place, rules)
        alone(store, lake.table.key, lake.place, held)
        begun = reached = lake.table.reload().last_seq()
        with query.reading(store, facts.FACTS) as connection:
            _see_that_it_can_be_fed(connection, lake, reached)
            newest = query.newest_seq(connection)
            chosen = facts.of_facts(connection, after=reached, until=reached)
        if not lake.table.columns:
            # A lake without a fact is one, too.
            lake.table.append(
                [], arrow.schema(chosen), since=0, properties=lambda: lake.said(rules, "", 0)
            )
        elif set(fold_sql.facts_columns()) - set(lake.table.columns):
            refill(store, lake, arrow.schema(chosen))
        count = increments = 0
        while reached < newest:
            until = min(newest, reached + increment)
            added = _add(store, lake, rules, reached, until)
            count, increments = count + added, increments + bool(added)
            reached = until
            progress(reached - begun, newest - begun)
        lake.keep(rules)
        if compact:
            lake.table.compact()
        last_seq = lake.table.last_seq()
    return Fed(lake.place, count, increments, lake.table.files, lake.table.size, last_seq)


def rules_of(connection: psycopg.Connection) -> Rules:
    """Return the precedences that are in force in a store."""
    return Rules(tuple(facts.statuses(connection)), tuple(facts.types(connection)))


def _add(store: Store, lake: Lake, rules: Rules, after: int, until: int) -> int:
    """Add the facts of a range in one commit; return how many."""
    with query.reading(store, facts.FACTS) as connection:
        chosen = facts.of_facts(connection, after=after, until=until)
    count, last_event = 0, ""

    def read() -> Iterator[pa.RecordBatch]:
        nonlocal count, last_event
        for batch in pieces:
            yield batch
            count += len(batch)
            last_event = batch["event_id"][-1].as_py()
        # What an archive took while it was read is no part of it; then nothing is committed.
        with store.connect(reads=True) as connection:
            _refuse_archived(connection, after)

    schema = arrow.schema(chosen)
    before = lake.facts()
    with closing(arrow.batches(store, chosen)) as pieces:
        lake.table.append(
            read(),
            schema,
            since=lake.table.last_seq(),
            properties=lambda: lake.said(rules, last_event, before + count) if count else {},
        )
    return count


def _see_that_it_can_be_fed(connection: psycopg.Connection, lake: Lake, reached: int) -> None:
    _refuse_archived(connection, reached)
    if unknown := set(lake.table.columns) - set(fold_sql.facts_columns()):
        raise ConfigurationError(
            f"The lake in {lake.place} has columns that this version does not know:"
            f" {', '.join(sorted(unknown))}.",
            remedy="Feed it with the version of positionstore that added them.",
        )
    see_that_it_is_its_store(connection, lake, reached)


def see_that_it_is_its_store(connection: psycopg.Connection, lake: Lake, reached: int) -> None:
    """See that the last fact of a lake is one of this log.

    Args:
        connection: to the store.
        lake: the lake.
        reached: the last seq that it holds.

    Raises:
        ConfigurationError: it is the lake of another store.
    """
    if reached and not facts.is_there(connection, reached, lake.last_event or ""):
        raise ConfigurationError(
            f"The lake in {lake.place} ends with a fact that is not of this log: seq {reached}.",
            remedy="Is DATABASE_URL that of the store whose lake it is?",
        )


def _refuse_archived(connection: psycopg.Connection, reached: int) -> None:
    archived.refuse_behind(connection, reached)
    if not reached and (standing := archived.standing(connection)):
        raise StoreRefusedError(
            f"Facts of the log are in the archive {standing[0].file}, and a lake that begins now"
            " would lack them.",
            remedy="Bring them back with `positionstore import FILE`, feed the lake, and archive"
            " them again.",
        )
