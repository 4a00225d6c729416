"""Lines are handed on position by position, as they were, and take no memory until then."""

import gc
import gzip
import os
import random
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from support.factories import envelope
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.errors import PositionstoreError
from positionstore.importer import logged, reader, spill
from positionstore.importer.logged import IncompleteSnapshotError, subject_of
from positionstore.importer.reader import JsonLinesReader, RawLine
from positionstore.importer.spill import SpilledBatch, WaitingLines
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
def batches_of(path: Path) -> Iterator[list[SpilledBatch]]:
    """All batches of a file, while it is open."""
    waiting = WaitingLines(NOON, {b"closed"})
    with JsonLinesReader(str(path)) as file:
        batches = [batch for lines in file.chunks() for batch in waiting.add(file, lines)]
        yield [*batches, *waiting.everything()]
        assert list(waiting.everything()) == []


def events(of: int, *, status: str = "open") -> list[bytes]:
    """An event each of so many positions."""
    return [envelope(f"evt_{status}_{n}", position=f"dm_pos_{n}", status=status) for n in range(of)]


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
    with batches_of(write(tmp_path / "a", end.join(lines))) as batches:
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
    with batches_of(plain(tmp_path / "a", b"\n".join(lines))) as batches:
        named = [[named_by(received) for received in batch] for batch in batches]
        found = [received.what for batch in batches for received in batch]

    assert len(named) > 10
    for position in {named_by(Received(decode(line), NOON, Source.IMPORT)) for line in lines}:
        assert sum(position in batch for batch in named) == 1
        of_it = [event for event in found if getattr(event, "position_id", None) == position]
        assert of_it == [each for each in map(decode, lines) if each in of_it]


def test_a_position_that_is_larger_than_a_batch_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 50)
    lines = [envelope(f"evt_{n}", position="dm_pos_1", at=n) for n in range(1_000)]
    with batches_of(plain(tmp_path / "a", b"\n".join(lines))) as batches:
        assert [received.what for batch in batches for received in batch] == list(
            map(decode, lines)
        )
    assert {len(batch) for batch in batches} == {100}


def read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LINES_LOOKED_AT", 1)
    monkeypatch.setattr(reader, "_LINES_AT_A_TIME", 1)


def handed_on(path: Path) -> list[tuple[int, list[str]]]:
    """How many lines were read when a batch was handed on, and the positions of its lines."""
    waiting = WaitingLines(NOON, {b"closed"})
    read, found = 0, []
    with JsonLinesReader(str(path)) as file:
        for lines in file.chunks():
            read += len(lines)
            found += [(read, list(map(named_by, batch))) for batch in waiting.add(file, lines)]
        found += [(read + 1, list(map(named_by, batch))) for batch in waiting.everything()]
    return found


@EITHER
def test_a_position_that_ended_waits_for_what_comes_late_and_no_longer(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 10)
    monkeypatch.setattr(spill, "_LINES_AFTER_THE_END", 50)
    read_line_by_line(monkeypatch)
    late = envelope("evt_late", position="dm_pos_3")
    others = [envelope(f"evt_{n}", position=f"dm_pos_{n}") for n in range(100, 200)]
    before = [envelope(f"evt_{n}", position=f"dm_pos_{n}") for n in range(200, 300)]
    lines = [*before, *events(20), *events(10, status="closed"), *others[:20], late, *others[20:]]

    first, *rest = handed_on(write(tmp_path / "a", b"\n".join(lines)))

    at, positions = first
    assert at == 100 + 20 + 5 + 50  # of four that ended there are nine lines, of five eleven
    ended = [f"dm_pos_{n}" for n in range(5)]
    assert positions == [*ended, *ended, "dm_pos_3"]
    assert all(not set(positions) & set(ended) for _, positions in rest)
    assert sum(len(positions) for _, positions in (first, *rest)) == len(lines)


@EITHER
def test_at_first_it_waits_less_so_that_the_server_has_something_to_do(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 10)
    read_line_by_line(monkeypatch)
    others = [envelope(f"evt_{n}", position=f"dm_pos_{n}") for n in range(100, 200)]
    lines = [*events(10, status="closed"), *others]

    at, positions = handed_on(write(tmp_path / "a", b"\n".join(lines)))[0]

    assert at == 2 * 10 - 1  # as many lines after the last end as there were up to it
    assert positions == [f"dm_pos_{n}" for n in range(10)]


@pytest.mark.parametrize(
    ("limit", "value"),
    [("_BLOCKS", 10), ("_POSITIONS", 100), ("_BYTES_ON_DISK", 10 * 10 * len(VALID))],
)
def test_where_nothing_ends_no_more_than_so_many_wait(
    tmp_path: Path, limit: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BLOCK", 10)
    read_line_by_line(monkeypatch)
    lines = [VALID.replace(b"dm_pos_", b"dm_pos_%04d" % n) for n in range(500)]
    content = b"\n".join(lines)
    for write in (plain, packed):
        assert [at for at, _ in handed_on(write(tmp_path / "a", content))] == [501]
    monkeypatch.setattr(spill, limit, value)

    found = handed_on(packed(tmp_path / "a", content))

    assert len(found) > 30
    done = 0
    for at, positions in found:
        assert at - done <= 111
        done += len(positions)
        assert positions == sorted(positions)
    assert [each for _, positions in found for each in positions] == [
        named_by(Received(decode(line), NOON, Source.IMPORT)) for line in lines
    ]


def test_a_line_may_have_more_than_a_million_records(tmp_path: Path) -> None:
    records = [RawLine(b"1", b"", b"", 0)] * 1_100_000
    waiting = WaitingLines(NOON, ())
    with JsonLinesReader(str(plain(tmp_path / "a", b"1"))) as file:
        assert sum(map(len, waiting.add(file, records))) == len(records)


def test_a_line_without_a_position_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_LINES_OF_A_BATCH", 2)
    monkeypatch.setattr(reader, "_LINES_LOOKED_AT", 1)
    path = plain(tmp_path / "a", b"\n".join([VALID, *[b"no event"] * 6]))

    assert handed_on(path) == [
        (3, ["", ""]),
        (5, ["", ""]),
        (7, ["", ""]),
        (8, ["dm_pos_1"]),
    ]


def kept_of(lines: list[bytes], path: Path) -> int:
    """Bytes of memory that are taken while lines of a file wait, or were handed on."""
    path.write_bytes(b"\n".join(lines))
    waiting = WaitingLines(NOON, {b"closed"})
    with JsonLinesReader(str(path)) as file:
        tracemalloc.start()
        for chunk in file.chunks():
            for _ in map(len, waiting.add(file, chunk)):
                pass  # each is gone at once
        del chunk
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return kept


@pytest.mark.parametrize("status", ["open", "closed"])
def test_a_position_with_a_long_id_takes_no_memory(tmp_path: Path, status: str) -> None:
    lines = [
        envelope(f"evt_{n}", position=f"dm_pos_{n}" + "x" * 100_000, status=status)
        for n in range(50)
    ]
    assert kept_of(lines, tmp_path / "a") < 1_000_000


def test_lines_that_are_too_long_take_no_memory_when_they_are_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LONGEST_ENVELOPE", 70_000)
    too_long = [b"%d" % n + b"x" * 70_000 for n in range(100)]

    assert kept_of([VALID, *too_long], tmp_path / "a") < 1_000_000


def test_a_pipe_that_is_slow_does_not_keep_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_SECONDS", 0.0)

    def is_overdue(path: Path) -> bool:
        waiting = WaitingLines(NOON, ())
        with JsonLinesReader(str(path)) as file:
            for lines in file.chunks():
                assert list(waiting.add(file, lines)) == []
            overdue = waiting.is_overdue
            list(waiting.everything())
            assert not waiting.is_overdue
            return overdue

    assert not is_overdue(plain(tmp_path / "a", VALID))
    reading, writing = os.pipe()
    os.write(writing, VALID)
    os.close(writing)
    assert is_overdue(Path(f"/dev/fd/{reading}"))
    os.close(reading)


def test_no_file_is_open_longer_than_something_lies_in_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", b"\n".join(content(100)))

    def kept() -> list[SpilledBatch]:
        with batches_of(path) as batches:
            return batches

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
    tracemalloc.start()
    with batches_of(path) as batches:
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
        batches_of(path),
    ):
        pass
    assert raised.value.remedy


def test_a_full_disk_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "r+b"))
    path = packed(tmp_path / "a", VALID)

    with pytest.raises(PositionstoreError, match="No space left on device"), batches_of(path):
        pass
    gc.collect()  # what cannot be written is not written once more when the file is closed


def test_a_file_that_became_shorter_is_one_error(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", b"\n".join(content(10)))
    with batches_of(path) as [batch]:
        path.write_bytes(b"")
        with pytest.raises(PositionstoreError, match="became shorter"):
            batch.load()


def test_a_file_that_is_extended_meanwhile_is_imported_as_it_was(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", b"\n".join(content(10)) + b"\n")
    with batches_of(path) as [batch]:
        with path.open("ab") as file:
            file.write(VALID)
        assert len(list(batch)) == 10


def test_a_snapshot_that_came_into_a_file_meanwhile_is_one_error(tmp_path: Path) -> None:
    path = plain(tmp_path / "a", VALID)
    snapshot = VALID.replace(b"position.opened", b"snapshot")
    assert b"snapshot" in snapshot
    with batches_of(path) as [batch]:
        path.write_bytes(snapshot.ljust(len(VALID)))
        with pytest.raises(PositionstoreError, match="supersedes_before"):
            batch.load()


def test_a_usual_line_is_only_looked_at_for_its_position_and_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
            subject_of(line)
    monkeypatch.setattr(logged, "read_line", refuse)
    assert subject_of(VALID) == subject_of(row) == (b"dm_pos_1", b"open")
    closed = envelope("evt_1", position="pos_2", status="closed")
    assert subject_of(closed) == (b"pos_2", b"closed")
    assert subject_of(closed.replace(b'"status"', b'"other"')) == (b"pos_2", b"")
