"""What a page of docs/ tells an operator to type, and a store to type it for."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from positionstore.embedded.binaries import find_binaries
from positionstore.embedded.os_user import OsUser
from positionstore.store import database
from positionstore.store.appender import Appender
from support.factories import event
from support.programs import ROOT
from support.warm_program import search_path

Rows = list[tuple[object, ...]]


def blocks_of(page: str) -> dict[str, list[str]]:
    """Return the shell blocks of a page of docs/, by the title that they stand under."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return {
        title: re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
        for title, part in parts
    }


def fill(url: str, first: int, count: int) -> None:
    """Append events of seven positions."""
    with database.connect(url) as connection:
        appender = Appender(connection)
        appender.append(
            [
                event(
                    f"evt_{n}", position=f"dm_pos_{n % 7}", at=n, body={"market_title": "x" * 4_000}
                )
                for n in range(first, first + count)
            ]
        )
        connection.commit()


def rows(url: str, query: str) -> Rows:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def type_in(
    blocks: list[str],
    folder: Path,
    variables: Mapping[str, str],
    account: OsUser | None = None,
    programs: Path | None = None,
) -> None:
    """Run what the page says, as an operator's shell would.

    Args:
        programs: a folder with PostgreSQL's programs; else those of the embedded server.
    """
    theirs = programs or find_binaries().directory
    # Another account can ask no server of ours for a fork.
    ours = f"{Path(sys.executable).parent}:{os.environ['PATH']}" if account else search_path()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DATABASE_URL"))}
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env={**inherited, "PATH": f"{theirs}:{ours}", **variables},
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)
