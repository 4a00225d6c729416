"""Whatever a file holds, an import has events, quarantine, or an error of one clean line."""

import gzip
import io
import zlib
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from profiles import tries
from wire_noise import VALID, anything, damaged

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.facts import Event, Reason, Rejected
from positionstore.importer.files import Imported, import_files
from positionstore.importer.lines import Lines
from positionstore.store.database import Store

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_numbers = count()

ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n", b"\r", b"\n\xef\xbb\xbf"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return lines of all kinds, one after the other."""
    lines = draw(st.lists(st.just(VALID) | anything(), max_size=6))
    return b"".join(line + draw(ends) for line in lines)


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """Return them packed, in one or several members, whole or damaged."""
    members = [gzip.compress(each, 1) for each in draw(st.lists(files(), min_size=1, max_size=3))]
    whole = b"".join(members)
    return draw(
        st.just(whole)
        | damaged(st.just(whole))
        | st.integers(0, len(whole)).map(lambda end: whole[:end])
        | st.binary(max_size=20).map(lambda more: whole + more)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@tries(300)
@given(content=files() | st.binary(max_size=300) | damaged(files()))
@example(content=b"")
@example(content=b"\xef\xbb\xbf" + VALID)
@example(content=b"\0" * 100)
def test_every_line_that_is_not_blank_is_an_event_or_kept_whole(
    folder: Path, content: bytes
) -> None:
    path = folder / "events.jsonl"
    path.write_bytes(content)

    found, error = read(path)

    assert error is None
    lines = [line.strip(b" \t\r\n") for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    assert [kept(what) for what in found] == [line for line in lines if line]


@tries(300)
@given(content=packed() | st.binary(max_size=100))
def test_a_packed_file_is_read_up_to_its_damage(folder: Path, content: bytes) -> None:
    path = folder / "events.jsonl.gz"
    path.write_bytes(content)

    found, error = read(path)

    unpacked = bytearray()
    try:
        with gzip.open(io.BytesIO(content)) as file:
            while piece := file.read(1):
                unpacked += piece
    except (OSError, EOFError, zlib.error):
        assert error is not None
        assert error.isprintable()
    else:
        assert error is None
    complete = unpacked if error is None else unpacked[: unpacked.rfind(b"\n") + 1]
    lines = [
        line.strip(b" \t\r\n")
        for line in bytes(complete).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    ]
    wanted = [line for line in lines if line]
    got = [kept(what) for what in found]
    # What was unpacked together with the damage may be lost with it.
    assert got == (wanted if error is None else wanted[: len(got)])


@given(name=st.text(st.characters(exclude_characters="-/"), min_size=1, max_size=20))
@example(name="a\0b")
@example(name="\ud800")
@example(name="x" * 5000)
def test_a_file_that_cannot_be_opened_is_one_error(folder: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"), Lines(f"{folder}/no/{name}"):
        pass


@tries(30)
@given(contents=st.lists(files() | damaged(files()), min_size=1, max_size=3))
def test_every_line_ends_in_the_log_or_in_quarantine(
    store: Store, folder: Path, contents: list[bytes]
) -> None:
    number = next(_numbers)
    names = []
    for index, content in enumerate(contents):
        path = folder / f"{number}_{index}.jsonl"
        path.write_bytes(content)
        names.append(str(path))

    done = _import(store, names)

    assert done.read == done.appended + done.duplicates + done.quarantined
    found = [what for name in names for what in read(Path(name))[0]]
    assert done.read == len(found)
    with store.connect() as connection:
        for what in found:
            query, value = (
                ("SELECT 1 FROM events WHERE event_id = %s", what.event_id)
                if isinstance(what, Event)
                else ("SELECT 1 FROM quarantine WHERE raw = %s", what.raw)
            )
            assert connection.execute(query, [value]).fetchone()


def _import(store: Store, names: list[str]) -> Imported:
    return import_files(names, store.connect, now=NOW, batch_size=1000)


def read(path: Path) -> tuple[list[Event | Rejected], str | None]:
    """Return what a file says, and the error that its end is, if any."""
    found: list[Event | Rejected] = []
    try:
        with Lines(str(path)) as lines:
            for chunk in lines.chunks():
                found += chunk
    except PositionstoreError as error:
        return found, str(error)
    return found, None


def kept(what: Event | Rejected) -> bytes:
    if isinstance(what, Event):
        return what.envelope
    assert what.reason in Reason
    assert what.detail
    return what.raw
