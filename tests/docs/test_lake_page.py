"""What docs/lake.md tells an operator to type works, from top to bottom."""

import json
import subprocess
from pathlib import Path

import duckdb
import pytest
from support.typed_in import blocks_of, fill, type_in
from support.warm_program import warm_program

pytestmark = pytest.mark.slow

BLOCKS = blocks_of("lake.md")


def test_the_page_can_be_pasted_from_top_to_bottom(store_url: str, tmp_path: Path) -> None:
    variables = {"DATABASE_URL": store_url, "POSITIONSTORE_DATA_DIR": str(tmp_path / "data")}
    fill(store_url, 0, 20)
    type_in(BLOCKS["Quick start"], tmp_path, variables)
    with duckdb.connect() as ducks:
        count = f"SELECT count(*) FROM read_parquet('{tmp_path}/positions.parquet')"
        assert ducks.execute(count).fetchall() == [(7,)]
    type_in(BLOCKS["The past"], tmp_path, variables)
    assert (tmp_path / "believed.parquet").exists()

    said = subprocess.run(
        [
            *(warm_program(), "verify", "--engine", "duckdb"),
            *("--lake", "lake", "--json"),
        ],
        env=variables | {"PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert set(json.loads(said.stdout)) == {
        *("differences", "findings", "missing", "last_seq", "newest_seq"),
        *("facts", "compared", "changed_since"),
    }
