"""``positionstore db``, as a user calls it."""

import os
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest
from support.fork_server import completed
from support.server_user import kill_all, postgres_processes
from support.waiting import DEADLINE

from positionstore.settings import Settings
from positionstore.store.database import opened

pytestmark = pytest.mark.slow

CALL = "import sys; from positionstore.cli import main; sys.exit(main())"


class Caller:
    """Calls the command on a data directory of its own."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        self.environment = {**kept, "POSITIONSTORE_DATA_DIR": str(data_dir), **environment}
        self.directory = data_dir

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return completed(
            ["db", *arguments],
            environment=self.environment,
            folder=self.directory,
            within=DEADLINE,
        )


@pytest.fixture
def db(data_dir: Path) -> Caller:
    """The command, on the embedded server."""
    return Caller(data_dir)


def test_the_url_lets_any_tool_in_until_the_server_is_stopped(db: Caller, data_dir: Path) -> None:
    answer = db("url")
    assert answer.returncode == 0, answer.stderr
    (url,) = answer.stdout.splitlines()
    assert "goes on until `positionstore db stop`" in answer.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("positionstore",)
    assert db("url").stdout.strip() == url
    stopped = db("stop")
    assert (stopped.returncode, stopped.stderr.strip()) == (0, "Stopped.")
    assert postgres_processes(data_dir) == []
    assert db("stop").stderr.strip() == "It was not running."


def test_env_lets_a_tool_in_that_takes_no_url(db: Caller) -> None:
    answer = db("env", "--as", "builder")
    assert answer.returncode == 0, answer.stderr
    given = dict(word.split("=", 1) for word in shlex.split(answer.stdout) if word != "export")
    place = f"{given['PGHOST']}:{given['PGPORT']}/{given['PGDATABASE']}"
    login = f"{given['PGUSER']}:{given['PGPASSWORD']}"
    with psycopg.connect(f"postgresql://{login}@{place}") as connection:
        connection.execute("CREATE TABLE positionstore_models.x AS SELECT * FROM positions")
        assert connection.execute("SELECT current_user").fetchone() == ("positionstore_builder",)
    assert db("stop").returncode == 0


def test_psql_is_a_user_of_the_server_and_gets_the_arguments_as_they_are(
    db: Caller, data_dir: Path
) -> None:
    answer = db("psql", "-At", "-F", " | ", "-c", "SELECT 'a b', current_user")
    assert answer.stdout == "a b | positionstore_reader\n", answer.stderr
    assert answer.returncode == 0
    assert postgres_processes(data_dir) == []
    assert db("psql", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0").returncode == 1
    assert db("psql", "--version").stdout.startswith("psql (PostgreSQL)")


def test_psql_ends_with_the_exit_code_that_psql_gave(db: Caller) -> None:
    assert db("psql", "--no-such-option").returncode == 1
    assert db("psql", "-c", "\\q", "no_such_database").returncode == 2


def test_database_url_goes_before_the_embedded_server(
    data_dir: Path, any_database_url: str
) -> None:
    db = Caller(data_dir, DATABASE_URL=any_database_url)
    assert db("url").stdout.strip() == any_database_url
    with psycopg.connect(any_database_url) as connection:
        name = connection.info.dbname
    assert db("psql", "-Atc", "SELECT current_database()").stdout.strip() == name
    assert not (data_dir / "postgres").exists()
    kill_all(data_dir)


def test_programs_that_are_not_there_are_a_configuration_error_in_one_line(
    data_dir: Path,
) -> None:
    db = Caller(data_dir, POSITIONSTORE_PG_BIN=str(data_dir))
    answer = db("url")
    assert answer.returncode == 2
    assert "POSITIONSTORE_PG_BIN names" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_commands_work_as_the_writer_and_a_dashboard_as_the_reader(
    db: Caller, data_dir: Path
) -> None:
    with opened(Settings(data_dir=data_dir)) as store, store.connect() as connection:
        assert connection.info.user == "positionstore_writer"
    who = "SELECT current_user, usesuper FROM pg_user WHERE usename = current_user"
    assert db("url").stdout == db("url", "--as", "reader").stdout
    for role in ("owner", "writer", "reader", "builder"):
        url = db("url", "--as", role).stdout.strip()
        with psycopg.connect(url) as connection:
            assert connection.execute(who).fetchone() == (f"positionstore_{role}", False)
        answer = db("psql", "--as", role, "-Atc", "SELECT current_user")
        assert answer.stdout == f"positionstore_{role}\n", answer.stderr
        for other in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(url, dbname=other)
    with psycopg.connect(db("url", "--as", "superuser").stdout.strip()) as connection:
        assert connection.execute(who).fetchone() == ("positionstore", True)
    files = list((data_dir / "postgres" / "roles").iterdir())
    assert {path.name for path in files} == {"owner", "writer", "reader", "builder"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_who_looks_into_the_database_changes_nothing_by_mistake(db: Caller) -> None:
    answer = db("psql", "-v", "ON_ERROR_STOP=1", "-c", "DELETE FROM positions")
    assert answer.returncode == 1
    assert "cannot execute DELETE in a read-only transaction" in answer.stderr


def test_a_store_from_before_the_roles_gets_them_and_a_lost_password_is_made_anew(
    db: Caller, data_dir: Path
) -> None:
    before = db("url", "--as", "reader").stdout.strip()
    (data_dir / "postgres" / "roles" / "reader").unlink()
    after = db("url", "--as", "reader").stdout.strip()
    assert after != before
    with psycopg.connect(after) as connection:
        assert connection.execute("SELECT count(*) FROM positions").fetchone() == (0,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(before)


def test_a_role_is_for_the_embedded_server(data_dir: Path, database_url: str) -> None:
    answer = Caller(data_dir, DATABASE_URL=database_url)("url", "--as", "reader")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "`positionstore roles`" in answer.stderr
