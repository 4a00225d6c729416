"""Every command explains itself, with an example that works."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from support.postgres import fresh_database
from support.warm_program import search_path

from positionstore.cli import main
from positionstore.cli.commands import COMMANDS, load
from positionstore.embedded.server import EmbeddedServer
from positionstore.importer.files import import_files
from positionstore.lake.feed import feed
from positionstore.store.database import Store

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("positionstore")
GO_ON_UNTIL_STOPPED = {"demo", "sandbox", "ingest", "run", "explore"}


def every_command() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = load(name)
        yield name, command
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", subcommand


ALL = dict(every_command())
LEAVES = {name: command for name, command in ALL.items() if not hasattr(command, "commands")}


def example_of(name: str) -> str:
    _, separator, example = inspect.cleandoc(ALL[name].help).rpartition("Example: ")
    assert separator, f"positionstore {name} has no example"
    return " ".join(example.split())


def own_arguments(example: str) -> list[str]:
    """Return the arguments of the example's call of positionstore."""
    found = re.search(r"positionstore ((?:[^)\"']|'[^']*')*)", example)
    assert found, example
    return shlex.split(found.group(1))


def test_no_module_of_a_command_is_left_out() -> None:
    listed = {COMMANDS[name][1].partition(":")[0] for name in COMMANDS}

    modules = {
        path.stem
        for path in (ROOT / "positionstore" / "cli").glob("*.py")
        if path.read_text(encoding="utf-8").startswith('"""``positionstore ')
    }

    assert modules == listed


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name: str) -> None:
    first_paragraph = inspect.cleandoc(ALL[name].help).split("\n\n")[0]

    assert " ".join(first_paragraph.split()).startswith(COMMANDS[name][2].rstrip("."))


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_option_and_argument_is_explained(name: str) -> None:
    unexplained = [
        parameter.name for parameter in LEAVES[name].params if not getattr(parameter, "help", None)
    ]

    assert unexplained == []


@pytest.mark.parametrize("name", ALL)
def test_every_example_is_of_its_command_and_is_understood(name: str) -> None:
    arguments = own_arguments(example_of(name))
    words = name.split()

    assert arguments[: len(words)] == words
    ALL[name].make_context(name, arguments[len(words) :])


@pytest.mark.parametrize("name", ["", *ALL])
def test_the_help_shows_the_example_as_typed_and_no_switch_with_a_value(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*name.split(), "--help"]) == 0

    shown = capsys.readouterr().out
    assert not name or example_of(name) in " ".join(shown.split())
    assert "--help" in shown
    assert "bool" not in shown.lower()


def complete(line: str) -> list[str]:
    """Return what bash offers where Tab is pressed at the end of a line."""
    script = """
        eval "$(positionstore --show-completion)"
        COMP_WORDS=($1)
        [ "${1% }" = "$1" ] || COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        _positionstore_completion positionstore
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", line],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("positionstore i", ["ingest", "import"]),
        ("positionstore quarantine ", ["list", "show", "retry"]),
        ("positionstore ingest --gateway ", ["partner", "customer"]),
        ("positionstore import --j", ["--json"]),
    ],
)
def test_a_shell_completes_commands_options_and_values(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    missing = {name for name in COMMANDS if f"`positionstore {name}" not in readme}
    assert missing == set()


@pytest.fixture(scope="module")
def vendor() -> Iterator[dict[str, str]]:
    """The environment that leads to a sandbox."""
    process = subprocess.Popen(
        [PROGRAM, "sandbox", "--json", "--positions=5", "--warm-up=60", "--api-key-lists"],
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield {"DIMES_BASE_URL": told["base_url"], "DIMES_API_KEY": told["api_key"]}
        process.terminate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the examples' files lie."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "events.jsonl").write_text(
        '{"id":"evt_1","type":"position.opened","created_at":"2026-07-01T12:00:00Z",'
        '"data":{"id":"dm_pos_1","status":"open"}}\nno event\n',
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def imported(embedded_server: EmbeddedServer, store_template: str, folder: Path) -> Iterator[str]:
    """The name of a store that holds the file; every example gets a copy."""
    with fresh_database(embedded_server, store_template) as url:
        import_files(
            [str(folder / "events.jsonl")],
            Store(url, embedded=False).connect,
            now=datetime.now(UTC),
            batch_size=1_000,
        )
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def url(embedded_server: EmbeddedServer, imported: str) -> Iterator[str]:
    """A store that holds the file."""
    with fresh_database(embedded_server, imported) as url:
        yield url


@pytest.mark.parametrize("name", sorted(set(LEAVES) - GO_ON_UNTIL_STOPPED))
def test_every_example_works_when_pasted(
    name: str, folder: Path, tmp_path: Path, url: str, vendor: dict[str, str]
) -> None:
    example = example_of(name)
    if example.startswith("psql") and shutil.which("psql") is None:
        pytest.skip("no psql on the PATH")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    if " lake" in example:  # a copy of one would be refused
        feed(Store(url, embedded=False), tmp_path / "lake")
    done = subprocess.run(
        ["bash", "-c", example],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env=os.environ
        | vendor
        | {
            "PATH": search_path(),
            "DATABASE_URL": url,
            "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
        },
    )

    # The line that is no event; and the event's position, which the API does not know.
    found_something = name in {"import", "quarantine retry", "reconcile", "backfill"}
    assert done.returncode == (3 if found_something else 0), done
    assert "Traceback" not in done.stderr
