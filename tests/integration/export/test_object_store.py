"""Exports to an object store: a real server of S3's interface, on this machine."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from support.exporting import FILES, Exporter
from support.factories import event
from support.fork_server import completed
from support.killed_exports import killer
from support.object_store import s3_server
from support.waiting import DEADLINE

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.export.formats import Format
from positionstore.export.increments import MARKERS
from positionstore.store.appender import Appender
from positionstore.store.database import Store

A_DAY = 86_400.0
BUCKET = "lake"
Rows = list[tuple[int, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server(BUCKET) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture
def place(server: dict[str, str], request: pytest.FixtureRequest) -> str:
    return f"{BUCKET}/{request.node.name}".replace("[", "-").replace("]", "")


def facts(first: int, count: int, *, day: int = 0) -> list[Any]:
    return [event(f"evt_{n}", at=day * A_DAY + n) for n in range(first, first + count)]


def log(store: Store) -> Rows:
    with store.connect() as connection:
        return connection.execute("SELECT seq, event_id FROM events ORDER BY seq").fetchall()


def s3() -> fs.FileSystem:
    return fs.FileSystem.from_uri(f"s3://{BUCKET}")[0]  # which heeds AWS_ENDPOINT_URL


def objects(place: str) -> list[str]:
    found = s3().get_file_info(fs.FileSelector(place, recursive=True, allow_not_found=True))
    return sorted(i.path.removeprefix(f"{place}/") for i in found if i.type is fs.FileType.File)


def content(path: str) -> bytes:
    with s3().open_input_stream(path) as file:
        return bytes(file.read())


def rows(place: str, paths: list[str]) -> Rows:
    tables = [pq.read_table(f"{place}/{path}", filesystem=s3()) for path in paths]
    pairs = [zip(t["seq"].to_pylist(), t["event_id"].to_pylist(), strict=True) for t in tables]
    return sorted(pair for each in pairs for pair in each)


def whole(place: str) -> Rows:
    return rows(place, [path for path in objects(place) if path.endswith(".parquet")])


def by_markers(place: str) -> Rows:
    markers = [path for path in objects(place) if path.startswith(MARKERS)]
    told = [json.loads(content(f"{place}/{path}")) for path in markers]
    return rows(place, [file["path"] for each in told for file in each["files"]])


@pytest.mark.parametrize("form", FILES)
def test_a_file_is_one_object_and_replaces_one(
    place: str, store: Store, appender: Appender, export: Exporter, form: Format
) -> None:
    url = f"s3://{place}/log.{form}"
    sizes = []
    for increment in range(2):
        appender.append(facts(increment * 5, 5))
        done = export(url, "events")
        assert (done.out, done.rows, done.files) == (url, len(log(store)), 1)
        assert len(content(f"{place}/log.{form}")) == done.bytes
        sizes.append(done.bytes)
    assert objects(place) == [f"log.{form}"]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("by_day", [True, False])
def test_a_feed_goes_on_from_what_is_there(
    place: str, store: Store, appender: Appender, export: Exporter, by_day: bool
) -> None:
    for increment in range(3):
        appender.append(facts(increment * 10, 3, day=increment))
        appender.append(facts(increment * 10 + 5, 2))
        done = export(f"s3://{place}", "events", form=Format.PARQUET, by_day=by_day, resume=True)
        assert (done.since, done.rows) == (increment * 5, 5)
        assert whole(place) == by_markers(place) == log(store)
    again = export(f"s3://{place}", "events", form=Format.PARQUET, by_day=by_day, since=10)
    assert again.rows == 5
    assert whole(place) == by_markers(place) == log(store)


@pytest.mark.slow
def test_a_kill_at_any_step_shows_nobody_a_half_increment(
    place: str, store: Store, appender: Appender, export: Exporter
) -> None:
    complete: list[Rows] = [[]]
    killed = True
    step = 0
    with killer() as kill:
        while killed:
            step += 1
            appender.append(facts(step * 10, 3, day=step % 3))
            appender.append(facts(step * 10 + 5, 2, day=1))
            complete.append(log(store))
            killed = kill(
                store.url, f"s3://{place}", at=step, of="objects", by_day=True, resume=True
            )
            assert by_markers(place) in complete
            if killed:
                export(f"s3://{place}", "events", form=Format.PARQUET, by_day=True, resume=True)
            assert whole(place) == by_markers(place) == log(store)
    assert step > 6


def test_what_cannot_be_done_in_one_step_is_refused(
    place: str, appender: Appender, export: Exporter
) -> None:
    url = f"s3://{place}"
    appender.append(facts(0, 5))
    export(url, "events", form=Format.PARQUET, by_day=True)
    with pytest.raises(ConfigurationError, match=r"holds an export.*--resume"):
        export(url, "events", form=Format.PARQUET, by_day=True)
    with pytest.raises(ConfigurationError, match="cannot replace a folder"):
        export(f"{url}/book", "positions", form=Format.PARQUET, by_day=True)


def test_errors_are_one_line_and_a_url_has_no_keys(
    server: dict[str, str], appender: Appender, export: Exporter
) -> None:
    appender.append(facts(0, 1))
    with pytest.raises(PositionstoreError, match="NO_SUCH_BUCKET") as caught:
        export("s3://no-such-bucket/log.csv", "events")
    assert "\n" not in str(caught.value)
    for url in ("s3://key:secret@lake/log.csv", "s3://lake/log.csv?secret_key=secret"):
        with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as caught:
            export(url, "events", form=Format.CSV)
        assert "secret@" not in str(caught.value)
        assert "=secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="begin with nothing://"):
        export("nothing://lake/log.csv", "events")


@pytest.fixture
def positionstore(
    server: dict[str, str], store: Store, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command that knows the server, and a catalogue elsewhere."""
    environment = {
        **server,
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": store.url,
        "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
        "PYICEBERG_CATALOG__POSITIONSTORE__URI": f"sqlite:///{tmp_path}/catalog.db",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return completed(arguments, environment=environment, folder=tmp_path, within=DEADLINE)

    return run


@pytest.mark.slow
def test_a_lake_there_is_fed_compacted_folded_and_compared(
    positionstore: Callable[..., subprocess.CompletedProcess[str]],
    place: str,
    appender: Appender,
    tmp_path: Path,
) -> None:
    url = f"s3://{place}"
    for first in (0, 5):
        appender.append(facts(first, 5))
        assert positionstore("lake", "feed", url).returncode == 0
    assert positionstore("lake", "feed", url, "--compact").returncode == 0
    verified = positionstore("verify", "--engine", "duckdb", "--lake", url)
    assert (verified.returncode, verified.stderr) == (0, "")
    out = tmp_path / "positions.parquet"
    assert positionstore("lake", "positions", url, "--out", str(out)).returncode == 0
    assert pq.read_table(out)["last_event_id"].to_pylist() == ["evt_9"]


@pytest.mark.slow
def test_an_object_of_a_lake_that_is_gone_is_named(
    positionstore: Callable[..., subprocess.CompletedProcess[str]], place: str, appender: Appender
) -> None:
    def verify() -> subprocess.CompletedProcess[str]:
        return positionstore("verify", "--engine", "duckdb", "--lake", url)

    url = f"s3://{place}"
    appender.append(facts(0, 5))
    fed = positionstore("lake", "feed", url)
    assert (fed.returncode, verify().returncode) == (0, 0), fed
    (gone,) = [path for path in objects(place) if path.endswith(".parquet")]
    s3().delete_file(f"{place}/{gone}")
    found = verify()
    assert (found.returncode, found.stdout.count("\n"), found.stderr) == (3, 1, "")
    assert f"is missing: {url}/{gone}. Put back what is gone" in found.stdout


def test_fsspec_is_asked_for_places_that_pyarrow_does_not_know(
    store: Store, appender: Appender, export: Exporter
) -> None:
    fsspec = pytest.importorskip("fsspec")
    appender.append(facts(0, 5))
    export("memory://lake/feed", "events", form=Format.CSV, by_day=True, resume=True)
    appender.append(facts(5, 5))
    done = export("memory://lake/feed", "events", form=Format.CSV, by_day=True, resume=True)

    memory = fsspec.filesystem("memory")
    assert done.rows == 5
    assert len(memory.glob("/lake/feed/day=2026-07-01/*.csv")) == 2
    assert len(memory.glob(f"/lake/feed/{MARKERS}/*.json")) == 3
