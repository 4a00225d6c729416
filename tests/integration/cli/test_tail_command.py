"""``positionstore tail``, as a process."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.factories import event, received
from support.programs import POSITIONSTORE

from positionstore.store import database
from positionstore.store.appender import Appender

Tail = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def tail(store_url: str, tmp_path: Path) -> Tail:
    environment = {
        **os.environ,
        "DATABASE_URL": store_url,
        "POSITIONSTORE_DATA_DIR": str(tmp_path),
        "PYTHONUTF8": "1",
    }
    return lambda *arguments: subprocess.Popen(
        [sys.executable, *POSITIONSTORE, "tail", *arguments],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
    )


@pytest.fixture
def appender(store_url: str) -> Iterator[Appender]:
    with closing(database.connect(store_url)) as connection:
        yield Appender(connection)


def test_json_holds_the_envelope_as_it_came_in_one_line(tail: Tail, appender: Appender) -> None:
    raw = (
        b'{"id": "e1",\r\n"type": "position.opened", "created_at": "2026-07-01T12:00:00Z",'
        b' "data": {"id": "p1", "status": "open", "x": 1.10, "y": "\xe2\x80\xa8\\u0000"}}'
    )
    appender.append([received(raw)])
    out, _ = tail("--json", "--no-follow").communicate(timeout=120)
    assert out.count(b"\n") == 1
    assert b'"x": 1.10' in out
    fact = json.loads(out)
    assert fact["envelope"] == json.loads(raw)
    assert {key: fact[key] for key in ("event_id", "position_id", "status", "source")} == {
        "event_id": "e1",
        "position_id": "p1",
        "status": "open",
        "source": "partner",
    }


def test_it_begins_where_it_is_told(tail: Tail, appender: Appender) -> None:
    appender.append([event(f"e{place}") for place in range(20)])
    for arguments, wanted in (
        ((), range(10, 20)),
        (("-n", "2"), range(18, 20)),
        (("--after", "0"), range(20)),
    ):
        out, _ = tail("--json", "--no-follow", *arguments).communicate(timeout=120)
        found = [json.loads(line)["event_id"] for line in out.splitlines()]
        assert found == [f"e{place}" for place in wanted]


def test_it_follows_until_it_is_stopped(tail: Tail, appender: Appender) -> None:
    appender.append([event("e1", position="p\x1b[31m")])
    with tail() as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert b"position.opened" in first
        assert b"\x1b" not in first
        appender.append([event("e2", position="p2")])
        assert b"p2" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def test_a_reader_that_is_killed_and_goes_on_sees_each_fact_once_while_writers_write(
    tail: Tail, store_url: str
) -> None:
    writers, batches, size = 2, 15, 20

    def write(name: int) -> None:
        with closing(database.connect(store_url)) as connection:
            appender = Appender(connection)
            for batch in range(batches):
                appender.append([event(f"e{name}-{batch}-{place}") for place in range(size)])

    threads = [threading.Thread(target=write, args=[name]) for name in range(writers)]
    for thread in threads:
        thread.start()
    wanted, found = writers * batches * size, list[int]()
    while len(found) < wanted:
        with tail("--json", "--after", str(found[-1] if found else 0)) as process:
            assert process.stdout is not None
            until = min(wanted, len(found) + wanted // 3)
            while len(found) < until:
                found.append(json.loads(process.stdout.readline())["seq"])
            process.kill()
    for thread in threads:
        thread.join()
    with closing(database.connect(store_url)) as connection:
        logged = connection.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    assert found == [seq for (seq,) in logged]
