"""The commands of the store, as a user runs them, on a real Postgres."""

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support.bare import bare_environment
from support.fork_server import completed
from support.waiting import DEADLINE, wait_until

PROGRAM = Path(sys.executable).with_name("positionstore")
Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**variables: str) -> dict[str, str]:
    return bare_environment() | variables


def runner(folder: Path, **variables: str) -> Run:
    def run(*arguments: str, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = completed(
            arguments,
            environment=environment(**variables),
            folder=folder,
            given=stdin,
            within=DEADLINE,
        )
        assert done.returncode == expect, done
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """Run the program on a migrated store."""
    return runner(tmp_path, DATABASE_URL=store_url, POSITIONSTORE_DATA_DIR=str(tmp_path / "data"))


def envelope(number: int, position: int = 1, status: str = "open") -> str:
    return json.dumps(
        {
            "id": f"evt_{number}",
            "type": "position.opened",
            "created_at": f"2026-07-01T12:00:{number:02}Z",
            "data": {"id": f"dm_pos_{position}", "status": status},
        }
    )


THREE = gzip.compress("\n".join(envelope(number) for number in range(3)).encode())


def test_an_import_is_counted_and_a_second_one_changes_nothing(run: Run, tmp_path: Path) -> None:
    events = "\n".join(envelope(number, number % 3) for number in range(9))
    (tmp_path / "events.jsonl").write_text(events)

    first = run("import", "--json", "events.jsonl")
    second = run("import", "events.jsonl")

    assert json.loads(first.stdout) == {
        "read": 9,
        "appended": 9,
        "duplicates": 0,
        "quarantined": 0,
        "positions": 3,
    }
    assert first.stderr == ""
    assert "0 appended, 9 duplicates, 0 quarantined" in second.stdout


def test_an_import_from_standard_input_that_quarantines_a_line_exits_with_3(run: Run) -> None:
    done = run("import", "-", expect=3, stdin=f"{envelope(1)}\nno event\n")

    assert "1 appended, 0 duplicates, 1 quarantined" in done.stdout
    assert "positionstore quarantine list" in done.stdout


def test_several_files_are_read_in_one_import_packed_ones_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "first.jsonl").write_text(envelope(1) + "\n")
    (tmp_path / "second.jsonl.gz").write_bytes(gzip.compress(f"{envelope(2)}\n".encode()))

    done = run("import", "--json", "first.jsonl", "second.jsonl.gz", "-", stdin=envelope(3))

    assert json.loads(done.stdout)["appended"] == 3


@pytest.mark.parametrize(
    ("content", "words", "imported"),
    [
        (envelope(1).encode(), "cannot be read at all: Not a gzipped file", 0),
        (THREE[:-9], "cannot be read after line 2: Compressed file ended", 2),
        (THREE + b"\nmore", "cannot be read after line 2: Not a gzipped file", 2),
        (THREE[:-6] + b"wrong!", "cannot be read after line 2: CRC check failed", 2),
    ],
    ids=["plain", "cut short", "followed by something else", "with a wrong sum"],
)
def test_what_comes_before_the_damage_of_a_packed_file_is_imported(
    run: Run, tmp_path: Path, content: bytes, words: str, imported: int
) -> None:
    (tmp_path / "events.jsonl.gz").write_bytes(content)

    done = run("import", "events.jsonl.gz", expect=1)

    (line,) = done.stderr.splitlines()
    assert line.startswith(f"positionstore: events.jsonl.gz {words}")
    kept = "What came before" if imported else "Nothing of it"
    assert line.endswith(f"{kept} is imported; mend the file and run it again.")
    status = json.loads(run("status", "--json").stdout)
    assert (status["log"]["last_seq"] or 0) == imported


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_an_import_that_is_interrupted_and_run_again_ends_in_the_same_state(
    run: Run, store_url: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    lines = [envelope(n % 60, n % 7).replace("evt_", f"evt_{n}_") for n in range(20_000)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    begun = subprocess.Popen(
        [PROGRAM, "import", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(
            DATABASE_URL=store_url,
            POSITIONSTORE_DATA_DIR=str(tmp_path / "data"),
            POSITIONSTORE_IMPORT_BATCH_SIZE="500",
        ),
    )
    with begun, psycopg.connect(store_url, autocommit=True) as connection:
        assert begun.stdin is not None
        begun.stdin.write("\n".join(lines[:15_000]).encode())
        begun.stdin.flush()  # and not closed: it waits for more
        empty = "SELECT NOT EXISTS (SELECT FROM events)"
        wait_until(lambda: connection.execute(empty).fetchone() == (False,), "some are written")
        begun.send_signal(number)
        out, err = begun.communicate(timeout=120)
    assert (begun.returncode, out, err) == (code, b"", b"")

    done = json.loads(run("import", "--json", "events.jsonl").stdout)

    assert done["appended"] + done["duplicates"] == 20_000
    assert 0 < done["appended"] < 20_000
    run("verify")
    with psycopg.connect(store_url) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (20_000,)


def test_a_file_that_is_not_there_is_one_line_and_nothing_is_imported(run: Run) -> None:
    done = run("import", "nowhere.jsonl", expect=2)

    assert done.stderr == (
        "positionstore: nowhere.jsonl cannot be read: No such file or directory. "
        "Nothing was imported.\n"
    )


def test_quarantine_is_listed_shown_and_tried_again(run: Run) -> None:
    hostile = '{"id": "\x1b[31m[red]"'
    run("import", "-", expect=3, stdin=f"{hostile}\n")

    listed = json.loads(run("quarantine", "list", "--json").stdout)
    number = str(listed[0]["quarantine_id"])
    shown = run("quarantine", "show", number)
    whole = json.loads(run("quarantine", "show", number, "--json").stdout)

    assert [entry["reason"] for entry in listed] == ["not_json"]
    assert r"\x1b[31m[red]" in shown.stdout
    assert "\x1b" not in shown.stdout + run("quarantine", "list").stdout
    assert (whole["raw"], whole["encoding"]) == (hostile, "utf-8")
    assert run("quarantine", "show", number, "--raw").stdout == hostile
    assert json.loads(run("quarantine", "retry", "--json", expect=3).stdout) == {
        "tried": 1,
        "released": 0,
    }


def test_what_is_understood_after_all_leaves_quarantine(run: Run, store_url: str) -> None:
    run("import", "-", expect=3, stdin="no event\n")
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("UPDATE quarantine SET raw = %s", [envelope(1).encode()])

    assert "1 understood" in run("quarantine", "retry").stdout
    assert run("quarantine", "list").stdout == "Nothing waits in quarantine.\n"
    assert json.loads(run("quarantine", "list", "--all", "--json").stdout) != []
    assert json.loads(run("status", "--json").stdout)["log"]["last_seq"] == 1


def test_an_entry_that_is_not_there_is_one_line(run: Run) -> None:
    done = run("quarantine", "show", "7", expect=2)

    assert done.stderr.startswith("positionstore: There is no entry 7 in quarantine.")


def test_verify_finds_what_was_tampered_with_and_rebuild_puts_it_right(
    run: Run, store_url: str
) -> None:
    run("import", "-", stdin="\n".join(envelope(number, number) for number in range(3)))
    assert run("verify").stdout == "Every position is the fold of its facts.\n"
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("UPDATE positions SET side = 'no' WHERE position_id = 'dm_pos_1'")

    found = json.loads(run("verify", "--json", expect=3).stdout)
    told = run("verify", expect=3)
    rebuilt = run("rebuild")

    nothing_away = {"archives": 0, "findings": [], "positions": 0, "proved": 0}
    assert found == {
        "differences": [{"position_id": "dm_pos_1", "kind": "different", "columns": ["side"]}],
        "archived": nothing_away,
    }
    assert "dm_pos_1\tdifferent\tside\n" in told.stdout
    assert "1 put right" in rebuilt.stdout
    assert json.loads(run("verify", "--json").stdout) == {
        "differences": [],
        "archived": nothing_away,
    }
    assert run("rebuild").stdout == "Nothing differed.\n"


def test_the_status_of_an_empty_and_of_a_filled_store(run: Run) -> None:
    empty = run("status").stdout
    run("import", "-", stdin=f"{envelope(1)}\n{envelope(2, 2, 'closed')}\n")
    filled = run("status").stdout

    assert "last seq 0\n" in empty
    assert "received never" in empty
    assert "0 pending, 1 live, 1 terminal" in filled
    assert "not connected" in filled


@pytest.mark.parametrize(
    "command",
    [("import", "-"), ("verify",), ("rebuild",), ("status",), ("quarantine", "list"), ("ingest",)],
)
def test_on_a_database_without_schema_a_command_names_the_remedy(
    database_url: str, tmp_path: Path, command: tuple[str, ...]
) -> None:
    run = runner(tmp_path, DATABASE_URL=database_url, POSITIONSTORE_DATA_DIR=str(tmp_path))

    done = run(*command, expect=2)

    assert done.stderr == (
        "positionstore: The database has no positionstore schema yet. "
        "Run `positionstore migrate`.\n"
    )


def test_migrate_brings_the_schema_and_says_so_once(database_url: str, tmp_path: Path) -> None:
    run = runner(tmp_path, DATABASE_URL=database_url, POSITIONSTORE_DATA_DIR=str(tmp_path))

    assert run("migrate").stdout.startswith("Brought the schema from nothing to ")
    assert run("migrate").stdout.startswith("The schema is at head: ")


def test_migrate_changes_nothing_where_there_is_no_citus_to_spread_the_store(
    database_url: str, tmp_path: Path
) -> None:
    run = runner(tmp_path, DATABASE_URL=database_url, POSITIONSTORE_DATA_DIR=str(tmp_path))

    done = run("migrate", "--citus", expect=2)

    assert done.stderr.startswith("positionstore: The extension citus is not in this database.")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)


def test_a_schema_that_is_ahead_is_named(run: Run, store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    for command in ("status", "migrate"):
        done = run(command, expect=2)
        assert "is ahead: 9999" in done.stderr
        assert "Upgrade positionstore." in done.stderr


@pytest.mark.parametrize("command", [("status",), ("migrate",), ("import", "-")])
def test_a_database_that_is_not_there_is_one_line_without_its_password(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    url = "postgresql://me:hushhush@127.0.0.1:1/d"
    run = runner(tmp_path, DATABASE_URL=url, POSITIONSTORE_DATA_DIR=str(tmp_path))

    done = run(*command, expect=1)

    assert len(done.stderr.splitlines()) == 1
    assert "127.0.0.1" in done.stderr
    assert "hushhush" not in done.stderr


def test_a_wrong_password_is_one_line_without_it(tmp_path: Path, store_url: str) -> None:
    before, _, after = store_url.partition("@")
    wrong = f"{before.rpartition(':')[0]}:hushhush@{after}"
    run = runner(tmp_path, DATABASE_URL=wrong, POSITIONSTORE_DATA_DIR=str(tmp_path))

    done = run("status", expect=1)

    assert len(done.stderr.splitlines()) == 1
    assert "hushhush" not in done.stderr
