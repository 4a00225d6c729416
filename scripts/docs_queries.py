"""The documented queries in ``docs/queries/*.sql``, each with its description.

In a file each query follows ``-- name: its name``, optionally with ``-- title:`` and a
description. ``:'position'``, ``:'wallet'`` and ``:'market'`` are filled in, as psql would do it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import psycopg

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "queries"

_PLACEHOLDER: Final = re.compile(r":'(\w+)'")
_MARK: Final = re.compile(r"^-- (section|name|title|reads): (.+)$")


@dataclass(frozen=True, slots=True)
class Query:
    """A documented query.

    Attributes:
        name: its name, unique in its file.
        section: its section of the page; empty if there is none.
        title: the question it answers; empty for the example of a view.
        text: its description.
        sql: with placeholders.
        reads_whole_log: whether it may read all of ``events``.
    """

    name: str
    section: str
    title: str
    text: str
    sql: str
    reads_whole_log: bool

    def filled(self, names: Mapping[str, str]) -> str:
        """Return the SQL with the placeholders filled in."""
        return _PLACEHOLDER.sub(lambda match: f"'{names[match[1]]}'", self.sql)


@cache
def documented(file: str) -> tuple[Query, ...]:
    """Return the queries of a file, in its order."""
    section = ""
    found = []
    for block in (FOLDER / f"{file}.sql").read_text(encoding="utf-8").split("\n\n"):
        marks: dict[str, str] = {}
        said: list[str] = []
        lines: list[str] = []
        for line in block.splitlines():
            if match := _MARK.match(line):
                marks[match[1]] = match[2]
            elif line.startswith("--") and not lines:
                said.append(line.removeprefix("--").strip())
            else:
                lines.append(line)
        section = marks.get("section", section)
        if "name" in marks:
            found.append(
                Query(
                    name=marks["name"],
                    section=section,
                    title=marks.get("title", ""),
                    text="\n".join(said),
                    sql="\n".join(lines),
                    reads_whole_log=marks.get("reads") == "the whole log",
                )
            )
    return tuple(found)


def all_documented() -> tuple[Query, ...]:
    """Return the queries of every page."""
    return tuple(query for file in ("views", "cookbook") for query in documented(file))


def shown(connection: psycopg.Connection, query: Query, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a query and its result, as lines of Markdown.

    Raises:
        LookupError: it returns no rows.
    """
    text = query.filled(names)
    yield f"```sql\n{text}\n```\n"
    cursor = connection.execute(text.encode())
    columns = [column.name for column in cursor.description or ()]
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    rows = cursor.fetchall()
    if not rows:
        raise LookupError(f"{query.name} gives nothing")
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    yield ""


def _cell(value: object) -> str:
    match value:
        case None:
            text = ""
        case bool():
            text = "t" if value else "f"
        case datetime():
            text = value.astimezone(UTC).isoformat(" ").removesuffix("+00:00")
        case timedelta():
            # Python would call a second less than nothing "-1 day, 23:59:59".
            text = f"-{-value}" if value < timedelta() else str(value)
        case list():
            text = ", ".join(map(str, value))
        case _:
            text = str(value)
    return text.replace("|", "\\|")
