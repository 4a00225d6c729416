"""Lines that are put away are read again as they were, from files that do not outlive them."""

import gc
import tempfile
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.errors import PositionstoreError
from positionstore.importer import spill as held
from positionstore.importer.spill import SpilledBatch, TempFile
from positionstore.model.facts import Event, Rejected

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def lines(first: int, count: int = 100) -> list[Event | Rejected]:
    """Events, and among them lines that are none."""
    return [
        decode(b"no event %d" % n if n % 7 == 0 else VALID[:-1] + b',"n":%d}' % n)
        for n in range(first, first + count)
    ]


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_lines_read_again_are_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_BYTES_OF_A_FILE", 10_000)
    scratch = TempFile()
    batches = [SpilledBatch(lines(first), NOON) for first in range(0, 1_000, 100)]
    before = [list(batch) for batch in batches]
    for batch in batches:
        batch.put_away(scratch)

    assert [list(batch) for batch in batches] == before
    assert [batch[:50] for batch in reversed(batches)] == [was[:50] for was in reversed(before)]
    assert batches[3][7] == before[3][7]
    assert {len(batch) for batch in batches} == {100}


def test_no_file_is_open_longer_than_something_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_BYTES_OF_A_FILE", 1)

    def put_away_many() -> int:
        scratch = TempFile()
        for first in range(0, 5_000, 100):
            SpilledBatch(lines(first), NOON).put_away(scratch)
        return open_files()

    before = open_files()
    meanwhile = put_away_many()
    gc.collect()

    assert meanwhile <= before + 1
    assert open_files() <= before


def test_what_is_put_away_takes_no_memory() -> None:
    scratch = TempFile()
    tracemalloc.start()
    batches = [SpilledBatch([decode(VALID + b" " * 2_000) for _ in range(500)], NOON)]
    in_memory = tracemalloc.get_traced_memory()[0]
    batches[0].put_away(scratch)
    put_away = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert put_away < in_memory / 20


def test_no_room_for_a_temporary_file_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(PositionstoreError, match="A temporary file cannot be written") as raised:
        SpilledBatch(lines(0), NOON).put_away(TempFile())
    assert raised.value.remedy
