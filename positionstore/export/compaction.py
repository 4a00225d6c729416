"""Merges the small files that increments leave behind, a day's into one.

The new folder is built beside the old one and takes its place in one step. Files that need no
merging are hard links in it, so only what is merged is written.
"""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

from positionstore.errors import ConfigurationError
from positionstore.export.folders import LocalFolder, link
from positionstore.export.formats import Format
from positionstore.export.increments import DataFile, FolderContents, Increment, stem
from positionstore.extras import arrow_needed
from positionstore.files import finish, write_small


def compact(folder: LocalFolder, contents: FolderContents, form: Format) -> None:
    """Merge each day's files into one, and all increments into one.

    Args:
        folder: the folder.
        contents: what it holds; every file of it is complete.
        form: the files' format.

    Raises:
        ConfigurationError: the folder has a hole.
    """
    plan = contents.plan(None)
    if plan.stale:
        raise ConfigurationError(f"{folder.name} has files that no marker names.")
    markers = contents.markers
    files = sorted((file.path for each in markers for file in each.files), key=_order)
    days = [list(own) for _, own in itertools.groupby(files, key=_day)]
    if all(len(day) == 1 for day in days):
        return
    span = (markers[0].first_seq, markers[-1].last_seq)
    staging = folder.staging()
    try:
        made: dict[str, Path] = {}
        for day in days:
            sources = [folder.path / path for path in day]
            merged = str(Path(day[0]).with_name(f"{stem(markers[0].what, span)}.{form}"))
            target = staging / merged
            target.parent.mkdir(parents=True, exist_ok=True)
            if len(day) > 1 and _merge(sources, target, form):
                made[merged] = target
                continue
            target.unlink(missing_ok=True)
            for path in day:
                link(folder.path / path, staging / path)
                made[path] = staging / path
        marker = Increment(
            markers[0].what,
            *span,
            sum(each.rows for each in markers),
            tuple(DataFile(path, source.stat().st_size) for path, source in made.items()),
        )
        write_small(staging / "marker", marker.encoded())
        folder.replace_by({**made, marker.path: staging / "marker"})
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _day(path: str) -> str:
    return path.rpartition("/")[0]


def _order(path: str) -> tuple[str, str]:
    # Later increments have later names: an increment's parts follow each other, and so do they.
    folder, _, name = path.rpartition("/")
    base, _, part = name.partition(".")[0].partition("_")
    return folder, f"{base}_{part:0>9}"


def _merge(sources: Sequence[Path], target: Path, form: Format) -> bool:
    """Write the rows of files into one; False where their columns differ."""
    match form:
        case Format.PARQUET:
            return _merge_parquet(sources, target)
        case Format.CSV:
            return _merge_texts(sources, target, header=True)
        case _:
            return _merge_texts(sources, target, header=False)


def _merge_parquet(sources: Sequence[Path], target: Path) -> bool:
    with arrow_needed():
        import pyarrow.parquet as pq  # noqa: PLC0415 - the other formats do without

    schema = pq.read_schema(sources[0])
    if not all(pq.read_schema(source).equals(schema) for source in sources[1:]):
        return False
    with target.open("xb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for source in sources:
                with pq.ParquetFile(source) as read:
                    for batch in read.iter_batches():
                        writer.write_batch(batch)
        finish(file)
    return True


def _merge_texts(sources: Sequence[Path], target: Path, *, header: bool) -> bool:
    first = b""
    with target.open("xb") as file:
        for source in sources:
            with source.open("rb") as read:
                line = read.readline() if header else b""
                if source == sources[0]:
                    first = line
                    file.write(line)
                elif line != first:
                    return False
                shutil.copyfileobj(read, file)
        finish(file)
    return True
