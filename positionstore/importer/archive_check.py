"""Checks archives against the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from positionstore.errors import PositionstoreError
from positionstore.extras import arrow_needed
from positionstore.store import archived, archives


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault.

    Attributes:
        what: the position, the archive or the file.
        fault: what is wrong with it.
    """

    what: str
    fault: str


@dataclass(frozen=True, slots=True)
class Away:
    """The archived facts.

    Attributes:
        positions: the number of positions with archived facts.
        archives: the number of archives.
        proved: how many of these were read and match the log; 0 without a folder.
        findings: the faults.
    """

    positions: int
    archives: int
    proved: int
    findings: list[Finding]


def check(connection: psycopg.Connection, folder: Path | None = None) -> Away:
    """Check that archives match the log, that no position needs them, and that files are complete.

    Args:
        connection: to the store.
        folder: the folder of the files; None to skip them.

    Raises:
        ConfigurationError: the files cannot be read without an extra that is not installed.
    """
    positions, number = archived.count(connection)
    findings = [
        Finding(name, "the log, archives and archived_positions disagree about it")
        for name in archived.faulty(connection)
    ]
    findings += [
        Finding(
            position_id,
            f"a fact came with which its archive is needed: positionstore import {file}",
        )
        for position_id, file in archived.needing(connection)
    ]
    proved = 0
    if folder is not None:
        for archive in archived.standing(connection):
            digests = archived.digests_of(connection, archive.archive_id)
            fault = _fault(folder / archive.file, archive, digests)
            if fault is None:
                proved += 1
            else:
                findings.append(Finding(archive.file, fault))
    return Away(positions, number, proved, findings)


def _fault(path: Path, archive: archives.Archive, digests: Mapping[str, str]) -> str | None:
    with arrow_needed():
        from positionstore.store.archive_file import ArchiveReader  # noqa: PLC0415 - needs an extra
    if not path.exists():
        return f"it is not in {path.parent}"
    try:
        digest = ArchiveReader(path).prove()
    except PositionstoreError as error:
        return str(error)
    of_positions = digest.by_position()
    if digest.hexdigest() != archive.digest or any(
        of_positions.get(position_id) != known for position_id, known in digests.items()
    ):
        return "its facts are others than the log tells of"
    return None
