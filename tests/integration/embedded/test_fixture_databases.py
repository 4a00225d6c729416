import psycopg
import pytest
from support.postgres import CHOSEN


def test_each_test_gets_an_empty_database(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchone()
    assert tables == (0,)


@pytest.mark.skipif(
    CHOSEN is not None and not CHOSEN[0].isdigit(), reason="Not chosen by its version."
)
def test_the_server_is_of_the_version_that_is_asked_for(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        major = connection.info.server_version // 10_000
    assert major == int(CHOSEN[0] if CHOSEN else 18)


def test_text_is_utf8_and_sorts_by_code_point(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        encoding = connection.execute("SHOW server_encoding").fetchone()
        order = connection.execute("SELECT 'Z' < 'a', '🙂' > 'z'").fetchone()
    assert encoding == ("UTF8",)
    assert order == (True, True)
