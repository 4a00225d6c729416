"""``positionstore archive``, ``verify --archives`` and ``import``, as an operator runs them."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from support.factories import moment
from support.fork_server import completed
from support.old_positions import DAY, facts, files, life
from support.roles import Urls, connected, roles_on
from support.waiting import DEADLINE

from positionstore.store import database
from positionstore.store.appender import Appender
from positionstore.store.grants import Role

Run = Callable[..., subprocess.CompletedProcess[str]]
LONG_AGO = -3 * 365 * DAY
OUT = ("archive", "--before", "2024-01-01", "--to")


def fill(appender: Appender) -> None:
    for number in range(3):
        appender.append(
            [
                msgspec.structs.replace(each, received_at=moment(LONG_AGO + 50))
                for each in life(f"dm_pos_{number}", at=LONG_AGO + 10 * number)
            ]
        )


def runner(url: str | None, folder: Path) -> Run:
    environment = {
        **{key: value for key, value in os.environ.items() if key != "DATABASE_URL"},
        **({} if url is None else {"DATABASE_URL": url}),
        "POSITIONSTORE_DATA_DIR": str(folder / "data"),
    }

    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = completed(arguments, environment=environment, folder=folder, within=DEADLINE)
        assert done.returncode == expect, done
        return done

    return run


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """Run the program on a store with three positions that ended long ago."""
    with database.connect(store_url) as connection:
        fill(Appender(connection))
    return runner(store_url, tmp_path)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_out_proved_and_back(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    dry = run(*OUT, str(folder), "--dry-run")
    assert "3 positions with 12 facts" in dry.stdout
    assert "would move. Nothing was written." in dry.stdout
    assert told(run(*OUT, str(folder), "--dry-run", "--json"))["left"] is None

    done = told(run(*OUT, str(folder), "--json"))
    assert (done["positions"], done["facts"], done["left"]) == (3, 12, 9)
    assert [str(folder / name) for name in done["files"]] == files(folder)
    proved = told(run("verify", "--archives", str(folder), "--json"))
    assert proved == {
        "differences": [],
        "archived": {"positions": 3, "archives": 1, "proved": 1, "findings": []},
    }
    assert run("verify").stdout.splitlines() == [
        "The facts of 3 positions are in 1 archive.",
        "Every position is the fold of its facts.",
    ]
    assert "archived\t12 facts of 3 positions, in 1 file\n" in run("status").stdout
    assert told(run("status", "--json"))["archived"] == {
        "archives": 1,
        "positions": 3,
        "facts": 12,
        "of_other_stores": 0,
    }
    assert run(*OUT, str(folder)).stdout == (
        "No position ended before 2024-01-01 00:00:00 UTC of which facts are left to move.\n"
    )
    refused = run("retract", "evt_dm_pos_0_3", "--reason", "No.", expect=2)
    assert "positionstore import FILE" in refused.stderr
    # One that is in the archive alone.
    unseen = run("retract", "evt_dm_pos_0_1", "--reason", "No.", expect=2)
    assert "3 positions have facts in archives" in unseen.stderr
    of_position = ("retract", "evt_dm_pos_0_1", "--position", "dm_pos_0", "--reason", "No.")
    assert f"in the archive {done['files'][0]}" in run(*of_position, expect=2).stderr

    # Who had not read them is told; who begins, or looks at the newest, is not held up.
    behind = run("tail", "--after", "1", "--no-follow", expect=2)
    assert f"Facts of after seq 1 are in the archive {done['files'][0]}" in behind.stderr
    assert behind.stdout == ""
    assert len(run("tail", "--no-follow").stdout.splitlines()) == 4
    begun = run("export", "events", "--out", str(tmp_path / "events.jsonl"))
    assert "in 1 archive, and not in it" in begun.stdout

    back = run("import", *files(folder))
    assert "3 positions are whole again; 9 of its 12 facts came back" in back.stdout
    again = run("import", *files(folder))
    assert "its facts are back since" in again.stdout
    assert "archived" not in run("status").stdout
    run("verify", "--archives", str(folder))
    run("retract", "evt_dm_pos_0_3", "--reason", "No.")


def test_a_damaged_file_is_found(run: Run, tmp_path: Path) -> None:
    run(*OUT, str(tmp_path))
    (path,) = files(tmp_path)
    Path(path).write_bytes(b"PAR1" + b"x" * 100)
    found = run("verify", "--archives", str(tmp_path), expect=3)
    assert Path(path).name in found.stdout
    assert "cannot be read" in run("import", path, expect=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--before", "yesterday", "--to", "x"), "is no moment"),
        (("--before", "2999-01-01", "--to", "x"), "less than 30 days ago"),
        (("--before", "2024-01-01", "--to", "/proc/x"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    run: Run, arguments: tuple[str, ...], words: str
) -> None:
    done = run("archive", *arguments, expect=1 if "/proc/x" in arguments else 2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def urls(store_url: str) -> Iterator[Urls]:
    with roles_on(store_url) as urls:
        yield urls


def test_only_the_owner_moves_facts(urls: Urls, store_url: str, tmp_path: Path) -> None:
    with database.connect(store_url) as connection:
        appending = database.connect(urls[Role.WRITER])
        with appending:
            fill(Appender(appending))
        before = facts(connection)
        for role in (Role.WRITER, Role.READER):
            refused = runner(urls[role], tmp_path)(*OUT, str(tmp_path), expect=2)
            assert "may not move facts" in refused.stderr
        runner(urls[Role.OWNER], tmp_path)(*OUT, str(tmp_path))
        assert len(facts(connection)) == len(before) - 9
        as_writer = runner(urls[Role.WRITER], tmp_path)
        assert "may not move facts" in as_writer("import", *files(tmp_path), expect=2).stderr
        as_writer("verify", "--archives", str(tmp_path))
        with (
            connected(urls[Role.WRITER]) as writer,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            writer.execute("DELETE FROM events")
        with (
            connected(urls[Role.READER]) as reader,
            pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState),
        ):
            reader.execute("SELECT * FROM positions_as_of(%s)", [moment(LONG_AGO + 21)])
        runner(urls[Role.OWNER], tmp_path)("import", *files(tmp_path))
        assert facts(connection) == before


def test_on_the_embedded_server_it_just_works(tmp_path: Path) -> None:
    run = runner(None, tmp_path)
    run("migrate")
    try:
        done = told(run(*OUT, str(tmp_path / "archives"), "--json"))
        assert done["positions"] == 0
    finally:
        run("db", "stop")
