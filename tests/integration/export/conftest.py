"""A fresh store on each server, and exports of it."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from support.exporting import Exporter

from positionstore.store.appender import Appender
from positionstore.store.database import Store


@pytest.fixture
def store(any_store_url: str) -> Store:
    return Store(any_store_url, embedded=False)


@pytest.fixture
def appender(store: Store) -> Iterator[Appender]:
    with closing(store.connect()) as connection:
        yield Appender(connection)


@pytest.fixture
def connection(store: Store) -> Iterator[psycopg.Connection]:
    with closing(store.connect()) as connection:
        yield connection


@pytest.fixture
def export(store: Store) -> Exporter:
    return Exporter(store)
