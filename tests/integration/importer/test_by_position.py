"""An import commits by position: each is written once, and nothing else is different for it."""

import asyncio
import errno
import os
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from support.factories import envelope
from support.waiting import eventually

from positionstore.errors import PositionstoreError
from positionstore.importer import files, reader, spill
from positionstore.importer.files import Imported, Progress, import_files
from positionstore.sandbox import history
from positionstore.store.database import Store
from positionstore.store.projection import verify

NOW = datetime(2026, 8, 1, tzinfo=UTC)
LINES = 3_000
POSITIONS = 120

COUNT_WRITES = """
    CREATE TABLE writes (position_id text, transaction xid8);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO writes VALUES (NEW.position_id, pg_current_xact_id());
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE ON positions FOR EACH ROW EXECUTE FUNCTION note();
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions for a few lines."""
    monkeypatch.setattr(files, "_SMALLEST_BATCH", 200)
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 100)


def imported(store_url: str, path: Path, lines: list[bytes], *, batch_size: int = 400) -> Imported:
    path.write_bytes(b"\n".join(lines))
    store = Store(store_url, embedded=False)
    return import_files([str(path)], store.connect, now=NOW, batch_size=batch_size)


def rows(database: psycopg.Connection) -> list[str]:
    """All of ``positions``."""
    found = database.execute("SELECT p::text FROM positions p ORDER BY position_id").fetchall()
    assert verify(database) == []
    return [row for (row,) in found]


def noisy() -> list[bytes]:
    """A history with duplicates, some of which are not the same, far apart, and lines of no use."""
    lines = list(
        history(
            events=LINES,
            seed=11,
            positions=POSITIONS,
            duplicates=0.1,
            shuffle_within=30.0,
        )
    )
    conflicting = [line[:-1] + b',"other":true}' for line in lines[::500]]
    return [*lines, *conflicting, b"no event", *conflicting[:2], b"[]", *lines[:50]]


@pytest.mark.usefixtures("small")
def test_a_position_is_written_once_however_many_transactions_there_are(
    store_url: str, tmp_path: Path
) -> None:
    lines = [envelope(f"evt_{n}", position=f"dm_pos_{n % POSITIONS}", at=n) for n in range(LINES)]
    with psycopg.connect(store_url, autocommit=True) as database:
        database.execute(COUNT_WRITES.encode())
        done = imported(store_url, tmp_path / "events.jsonl", lines)

        written = database.execute("SELECT position_id, transaction::text FROM writes").fetchall()
        rows(database)
    assert (done.appended, done.positions) == (LINES, POSITIONS)
    assert set(Counter(position for position, _ in written).values()) == {1}
    assert len(written) == POSITIONS
    assert len({transaction for _, transaction in written}) > LINES // 1_000


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("waiting", [100, 1_000, 100_000])
def test_however_many_lines_wait_the_result_is_that_of_one_transaction(
    store_url: str,
    other_url: str,
    tmp_path: Path,
    waiting: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = noisy()
    with (
        psycopg.connect(store_url, autocommit=True) as database,
        psycopg.connect(other_url, autocommit=True) as other,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(spill, "_LINES_OF_A_BATCH", 100_000)
            patch.setattr(files, "_SMALLEST_BATCH", 100_000)
            whole = imported(other_url, tmp_path / "a", lines, batch_size=100_000)
        with monkeypatch.context() as patch:
            patch.setattr(spill, "_LINES_OF_A_BLOCK", waiting // 10)
            patch.setattr(spill, "_LINES_AFTER_THE_END", waiting // 10)
            patch.setattr(spill, "_BLOCKS", 10)
            patch.setattr(reader, "_LINES_LOOKED_AT", waiting // 10)
            done = imported(store_url, tmp_path / "a", lines)
            again = imported(store_url, tmp_path / "a", lines)

        assert done == whole
        assert rows(database) == rows(other)
        kept = "SELECT raw, reason, detail FROM quarantine ORDER BY raw"
        assert database.execute(kept).fetchall() == other.execute(kept).fetchall()
        facts = "SELECT position_id, event_id, envelope::text FROM events ORDER BY 1, 2"
        assert database.execute(facts).fetchall() == other.execute(facts).fetchall()
    assert (again.read, again.appended, again.quarantined) == (done.read, 0, done.quarantined)


@pytest.mark.usefixtures("small")
def test_progress_counts_half_of_what_is_read_and_all_that_is_handed_on(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BLOCK", 500)
    monkeypatch.setattr(spill, "_BLOCKS", 4)
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        b"\n".join(envelope(f"evt_{n}", position=f"dm_pos_{n // 10}", at=n) for n in range(6_000))
    )
    size = path.stat().st_size
    told: list[Progress] = []
    store = Store(store_url, embedded=False)
    import_files([str(path)], store.connect, now=NOW, batch_size=400, progress=told.append)

    done = [progress.bytes_done for progress in told]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(size, abs=2)
    assert {progress.bytes_total for progress in told} == {size}
    assert told[-1].appended == 6_000
    # What is committed is at most what is handed on.
    assert all(progress.appended / 6_000 <= progress.bytes_done / size + 0.05 for progress in told)
    assert [progress.bytes_done for progress in told if not progress.appended][-1] <= size / 2


def test_progress_never_says_more_than_there_is(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where lines that do not wait are handed on as soon as they are read."""
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 10)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(b"no event %d" % n for n in range(500)))
    size, told = path.stat().st_size, list[Progress]()
    store = Store(store_url, embedded=False)
    import_files([str(path)], store.connect, now=NOW, batch_size=400, progress=told.append)

    done = [progress.bytes_done for progress in told]
    assert done[0] <= size / 2
    assert done == sorted(done)
    assert done[-1] == size


def temporary_files() -> int:
    """How many unnamed files this process has open."""
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            count += str(each.readlink()).endswith(" (deleted)")
    return count


def write_all(pipe: int, content: bytes) -> None:
    with os.fdopen(os.dup(pipe), "wb") as file:
        file.write(content)


@pytest.mark.parametrize("lines", [1, 3_000], ids=["a line", "more than a batch"])
@pytest.mark.parametrize(
    ("stalled_after", "seconds"), [(1, 3_600.0), (3_600_000, 0.0)], ids=["pauses", "is slow"]
)
async def test_what_came_over_a_pipe_that_pauses_or_is_slow_is_committed(
    store_url: str, lines: int, stalled_after: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often, however much came before, and with no more open files for it."""
    monkeypatch.setattr(reader, "_STALLED_AFTER", stalled_after)
    monkeypatch.setattr(spill, "_SECONDS", seconds)
    store, (end, begin) = Store(store_url, embedded=False), os.pipe()
    before = temporary_files()
    work = asyncio.ensure_future(
        asyncio.to_thread(
            import_files, [f"/dev/fd/{end}"], store.connect, now=NOW, batch_size=1_000
        )
    )
    with psycopg.connect(store_url, autocommit=True) as database:
        for n in range(5):
            came = [envelope(f"evt_{n}_{at}", position=f"dm_pos_{n}") for at in range(lines)]
            await asyncio.to_thread(write_all, begin, b"\n".join([*came, b""]))

            def committed(wanted: int = (n + 1) * lines) -> bool:
                return database.execute("SELECT count(*) FROM events").fetchone() == (wanted,)

            await eventually(committed)
            assert temporary_files() <= before + 2
    os.close(begin)
    assert (await work).appended == 5 * lines
    os.close(end)


def test_a_long_id_of_a_position_is_kept_nowhere(
    store_url: str, tmp_path: Path, small: None
) -> None:
    lines = [envelope(f"evt_{n}", position=f"dm_pos_{n}" + "x" * 100_000) for n in range(20)]
    waiting = spill.WaitingLines(NOW, ())
    (tmp_path / "long.jsonl").write_bytes(b"\n".join(lines))
    with reader.JsonLinesReader(str(tmp_path / "long.jsonl")) as source:
        batches = [batch for chunk in source.chunks() for batch in waiting.add(source, chunk)]
        assert [len(batch) for batch in [*batches, *waiting.everything()]] == [20]
    done = imported(store_url, tmp_path / "long.jsonl", lines)
    assert done.appended + done.quarantined == 20


def test_a_file_that_cannot_be_read_again_is_one_line(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    with pytest.raises(PositionstoreError, match=r"jsonl cannot be read again: Input/output error"):
        imported(store_url, tmp_path / "a.jsonl", [envelope("evt_1")])


def test_what_was_read_before_a_file_broke_is_imported(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    read, reads = os.pread, 0

    def breaking(descriptor: int, length: int, offset: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads > 350:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", breaking)
    lines = [envelope(f"evt_{n}", position=f"dm_pos_{n}") for n in range(500)]
    with pytest.raises(PositionstoreError, match=r"cannot be read again"):
        imported(store_url, tmp_path / "a.jsonl", lines)
    with psycopg.connect(store_url) as database:
        assert database.execute("SELECT count(*) FROM positions").fetchone() == (300,)
