"""Reconciles in full, and leaves a report in a directory."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psycopg

from positionstore.errors import BusyError, ConfigurationError, PositionstoreError
from positionstore.escaping import json_text
from positionstore.log import get_logger
from positionstore.model.wording import dollars
from positionstore.nightly.contents import MOST_LISTED, Contents, action, verdict
from positionstore.nightly.report_html import page
from positionstore.nightly.report_text import text as report_text
from positionstore.reconcile.reconciler import Reconciler
from positionstore.reconcile.report import EXIT_FAILED, RunReport, as_dict
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.settings import Settings
from positionstore.store import backfills, differing
from positionstore.store.database import opened
from positionstore.store.differing import Differing, StillDiffering
from positionstore.store.identity import identity
from positionstore.store.invalid_fields import InvalidField, invalid_fields
from positionstore.store.known import database_name
from positionstore.store.nights import Night, nights

_log = get_logger(__name__)

NIGHTS: Final = 30
_NAME: Final = re.compile(r"nightly-\d{4}-\d\d-\d\dT\d{6}Z\.(json|html|txt)")
_TURN: Final = 10.0
_PATIENCE: Final = 3600.0
"""Seconds; another run, of the service for one, is waited for."""


@dataclass(frozen=True, slots=True)
class Left:
    """The result of the job.

    Attributes:
        json: the report for machines.
        html: the report for a person.
        text: the same as text, for a mail.
        exit_code: 0: nothing differs, or everything was repaired; 3: differences or invalid
            fields remain; 1: it failed; 2: the settings are wrong, or the key is refused.
        error: why it could not run; the caller raises it again.
    """

    json: Path
    html: Path
    text: Path
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
    report, found = None, _Found()
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
                found = _look(connection, made_at)
    except (PositionstoreError, psycopg.Error) as error:
        failure = error
    if failure is not None:
        _log.error("nightly_failed", error=_in_a_line(failure))
    contents = Contents(
        made_at=made_at,
        environment=found.environment or _by_credentials(settings),
        database=database_name(settings),
        version=f"positionstore {version('positionstore')}",
        report=report,
        error=_in_a_line(failure),
        nights=found.nights,
        nights_shown=NIGHTS,
        gaps=found.gaps,
        differing=found.differing,
        invalid_fields=found.invalid_fields,
    )
    left = _write(directory, contents, _exit_code(report, failure), failure)
    _prune(directory, keep)
    return left


@dataclass(frozen=True, slots=True)
class _Found:
    """What the store says when the run has ended; None where it could not be asked."""

    environment: str | None = None
    nights: list[Night] | None = None
    gaps: backfills.Unrepaired | None = None
    differing: StillDiffering | None = None
    invalid_fields: list[InvalidField] | None = None


def _look(connection: psycopg.Connection, now: datetime) -> _Found:
    environment = identity(connection)
    return _Found(
        environment=environment.value if environment else None,
        nights=nights(connection, last=now.date(), count=NIGHTS),
        gaps=backfills.unrepaired(connection),
        differing=differing.listed(connection, at_most=MOST_LISTED, in_flux=True),
        invalid_fields=invalid_fields(connection),
    )


def _by_credentials(settings: Settings) -> str:
    try:
        return f"{settings.environment}, by the credentials"
    except ConfigurationError:
        return "not known"


def _in_a_line(failure: Exception | None) -> str:
    if failure is None:
        return ""
    return (str(failure).splitlines() or [type(failure).__name__])[0]


def _exit_code(report: RunReport | None, failure: Exception | None) -> int:
    if isinstance(failure, PositionstoreError):
        return failure.exit_code
    if report is None or failure is not None:
        return EXIT_FAILED
    return ConfigurationError.exit_code if report.refused else report.exit_code


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
    json, html, text = (directory / f"{name}.{form}" for form in ("json", "html", "txt"))
    left = Left(json, html, text, code, failure)
    forms = {
        json: json_text(_plain(contents, code), indent=1),
        html: page(contents),
        text: report_text(contents),
    }
    for path, written in forms.items():
        for target in (path, directory / f"latest{path.suffix}"):
            _replace(target, written)
    return left


def _plain(contents: Contents, code: int) -> dict[str, object]:
    report, found = contents.report, contents.differing
    return {
        "made_at": contents.made_at,
        "environment": contents.environment,
        "database": contents.database,
        "version": contents.version,
        "exit_code": code,
        "verdict": verdict(contents)[1],
        "error": contents.error or None,
        "run": None if report is None else as_dict(report),
        "errors": None if report is None else report.errors,
        "unresolved": None if found is None else [_position(each) for each in found.positions],
        "unresolved_in_all": None if found is None else found.in_all,
        "unresolved_usd_pips": None if found is None else int(found.value_usd_pips),
        "invalid_fields": _dicts(contents.invalid_fields),
        "gaps": None if contents.gaps is None else asdict(contents.gaps),
        "nights": _dicts(contents.nights),
    }


def _dicts(rows: Sequence[Night] | Sequence[InvalidField] | None) -> list[object] | None:
    return None if rows is None else [asdict(row) for row in rows]


def _position(position: Differing) -> dict[str, object]:
    todo = action(position)
    return asdict(position) | {
        "value_usd": dollars(position.value_usd_pips) or None,
        "what_to_do": todo.words,
        "command": todo.command or None,
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
