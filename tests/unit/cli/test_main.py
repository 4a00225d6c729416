"""Whatever goes wrong, the user reads one line."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psycopg
import pydantic_core
import pytest
import sqlalchemy
import sqlalchemy.exc
import typer

from positionstore.cli import commands, main
from positionstore.cli.errors import explain, report
from positionstore.cli.interrupts import INTERRUPTED
from positionstore.errors import (
    ConfigurationError,
    CredentialsError,
    DatabaseUnavailableError,
    PositionstoreError,
)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Make a function the command ``config``."""

    def install(function: Callable[[], None]) -> None:
        module = ModuleType("positionstore.cli.tried")
        vars(module)["tried"] = function
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(commands.COMMANDS, "config", ("Panel", "tried:tried", "Tried."))

    return install


def raising(error: BaseException) -> Callable[[], None]:
    def tried() -> None:
        raise error

    return tried


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    line, *more = captured.err.splitlines()
    assert more == []
    return line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PositionstoreError("It broke.", remedy="Mend it."), 1),
        (ConfigurationError("It broke.", remedy="Mend it."), 2),
        (CredentialsError("It broke.", remedy="Mend it."), 1),
    ],
)
def test_an_error_with_a_name_is_one_line_with_cause_and_remedy(
    command: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
    error: PositionstoreError,
    code: int,
) -> None:
    command(raising(error))

    assert main(["config"]) == code
    assert one_line(capsys) == "positionstore: It broke. Mend it."


def test_an_error_says_nothing_secret_and_nothing_to_the_terminal(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(
        raising(
            PositionstoreError(
                "dm_live_skey_abcdef at\npostgresql://me:pass@word@host/d says \x1b[31mno\u202e"
            )
        )
    )

    assert main(["config"]) == 1
    assert one_line(capsys) == (
        "positionstore: dm_live_skey_******** at postgresql://me:********@host/d says "
        r"\x1b[31mno\u202e"
    )


def test_an_error_that_nobody_foresaw_is_one_line_and_a_traceback_in_the_log(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(RuntimeError("a wheel\ncame off")))

    assert main(["config"]) == 1

    log, line = capsys.readouterr().err.splitlines()
    assert '"action": "unexpected_error"' in log
    assert "Traceback (most recent call last)" in log
    assert line == (
        "positionstore: unexpected error: RuntimeError: a wheel came off "
        "(the details are in the log)"
    )


def test_ctrl_c_ends_quietly(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(KeyboardInterrupt()))

    assert main(["config"]) == INTERRUPTED == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_commands_finding_is_the_exit_code(
    command: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str], code: int
) -> None:
    command(raising(typer.Exit(code)))

    assert main(["config"]) == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["confgi"], "Did you mean"),
        (["--nonsense"], "No such option"),
        (["config", "--nonsense"], "Try 'positionstore config --help'."),
        (["config", "superfluous"], "unexpected extra argument"),
        (["sandbox", "--rate", "fast"], "--rate"),
        (["ingest", "--gateway", "nonsense"], "'--gateway': 'nonsense' is not one of"),
        (["db", "nonsense"], "Try 'positionstore db --help'."),
    ],
)
def test_a_slip_on_the_command_line_is_one_line_that_names_the_help(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 2

    line = one_line(capsys)
    assert words in line
    assert line.startswith("positionstore: ")
    assert line.endswith(" --help'.")


@pytest.mark.parametrize("arguments", [[], ["db"]])
def test_without_a_command_the_help_is_shown(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert "Usage: positionstore" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "paragraph"),
    [
        ([], "An append-only event log, .* see `positionstore config`[.]"),
        (["import"], "A line is an envelope, .* 42/namespace,\\[...\\][.] .* anything is read[.]"),
        (["quarantine", "retry"], "Packets are read .* where something still waits[.]"),
    ],
)
def test_a_help_takes_the_width_of_the_terminal_not_of_the_source(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    paragraph: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "900")

    assert main([*arguments, "--help"]) == 0

    assert re.search(paragraph, capsys.readouterr().out)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version  # noqa: PLC0415 - as the program does

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"positionstore {version('positionstore')}\n"


def connection_error(url: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as raised:
        psycopg.connect(url, connect_timeout=2)
    return raised.value


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    error = connection_error("postgresql://me:hushhush@127.0.0.1:1/d")

    known = explain(error)

    assert isinstance(known, DatabaseUnavailableError)
    assert "127.0.0.1" in str(known)
    assert "DATABASE_URL" in known.remedy
    assert "hushhush" not in str(known)
    assert "\n" not in str(known)


def raised_while(handling: BaseException, error: Exception) -> Exception:
    error.__context__ = RuntimeError("between")
    error.__context__.__context__ = handling
    return error


@pytest.mark.parametrize(
    ("interrupt", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)]
)
def test_what_an_interrupt_does_to_the_database_is_the_interrupt(
    capsys: pytest.CaptureFixture[str], interrupt: BaseException, code: int
) -> None:
    closed = psycopg.OperationalError("the connection is closed")

    assert report(raised_while(interrupt, closed)) == code
    assert capsys.readouterr().err == ""

    other = PositionstoreError("A file cannot be read.")
    assert report(raised_while(interrupt, other)) == 1
    assert "A file cannot be read." in capsys.readouterr().err


@pytest.mark.parametrize("came", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interrupt_of_which_pydantic_makes_an_error_is_one(
    command: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
    came: type[BaseException],
) -> None:
    class Literal:
        def __repr__(self) -> str:
            raise came

    def tried() -> None:
        pydantic_core.SchemaValidator(pydantic_core.core_schema.literal_schema([Literal()]))

    command(tried)
    is_interrupt = not issubclass(came, Exception)

    assert main(["config"]) == (INTERRUPTED if is_interrupt else 1)
    assert (capsys.readouterr().err == "") is is_interrupt


def test_a_database_error_is_known_through_sqlalchemy() -> None:
    driver = connection_error("postgresql://me@127.0.0.1:1/d")

    known = explain(sqlalchemy.exc.OperationalError("SELECT 1", None, driver))

    assert isinstance(known, DatabaseUnavailableError)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (psycopg.errors.InsufficientPrivilege("permission denied for table events"), "roles"),
        (psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"), "primary"),
        (psycopg.errors.AdminShutdown("terminating connection"), "run it again"),
        (psycopg.errors.DiskFull("could not extend file"), "Make room on the disk"),
    ],
)
def test_what_postgres_refuses_has_a_remedy(error: psycopg.Error, words: str) -> None:
    said = str(explain(error))
    assert words in said
    assert f"PostgreSQL says: {error}." in said


def test_a_wrong_statement_is_nothing_a_user_can_mend() -> None:
    assert explain(psycopg.errors.SyntaxError("at or near")) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a/b"), "No such file: a/b"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_an_error_of_the_system_is_named(error: OSError, line: str) -> None:
    known = explain(error)

    assert known is not None
    assert str(known) == line


# --- as processes, because streams and exit codes are a process's


def run(
    *arguments: str, command: str = "{} {}", stdin: int = subprocess.DEVNULL, **env: str
) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("positionstore")
    line = command.format(program, " ".join(arguments))
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **env},
    )


def test_a_reader_that_goes_early_causes_no_noise() -> None:
    done = run("config", "--json", command="{} {} | true")

    assert done.stderr == ""


def test_a_full_disk_under_standard_output_is_one_line() -> None:
    done = run("config", command="{} {} > /dev/full")

    assert (done.returncode, done.stderr) == (1, "positionstore: No space left on device\n")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_stops_nothing(redirection: str) -> None:
    assert run("config", command=f"{{}} {{}} {redirection}").returncode == 0


def test_an_encoding_that_knows_no_accents_stops_nothing(tmp_path: Path) -> None:
    done = run("config", PYTHONIOENCODING="ascii", POSITIONSTORE_DATA_DIR=str(tmp_path / "é"))

    assert done.returncode == 0
    assert r"\xe9" in done.stdout


def imported(code: str, *arguments: str, names: frozenset[str]) -> frozenset[str]:
    """Which of some modules a process has that runs this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*sys.modules)", *arguments],
        env={**os.environ, "DATABASE_URL": AWAY},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return names.intersection(done.stdout.splitlines()[-1].split())


CALL = "import sys; from positionstore.cli import main; main(sys.argv[1:])"
AWAY = "postgresql://u@127.0.0.1:1/nowhere"
OF_A_MIGRATION = frozenset({"alembic", "mako", "sqlalchemy"})
OF_MORE_THAN_A_LOOK = OF_A_MIGRATION | {
    *("aiohttp", "engineio", "httpx", "jinja2", "prometheus_client", "pyarrow", "socketio"),
    *("positionstore.dimes.rest", "positionstore.importer", "positionstore.reconcile"),
    *("pydantic", "rich", "structlog"),
}
"""What takes longer to import than a short command takes for its work."""


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_neither_the_network_nor_postgres(argument: str) -> None:
    # Help is set by Rich.
    names = OF_MORE_THAN_A_LOOK - {"rich"} | {"asyncio", "msgspec", "psycopg"}

    assert imported(CALL, argument, names=names) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["check"],
        ["config"],
        ["db", "url"],
        ["spool", "list"],
    ],
    ids=" ".join,
)
def test_a_short_command_imports_no_more_than_it_needs(arguments: list[str]) -> None:
    assert imported(CALL, *arguments, names=OF_MORE_THAN_A_LOOK) == set()


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_a_fold_of_the_log_imports_no_more_than_it_needs(command: str) -> None:
    # Archives are checked beside it.
    names = OF_MORE_THAN_A_LOOK - {"positionstore.importer"}

    assert imported(CALL, command, names=names) == set()


def test_no_command_imports_what_only_a_migration_needs() -> None:
    code = (
        "import importlib, sys; from positionstore.cli.commands import COMMANDS\n"
        "for _, home, _ in COMMANDS.values():\n"
        "    importlib.import_module('positionstore.cli.' + home.partition(':')[0])"
    )

    assert imported(code, names=OF_A_MIGRATION) == set()


@pytest.mark.parametrize("command", ["ingest", "run"])
def test_a_service_holds_nothing_in_memory_that_it_does_not_use(command: str) -> None:
    # It ends at once: no environment can be told.
    names = OF_A_MIGRATION | {"pyarrow", "pydantic"}

    assert imported(CALL, command, names=names) == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [("positionstore conf", ["config"]), ("positionstore db ", ["env", "psql", "stop", "url"])],
)
def test_the_shell_completes_commands(words: str, found: list[str]) -> None:
    done = run(
        _POSITIONSTORE_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )

    assert sorted(done.stdout.split()) == found
