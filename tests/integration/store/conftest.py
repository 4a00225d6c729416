"""Connections to a store, for its tests."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest
from support.postgres import CHOSEN, ON_CITUS

from positionstore.store import database
from positionstore.store.appender import Appender


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out, before anything is made for it, what cannot be done on the server chosen."""
    ordinary = CHOSEN is not None and not CHOSEN[1].superuser
    makes_roles = "urls" in getattr(item, "fixturenames", ())
    if ordinary and (makes_roles or item.get_closest_marker("superuser")):
        pytest.skip("It does something that only a superuser may do.")
    elsewhere = CHOSEN is not None and CHOSEN[1].schema != "public"
    if elsewhere and item.get_closest_marker("in_public"):
        pytest.skip("It names the schema public, and the store is in another.")
    left_out = item.get_closest_marker("not_on_citus")
    if ON_CITUS and left_out is not None:
        pytest.skip(f"Not on Citus: {left_out.args[0]}")


Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def connect(any_store_url: str) -> Iterator[Connect]:
    """Opens connections to one fresh store, on each server; they are closed with the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(database.connect(any_store_url)))


@pytest.fixture
def connection(connect: Connect) -> psycopg.Connection:
    """One connection in autocommit mode."""
    return connect()


@pytest.fixture
def appender(connect: Connect) -> Appender:
    """An appender on a connection of its own."""
    return Appender(connect())
