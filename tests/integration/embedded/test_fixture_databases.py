import psycopg
import pytest


def test_each_test_gets_an_empty_database(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchone()
    assert tables == (0,)


def test_the_servers_are_of_two_versions(
    any_database_url: str, request: pytest.FixtureRequest
) -> None:
    with psycopg.connect(any_database_url) as connection:
        major = connection.info.server_version // 10_000
    assert major == (15 if "pg15" in request.node.name else 18)


def test_text_is_utf8_and_sorts_by_code_point(any_database_url: str) -> None:
    with psycopg.connect(any_database_url) as connection:
        encoding = connection.execute("SHOW server_encoding").fetchone()
        order = connection.execute("SELECT 'Z' < 'a', '🙂' > 'z'").fetchone()
    assert encoding == ("UTF8",)
    assert order == (True, True)
