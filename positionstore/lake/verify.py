"""The proof of a store by its lake: another engine folds the facts, and the rows are compared."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from positionstore.errors import MissingFilesError
from positionstore.lake import fold_sql
from positionstore.lake.engine import Engine, Folding
from positionstore.lake.feed import rules_of, see_that_it_is_its_store
from positionstore.lake.lake import Lake
from positionstore.store.database import Store
from positionstore.store.fold import Difference
from positionstore.store.read import arrow, facts, query


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a comparison.

    Attributes:
        differences: the positions whose rows are not the fold of the lake's facts, by id.
        findings: what is wrong with the lake itself, in words.
        missing: the files of the lake that are gone; with any of them nothing is compared.
        last_seq: the last seq that the lake holds: what was compared is of then.
        newest_seq: the last seq of the log when the comparison began.
        facts: how many facts were folded.
        compared: how many rows of ``positions`` were compared.
        changed_since: how many positions got a fact later, and were not compared.
    """

    differences: Sequence[Difference]
    findings: Sequence[str]
    missing: Sequence[str]
    last_seq: int
    newest_seq: int
    facts: int
    compared: int
    changed_since: int

    @property
    def proves_nothing(self) -> bool:
        """Whether no row was compared, because the lake lacks facts that the log has."""
        return not self.compared and (self.changed_since > 0 or self.newest_seq > self.last_seq)


def verify(store: Store, lake: Lake, engine: Engine) -> Proof:
    """Fold a lake and compare the rows with ``positions``; change nothing.

    The store is asked for its rows and for the facts that came after the lake was fed; it folds
    nothing.

    Args:
        store: the store.
        lake: its lake.
        engine: what folds.

    Raises:
        ConfigurationError: the lake was never fed, or is that of another store.
        PositionstoreError: the engine or the store cannot do it.
    """
    last_seq = lake.table.last_seq()
    with query.reading(store, facts.FACTS) as connection:
        see_that_it_is_its_store(connection, lake, last_seq)
        newest_seq = query.newest_seq(connection)
        rules = rules_of(connection)
        chosen = facts.of_positions(connection, seq=last_seq)
    files, fed = lake.files(), lake.facts()
    folding = Folding(engine, lake, rules)
    try:
        engine.name("folded", folding.positions())
    except MissingFilesError as error:
        return Proof([], [str(error)], error.paths, last_seq, newest_seq, 0, 0, 0)
    with closing(arrow.batches(store, chosen)) as batches:
        engine.give(
            "stored", pa.RecordBatchReader.from_batches(arrow.schema(chosen), iter(batches))
        )
    (counts,) = engine.run(_COUNTS).to_pylist()
    (of_facts,) = engine.run(_FACTS).to_pylist()
    differences = [
        Difference(row["position_id"], row["kind"], [*filter(None, row["columns"].split(","))])
        for row in engine.run(fold_sql.differences()).to_pylist()
    ]
    return Proof(
        sorted(differences, key=lambda each: each.position_id),
        _findings(of_facts, sum(each.rows for each in files), fed, last_seq),
        [],
        last_seq,
        newest_seq,
        of_facts["facts"],
        int(counts["compared"] or 0),  # an engine may have summed to a decimal
        int(counts["changed_since"] or 0),
    )


_COUNTS = """SELECT
    sum(CASE WHEN changed_since THEN 0 ELSE 1 END) AS compared,
    sum(CASE WHEN changed_since THEN 1 ELSE 0 END) AS changed_since
FROM stored"""

_FACTS = """SELECT
    count(*) AS facts, count(DISTINCT seq) AS seqs, coalesce(max(seq), 0) AS last_seq
FROM facts"""


def _findings(found: dict[str, int], expected: int, fed: int, last_seq: int) -> list[str]:
    findings = []
    if found["facts"] != expected:
        findings.append(
            f"The lake's files have {found['facts']:,} facts, and its table says {expected:,}."
        )
    if expected != fed:
        findings.append(f"The lake's table has {expected:,} facts, and {fed:,} were fed.")
    if found["seqs"] != found["facts"]:
        findings.append(f"The lake has {found['facts'] - found['seqs']:,} facts more than once.")
    if found["last_seq"] != last_seq:
        findings.append(
            f"The lake's last fact is seq {found['last_seq']}, and its table says {last_seq}."
        )
    return findings
