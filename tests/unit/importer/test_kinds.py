"""Files of the wrong kind are one line, packed ones are taken, captured lines are understood."""

import bz2
import gzip
import io
import json
import lzma
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import invariants
from support.invariants import as_lines
from support.kind_of_files import zstd
from support.wire_noise import VALID

from positionstore.dimes.decoder import decode
from positionstore.errors import ConfigurationError, PositionstoreError
from positionstore.importer.logged import Line
from positionstore.importer.reader import JsonLinesReader
from positionstore.model.facts import Rejected

TEXT = VALID.decode()
VALUE = json.loads(VALID)


def read(path: Path) -> list[Line]:
    with JsonLinesReader(str(path)) as lines:
        return [what for chunk in lines.chunks() for what in as_lines(chunk)]


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"seq": [1]}), file)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events.jsonl", TEXT)
    return file.getvalue()


def arrow(writer: type) -> bytes:
    file = io.BytesIO()
    table = pa.table({"seq": [1]})
    with writer(file, table.schema) as opened:
        opened.write_table(table)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("events.jsonl")
        member.size = len(VALID)
        archive.addfile(member, io.BytesIO(VALID))
    return file.getvalue()


WRONG = {
    "utf16": (TEXT.encode("utf-16"), "UTF-16", "iconv"),
    "utf16le": (TEXT.encode("utf-16-le"), "UTF-16", "iconv -f UTF-16LE"),
    "utf16be": (TEXT.encode("utf-16-be"), "UTF-16", "iconv -f UTF-16BE"),
    "utf32": (TEXT.encode("utf-32"), "UTF-32", "iconv"),
    "utf32le": (TEXT.encode("utf-32-le"), "UTF-32", "iconv -f UTF-32LE"),
    "pretty": (json.dumps(VALUE, indent=2).encode(), "several lines", "jq -c"),
    "pretty crlf": (json.dumps(VALUE, indent=2).replace("\n", "\r\n").encode(), "several", "jq"),
    "pretty bom": (b"\xef\xbb\xbf" + json.dumps(VALUE, indent=2).encode(), "several", "jq"),
    "half pretty": (b'{ "id": "a",\n  "type": "x"\n}\n', "several", "jq"),
    "cr": (TEXT.strip().encode() + b"\r" + TEXT.strip().encode() + b"\r", "CR alone", "tr "),
    "array": (json.dumps([VALUE, VALUE]).encode(), "array", "jq -c '.[]'"),
    "pretty array": (json.dumps([VALUE], indent=2).encode(), "array", "jq -c '.[]'"),
    "parquet": (parquet(), "Parquet", "--format jsonl"),
    "csv": (b"seq,event_id,position_id\n1,a,b\n", "CSV", "--format jsonl"),
    "xz": (lzma.compress(VALID), "xz", "xz -dc"),
    "bzip2": (bz2.compress(VALID), "bzip2", "bzip2 -dc"),
    "arrow file": (arrow(pa.ipc.RecordBatchFileWriter), "Arrow", "--format jsonl"),
    "arrow stream": (arrow(pa.ipc.RecordBatchStreamWriter), "Arrow", "--format jsonl"),
    "tar": (tarred(), "tar", "tar -xOf"),
    "zip": (zipped(), "zip", "unzip -p"),
    "html": (b"<!DOCTYPE html>\n<html>", "HTML", "error page"),
    "dump": (b"PGDMP\1\x0e", "PostgreSQL", "pg_restore"),
    "sql": (b"--\n-- PostgreSQL database dump\n--\n", "PostgreSQL", "psql"),
    "sqlite": (b"SQLite format 3\0", "SQLite", "ingest"),
}


def in_parts(content: bytes) -> bytes:
    """Pack it as ``cat one.gz two.gz`` does."""
    parts = (content[at : at + 20] for at in range(0, len(content), 20))
    return b"".join(map(gzip.compress, parts))


@pytest.mark.parametrize("packed", [lambda it: it, gzip.compress, zstd.compress, in_parts])
@pytest.mark.parametrize(("content", "kind", "remedy"), WRONG.values(), ids=WRONG)
def test_a_file_of_the_wrong_kind_is_refused_before_anything_is_read(
    tmp_path: Path, content: bytes, kind: str, remedy: str, packed: type[bytes]
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(packed(content))

    with pytest.raises(ConfigurationError) as raised, JsonLinesReader(str(path)):
        pass

    line = str(raised.value)
    assert line.isprintable()
    assert kind in line
    assert remedy in line
    assert "Nothing was imported" in line


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.jsonl.zst", "-"])
@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_what_is_packed_is_unpacked_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pack: type[bytes]
) -> None:
    content = pack(VALID + b"\n") + pack(VALID)
    (tmp_path / name).write_bytes(content)
    with io.TextIOWrapper(io.BytesIO(content)) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        found = read(Path("-") if name == "-" else tmp_path / name)

    assert found == [decode(VALID)] * 2


@pytest.mark.parametrize("name", ["a.zst", "a"])
def test_of_a_packed_file_that_is_cut_short_the_beginning_is_read(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(zstd.compress((VALID + b"\n") * 10_000)[:-8])
    found, error = invariants.read(path)

    assert error is not None
    assert "cannot be read" in error
    assert found == [decode(VALID)] * len(found)


def test_what_is_named_packed_and_is_not_is_an_error_as_before(tmp_path: Path) -> None:
    for name in ("a.gz", "a.zst"):
        (tmp_path / name).write_bytes(VALID)
        with pytest.raises(PositionstoreError, match="cannot be read at all"):
            read(tmp_path / name)


CAPTURED = {
    "name and envelope": b'["position.opened", %s]' % VALID,
    "packet": b'42/v1/partner,["position.opened",%s]' % VALID,
    "packet to acknowledge": b'42/v1/partner,17["position.opened",%s]' % VALID,
    "packet without a namespace": b'42["position.opened",%s]' % VALID,
    "packet with an offset": b'42/v1/partner,["position.opened",%s,"Bq1F"]' % VALID,
    "text sequence": b"\x1e" + VALID,
}


@pytest.mark.parametrize("line", CAPTURED.values(), ids=CAPTURED)
def test_lines_as_other_tools_capture_them_are_events(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "captured"
    path.write_bytes(line + b"\n" + line + b"\n")

    assert read(path) == [decode(VALID)] * 2


def test_several_packets_of_one_payload_are_several_events(tmp_path: Path) -> None:
    path = tmp_path / "captured"
    packet = CAPTURED["packet"]
    path.write_bytes(packet + b"\x1e" + packet)

    assert read(path) == [decode(VALID)] * 2


@pytest.mark.parametrize("line", [b'["position.opened"]', b"42", b'42/ns,["a",1]', b"[]", b"2"])
def test_a_packet_without_an_event_is_kept_whole(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "captured"
    path.write_bytes(line)

    [what] = read(path)

    assert isinstance(what, Rejected)
    assert what.raw == line
