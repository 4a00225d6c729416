"""The proxy that tests of outages use does what it says."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from support.proxy import Proxy


@contextmanager
def connected(proxy: Proxy, url: str) -> Iterator[psycopg.Connection]:
    connection = psycopg.connect(proxy.of(url), autocommit=True, connect_timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def test_it_passes_on_and_starts_again_at_the_same_port(proxy: Proxy, database_url: str) -> None:
    with connected(proxy, database_url) as connection:
        assert connection.execute("SELECT repeat('x', 300000)").fetchone() == ("x" * 300_000,)
        assert proxy.connections == 1
        port = proxy.port
        proxy.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(proxy.of(database_url))
    proxy.start()
    assert proxy.port == port
    with connected(proxy, database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_cuts_at_once_or_after_so_many_bytes(proxy: Proxy, database_url: str) -> None:
    with connected(proxy, database_url) as connection:
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with connected(proxy, database_url) as connection:
        proxy.cut_after(1000)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT length(%s)", ["x" * 2000])
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(proxy.of(database_url))


def test_it_stalls_and_delays(proxy: Proxy, database_url: str) -> None:
    with connected(proxy, database_url) as connection:
        proxy.stall()
        with ThreadPoolExecutor(1) as aside:
            answer = aside.submit(connection.execute, "SELECT 1")
            with pytest.raises(TimeoutError):
                answer.result(0.2)
            proxy.resume()
            assert answer.result(60).fetchone() == (1,)
        proxy.delay(0.1)
        began = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - began >= 0.2


def test_it_half_closes(proxy: Proxy, database_url: str) -> None:
    with connected(proxy, database_url) as connection:
        proxy.half_close()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
