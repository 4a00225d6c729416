"""What holds whatever comes in: the property tests try it, and so does scripts/fuzz.py."""

import gzip
import io
import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from positionstore.dimes import decoder
from positionstore.dimes.complaint import complaint, is_error_body
from positionstore.dimes.decoder import decode
from positionstore.dimes.page import Item, Listed, UnreadableError, read_list, read_position
from positionstore.dimes.retrying import retry_after
from positionstore.dimes.tokens import read_token
from positionstore.errors import PositionstoreError
from positionstore.importer import kinds
from positionstore.importer.logged import (
    IncompleteSnapshotError,
    Line,
    Logged,
    read_line,
)
from positionstore.importer.reader import JsonLinesReader, RawLine
from positionstore.model.facts import Event, Reason, Rejected, Source
from positionstore.model.timestamps import as_of, parse_http_date

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
STATUSES = (200, 400, 401, 403, 404, 422, 500)


def of_an_envelope(raw: bytes) -> None:
    """It is an event, or says what is wrong; whole; and both ways of the decoder agree."""
    result = decode(raw)

    if isinstance(result, Event):
        assert result.envelope == raw
        assert result.event_id
        assert result.type
        assert result.created_at.utcoffset() is not None
        for text in (result.event_id, result.type, result.position_id, result.status or ""):
            is_storable(text)
    else:
        assert isinstance(result, Rejected)
        assert result.raw == raw
        assert result.reason in Reason
        assert result.detail
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "_decode_envelope", _refuse_all)
        careful = decode(raw)
    assert result == careful


def of_a_list(body: bytes) -> None:
    """Its elements are positions or say what is wrong; each is kept as it was spelled."""
    try:
        elements, _ = read_list(body)
    except UnreadableError:
        return
    for element in elements:
        _of_an_element(element, body)


def of_an_answer(status: int, body: bytes, header: str) -> None:
    """Whatever else is read of an answer: a value, or an error of one clean line."""
    with suppress(UnreadableError):
        read_position(body)
    of_a_token(status, body, header)
    assert complaint(status, body, secret="s3cret").isprintable()
    is_error_body(body)
    assert as_of(parse_http_date(header), round_trip=0.1, sent_at=NOW).utcoffset() is not None
    waits = retry_after(header, date=header, now=NOW)
    assert waits is None or waits >= 0


def of_a_token(status: int, body: bytes, date: str | None) -> None:
    """It is one that a header can carry, or there is an error of one clean line."""
    try:
        token = read_token(status, body, date=date, clock=lambda: datetime.now(UTC))
    except PositionstoreError as error:
        is_clean(error)
    else:
        assert httpx.Headers({"Authorization": token.secret.get_secret_value()})


def of_lines(path: Path) -> None:
    """Every line of a file that is not blank is read, unless the file is refused in one line."""
    found, error = read(path)
    content = path.read_bytes()

    _of_a_file(found, error, content, content)
    if error is None and kinds.packing(content) is None:
        assert len(found) == len(_wanted(content)[0])


def of_packed_lines(path: Path) -> None:
    """A packed file is read up to its damage, which is an error of one clean line."""
    found, error = read(path)

    unpacked, damaged = bytearray(), False
    try:
        with gzip.open(io.BytesIO(path.read_bytes())) as file:
            while piece := file.read(1):
                unpacked += piece
    except (OSError, EOFError, zlib.error):
        damaged = True
        assert error is not None
    # What was unpacked together with the damage may be lost with it.
    complete = unpacked[: unpacked.rfind(b"\n") + 1] if damaged else unpacked
    _of_a_file(found, error, bytes(complete), bytes(unpacked))
    if not damaged and error is None:
        assert len(found) == len(_wanted(bytes(unpacked))[0])


def _of_a_file(found: list[Line], error: str | None, content: bytes, begins: bytes) -> None:
    """What was found is what the lines say, in their order, up to the error if there is one."""
    if error is not None:
        assert error.isprintable()
        assert len(error) < 5000
    if kinds.packing(begins) is not None:
        return
    if kinds.refusal(begins[: kinds.FIRST_BYTES]) is not None:
        assert error is not None
        assert not found
        return
    wanted, whole = _wanted(content)
    assert found == wanted[: len(found)]
    if not whole:
        assert error is not None


def _wanted(content: bytes) -> tuple[list[Line], bool]:
    """Return what lines say, up to a snapshot that is not whole, and whether there is none."""
    wanted: list[Line] = []
    for line in _not_blank(content):
        try:
            wanted.append(read_line(line))
        except IncompleteSnapshotError:
            return wanted, False
    return wanted, True


def of_a_line(line: bytes) -> None:
    """What a line of a file says is storable, and nothing of it is lost."""
    with suppress(IncompleteSnapshotError):
        what = read_line(line)
        fact = what.what if isinstance(what, Logged) else what
        if isinstance(fact, Rejected):
            assert fact.raw == line
            assert fact.detail
        elif isinstance(fact, Event):
            assert fact.envelope in line or b"\\u" in line
            for text in (fact.event_id, fact.type, fact.position_id, fact.status or ""):
                is_storable(text)
        if isinstance(what, Logged):
            assert (what.source is Source.REST) == (what.supersedes_before is not None)


def read(path: Path) -> tuple[list[Line], str | None]:
    """Return what a file says, and the error that its end is, if any."""
    found: list[Line] = []
    try:
        with JsonLinesReader(str(path)) as lines:
            for chunk in lines.chunks():
                found += as_lines(chunk)
    except PositionstoreError as error:
        return found, str(error)
    return found, None


def as_lines(chunk: Iterable[RawLine]) -> list[Line]:
    """Return what some lines of a file say."""
    return [
        each.content if isinstance(each.content, Rejected) else read_line(each.content)
        for each in chunk
    ]


def is_clean(error: PositionstoreError) -> None:
    """It is one line, not too long, and speaks to no terminal."""
    line = str(error)
    assert line.isprintable()
    assert len(line) < 1000


def is_storable(text: str) -> None:
    """A Postgres ``text`` can hold it."""
    assert "\0" not in text
    text.encode()  # no lone surrogate


def _of_an_element(element: Item, body: bytes) -> None:
    what = element.what
    if isinstance(what, Listed):
        assert what.body in body
        assert what.position_id
        is_storable(what.position_id)
        is_storable(what.status)
        assert isinstance(json.loads(what.body), dict)
    else:
        assert what.raw in body
        assert what.reason in Reason
        assert what.detail


def _not_blank(content: bytes) -> list[bytes]:
    lines = content.removeprefix(b"\xef\xbb\xbf").replace(b"\x1e", b"\n").split(b"\n")
    return [text for line in lines if (text := line.strip(b" \t\r\n"))]


def _refuse_all(raw: bytes) -> None:
    raise msgspec.DecodeError(f"none of these {len(raw)} bytes")
