"""What to try after a demo: commands to copy and paste."""

import os
import shlex
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Step:
    """A command to try.

    Attributes:
        words: what it shows.
        arguments: those of ``positionstore``.
        sql: the argument of ``psql -c``; without characters that are special in double quotes.
    """

    words: str
    arguments: str
    sql: str = ""


_WOULD_WIN: Final = ("DATABASE_URL", "DATABASE_URL_FILE", "POSITIONSTORE_SCHEMA")
"""Variables that lead to another store than the demo's."""

STEPS: Final = (
    Step(
        "Positions by status, in dollars",
        "db psql -c",
        """
        SELECT status, count(*) AS positions,
               round(sum(entry_collateral_usd_pips) / 10000, 2) AS collateral_usd,
               round(sum(result_net_realized_pnl_usd_pips) / 10000, 2) AS realized_usd
        FROM positions GROUP BY status ORDER BY positions DESC""",
    ),
    Step(
        "The events of one position as they arrived: created_at shows which were out of order",
        "db psql -c",
        """
        SELECT seq, type, status, created_at, received_at FROM events
        WHERE position_id = (
            SELECT position_id FROM events WHERE status IS NOT NULL
            GROUP BY position_id ORDER BY count(*) DESC LIMIT 1)
        ORDER BY seq""",
    ),
    Step(
        "The resulting row, which does not depend on the order of arrival",
        "db psql -x -c",
        """
        SELECT position_id, status, phase, market_title, side,
               last_event_type, last_event_at
        FROM positions
        WHERE position_id = (
            SELECT position_id FROM events WHERE status IS NOT NULL
            GROUP BY position_id ORDER BY count(*) DESC LIMIT 1)""",
    ),
    Step(
        "Each connection to the gateway: when, why it ended, events received and recovered",
        "db psql -c",
        """
        SELECT started_at, ended_at, end_reason, received, recovered, duplicates,
               quarantined
        FROM stream_sessions ORDER BY session_id""",
    ),
    Step(
        "What the reconciliation found and repaired",
        "db psql -c",
        """
        SELECT kind, field, resolution, count(*) FROM discrepancies
        GROUP BY kind, field, resolution ORDER BY count(*) DESC LIMIT 10""",
    ),
    Step("The inputs in quarantine, and why", "quarantine list"),
    Step("The store at a glance", "status"),
    Step("Your own queries (\\d+ positions shows the meaning of each column)", "db psql"),
)
"""Commands to try on the store of a demo."""


def commands(program: str, directory: Path, *, shielded: bool) -> list[tuple[str, str]]:
    """Return what each step shows, and the line or lines to paste.

    Args:
        program: how ``positionstore`` is called in a shell, quoted.
        directory: the demo's data directory.
        shielded: whether the user's own settings name a database, which would take precedence.
    """
    setting = f"POSITIONSTORE_DATA_DIR={_path(directory)}"
    pasted = []
    for step in STEPS:
        line = f"{setting} {program} {step.arguments}"
        if step.sql:
            sql = textwrap.indent(textwrap.dedent(step.sql).strip(), "  ")
            line += f' "\n{sql}"'
        if shielded:
            # From another directory, because the current one may have a .env file.
            unset = " ".join(f"-u {name}" for name in _WOULD_WIN)
            line = f"(cd / && env {unset} {line})"
        pasted.append((step.words, line))
    return pasted


def stop_command(program: str, data_dir: Path) -> str:
    """Return the line to paste to stop a demo that was left running.

    Args:
        program: how ``positionstore`` is called in a shell, quoted.
        data_dir: the data directory that the demo's own is in.
    """
    return f"POSITIONSTORE_DATA_DIR={_path(data_dir)} {program} demo --stop"


def shown(program: Sequence[str | Path], *, anywhere: bool) -> str:
    """Return a command as typed into a shell, with the shortest possible path.

    Args:
        program: the command's words.
        anywhere: whether it must work in any directory, not only in the current one.
    """
    return " ".join(
        _program(word, anywhere=anywhere) if isinstance(word, Path) else shlex.quote(word)
        for word in program
    )


def _program(path: Path, *, anywhere: bool) -> str:
    if (found := shutil.which(path.name)) is not None and Path(found).absolute() == path:
        return shlex.quote(path.name)
    here = Path.cwd()
    if path.is_relative_to(here) and not anywhere:
        relative = str(path.relative_to(here))
        # A bare name would be looked for on the PATH.
        return shlex.quote(relative if os.sep in relative else f"./{relative}")
    return _path(path)


def _path(path: Path) -> str:
    home = Path.home()
    if path.is_relative_to(home) and path != home:
        # The shell reads a tilde only where it is not quoted.
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    return shlex.quote(str(path))
