"""Whatever came over the wire, no command lets it speak to a terminal, a log, a CSV or a page.

Every command is run on a store, and with a vendor, whose every text means harm: once on a terminal
and once without. A command that is not listed here fails the test.
"""

import csv
import io
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unicodedata import category
from urllib.parse import quote

import psycopg
import pytest
from support.hostile_texts import REJECTED, TEXTS, captured
from support.hostile_vendor import Vendor, serving
from support.postgres import fresh_database
from support.programs import ROOT
from support.roles import drop_roles
from support.terminals import Shown, run
from support.waiting import wait_until
from typer.core import TyperGroup

from positionstore.cli.commands import COMMANDS, SCRIPTS, load
from positionstore.dimes.json_exact import sanitize_text
from positionstore.embedded.server import EmbeddedServer
from positionstore.escaping import printable
from positionstore.store.grants import Roles

NAME: Final = "x\x1b]0;owned\x07\u202e[bold]"
"""Part of a file's name, a database's and a variable's."""

PREFIX: Final = f"test_{uuid.uuid4().hex[:12]}"

# What our tables, bars and log lines are made of: colours, a line drawn anew, the cursor hidden.
DRAWN: Final = re.compile(
    r"\x1b\[(?:0|1|2|22|3|4|(?:[12];)?(?:3[0-7]|9[0-7])|38;5;\d{1,3}|38;2;\d+;\d+;\d+)?"
    r"(?:;(?:1|2|3[0-7]))?m"
    r"|\x1b\[(?:2K|1A|\?25[lh])|\r\n|\r"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command as it is typed, and what it is to do.

    Attributes:
        of: the command's name, with its group's.
        arguments: the rest.
        code: how it ends, without a terminal and on one.
        shows: what is to be read in what it writes, as it is shown.
        before: what is done to the store first.
        environment: variables besides.
        unwell: whether the vendor's API answers with errors.
        alone: whether nothing else may happen meanwhile.
        exact: whether its output is exact where it is no terminal.
        foreign: whether it is another program that writes: of controls alone we are sure.
        script: the file of scripts/ that is run instead, if it is one.
        checks: looks at its standard output where that is no terminal.
    """

    of: str
    arguments: tuple[str, ...] = ()
    code: int | tuple[int, int] = 0
    shows: tuple[str, ...] = ()
    before: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    unwell: bool = False
    alone: bool = False
    exact: bool = False
    foreign: bool = False
    script: str = ""
    checks: Callable[["Stage", str], None] | None = None

    def __str__(self) -> str:
        return printable(" ".join((self.of, *self.arguments)))[:60]


@dataclass(frozen=True)
class Stage:
    """A store, a vendor and a folder."""

    url: str
    vendor: Vendor
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / f"data {NAME}"

    def drop_roles(self) -> None:
        """Drop what `positionstore roles` made, if it did."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_roles WHERE rolname = %s", [Roles(PREFIX).names[0]]
            ).fetchone()
        if found:
            drop_roles(self.url, Roles(PREFIX))

    def environment(self, case: Case) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name.startswith("PYTHON")},
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "DATABASE_URL": self.url,
            "DIMES_API_KEY": "dm_sbx_skey_0123456789abcdef0123456789abcdef",
            "DIMES_BASE_URL": self.vendor.url,
            "POSITIONSTORE_DATA_DIR": str(self.data),
            "POSITIONSTORE_HTTP_RATE": "1000",
            "POSITIONSTORE_HTTP_RETRY_BUDGET": "0",
            "POSITIONSTORE_RECONNECT_CAP": "0.1",
            "POSITIONSTORE_SETTLE_WINDOW": "0",
            "POSITIONSTORE_LISTEN": "off",
            f"POSITIONSTORE_{NAME}": "a slip",
        } | case.environment

    def _reach_another_second(self) -> None:
        """Let a repair follow the one before it: a ``Date`` has whole seconds."""
        wait_until(lambda: time.time() >= self.vendor.answered_at + 2, "a later Date")

    def run(self, case: Case, *, terminal: bool) -> Shown:
        if case.before:
            self._reach_another_second()
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(case.before.encode())
        self.vendor.unwell = case.unwell
        called = [str(ROOT / "scripts" / case.script)] if case.script else case.of.split()
        return run(
            [*called, *case.arguments],
            environment=self.environment(case),
            folder=self.folder,
            terminal=terminal,
        )


@pytest.fixture(scope="module")
def stage(
    embedded_server: EmbeddedServer, store_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Everything is filled once, by a command of ours."""
    folder = tmp_path_factory.mktemp("hostile")
    with (
        fresh_database(embedded_server, store_template, name=NAME) as url,
        serving() as vendor,
    ):
        stage = Stage(url, vendor, folder)
        (folder / EVENTS).write_bytes(captured())
        (folder / BROKEN).write_bytes(b"no gzip")
        (stage.data / "spool" / f"20260701T000000.000000Z-{NAME}.damaged").mkdir(parents=True)
        filled = stage.run(Case(of="import", arguments=(EVENTS,)), terminal=False)
        assert filled.code == 3, filled
        repaired = Case(of="backfill", arguments=SINCE, before=TAMPER)
        assert stage.run(repaired, terminal=False).code == 0
        yield stage
        stage.drop_roles()


def as_json(text: str) -> Any:
    """Read what a program reads: one line of JSON."""
    [line] = text.splitlines()
    return json.loads(line)


def one_line_of_json(_: Stage, out: str) -> None:
    assert as_json(out)


def the_log_is_exact(_: Stage, out: str) -> None:
    facts = [json.loads(line) for line in out.splitlines()[: len(TEXTS)]]
    came = [json.loads(line) for line in captured().splitlines()[: len(TEXTS)]]
    assert [fact["envelope"] for fact in facts] == came
    assert [fact["type"] for fact in facts] == [sanitize_text(each["type"]) for each in came]


def the_rejected_are_all_there(_: Stage, out: str) -> None:
    assert len(as_json(out)) >= len(REJECTED)


def the_input_is_exact(_: Stage, out: str) -> None:
    assert as_json(out)["raw"].encode() == REJECTED[0]


def the_ids_are_exact(_: Stage, out: str) -> None:
    found = {each["position_id"] for each in as_json(out)["differences"]}
    assert found >= set(IDS)


def the_runs_are_exact(_: Stage, out: str) -> None:
    runs = as_json(out)["runs"]
    found = {each["position_id"] for run in runs for each in run["discrepancies"]}
    assert found >= set(IDS)


def the_statuses_are_exact(_: Stage, out: str) -> None:
    assert set(as_json(out)["positions_by_status"]) >= set(IDS)


def no_cell_is_a_formula(_: Stage, out: str) -> None:
    rows = list(csv.reader(io.StringIO(out)))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) > len(IDS)
    for cell in (cell for row in rows for cell in row):
        assert re.match(r" *[^=+\-@\uff1d ]|$|-[\d:.]+$", cell), cell


def every_line_is_an_object(_: Stage, out: str) -> None:
    assert len(out.splitlines()) > len(IDS)
    for line in out.splitlines():
        assert isinstance(json.loads(line), dict)


def the_page_is_harmless(stage: Stage, _: str) -> None:
    page = (stage.data / "nightly" / "latest.html").read_text("utf-8")
    report = (stage.data / "nightly" / "latest.json").read_text("utf-8")
    harmless(page + report, allowed="\n")
    assert "<script" not in page
    assert "<b onclick" not in page
    assert "rich[bold red]m" in page


def the_page_is_text(stage: Stage, out: str) -> None:
    the_page_is_harmless(stage, out)
    report = (stage.data / "nightly" / "latest.json").read_text("utf-8")
    shown = [each["position_id"] for each in json.loads(report)["run"]["discrepancies"]]
    assert set(shown) >= set(IDS)


EVENTS: Final = f"ev\n{NAME}.jsonl"
BROKEN: Final = f"broken\n{NAME}.gz"
TAMPER: Final = "UPDATE positions SET side = E'no\\x1b[7;31m' WHERE position_id <> ''"
IDS: Final = tuple(
    TEXTS[name] for name in ("escape", "c1", "rich", "lines", "over", "bidi", "zero")
)
TOLD: Final = (TEXTS["escape"], TEXTS["rich"])

SINCE: Final = ("--since", "2026-06-01", "--until", "2026-07-02")
DRY: Final = ("--full", "--dry-run")
NOWHERE: Final = f"postgresql://{quote(NAME)}@127.0.0.1:1/{quote(NAME)}"

NOT_LOOKED_AT: Final = {
    "demo": "It has a store, a sandbox and a folder of its own, and shows nothing that came.",
    "dbt": "It writes files of its own making, and reads nothing that came.",
    "explore": "It prints an address; what it shows is in the browser, whose tests look at it.",
}

CASES: Final = (
    Case(of="import", arguments=(EVENTS,), code=3),
    Case(of="import", arguments=(EVENTS, "--json"), code=3, checks=one_line_of_json),
    Case(of="import", arguments=(f"nowhere\n{NAME}",), code=2, shows=(NAME,)),
    Case(of="import", arguments=(BROKEN,), code=1, shows=(NAME,)),
    Case(of="archive", arguments=("--before", NAME, "--to", "there"), code=2, shows=(NAME,)),
    Case(of="archive", arguments=("--before", "2024-01-01", "--to", f"there\n{NAME}")),
    Case(
        of="archive",
        arguments=("--before", "2024-01-01", "--to", NAME, "--dry-run", "--json"),
        checks=one_line_of_json,
    ),
    Case(of="verify", arguments=("--archives", NAME)),
    Case(of="tail", arguments=("--no-follow", "--after", "0"), shows=IDS),
    Case(of="tail", arguments=("--no-follow", "--after", "0", "--json"), checks=the_log_is_exact),
    Case(of="quarantine list", shows=("It is not JSON", "created_at cannot be used")),
    Case(of="quarantine list", arguments=("--json",), checks=the_rejected_are_all_there),
    Case(of="quarantine show", arguments=("1",), shows=(TEXTS["escape"],)),
    Case(of="quarantine show", arguments=("1", "--json"), checks=the_input_is_exact),
    Case(of="quarantine show", arguments=("3",), shows=(TEXTS["rich"],)),
    Case(of="quarantine show", arguments=("1", "--raw"), code=(0, 2), exact=True),
    Case(of="quarantine retry", alone=True, code=3),
    Case(of="quarantine retry", alone=True, arguments=("--json",), code=3, checks=one_line_of_json),
    Case(of="verify", before=TAMPER, code=3, shows=IDS),
    Case(of="verify", before=TAMPER, arguments=("--json",), code=3, checks=the_ids_are_exact),
    Case(of="rebuild", alone=True, before=TAMPER, shows=IDS),
    Case(of="rebuild", alone=True, before=TAMPER, arguments=("--json",), checks=the_ids_are_exact),
    Case(of="reconcile", arguments=DRY, alone=True, before=TAMPER, code=3, shows=IDS),
    Case(of="reconcile", arguments=("--full",), alone=True, unwell=True, code=1, shows=TOLD),
    Case(
        of="reconcile",
        arguments=("--full", "--json"),
        alone=True,
        unwell=True,
        code=1,
        checks=one_line_of_json,
    ),
    Case(of="backfill", arguments=SINCE, alone=True, before=TAMPER, shows=IDS),
    Case(
        of="backfill",
        arguments=(*SINCE, "--json"),
        alone=True,
        before=TAMPER,
        checks=the_runs_are_exact,
    ),
    Case(of="backfill", arguments=SINCE, alone=True, unwell=True, code=1, shows=TOLD),
    Case(of="backfill", arguments=("--since", NAME), code=2, shows=(NAME,)),
    Case(
        of="nightly",
        alone=True,
        script="nightly_reconcile.py",
        before=TAMPER,
        checks=the_page_is_text,
    ),
    Case(
        of="nightly",
        alone=True,
        script="nightly_reconcile.py",
        unwell=True,
        code=1,
        shows=(NAME,),
        checks=the_page_is_harmless,
    ),
    # One of the spools is damaged.
    Case(of="check", code=3),
    Case(of="check", arguments=("--json",), code=3, checks=one_line_of_json),
    Case(of="systemd", arguments=("--user", NAME), code=2, shows=(NAME,)),
    Case(of="systemd", arguments=("--directory", NAME), code=2, shows=(NAME,)),
    Case(of="status", shows=(TEXTS["escape"], *IDS)),
    Case(of="status", arguments=("--json",), checks=the_statuses_are_exact),
    Case(of="status", environment={"DATABASE_URL": NOWHERE}, code=1),
    Case(
        of="status",
        arguments=("--json",),
        environment={"DATABASE_URL": NOWHERE},
        code=1,
        checks=one_line_of_json,
    ),
    Case(of="ingest", alone=True, code=1, shows=TOLD),
    Case(of="run", alone=True, code=1, shows=TOLD),
    Case(of="run", alone=True, unwell=True, code=1, shows=TOLD),
    *(
        Case(of="export", arguments=(what, "--format", form), checks=check)
        for what in ("events", "positions", "quarantine", "discrepancies", "position_timeline")
        for form, check in (("csv", no_cell_is_a_formula), ("jsonl", every_line_is_an_object))
    ),
    Case(of="export", arguments=("events", "--raw"), code=(0, 2), exact=True),
    Case(of="export", arguments=("events", "--out", f"{NAME}.csv"), shows=(NAME,)),
    Case(
        of="export", arguments=("events", "--out", f"{NAME}.csv", "--json"), checks=one_line_of_json
    ),
    Case(of="export", arguments=("events", "--out", f"no/{NAME}.csv"), code=2, shows=(NAME,)),
    Case(of="export", arguments=(NAME,), code=2, shows=(NAME,)),
    Case(of="export", arguments=("--sql", f"SELECT '{NAME}' AS \"{NAME}\""), shows=(NAME,)),
    Case(of="export", arguments=("--sql", f"SELECT {NAME}"), code=2, shows=("\x1b",)),
    Case(of="lake feed", alone=True, arguments=(NAME,), shows=(NAME,)),
    Case(of="lake feed", alone=True, arguments=(NAME, "--json"), checks=one_line_of_json),
    Case(of="lake positions", arguments=(f"no{NAME}", "--out", "there"), code=2, shows=(NAME,)),
    Case(of="lake timeline", arguments=(f"no{NAME}", NAME), code=2, shows=(NAME,)),
    Case(of="lake sql", arguments=(NAME,), code=2, shows=(NAME,)),
    Case(
        of="verify", arguments=("--engine", "duckdb", "--lake", f"no{NAME}"), code=2, shows=(NAME,)
    ),
    Case(of="spool list", shows=(NAME,)),
    Case(of="spool list", arguments=("--json",), checks=one_line_of_json),
    Case(of="spool drain", alone=True, code=3),
    Case(of="spool drain", alone=True, arguments=("--json",), code=3, checks=one_line_of_json),
    Case(of="config", shows=(NAME,)),
    Case(of="config", arguments=("--json",), checks=one_line_of_json),
    Case(of="config", environment={"POSITIONSTORE_LOG_LEVEL": NAME}, code=2),
    Case(of="migrate"),
    Case(
        of="roles",
        arguments=("--prefix", "not_made", "--print"),
        exact=True,
        shows=("CONNECT",),
    ),
    Case(
        of="roles",
        alone=True,
        arguments=("--prefix", PREFIX, "--new-password", "reader"),
        shows=(NAME,),
    ),
    Case(of="roles", alone=True, arguments=("--prefix", PREFIX, "--json"), checks=one_line_of_json),
    Case(of="roles", arguments=("--prefix", NAME), code=2, shows=(NAME,)),
    Case(of="retract", arguments=(NAME, "--reason", NAME), code=2, shows=(NAME,)),
    Case(of="db url", exact=True),
    Case(of="db env", exact=True),
    Case(of="db url", arguments=("--as", NAME), code=2, shows=(NAME,)),
    Case(
        of="db psql",
        foreign=True,
        arguments=("-c", "SELECT status, data FROM positions"),
        shows=("rich[bold",),
    ),
    Case(of="db stop"),
    Case(of="sandbox", arguments=("--start", NAME), code=2, shows=(NAME,)),
    Case(of=NAME, code=2, shows=(NAME,)),
)


def harmless(text: str, *, allowed: str, controls_alone: bool = False) -> None:
    """See that a text says nothing to a terminal."""
    found = {each for each in text if not each.isprintable()} - set(allowed)
    if controls_alone:
        found = {each for each in found if category(each) == "Cc"}
    assert not found, (found, text[:3000])


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_it_says_nothing_to_a_terminal_a_log_or_a_program(stage: Stage, case: Case) -> None:
    with ThreadPoolExecutor(1 if case.alone else 2) as threads:
        plain, drawn = threads.map(lambda on: stage.run(case, terminal=on), (False, True))
    codes = case.code if isinstance(case.code, tuple) else (case.code, case.code)
    assert (plain.code, drawn.code) == codes, (plain, drawn)
    out, err = plain.out.decode(), plain.err.decode()
    if not case.exact:
        harmless(out, allowed="\n\t", controls_alone=case.foreign)
    harmless(err, allowed="\n")
    for line in err.splitlines():
        assert not line.startswith("{") or json.loads(line)["action"] != "forged"
    on_terminal = [DRAWN.sub("\n", each.decode()) for each in (drawn.out, drawn.err)]
    harmless("".join(on_terminal), allowed="\n", controls_alone=case.foreign)
    for text in case.shows:
        assert printable(text) in out + err
        assert printable(text) in "".join(on_terminal)
    if case.checks:
        case.checks(stage, out)


def commands() -> set[str]:
    """Every command that can be typed, and the scripts."""
    found = set(SCRIPTS)
    for name in COMMANDS:
        command = load(name)
        inner = command.commands if isinstance(command, TyperGroup) else {"": None}
        found |= {f"{name} {each}".strip() for each in inner}
    return found


def test_every_command_is_looked_at() -> None:
    assert commands() == {case.of for case in CASES if case.of != NAME} | set(NOT_LOOKED_AT)
