"""One field more: a line in the catalogue, scripts/new_field, and everything has it.

In a copy of the tree, on a store that has data.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.earlier_store import schema_of
from support.factories import event
from support.postgres import fresh_database
from support.typed_in import rows

from positionstore.embedded.server import EmbeddedServer
from positionstore.store import database, migrations
from positionstore.store.appender import Appender

ROOT = Path(__file__).parents[3]
NEXT = f"{int(migrations.head()) + 1:04d}"
LINE = 'Field(("{section}", "{key}"), Kind.{kind}, _NEVER, "{meaning}"),'
COMMANDS = """
import json, os, sys
from positionstore.cli import main
for url, expect, *arguments in json.loads(sys.argv[1]):
    os.environ["DATABASE_URL"] = url
    print("$", *arguments, flush=True)
    if (code := main(arguments)) != expect:
        sys.exit(f"{arguments}: {code}")
"""
"""Runs commands one after the other, in one process."""


COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = 'closed_positions'::regclass"


@dataclass(frozen=True)
class Tree:
    """A copy of what a field needs, and commands that run from it."""

    root: Path

    def add(self, line: str) -> None:
        catalogue = self.root / "positionstore" / "model" / "fields.py"
        text = catalogue.read_text(encoding="utf-8")
        head, beginning, rest = text.partition("ADDED_FIELDS: Final[tuple[Field, ...]] = (\n")
        inside, end, tail = rest.partition("\n)\n")
        assert end
        catalogue.write_text(f"{head}{beginning}{inside}\n    {line}{end}{tail}", encoding="utf-8")

    def run(self, *arguments: str, url: str = "", expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root), "DATABASE_URL": url},
            capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def commands(self, *commands: tuple[str, int, str]) -> str:
        """Run commands, each with a database, the exit code that it should have, and its words."""
        as_json = json.dumps([[url, expect, *words.split()] for url, expect, words in commands])
        return self.run("-c", COMMANDS, as_json)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "tree"
    nothing = shutil.ignore_patterns("__pycache__")
    for name in ("positionstore", "migrations", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=nothing)
    shutil.copy(ROOT / "alembic.ini", root)
    return Tree(root)


def body(position: str, **sections: object) -> dict[str, object]:
    return {"id": position, "status": "open", **sections}


def in_file(number: int, position: str, **sections: object) -> str:
    return json.dumps(
        {
            "id": f"evt_new_{number}",
            "type": "position.opened",
            "created_at": "2026-07-02T12:00:00Z",
            "data": body(position, **sections),
        }
    )


@pytest.mark.slow
def test_one_line_in_the_catalogue_is_a_field(
    tree: Tree, store_url: str, embedded_server: EmbeddedServer, tmp_path: Path
) -> None:
    with closing(database.connect(store_url)) as connection:
        Appender(connection).append(
            [
                event("evt_1", position="p1", body=body("p1", risk={"funding_bps": "25"})),
                event("evt_2", position="p2", body=body("p2", risk={"funding_bps": "a lot"})),
                event("evt_3", position="p3", body=body("p3", funding={"next_at": None})),
            ]
        )
    tree.add(LINE.format(section="risk", key="funding_bps", kind="BPS", meaning="Funding rate."))
    assert "risk.funding_bps" in tree.run("scripts/new_field.py", expect=2)
    said = tree.run("scripts/new_field.py", "risk.funding_bps")
    assert f"{NEXT}_risk_funding_bps.py" in said
    assert "closed_positions" not in said

    lines = tmp_path / "events.jsonl"
    lines.write_text(in_file(1, "p3", risk={"funding_bps": 7}) + "\n", encoding="utf-8")
    exported = tmp_path / "positions.csv"
    said = tree.commands(
        (store_url, 0, "migrate"),
        (store_url, 3, "verify"),
        (store_url, 0, "rebuild"),
        (store_url, 0, "verify"),
        (store_url, 0, f"import {lines}"),
        (store_url, 0, "verify"),
        (store_url, 0, f"export positions --out {exported}"),
    )
    assert f"from {migrations.head()} to {NEXT}" in said
    assert "risk_funding_bps" in said.partition("$ verify")[2].partition("$ rebuild")[0]
    found = "SELECT position_id, risk_funding_bps, misfit_fields FROM {} ORDER BY 1"
    expected = [("p1", 25, []), ("p2", None, ["risk.funding_bps"]), ("p3", 7, [])]
    for where in ("positions", "positions_as_of(now())", "open_positions"):
        assert rows(store_url, found.format(where)) == expected
    earlier = found.format("positions_as_of('2026-07-02T11:00:00Z')")
    assert rows(store_url, earlier) == [*expected[:2], ("p3", None, [])]
    with exported.open(newline="", encoding="utf-8") as file:
        bps = {row["position_id"]: row["risk_funding_bps"] for row in csv.DictReader(file)}
    assert bps == {"p1": "25", "p2": "", "p3": "7"}

    # Another one, of another kind, in a section that is new.
    tree.add(LINE.format(section="funding", key="next_at", kind="TIME", meaning="When it is due."))
    tree.run("scripts/new_field.py", "funding.next_at")
    due = "2026-07-03T00:00:00Z"
    lines.write_text(in_file(2, "p4", funding={"next_at": due}) + "\n", encoding="utf-8")
    with fresh_database(embedded_server) as new_url:
        tree.commands(
            (store_url, 0, "migrate"),
            (store_url, 0, f"import {lines}"),
            (store_url, 0, "verify"),
            (new_url, 0, "migrate"),
        )
        assert schema_of(new_url) == schema_of(store_url)
    tree.run("-m", "alembic", "check", url=store_url)
    when = "SELECT extract(epoch FROM funding_next_at)::bigint FROM {} WHERE position_id = 'p4'"
    for where in ("positions", "positions_as_of(now())", "open_positions"):
        assert rows(store_url, when.format(where)) == [(1783036800,)]
    assert "funding_next_at" in {name for (name,) in rows(store_url, COLUMNS)}
