"""An interrupt in the middle of a statement is an interrupt, and no line of the log."""

from collections.abc import Callable

import psycopg
import pytest

from positionstore.cli.logs import configure_logging


def roll_back_in_a_statement(database_url: str, error: BaseException) -> None:
    with psycopg.connect(database_url) as connection:
        connection.pgconn.send_query(b"SELECT 1")
        raise error


def roll_back_a_block_in_a_statement(database_url: str, error: BaseException) -> None:
    with psycopg.connect(database_url) as connection, connection.transaction():
        connection.pgconn.send_query(b"SELECT 1")
        raise error


ROLLBACKS = pytest.mark.parametrize(
    "roll_back", [roll_back_in_a_statement, roll_back_a_block_in_a_statement]
)


@ROLLBACKS
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_the_rollback_that_an_interrupt_makes_fail_is_not_told_of(
    store_url: str,
    capsys: pytest.CaptureFixture[str],
    roll_back: Callable[[str, BaseException], None],
    interrupt: BaseException,
) -> None:
    configure_logging(form="json")

    with pytest.raises(type(interrupt)):
        roll_back(store_url, interrupt)

    assert capsys.readouterr().err == ""


@ROLLBACKS
def test_a_rollback_that_fails_otherwise_is(
    store_url: str,
    capsys: pytest.CaptureFixture[str],
    roll_back: Callable[[str, BaseException], None],
) -> None:
    configure_logging(form="json")

    with pytest.raises(ValueError, match="a wheel came off"):
        roll_back(store_url, ValueError("a wheel came off"))

    assert "error ignored in rollback" in capsys.readouterr().err
