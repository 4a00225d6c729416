"""Lines are handed on position by position, as they were, and take no memory until then."""

import gzip
import os
import random
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.factories import envelope
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.errors import PositionstoreError
from positionstore.importer import logged, reader, spill
from positionstore.importer.logged import IncompleteSnapshotError, position_of
from positionstore.importer.reader import JsonLinesReader
from positionstore.importer.spill import SpilledBatch, Window
from positionstore.model.facts import Event, Received, Rejected, Source

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def plain(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def packed(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content, 1))
    return path


Write = Callable[[Path, bytes], Path]
EITHER = pytest.mark.parametrize("write", [plain, packed])
"""A plain file is read again by its offsets; what is packed goes to a temporary file."""


def content(lines: int) -> list[bytes]:
    """Events of some positions in turns, and among them lines that are none."""
    return [
        b"no event %d" % n
        if n % 7 == 0
        else envelope(f"evt_{n}", position=f"dm_pos_{n % 13}", at=n)
        for n in range(lines)
    ]


@contextmanager
def window_of(path: Path) -> Iterator[Window]:
    window = Window(NOON)
    with JsonLinesReader(str(path)) as file:
        for lines in file.chunks():
            window.add(file, lines)
        yield window


def named_by(received: Received) -> str:
    assert isinstance(received.what, Event | Rejected)
    return received.what.position_id if isinstance(received.what, Event) else ""


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@EITHER
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n\n\t", b"\n\x1e"])
def test_what_is_handed_on_is_what_was_read(
    tmp_path: Path, write: Write, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_BYTES_OF_A_BLOCK", 1_000)
    monkeypatch.setattr(reader, "_LINES_AT_A_TIME", 100)
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 100)
    lines = content(1_000)
    with window_of(write(tmp_path / "a", end.join(lines))) as window:
        batches = list(window.batches())
        found = [list(batch) for batch in batches]
        for batch in batches:
            batch.load()
        loaded = [list(batch) for batch in batches]
        for batch in batches:
            batch.put_away()

        assert found == loaded == [list(batch) for batch in batches]
        assert [len(batch) for batch in batches] == list(map(len, found))
        assert batches[1][7] == found[1][7]
        assert batches[1][7:9] == found[1][7:9]
    every = [received for batch in found for received in batch]
    wanted = [Received(decode(line), NOON, Source.IMPORT) for line in lines]
    assert sorted(every, key=str) == sorted(wanted, key=str)
    assert len(batches) > 1


def test_the_lines_of_a_position_go_together_and_as_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 50)
    chance = random.Random(1)
    lines = [
        envelope(f"evt_{n}", position=f"dm_pos_{chance.randrange(100)}", at=n) for n in range(1_000)
    ]
    with window_of(plain(tmp_path / "a", b"\n".join(lines))) as window:
        batches = [[named_by(received) for received in batch] for batch in window.batches()]
        events = [received.what for batch in window.batches() for received in batch]

    assert len(batches) > 10
    for position in {named_by(Received(decode(line), NOON, Source.IMPORT)) for line in lines}:
        assert sum(position in batch for batch in batches) == 1
        of_it = [event for event in events if getattr(event, "position_id", None) == position]
        assert of_it == [each for each in map(decode, lines) if each in of_it]


def test_a_position_that_is_larger_than_a_batch_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 50)
    lines = [envelope(f"evt_{n}", position="dm_pos_1", at=n) for n in range(1_000)]
    with window_of(plain(tmp_path / "a", b"\n".join(lines))) as window:
        batches = list(window.batches())
        assert [received.what for batch in batches for received in batch] == list(
            map(decode, lines)
        )
    assert {len(batch) for batch in batches} == {100}


@pytest.mark.parametrize(
    ("limit", "value"), [("_LINES", 100), ("_BYTES", 100 * len(VALID)), ("_POSITIONS", 100)]
)
def test_a_window_has_an_end(
    tmp_path: Path, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [VALID.replace(b"dm_pos_", b"dm_pos_%d" % n) for n in range(150)]
    path = plain(tmp_path / "a", b"\n".join(lines))
    with window_of(path) as window:
        assert not window.is_full
    monkeypatch.setattr(spill, limit, value)
    with window_of(path) as window:
        assert window.is_full


def test_a_pipe_that_is_slow_does_not_keep_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_SECONDS", 0.0)
    with window_of(plain(tmp_path / "a", VALID)) as window:
        assert not window.is_full
    reading, writing = os.pipe()
    os.write(writing, VALID)
    os.close(writing)
    with window_of(Path(f"/dev/fd/{reading}")) as window:
        os.close(reading)
        assert window.is_full


def test_no_file_is_open_longer_than_something_lies_in_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", b"\n".join(content(100)))

    def kept() -> list[SpilledBatch]:
        with window_of(path) as window:
            return list(window.batches())

    before = open_files()
    batches = kept()
    assert open_files() == before + 1
    assert len(list(batches[0])) == 100
    del batches
    assert open_files() == before


@EITHER
def test_what_is_not_loaded_takes_little_memory(tmp_path: Path, write: Write) -> None:
    size = 2_000
    lines = [VALID[:-1] + b',"n":"%d"}' % n + b" " * size for n in range(2_000)]
    path = write(tmp_path / "a", b"x\n".join([*lines, b""]))
    with window_of(path) as window:
        tracemalloc.start()
        batches = list(window.batches())
        waiting = tracemalloc.get_traced_memory()[0]
        batches[0].load()
        loaded = tracemalloc.get_traced_memory()[0]
        batches[0].put_away()
        put_away = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()

    assert loaded > len(batches[0]) * size
    assert max(waiting, put_away) < loaded / 20


def test_no_room_for_a_temporary_file_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a", VALID)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with (
        pytest.raises(PositionstoreError, match="A temporary file cannot be written") as raised,
        window_of(path),
    ):
        pass
    assert raised.value.remedy


def test_a_file_that_became_shorter_is_one_error(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", b"\n".join(content(10)))
    with window_of(path) as window:
        path.write_bytes(b"")
        [batch] = window.batches()
        with pytest.raises(PositionstoreError, match="became shorter"):
            batch.load()


def test_a_file_that_is_extended_meanwhile_is_imported_as_it_was(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", b"\n".join(content(10)) + b"\n")
    with window_of(path) as window:
        with path.open("ab") as file:
            file.write(VALID)
        [batch] = window.batches()
        assert len(list(batch)) == 10


def test_a_snapshot_that_came_into_a_file_meanwhile_is_one_error(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", VALID)
    snapshot = VALID.replace(b"position.opened", b"snapshot")
    assert b"snapshot" in snapshot
    with window_of(path) as window:
        path.write_bytes(snapshot.ljust(len(VALID)))
        [batch] = window.batches()
        with pytest.raises(PositionstoreError, match="supersedes_before"):
            batch.load()


def test_a_usual_line_is_only_looked_at_for_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        raise AssertionError("it was read")

    row = (
        b'{"seq":1,"event_id":"evt_1","position_id":"dm_pos_1","type":"position.opened",'
        b'"status":"open","created_at":"2026-07-01T12:00:00Z",'
        b'"received_at":"2026-07-01T12:00:00Z","source":"partner","envelope":' + VALID + b"}"
    )
    snapshot = VALID.replace(b"position.opened", b"snapshot")
    of_rest = row.replace(b'"partner"', b'"rest"')
    for line in (snapshot, of_rest):
        with pytest.raises(IncompleteSnapshotError):
            position_of(line)
    monkeypatch.setattr(logged, "read_line", refuse)
    assert position_of(VALID) == position_of(row) == b"dm_pos_1"
    assert position_of(envelope("evt_1", position="pos_2")) == b"pos_2"
