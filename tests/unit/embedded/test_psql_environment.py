import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from positionstore.errors import ConfigurationError
from positionstore.store.psql import libpq_environment, run_psql

URL = "postgresql://desk:p%40ss@db.example:6432/book?sslmode=verify-full&keepalives=1"


def test_a_url_becomes_the_variables_that_libpq_reads() -> None:
    assert libpq_environment(URL) == {
        "PGUSER": "desk",
        "PGPASSWORD": "p@ss",
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGDATABASE": "book",
        "PGSSLMODE": "verify-full",
    }


def test_a_driver_in_the_scheme_is_passed_over() -> None:
    assert libpq_environment("postgresql+psycopg://u@h/d")["PGHOST"] == "h"


def test_what_is_no_url_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        libpq_environment("postgresql://user:hunter2@[broken/db")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.fixture
def fake_psql(tmp_path: Path) -> Path:
    """A program that writes down how it was called."""
    program = tmp_path / "psql"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, signal, sys\n"
        f"with open({str(tmp_path / 'seen')!r}, 'w') as file:\n"
        "    file.write(repr((sys.argv[1:], dict(os.environ))))\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "sys.exit(3)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_the_password_is_in_no_argument_and_no_key_is_handed_on(
    fake_psql: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"DIMES_API_KEY": "dm_sbx_skey_1", "DATABASE_URL": URL}
    before = signal.getsignal(signal.SIGINT)
    assert run_psql(fake_psql, URL, ["-c", "SELECT 1"], environment=environment) == 3
    assert signal.getsignal(signal.SIGINT) is before
    seen = (tmp_path / "seen").read_text()
    arguments = seen.partition("]")[0]
    assert "SELECT 1" in arguments
    assert "p@ss" not in arguments
    assert "'PGPASSWORD': 'p@ss'" in seen
    assert "dm_sbx_skey_1" not in seen
    assert "DATABASE_URL" not in seen


def test_a_program_that_cannot_be_executed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be executed"):
        run_psql(tmp_path / "missing", URL, [])
