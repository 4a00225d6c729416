"""An interrupt in the middle of a statement is an interrupt, and no line of the log."""

import psycopg
import pytest

from positionstore.cli.logs import configure_logging


def roll_back_in_a_statement(database_url: str, error: BaseException) -> None:
    with psycopg.connect(database_url) as connection:
        connection.pgconn.send_query(b"SELECT 1")
        raise error


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_the_rollback_that_an_interrupt_makes_fail_is_not_told_of(
    store_url: str, capsys: pytest.CaptureFixture[str], interrupt: BaseException
) -> None:
    configure_logging(form="json")

    with pytest.raises(type(interrupt)):
        roll_back_in_a_statement(store_url, interrupt)

    assert capsys.readouterr().err == ""


def test_a_rollback_that_fails_otherwise_is(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(form="json")

    with pytest.raises(ValueError, match="a wheel came off"):
        roll_back_in_a_statement(store_url, ValueError("a wheel came off"))

    assert "error ignored in rollback" in capsys.readouterr().err
