"""Places in an object store: ``s3://``, ``gs://``, ``abfs://`` by pyarrow, others by fsspec.

No rename is atomic there, but an object appears at once, when all of it was uploaded. So files are
written to a local disk first, then uploaded; of an increment the marker comes last.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from positionstore.errors import ConfigurationError, PositionstoreError, first_line
from positionstore.export.destinations import Begin
from positionstore.export.formats import Piece
from positionstore.extras import arrow_needed
from positionstore.files import finish

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_OPTIONS: Final = {"region", "scheme", "endpoint_override"}
"""What a URL may have behind a question mark; anything else may be a secret."""
_WORDS: Final = 300


def is_url(place: str) -> bool:
    """Whether a place is in an object store and no path of this machine."""
    return _URL.match(place) is not None


def check_url(url: str) -> None:
    """Refuse a URL with a secret in it, which the list of processes would show.

    Raises:
        ConfigurationError: it has one, or may have.
    """
    parts = urlsplit(url)
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    container = parts.scheme in {"abfs", "abfss"}  # there it is the container that precedes the @
    if parts.password is not None or (parts.username and not container) or options - _OPTIONS:
        raise ConfigurationError(
            f"The URL of --out has more than a place and {', '.join(sorted(_OPTIONS))}.",
            remedy="Keys come from the environment or the profile of the object store's own tools,"
            " such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )


class _Objects:
    """A file system and a place in it."""

    def __init__(self, url: str) -> None:
        check_url(url)
        with arrow_needed():
            import pyarrow as pa  # noqa: PLC0415 - local files do without
            from pyarrow import fs  # noqa: PLC0415 - the same
        self.url, self._fs = url.partition("?")[0].rstrip("/"), fs
        with _errors(self.url):
            try:
                self.files, self.root = fs.FileSystem.from_uri(url)
            except pa.ArrowInvalid:
                self.files, self.root = _by_fsspec(url, fs)

    def list(self) -> dict[str, int]:
        with _errors(self.url):
            found = self.files.get_file_info(
                self._fs.FileSelector(self.root, recursive=True, allow_not_found=True)
            )
        return {
            info.path.removeprefix(self.root).lstrip("/"): info.size
            for info in found
            if info.type is self._fs.FileType.File
        }

    def upload(self, source: Path, path: str) -> None:
        target = f"{self.root}/{path}" if path else self.root
        with _errors(self.url):
            if isinstance(self.files, self._fs.PyFileSystem):
                self.files.create_dir(target.rpartition("/")[0])
            self._fs.copy_files(
                str(source.absolute()),
                target,
                source_filesystem=self._fs.LocalFileSystem(),
                destination_filesystem=self.files,
            )
            size = self.files.get_file_info(target).size
            if size != source.stat().st_size:
                self.files.delete_file(target)
                raise OSError(f"{size} bytes arrived of {source.stat().st_size}")

    def read(self, path: str) -> bytes:
        with _errors(self.url), self.files.open_input_stream(f"{self.root}/{path}") as file:
            return bytes(file.read())

    def delete(self, path: str) -> None:
        with _errors(self.url):
            self.files.delete_file(f"{self.root}/{path}")


class ObjectFolder:
    """A folder of an object store.

    Raises:
        ConfigurationError: the URL cannot be used.
        PositionstoreError: the object store refuses, or cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._objects = _Objects(url)
        self.name = self.key = self._objects.url

    def sizes(self) -> Mapping[str, int]:
        """Return the size of each file, by its path."""
        return self._objects.list()

    def read(self, path: str) -> bytes:
        """Return a small file's contents."""
        return self._objects.read(path)

    def staging(self) -> Path:
        """Return a new local folder."""
        return Path(tempfile.mkdtemp(prefix="positionstore-export-"))

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, in this order."""
        for path in paths:
            self._objects.delete(path)

    def put(self, files: Mapping[str, Path]) -> None:
        """Upload complete files, in this order."""
        for path, source in files.items():
            self._objects.upload(source, path)

    def write(self, path: str, content: bytes) -> None:
        """Upload a small file."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self._objects.upload(Path(file.name), path)

    def replace_by(self, files: Mapping[str, Path]) -> None:
        """Upload the files and then the marker, where nothing is to be replaced yet.

        Raises:
            ConfigurationError: there is something.
        """
        self.put(files)


class ObjectFile:
    """One object; replaces one of the same name, at once."""

    def __init__(self, url: str, begin: Begin) -> None:
        self.files, self.size = 1, 0
        self._objects, self._begin = _Objects(url), begin

    def __enter__(self) -> Self:
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(prefix="positionstore-export-")
        self._writer = self._begin(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            self._writer.close(whole=kind is None)
            if kind is None:
                self.size = finish(self._file)
                self._objects.upload(Path(self._file.name), "")

    def write(self, piece: Piece) -> None:
        """Write a piece."""
        self._writer.write(piece.content)


def _by_fsspec(url: str, fs: Any) -> tuple[Any, str]:
    scheme = url.partition("://")[0]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415 - few places need it

        found, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"Nothing here knows places that begin with {scheme}://: {error}.",
            remedy="pyarrow knows s3, gs and abfs; for another, install fsspec and the package that"
            " it names.",
        ) from None
    return fs.PyFileSystem(fs.FSSpecHandler(found)), root


@contextlib.contextmanager
def _errors(url: str) -> Iterator[None]:
    """Say in one line what an object store says."""
    try:
        yield
    except OSError as error:
        said = first_line(error)[:_WORDS].rstrip(".")
        raise PositionstoreError(
            f"{url} cannot be used: {said}.",
            remedy="Check the place, the keys and the endpoint: AWS_ENDPOINT_URL, AWS_REGION.",
        ) from None
