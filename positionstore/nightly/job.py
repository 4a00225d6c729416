"""Reconciles in full, and leaves a report in a directory."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from positionstore.errors import BusyError, ConfigurationError, PositionstoreError
from positionstore.escaping import json_text
from positionstore.log import get_logger
from positionstore.nightly.report_html import Contents, page
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import EXIT_FAILED, RunReport, as_dict
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.settings import Settings
from positionstore.store import backfills
from positionstore.store.database import opened
from positionstore.store.nights import nights

_log = get_logger(__name__)

NIGHTS: Final = 30
_NAME: Final = re.compile(r"nightly-\d{4}-\d\d-\d\dT\d{6}Z\.(json|html)")
_TURN: Final = 10.0
_PATIENCE: Final = 3600.0
"""Seconds; another run, of the service for one, is waited for."""


@dataclass(frozen=True, slots=True)
class Left:
    """The result of the job.

    Attributes:
        json: the report for machines.
        html: the report for a person.
        exit_code: 0: nothing differs, or everything was repaired; 3: differences or invalid
            fields remain; 1: it failed; 2: the settings are wrong.
        error: why it could not run; the caller raises it again.
    """

    json: Path
    html: Path
    exit_code: int
    error: Exception | None


async def nightly(
    settings: Settings,
    directory: Path,
    *,
    keep: int,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    progress: Callable[[RunReport], None] = lambda _: None,
) -> Left:
    """Reconcile in full and leave a report, also if that fails.

    Args:
        settings: the API, the credentials and the database.
        directory: the folder for the reports; created if missing.
        keep: how many to keep.
        clock: our time, UTC.
        sleep: waits for seconds.
        progress: called after each page.

    Raises:
        ConfigurationError: the directory cannot be used.
    """
    _prepare(directory)
    made_at = clock()
    report, last_nights, gaps = None, None, None
    failure: Exception | None = None
    try:
        with opened(settings) as store:
            reconciler = Reconciler(settings, store)
            try:
                report = await _in_turn(
                    lambda: reconciler.run(Trigger.NIGHTLY, Scope.full(), progress=progress), sleep
                )
            except (BusyError, ConfigurationError) as error:
                failure = error  # the store can be asked all the same
            with store.connect() as connection:
                last_nights = nights(connection, last=made_at.date(), count=NIGHTS)
                gaps = backfills.unrepaired(connection)
    except (PositionstoreError, psycopg.Error) as error:
        failure = error
    contents = Contents(made_at, report, _in_a_line(failure), last_nights, NIGHTS, gaps)
    left = _write(directory, contents, _exit_code(report, failure), failure)
    _prune(directory, keep)
    return left


def _in_a_line(failure: Exception | None) -> str:
    if failure is None:
        return ""
    return (str(failure).splitlines() or [type(failure).__name__])[0]


def _exit_code(report: RunReport | None, failure: Exception | None) -> int:
    if isinstance(failure, PositionstoreError):
        return failure.exit_code
    return EXIT_FAILED if report is None or failure is not None else report.exit_code


async def _in_turn(
    run: Callable[[], Awaitable[RunReport]], sleep: Callable[[float], Awaitable[None]]
) -> RunReport:
    waited = 0.0
    while True:
        try:
            return await run()
        except BusyError:
            if waited >= _PATIENCE:
                raise
            if not waited:
                _log.info("waiting_for_another_reconciliation")
        await sleep(_TURN)
        waited += _TURN


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The reports cannot be kept in {directory}: {error.strerror}.",
            remedy="Name another with --directory.",
        ) from None


def _write(directory: Path, contents: Contents, code: int, failure: Exception | None) -> Left:
    name = f"nightly-{contents.made_at:%FT%H%M%SZ}"
    text = json_text(_plain(contents, code), indent=1)
    left = Left(directory / f"{name}.json", directory / f"{name}.html", code, failure)
    for path, written in ((left.json, text), (left.html, page(contents))):
        for target in (path, directory / f"latest{path.suffix}"):
            _replace(target, written)
    return left


def _plain(contents: Contents, code: int) -> dict[str, object]:
    gaps, shown = contents.gaps, contents.nights
    return {
        "made_at": contents.made_at,
        "exit_code": code,
        "error": contents.error or None,
        "run": None if contents.report is None else as_dict(contents.report),
        "gaps": None if gaps is None else asdict(gaps),
        "nights": None if shown is None else [asdict(night) for night in shown],
    }


def _replace(path: Path, text: str) -> None:
    """Replace a file atomically: readers see the old or the new one."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, encoding="utf-8", errors="backslashreplace")
    aside.replace(path)


def _prune(directory: Path, keep: int) -> None:
    reports: dict[str, list[Path]] = {}
    for path in directory.iterdir():
        if _NAME.fullmatch(path.name):
            reports.setdefault(path.stem, []).append(path)
    for stem in sorted(reports)[:-keep]:
        for path in reports[stem]:
            with suppress(OSError):  # another process has deleted it
                path.unlink()
