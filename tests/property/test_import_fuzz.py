"""Whatever a file holds, an import has events, quarantine, or an error of one clean line."""

import gzip
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import invariants
from support.profiles import tries
from support.wire_noise import VALID, anything, damaged

from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.importer.files import Imported, import_files
from positionstore.importer.logged import Line, Logged
from positionstore.importer.reader import JsonLinesReader
from positionstore.model.facts import Rejected
from positionstore.store.database import Store

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
_numbers = count()

ROW = (
    b'{"seq": 1, "type": "%s", "received_at": "2026-07-01T12:00:00+00:00", "source": "%s",'
    b' "supersedes_before": %s, "envelope": %s, "retracts": null}'
)
SNAPSHOT = VALID.replace(b"position.opened", b"snapshot")
ROWS = [
    ROW % (b"position.opened", b"partner", b"null", VALID),
    ROW % (b"snapshot", b"rest", b'"2026-07-01T12:00:00+00:00"', SNAPSHOT),
    ROW % (b"snapshot", b"rest", b"null", SNAPSHOT),
    b'["position.opened", %s]' % VALID,
    b'42/v1/partner,["position.opened",%s,"offset"]' % VALID,
    b"\x1e" + VALID,
]
rows = st.sampled_from(ROWS)

ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n", b"\r", b"\n\xef\xbb\xbf"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Return lines of all kinds, one after the other."""
    lines = draw(st.lists(st.just(VALID) | anything() | rows | damaged(rows), max_size=6))
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

    invariants.of_lines(path)


@tries(300)
@given(line=rows | damaged(rows) | anything() | damaged(rows.map(lambda row: row * 2)))
@example(line=ROWS[2])
@example(line=ROWS[0].replace(b'"a":"1"', rb'"a":"\ud800"'))
def test_whatever_a_line_says_is_storable_and_whole(line: bytes) -> None:
    invariants.of_a_line(line)


@tries(300)
@given(content=packed() | st.binary(max_size=100))
def test_a_packed_file_is_read_up_to_its_damage(folder: Path, content: bytes) -> None:
    path = folder / "events.jsonl.gz"
    path.write_bytes(content)

    invariants.of_packed_lines(path)


@given(name=st.text(st.characters(exclude_characters="-/"), min_size=1, max_size=20))
@example(name="a\0b")
@example(name="\ud800")
@example(name="x" * 5000)
def test_a_file_that_cannot_be_opened_is_one_error(folder: Path, name: str) -> None:
    with (
        pytest.raises(ConfigurationError, match="cannot be read"),
        JsonLinesReader(f"{folder}/no/{name}"),
    ):
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

    found: list[Line] = []
    refused = False
    for name in names:
        lines, error = invariants.read(Path(name))
        found += lines
        if error is not None:
            refused = True
            break
    if refused:
        with pytest.raises(PositionstoreError):
            _import(store, names)
        return
    done = _import(store, names)

    assert done.read == done.appended + done.duplicates + done.quarantined
    assert done.read == len(found)
    with store.connect() as connection:
        for what in found:
            fact = what.what if isinstance(what, Logged) else what
            query, value = (
                ("SELECT 1 FROM quarantine WHERE raw = %s", fact.raw)
                if isinstance(fact, Rejected)
                else ("SELECT 1 FROM events WHERE event_id = %s", fact.event_id)
            )
            assert connection.execute(query, [value]).fetchone()


def _import(store: Store, names: list[str]) -> Imported:
    return import_files(names, store.connect, now=NOW, batch_size=1000)
