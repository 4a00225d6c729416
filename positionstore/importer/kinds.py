"""Identifies files by their first bytes: accepted, decompressed, or refused with a remedy."""

import gzip
import io
import re
import sys
import zlib
from enum import Enum
from typing import Any, Final, NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FIRST_BYTES: Final = 4096
"""How many bytes of a file are looked at, at most."""

UNREADABLE: Final = (OSError, EOFError, zlib.error, zstd.ZstdError)
"""What a file raises that cannot be read on: the system, or a damage of what is packed."""


class Packing(Enum):
    """How a file is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"


class Refusal(NamedTuple):
    """Why a file is refused.

    Attributes:
        is_: its kind, as the end of a sentence that begins with its name and *is*.
        remedy: what to do.
    """

    is_: str
    remedy: str


_ZSTD: Final = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""A frame, or one to be skipped, which pzstd puts first."""

_AS_JSON_LINES: Final = "Write the log with `positionstore export events --format jsonl`."
_UNPACK: Final = "Unpack it first: `{} FILE | positionstore import -`."
_COMPACT: Final = "Write one envelope a line: `jq -c {} FILE | positionstore import -`."
_CONVERT: Final = "Convert it: `iconv -f {0} -t UTF-8 FILE | positionstore import -`."

_MAGIC: Final[tuple[tuple[bytes, Refusal], ...]] = (
    (b"PAR1", Refusal("Parquet", _AS_JSON_LINES)),
    (b"ARROW1\0", Refusal("an Arrow file", _AS_JSON_LINES)),
    (b"\xff\xff\xff\xff", Refusal("an Arrow stream", _AS_JSON_LINES)),
    (b"\xfd7zXZ\0", Refusal("packed by xz", _UNPACK.format("xz -dc"))),
    (b"BZh", Refusal("packed by bzip2", _UNPACK.format("bzip2 -dc"))),
    (b"\x04\x22\x4d\x18", Refusal("packed by lz4", _UNPACK.format("lz4 -dc"))),
    (b"PK\x03\x04", Refusal("a zip archive", _UNPACK.format("unzip -p"))),
    (b"PGDMP", Refusal("a dump of PostgreSQL", "Restore it with `pg_restore`.")),
    (b"--\n-- PostgreSQL database", Refusal("a dump of PostgreSQL", "Restore it with `psql`.")),
    (
        b"SQLite format 3\0",
        Refusal("an SQLite database", "A spool is drained by `positionstore ingest`."),
    ),
    (b"\xff\xfe\0\0", Refusal("UTF-32", _CONVERT.format("UTF-32"))),
    (b"\0\0\xfe\xff", Refusal("UTF-32", _CONVERT.format("UTF-32"))),
    (b"\xff\xfe", Refusal("UTF-16", _CONVERT.format("UTF-16"))),
    (b"\xfe\xff", Refusal("UTF-16", _CONVERT.format("UTF-16"))),
)

# Without a mark of the byte order, text that begins in ASCII shows by its zero bytes.
_SHAPES: Final[tuple[tuple[re.Pattern[bytes], Refusal], ...]] = (
    (re.compile(rb"[\t-~]\0\0\0"), Refusal("UTF-32", _CONVERT.format("UTF-32LE"))),
    (re.compile(rb"\0\0\0[\t-~]"), Refusal("UTF-32", _CONVERT.format("UTF-32BE"))),
    (re.compile(rb"[\t-~]\0[\t-~]\0"), Refusal("UTF-16", _CONVERT.format("UTF-16LE"))),
    (re.compile(rb"\0[\t-~]\0[\t-~]"), Refusal("UTF-16", _CONVERT.format("UTF-16BE"))),
    (
        re.compile(rb"\x1e?\s*\{(?:[ \t\r]*|[^\n]*[,:{\[][ \t\r]*)\n"),
        Refusal("JSON over several lines", _COMPACT.format(".")),
    ),
    (
        # Never valid on one line: nothing but the CR separates two values.
        re.compile(rb"[^\n]*[}\]]\r+[{\[]"),
        Refusal(
            "text whose lines end in CR alone",
            "Convert it: `tr '\\r' '\\n' < FILE | positionstore import -`.",
        ),
    ),
    (
        re.compile(rb"\s*\[\s*[\[{]|\s*\[[ \t\r]*\n"),
        Refusal("a JSON array", _COMPACT.format("'.[]'")),
    ),
    (
        re.compile(rb"\s*<(?:!doctype|\?xml|html|head|body|!--)", re.IGNORECASE),
        Refusal(
            "HTML or XML", "Look at it: it may be an error page in place of what you asked for."
        ),
    ),
    (
        re.compile(rb'"?[A-Za-z_][\w ]*"?(?:[,;\t]"?[A-Za-z_][\w ]*"?)+\r?\n'),
        Refusal("CSV", _AS_JSON_LINES),
    ),
)
_TAR_AT: Final = 257
"""Where a tar archive says that it is one."""

_BOM: Final = b"\xef\xbb\xbf"


def packing(first: bytes) -> Packing | None:
    """Return how a file that begins with ``first`` is compressed; None if it is not."""
    if first.startswith(b"\x1f\x8b"):
        return Packing.GZIP
    return Packing.ZSTD if _ZSTD.match(first) else None


def unpacked(file: io.BufferedReader, how: Packing) -> io.BufferedReader:
    """Return the decompressed contents of a file, in pieces of bounded size.

    Its first ``FIRST_BYTES`` can be peeked at, even across compressed parts.
    """
    packed = gzip.GzipFile(fileobj=file, mode="rb") if how is Packing.GZIP else zstd.ZstdFile(file)
    return io.BufferedReader(_Gathered(packed), FIRST_BYTES)


class _Gathered(io.RawIOBase):
    """The contents of a compressed file of several parts, read as one.

    Data before a damaged part is returned before the error is raised.
    """

    def __init__(self, packed: gzip.GzipFile | zstd.ZstdFile) -> None:
        self._packed = packed
        self._damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._damage is not None:
            raise self._damage
        view = memoryview(buffer).cast("B")
        filled = 0
        try:
            while filled < len(view) and (piece := self._packed.read1(len(view) - filled)):
                view[filled : filled + len(piece)] = piece
                filled += len(piece)
        except UNREADABLE as error:
            if not filled:
                raise
            self._damage = error
        return filled

    def close(self) -> None:
        self._packed.close()
        super().close()


def refusal(first: bytes) -> Refusal | None:
    """Return why a file that begins with ``first``, decompressed, is refused; None if not."""
    for magic, refused in _MAGIC:
        if first.startswith(magic):
            return refused
    if first[_TAR_AT:].startswith(b"ustar"):
        return Refusal("a tar archive", _UNPACK.format("tar -xOf"))
    text = first.removeprefix(_BOM)
    return next((refused for shape, refused in _SHAPES if shape.match(text)), None)
