"""The SQL of the migrations is what the field catalogue says, though it is frozen."""

from pathlib import Path

import new_field
import pytest

from positionstore.model.fields import ADDED_FIELDS, FIELDS, Durability, Field, Kind
from positionstore.store.schema_sql import files
from positionstore.store.schema_sql.columns import comments, position_columns

SQL = Path(__file__).parents[3] / "migrations" / "sql"


def test_each_column_says_what_the_catalogue_says() -> None:
    said = {}
    for path in sorted(SQL.glob("*/tables/positions.sql")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("COMMENT ON COLUMN"):
                said[line.partition(" IS ")[0]] = line
    assert {*said.values()} == {*comments("positions", position_columns(ADDED_FIELDS)).splitlines()}


@pytest.mark.parametrize("name", files.replaced())
def test_the_newest_migration_is_what_is_written_of_all_fields(name: str) -> None:
    assert new_field.newest(name) == files.replaced()[name]


def test_every_field_has_a_migration() -> None:
    assert new_field.pending() == []


def test_added_columns_come_last() -> None:
    added = Field(("risk", "funding_bps"), Kind.BPS, Durability.NEVER, "Funding rate.")
    names = [column.name for column in position_columns((*ADDED_FIELDS, added))]
    assert names[-1] == "risk_funding_bps"
    assert names[:-1] == [column.name for column in position_columns(ADDED_FIELDS)]
    assert {field.column for field in FIELDS} <= {*names}
    assert files.add_columns([added]).startswith(
        "ALTER TABLE positions\n    ADD COLUMN risk_funding_bps bigint;\n"
        "COMMENT ON COLUMN positions.risk_funding_bps IS 'Funding rate. In basis points. Moves with"
        " the market; this is its value at the last fact.';\n"
    )
    assert files.add_valuation_columns([added]) == "".join(
        f"ALTER TABLE {table}\n    ADD COLUMN funding_bps bigint;\n"
        f"COMMENT ON COLUMN {table}.funding_bps IS 'Funding rate. In basis points.';\n"
        for table in files.VALUATION_TABLES
    )
    for text in files.replaced((*ADDED_FIELDS, added)).values():
        assert ("risk_funding_bps" in text) != ("VIEW closed_positions" in text)
