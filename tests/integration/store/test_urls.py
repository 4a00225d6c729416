"""URLs as other tools write them: each has a line of its own, in which no part of it is shown."""

from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from positionstore import postgres_url
from positionstore.cli.masking import hide, masked
from positionstore.errors import ConfigurationError, DatabaseUnavailableError
from positionstore.settings import load_settings
from positionstore.store import database
from positionstore.store.psql import libpq_environment
from positionstore.store.roles import url_of

PLACE = "127.0.0.1:1/db"

OTHER_TOOLS = {
    # Prisma
    "schema=book": "schema= (set POSITIONSTORE_SCHEMA",
    "pgbouncer=true": "pgbouncer= (whether a pooler keeps a session",
    "connection_limit=5&pool_timeout=3": "connection_limit= and pool_timeout= (there is no pool",
    "sslaccept=strict": "sslmode=verify-full",
    "socket_timeout=5": "connect_timeout=",
    # SQLAlchemy, psycopg, asyncpg
    "pool_size=5&max_overflow=2": "pool_size= and max_overflow= (there is no pool",
    "prepare_threshold=0": "prepared statements need no setting",
    "prepared_statement_cache_size=0": "prepared statements need no setting",
    "ssl=require": "sslmode=require",
    # pgx
    "pool_max_conns=10": "there is no pool",
    "search_path=book": "search_path= (set POSITIONSTORE_SCHEMA",
    "default_query_exec_mode=exec": "prepared statements need no setting",
    # node-postgres
    "sslmode=no-verify": "no-verify is require",
    "uselibpqcompat=true": "sslmode=require",
    # pgJDBC
    "currentSchema=book": "currentSchema= (set POSITIONSTORE_SCHEMA",
    "prepareThreshold=0": "prepared statements need no setting",
    "ssl": "sslmode=require",
    "ApplicationName=x": "another driver's",
    # hosts
    "sslmode=require&supa=base-pooler.x": "supa= (it is a note",
    # several at once
    "schema=a&pgbouncer=true&connection_limit=1": "holds schema=, pgbouncer= and connection_limit=",
    # a raw options=
    "options=-c search_path=book": "a raw blank and a raw = in its options=",
    "options=-csearch_path=book": "a raw = in its options=",
    "options=-c%20search_path%3Dbook -cwork_mem%3D1": "a raw blank in its options=",
    # not to be named
    "huntqr=2": "a parameter behind its ? that",
    "application_name=a b": "a raw blank in the value of parameter 1",
    "connect_timeout=1&application_name=a=b": "a raw = in the value of parameter 2",
    "application_name=100%x": "a % in parameter 1",
}

PASSWORDS = {
    "hun/tqr2": "Write a / of the user or the password as %2F",
    "12345/tqr2": "Write a / of the user or the password as %2F",
    "hun/tqr2@wxyz": "Write a / of the user or the password as %2F",
    "hun/tqr?wxyz": "a port that is no number",
    "123/tqr?wxyz": "a ? as %3F",
    "hun@tqr2": "Write an @ of the user or the password as %40",
    "hun@tqr2:wxyz": "Write an @ of the user or the password as %40",
    "hun@tqr/wxyz": "Write a / of the user or the password as %2F",
    "huntqr@": "Write an @ of the user or the password as %40",
    "hun@[tqr": "Write an @ of the user or the password as %40",
    "hun%tqr2": "Write a % of the user, the password or the database as %25",
    "hun%00tqr2": "Write a % of the user, the password or the database as %25",
    "hun tqr2": "Write it as %20",
}

NO_URL = {
    f"jdbc:postgresql://{PLACE}?user=u&password=huntqr": "written for Java",
    f'"postgresql://u:huntqr@{PLACE}"': "quotation marks",
    f"psql 'postgresql://u:huntqr@{PLACE}'": "command line",
    f"postgresql:/u:huntqr@{PLACE}": "postgresql://USER@HOST/DATABASE",
    f"u:huntqr@{PLACE}": "postgresql://USER@HOST/DATABASE",
    f"u:hun://tqr@{PLACE}": "begins neither",
    "Host=127.0.0.1;Username=u;Passwxyz=huntqr": "written for .NET",
    "host=127.0.0.1 password=hun tqr": "single quotes",
    "host=127.0.0.1 password='huntqr": "single quotes",
    "host=127.0.0.1 schema=book password=huntqr": "schema= (set POSITIONSTORE_SCHEMA",
    "postgresql://u:huntqr@[::1/db": "IPv6 address",
    "postgresql://u:huntqr@127.0.0.1:x12/db": "a port that is no number",
}


def refused(url: str) -> str:
    """Return what is said of it, which is the same wherever a URL is read first."""
    with pytest.raises(ConfigurationError) as raised:
        database.connect(url)
    line = str(raised.value)
    assert raised.value.__cause__ is None
    assert "\n" not in line
    return line


def test_parameters_of_other_tools_are_named_with_what_to_do() -> None:
    for query, said in OTHER_TOOLS.items():
        line = refused(f"postgresql://user:s3cret@{PLACE}?{query}")
        assert said in line, (query, line)
        assert "s3cret" not in line
        assert "huntqr" not in line


def test_what_stands_raw_in_a_password_is_named_and_not_shown() -> None:
    for password, said in PASSWORDS.items():
        line = refused(f"postgresql://user:{password}@{PLACE}")
        assert said in line, (password, line)
        for part in ("hun", "tqr", "wxyz", "127.0.0.1", "123"):
            assert part not in line, (password, line)


def test_what_is_no_url_of_postgres_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for url, said in NO_URL.items():
        line = refused(url)
        assert said in line, (url, line)
        assert "hun" not in line
        with pytest.raises(ConfigurationError) as raised:
            libpq_environment(url.replace(":x12", ":%x12"))
        assert "hun" not in str(raised.value)
        if postgres_url.not_for_postgres(url) is not None:
            monkeypatch.setenv("DATABASE_URL", url)
            with pytest.raises(ConfigurationError) as raised:
                load_settings()
            assert said in str(raised.value)
            assert "hun" not in str(raised.value)


@pytest.fixture
def odd_role(database_url: str) -> Iterator[tuple[str, str]]:
    """A role whose password has every character that libpq takes as it is."""
    name, password = f"odd_{conninfo_to_dict(database_url)['dbname']}", "h[u]n#t?e:r,2&=$'\"!"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(password)
            )
        )
        yield name, password
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_what_libpq_takes_raw_stays_and_is_masked(
    database_url: str, odd_role: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, password = odd_role
    _, _, place = database_url.rpartition("@")
    url = f"postgresql+psycopg2://{name}:{password}@{place}?sslmode=prefer&application_name=a%40b"
    monkeypatch.setenv("DATABASE_URL", url)
    settings = load_settings()
    assert settings.database_url is not None
    read = settings.database_url.get_secret_value()
    with database.connect(read) as connection:
        assert connection.info.user == name
    hide(settings.secret_values)
    assert password not in masked(f"it is {password}, they say")
    with database.connect(url_of(read, name, password)) as connection:
        assert connection.info.user == name
    wrong = f"postgresql://{name}:hun%41tqr@{place}"
    with pytest.raises(DatabaseUnavailableError, match=r"written %25 there") as raised:
        database.connect(wrong)
    assert "hun" not in str(raised.value).replace(name, "")


def test_a_database_whose_name_holds_an_at_is_written_encoded() -> None:
    assert "%40" in refused("postgresql://127.0.0.1:1/a@b")
    for url in (f"postgresql://u@127.0.0.1:1/{quote('a@b')}", "postgresql:///a@b?port=1&host=/x"):
        with pytest.raises(DatabaseUnavailableError):
            database.connect(url)
