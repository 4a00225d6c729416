"""What docs/archive.md tells an operator to type works, from top to bottom."""

import re
from pathlib import Path

import msgspec
import psycopg
import pytest
from support.factories import moment
from support.old_positions import DAY, life
from support.typed_in import blocks_of, rows, type_in

from positionstore.store import database
from positionstore.store.appender import Appender

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "archive.md"
BLOCKS = blocks_of("archive.md")
OUT, PROVED, BACK = (
    "Move facts out",
    "See that it is all there",
    "Bring facts back",
)
LOG = "SELECT seq, event_id, envelope::text FROM events WHERE position_id <> '' ORDER BY seq"
LONG_AGO = -3 * 365 * DAY


def test_facts_go_out_are_proved_and_come_back(store_url: str, tmp_path: Path) -> None:
    with database.connect(store_url) as connection:
        appender = Appender(connection)
        for number, at in enumerate((LONG_AGO, LONG_AGO + DAY, 0)):
            appender.append(
                [
                    msgspec.structs.replace(each, received_at=moment(at + 10))
                    for each in life(f"dm_pos_{number}", at=at)
                ]
            )
    before = rows(store_url, LOG)
    variables = {"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path / "data")}

    type_in(BLOCKS[OUT], tmp_path, variables)
    assert len(rows(store_url, LOG)) == len(before) - 6
    type_in(BLOCKS[PROVED], tmp_path, variables)
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with psycopg.connect(store_url) as connection:
        found = connection.execute(query.encode()).fetchall()
    assert [row[1:3] for row in found] == [(2, 8)]
    assert [path.name for path in (tmp_path / "archives").iterdir()] == [found[0][0]]
    type_in(BLOCKS[BACK], tmp_path, variables)

    assert rows(store_url, LOG) == before
