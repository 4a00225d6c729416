"""What is said about a run: figures, the machine, tables."""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmark.bed import Bed

# What json.dumps takes.
Json = Any


def say(line: str) -> None:
    """Show the progress."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number, and the floor or the ceiling it is held to.

    Attributes:
        name: for programs.
        title: for people.
        value: the number.
        unit: what follows it.
        at_least: the floor.
        below: the ceiling.
        said: what it was made of, for people.
        measured: the same, for programs.
    """

    name: str
    title: str
    value: float
    unit: str = ""
    at_least: float | None = None
    below: float | None = None
    said: str
    measured: Mapping[str, float | int]

    @property
    def met(self) -> bool:
        """Whether it holds."""
        if self.at_least is not None and self.value < self.at_least:
            return False
        return self.below is None or self.value < self.below

    def as_json(self) -> dict[str, Json]:
        """Return it for the report."""
        return {**asdict(self), "met": self.met}


def machine(bed: Bed) -> dict[str, Json]:
    """Return what it is measured on."""
    with psycopg.connect(bed.server.url("postgres")) as connection:
        settings = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0]
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        }
    return {
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": settings,
    }


def print_report(report: Mapping[str, Json]) -> None:
    """Print a run's report as tables."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    facts, workload = report["machine"], report["workload"]
    database = facts["postgresql"]
    console.print(
        f"{facts['cores']} cores ({facts['system']}), "
        f"load {facts['load_average'][0]} at the start, {facts['load_average_at_end'][0]} at the "
        f"end; Python {facts['python']}; "
        f"PostgreSQL {database['server_version']}, fsync {database['fsync']}, "
        f"shared_buffers {database['shared_buffers']}",
        highlight=False,
    )
    console.print(
        f"{workload['lines']:,} envelopes of {workload['bytes_each']:,} bytes, "
        f"{workload['events']:,} of them new, {workload['positions']:,} positions"
        + ("; --quick: too small to judge by" if report["quick"] else ""),
        highlight=False,
    )
    table = Table("figure", "", "floor", "", "made of")
    for figure in report["figures"]:
        floor = (
            f"≥ {figure['at_least']:g}"
            if figure["at_least"] is not None
            else f"< {figure['below']:g}"
        )
        table.add_row(
            figure["title"],
            f"{figure['value']:.2f}{figure['unit']}",
            f"{floor}{figure['unit']}",
            "met" if figure["met"] else "missed",
            figure["said"],
        )
    if report["figures"]:
        console.print(table)
    if report["indexes"]:
        _print_indexes(console, report["indexes"])
    if report["costs"]:
        _print_costs(console, report["costs"])


def _print_indexes(console: Console, indexes: list[Json]) -> None:
    table = Table(
        "index", "with / without", "with, µs/event", "without", "bytes/event",
        title="What an index costs the import, server's CPU time",
    )  # fmt: skip
    for cost in indexes:
        table.add_row(
            cost["name"],
            f"{cost['ratio']:.3f}",
            f"{cost['with_it']:.1f}",
            f"{cost['without']:.1f}",
            f"{cost['bytes_each']:.1f}",
        )
    console.print(table)


def _print_costs(console: Console, costs: list[Json]) -> None:
    table = Table("step", "client, µs/event", "server, µs/event", title="CPU time of an import")
    for cost in costs:
        table.add_row(cost["step"], f"{cost['client']:.1f}", f"{cost['server']:.1f}")
    client, server = (sum(cost[side] for cost in costs) for side in ("client", "server"))
    table.add_section()
    table.add_row("all", f"{client:.1f}", f"{server:.1f}")
    console.print(table)
