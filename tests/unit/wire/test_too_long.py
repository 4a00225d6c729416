"""What is longer than any envelope is no event, and costs no more memory than a few of them."""

import gzip
import tracemalloc
from pathlib import Path

import pytest
from support.invariants import as_lines
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.dimes.page import read_item
from positionstore.importer.logged import Line
from positionstore.importer.reader import JsonLinesReader
from positionstore.model.facts import LONGEST_ENVELOPE, Event, Reason, Rejected

MIB = 1024 * 1024


def padded(length: int) -> bytes:
    """An envelope of just this length."""
    return VALID[:-1] + b',"x":"' + b"x" * (length - len(VALID) - 7) + b'"}'


def lines_of(path: Path) -> list[Line]:
    with JsonLinesReader(str(path)) as lines:
        return [what for chunk in lines.chunks() for what in as_lines(chunk)]


def test_the_longest_envelope_is_an_event_and_one_byte_more_is_too_many() -> None:
    longest, longer = padded(LONGEST_ENVELOPE), padded(LONGEST_ENVELOPE + 1)
    rejected = decode(longer)

    assert len(longest) == LONGEST_ENVELOPE
    assert isinstance(decode(longest), Event)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.raw) == (Reason.TOO_LONG, longer)


def test_a_position_that_long_is_rejected_by_its_id() -> None:
    item = read_item(b'{"id":"a","status":"' + b"x" * LONGEST_ENVELOPE + b'"}')

    assert item.id == "a"
    assert isinstance(item.what, Rejected)
    assert item.what.reason == Reason.TOO_LONG


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_of_a_line_that_is_too_long_the_beginning_is_kept_and_the_next_is_read(
    tmp_path: Path, end: bytes
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        end.join([VALID, padded(LONGEST_ENVELOPE), padded(LONGEST_ENVELOPE + 1), VALID])
        if end
        else padded(3 * LONGEST_ENVELOPE)
    )

    found = lines_of(path)

    [rejected] = [what for what in found if isinstance(what, Rejected)]
    assert [isinstance(what, Event) for what in found] == (
        [True, True, False, True] if end else [False]
    )
    assert rejected.reason == Reason.TOO_LONG
    assert rejected.raw.startswith(VALID[:-1] + b',"x":"xxx')
    assert len(rejected.raw) == 64 * 1024
    assert f"{path}, line {3 if end else 1}." in rejected.detail


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + VALID + b"\n" + VALID)

    assert lines_of(path) == [decode(VALID), decode(VALID)]


@pytest.mark.slow
def test_a_compression_bomb_takes_the_memory_of_an_envelope(tmp_path: Path) -> None:
    peaks = []
    for mib in (64, 256):
        path = tmp_path / f"{mib}.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(mib):
                file.write(bytes(MIB))
            file.write(b"\n" + VALID)
        tracemalloc.start()
        bomb, event = lines_of(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert isinstance(event, Event)
        assert isinstance(bomb, Rejected)
        assert bomb.detail.startswith(f"It has {mib * MIB + 1:,} bytes")

    assert max(peaks) < 5 * LONGEST_ENVELOPE
    assert peaks[1] < peaks[0] + MIB
