"""What docs/export.md tells the reader to paste works, and leaves what it says."""

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from support.factories import event
from support.warm_program import search_path

from positionstore.store import database
from positionstore.store.appender import Appender

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)\n```", PAGE, re.DOTALL)
A_DAY = 86_400
Paste = Callable[[str], str]


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def paste(store_url: str, tmp_path: Path) -> Paste:
    environment = {
        **os.environ,
        "PATH": search_path(),
        "DATABASE_URL": store_url,
        "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
    }

    def paste(text: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", f"set -o pipefail\n{text}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 0, done
        return done.stdout

    return paste


def test_the_page_can_be_pasted_from_top_to_bottom(
    paste: Paste, store_url: str, tmp_path: Path
) -> None:
    # The places of the others, object stores and Iceberg's, have tests of their own.
    everything, log, days, feed, *_ = blocks("sh")
    (log_first, log_next), (days_first, days_next) = log.splitlines(), days.splitlines()
    with closing(database.connect(store_url)) as connection:
        appender = Appender(connection)
        appender.append([event("evt_1"), event("evt_2", at=1)])
        paste(everything)
        paste(log_first)
        paste(days_first)
        appender.append([event("evt_3", at=A_DAY), event("evt_4", at=A_DAY + 1)])
    paste(days_next)
    said = paste(log_next)

    assert '"last_seq": 4' in said
    paste(feed)
    assert len(list((tmp_path / "feed" / "_increments").iterdir())) == 2
    assert (tmp_path / "open.csv").read_text(encoding="utf-8").count("dm_pos_1") == 1
    (tree,) = blocks("text")
    found = sorted(path.relative_to(tmp_path) for path in (tmp_path / "lake").rglob("*.*"))
    assert [str(path) for path in found] == sorted(tree.splitlines())
    for query in blocks("sql"):
        with duckdb.connect() as ducks:
            for folder in ("lake", "feed"):
                query = query.replace(f"'{folder}/", f"'{tmp_path}/{folder}/")  # noqa: PLW2901 - where the page's folders are
            rows = ducks.execute(query).fetchall()
        assert sorted((str(day), count) for day, count in rows) == [
            ("2026-07-01", 2),
            ("2026-07-02", 2),
        ]


def test_the_python_of_the_page_runs(
    store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", store_url)
    monkeypatch.chdir(tmp_path)
    with closing(database.connect(store_url)) as connection:
        Appender(connection).append([event("evt_1")])
    (code,) = blocks("python")
    names: dict[str, object] = {}

    exec(compile(code, "docs/export.md", "exec"), names)  # noqa: S102 - our own page

    assert len(names["live"]) == 1  # type: ignore[arg-type]
