"""The service under systemd: what it is told, and the units that run it."""

import asyncio
import configparser
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from support.programs import Programs, programs_on
from support.proxy import proxy_to
from support.waiting import DEADLINE

from positionstore.sandbox import Options, Sandbox

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian's package systemd)"
)

# A process of ours whose event loop a signal blocks, as a handler runs in the loop's thread.
BLOCKABLE = """
import signal, sys, threading
signal.signal(signal.SIGUSR1, lambda *_: threading.Event().wait())
from positionstore.cli import main
sys.exit(main())
"""


@pytest.fixture
async def programs(store_url: str, tmp_path: Path) -> AsyncIterator[Programs]:
    async with programs_on(store_url, tmp_path) as programs:
        yield programs


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


async def told(manager: socket.socket, within: float = DEADLINE) -> list[str]:
    async with asyncio.timeout(within):
        data = await asyncio.get_running_loop().sock_recv(manager, 65_536)
    return data.decode().split("\n")


async def until(manager: socket.socket, pattern: str) -> list[str]:
    """What is told until a state matches."""
    while True:
        states = await told(manager)
        if any(re.search(pattern, state) for state in states):
            return states


async def started(programs: Programs, command: str, **variables: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BLOCKABLE, command),
        cwd=programs.folder,
        env={
            **programs.environment,
            "NOTIFY_SOCKET": str(programs.folder / "notify"),
            "WATCHDOG_USEC": "300000",
            **variables,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    programs.started.append(process)
    return process


@pytest.mark.parametrize("command", ["run", "ingest"])
async def test_it_says_that_it_is_ready_and_connected_and_that_it_stops(
    command: str, programs: Programs, manager: socket.socket
) -> None:
    async with Sandbox(Options(seed=7, positions=9, rate=30.0)) as sandbox:
        programs.against(sandbox)
        process = await started(programs, command)
        first = await told(manager)
        connected = await until(manager, "STATUS=.*is connected; the last event came at")
        process.terminate()
        stopping = await until(manager, "STOPPING=1")
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0

    assert first[0] == "READY=1"
    assert first[1].startswith("STATUS=The partner gateway is ")
    assert first[2] == connected[1] == "WATCHDOG=1"
    assert stopping[0] == "STOPPING=1"


async def test_a_blocked_loop_lets_the_watchdog_run_out(
    programs: Programs, manager: socket.socket
) -> None:
    async with Sandbox(Options(seed=7, positions=9, rate=30.0)) as sandbox:
        programs.against(sandbox)
        process = await started(programs, "ingest", POSITIONSTORE_LISTEN="127.0.0.1:0")
        await until(manager, "WATCHDOG=1")
        process.send_signal(signal.SIGUSR1)
        # What was on its way comes; then nothing, for many turns.
        with suppress(TimeoutError):
            while True:
                await told(manager, within=2.0)
        assert process.returncode is None
        # As systemd does then; where it stood is in the log.
        process.send_signal(signal.SIGABRT)
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == -signal.SIGABRT


async def test_a_database_that_is_away_does_not(
    programs: Programs, manager: socket.socket, store_url: str
) -> None:
    port = int(str(conninfo_to_dict(store_url)["port"]))
    async with Sandbox(Options(seed=7, positions=9, rate=30.0)) as sandbox:
        programs.against(sandbox)
        with proxy_to(lambda: port) as proxy:
            await started(programs, "ingest", DATABASE_URL=proxy.of(store_url))
            await until(manager, "is connected; the last event")
            proxy.stop()
            away = await until(manager, "the database is away")
            still = [await told(manager) for _ in range(20)]
    assert all("WATCHDOG=1" in states for states in [away, *still])


# --- the units ----------------------------------------------------------------------------------


async def units(programs: Programs, *options: str, expect: int = 0) -> dict[str, str]:
    folder = programs.folder / "units"
    folder.mkdir(exist_ok=True)
    await programs.run("systemd", "--directory", str(folder), *options, expect=expect)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


async def test_the_page_shows_the_units_that_the_command_makes(programs: Programs) -> None:
    made = await units(programs, "--checkout", "/opt/positionstore")
    shown = dict(re.findall(r"`/etc/systemd/system/(\S+)`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL))

    assert set(made) == {
        "positionstore.service",
        "positionstore-nightly.service",
        "positionstore-nightly.timer",
    }
    assert {name: shown[name] for name in made} == made


async def test_printed_it_is_the_same(programs: Programs) -> None:
    made = await units(programs)
    printed = (await programs.run("systemd")).out
    for name, text in made.items():
        assert f"# /etc/systemd/system/{name}\n{text}" in printed


OPTIONS = [
    [],
    ["--user", "books", "--data-dir", "/srv/books", "--nightly-at", "23:45"],
    ["--checkout", "/home/me/positionstore", "--data-dir", "/var/lib/books/1"],
]


async def analyzed(
    programs: Programs, made: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says; the programs and the user are not on this machine."""
    folder = programs.folder / "units"
    for name, text in made.items():
        startable = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text)
        (folder / name).write_text(startable, encoding="utf-8")
    return await asyncio.to_thread(
        subprocess.run,
        ["systemd-analyze", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


@needs_systemd
@pytest.mark.parametrize("options", OPTIONS)
async def test_systemd_has_nothing_against_them(programs: Programs, options: list[str]) -> None:
    made = await units(programs, *options)
    done = await analyzed(programs, made, "verify", "--man=no", *made)
    ours = [line for line in done.stderr.splitlines() if "positionstore" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


@needs_systemd
async def test_the_service_can_do_little_but_its_work(programs: Programs) -> None:
    made = await units(programs)
    options = ("--offline=true", "--no-pager", "--threshold=30")
    done = await analyzed(programs, made, "security", *options, "positionstore.service")
    assert done.returncode == 0, done.stdout + done.stderr


def section(text: str, name: str) -> dict[str, str]:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # as the library documents it
    unit.read_string(text)
    return dict(unit[name])


async def test_paths_and_user_are_options(programs: Programs) -> None:
    made = await units(programs, *OPTIONS[1], "--environment-file", "/srv/books.env")
    service = section(made["positionstore.service"], "Service")
    assert service["User"] == "books"
    assert service["EnvironmentFile"] == "/srv/books.env"
    assert service["Environment"] == "POSITIONSTORE_DATA_DIR=/srv/books"
    assert service["ReadWritePaths"] == "/srv/books"
    assert "StateDirectory" not in service
    assert service["ProtectHome"] == "true"
    timer = section(made["positionstore-nightly.timer"], "Timer")
    assert timer["OnCalendar"] == "*-*-* 23:45:00 UTC"
    at_home = section((await units(programs, *OPTIONS[2]))["positionstore.service"], "Service")
    assert at_home["ProtectHome"] == "read-only"
    assert at_home["StateDirectory"] == "books/1"
    assert at_home["Type"] == "notify"


@pytest.mark.parametrize(
    "options",
    [
        ["--user", "a b"],
        ["--data-dir", "/srv/100%"],
        ["--checkout", "/opt/x\nExecStartPre=/bin/false"],
        ["--nightly-at", "25:00"],
        ["--directory", "/nowhere/at/all"],
    ],
)
async def test_what_cannot_stand_in_a_unit_is_refused_in_one_line(
    programs: Programs, options: list[str]
) -> None:
    done = await programs.run("systemd", *options, expect=2)
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
