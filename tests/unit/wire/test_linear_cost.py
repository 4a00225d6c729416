"""What is read costs as much as it is long, whatever it is made of: counted, not timed.

Counted are the calls and lines of Python, and the bytes of memory at the peak. What a library does
in one call is not; that it ends at all with megabytes shows that it is far from the square.
"""

import gc
import gzip
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.shapes import REFUSED, THINGS, envelope_of
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.dimes.page import UnreadableError, read_list
from positionstore.importer.reader import JsonLinesReader
from positionstore.importer.spill import WaitingLines
from positionstore.model.facts import Event, Rejected

pytestmark = pytest.mark.slow

LENGTH = 4 * 1024
TIMES = 4
ALLOWED = 6
"""Times the cost of the shorter: containers grow in steps. The square would be sixteen."""

SLACK = 1024 * 1024
"""Bytes that are taken whatever the length, to look at one block of it."""

MOST = 15
"""Bytes of memory for a byte of an envelope; a number of a careful reading has a string."""

INDEX = 32
"""Bytes that are kept of a line while it waits: its place, its length, its position."""

SHAPES = [*THINGS, *REFUSED]

Read = Callable[[bytes], object]


def page_of(envelope: bytes) -> bytes:
    return b'{"has_more":false,"data":[%s]}' % envelope[envelope.index(b'{"id":"dm_pos') : -1]


def read_page(body: bytes) -> None:
    with suppress(UnreadableError):
        read_list(body)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_envelope_costs_what_it_is_long(shape: str) -> None:
    is_linear(decode, *(envelope_of(shape, length) for length in (LENGTH, TIMES * LENGTH)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_position_of_a_page_costs_what_it_is_long(shape: str) -> None:
    is_linear(
        read_page, *(page_of(envelope_of(shape, length)) for length in (LENGTH, TIMES * LENGTH))
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_megabytes_are_read_to_their_end(shape: str) -> None:
    assert isinstance(
        decode(envelope_of(shape, 4 * 1024 * 1024)), Event if shape in THINGS else Rejected
    )


@pytest.mark.parametrize("line", [VALID, b"[]", b""], ids=["events", "no events", "blank lines"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_file_costs_what_it_is_long_and_no_memory(
    tmp_path: Path, line: bytes, packed: bool
) -> None:
    def file(count: int) -> bytes:
        content = (line + b"\n") * count
        return gzip.compress(content, 1) if packed else content

    path = tmp_path / ("events.jsonl.gz" if packed else "events.jsonl")

    def import_(content: bytes) -> None:
        path.write_bytes(content)
        waiting = WaitingLines(datetime.now(UTC), ())
        with JsonLinesReader(str(path)) as lines:
            batches = (batch for chunk in lines.chunks() for batch in waiting.add(lines, chunk))
            for batch in chain(batches, waiting.everything()):
                batch.load()
                batch.put_away()

    assert steps(import_, file(TIMES * 500)) < ALLOWED * steps(import_, file(500))
    few, many = file(3_000), file(TIMES * 3_000)
    assert peak(import_, many) < 1.5 * peak(import_, few) + INDEX * TIMES * 3_000


def test_what_costs_its_square_is_seen() -> None:
    few, many = bytes(100), bytes(100 * TIMES)

    def slow(raw: bytes) -> int:
        return sum(other for _ in raw for other in raw)

    def large(raw: bytes) -> list[bytes]:
        return [raw[at:] for at in range(len(raw))]

    assert steps(slow, many) > ALLOWED * steps(slow, few)
    assert peak(large, many) > ALLOWED * peak(large, few)


def is_linear(read: Read, short: bytes, long: bytes) -> None:
    assert steps(read, long) <= ALLOWED * steps(read, short)
    most = peak(read, long)
    assert most <= ALLOWED * peak(read, short) + SLACK // 32
    assert most <= MOST * len(long) + SLACK


def steps(read: Read, raw: bytes) -> int:
    """Count the lines and calls of Python that reading takes."""
    count = 0

    def step(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        return step

    before, profiled = sys.gettrace(), sys.getprofile()
    sys.settrace(step)
    sys.setprofile(step)
    try:
        read(raw)
    finally:
        sys.settrace(before)
        sys.setprofile(profiled)
    return count


def peak(read: Read, raw: bytes) -> int:
    """Return how many bytes of memory reading takes at most, besides what is read."""
    gc.collect()
    tracemalloc.start()
    try:
        read(raw)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
