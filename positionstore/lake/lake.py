"""A lake: a table of Iceberg with the facts of one store's log."""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from positionstore.errors import ConfigurationError
from positionstore.export.iceberg import IcebergTable, TableFile, may_have_tables
from positionstore.lake.rules import TERMINAL, Rules
from positionstore.store.read.facts import FACTS

_RULES: Final = "positionstore.rules"
"""The property of the table that has the precedences in force at the last feed."""

_LAST_EVENT: Final = "positionstore.last-event-id"
"""The property of the table that names the last fact: by it a lake knows its store again."""

_FACTS: Final = "positionstore.facts"
"""The property of the table that says how many facts it was fed with, whatever became of them."""


_ROW_GROUP: Final = 32_768
"""Rows of a row group: a reader passes over a whole one, and none has all the kinds of a file."""


class Lake:
    """The table of facts in a warehouse.

    Args:
        place: a folder, or the URL of a place in an object store.
        rules: the precedences in force, where it is to be fed.

    Attributes:
        table: the table.
        place: the place, for people.

    Raises:
        ConfigurationError: no catalogue is configured for the place.
        PositionstoreError: the catalogue cannot be used.
    """

    def __init__(self, place: Path | str, rules: Rules | None = None) -> None:
        self.place = str(place)
        self.table = IcebergTable(
            place,
            FACTS,
            arranged=lambda rows: rows if rules is None else _arranged(rows, rules),
            row_group=_ROW_GROUP,
        )

    @classmethod
    def fed(cls, place: Path | str) -> "Lake":
        """Return a lake that is to be read, and make nothing.

        Raises:
            ConfigurationError: there is none.
            PositionstoreError: the catalogue cannot be used.
        """
        if not may_have_tables(place):
            raise _no_lake(place)
        return cls(place)

    @property
    def last_event(self) -> str | None:
        """The ``event_id`` of its last fact; None where it has none."""
        return self.table.property_of(_LAST_EVENT)

    def last_seq(self) -> int:
        """Return the last seq of the log that it holds."""
        return self.table.last_seq()

    def rules(self) -> Rules:
        """Return the precedences that were in force when it was fed last.

        Raises:
            ConfigurationError: it was never fed.
        """
        text = self.table.property_of(_RULES)
        if text is None:
            raise _no_lake(self.place)
        return Rules.decoded(text)

    def facts(self) -> int:
        """Return how many facts it was fed with: where it does not say so, how many it has."""
        text = self.table.property_of(_FACTS)
        return sum(each.rows for each in self.table.current_files()) if text is None else int(text)

    def said(self, rules: Rules, last_event: str, facts: int) -> dict[str, str]:
        """Return the properties that belong to an increment.

        Args:
            rules: the precedences in force.
            last_event: the ``event_id`` of its last fact.
            facts: how many the lake was fed with, these too.
        """
        return {_RULES: rules.encoded(), _LAST_EVENT: last_event, _FACTS: str(facts)}

    def keep(self, rules: Rules) -> None:
        """Keep the precedences in force, where there are no facts to add and they have changed."""
        if self.table.columns and self.table.property_of(_RULES) != rules.encoded():
            self.table.set_properties({_RULES: rules.encoded()})

    def files(self) -> list[TableFile]:
        """Return the files with its facts.

        Raises:
            ConfigurationError: it was never fed, or another program deleted rows of it.
        """
        self.rules()
        return self.table.current_files()


def _arranged(rows: pa.Table, rules: Rules) -> pa.Table:
    """Return facts of a file in an order in which a fold need not read most of them.

    Nearly all positions have ended, by a terminal fact, so the facts that win the fold stand
    together; and so do those that only another fact makes count, which it looks for first. Within
    each kind a position's facts stand together, for they have most values in common.
    """
    terminal = [status for status, phase, _ in rules.statuses if phase == TERMINAL]
    kind = pc.if_else(
        pc.or_(pc.is_valid(rows["supersedes_before"]), pc.is_valid(rows["retracts"])),
        1,
        pc.if_else(pc.is_in(rows["status"], pa.array(terminal, pa.string())), 2, 0),
    )
    keys = pa.table([kind, rows["position_id"], rows["seq"]], names=["kind", "position_id", "seq"])
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    return rows.take(order)


def _no_lake(place: Path | str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no lake in {place}.", remedy=f"Feed it first: positionstore lake feed {place}"
    )
