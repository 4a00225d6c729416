"""``positionstore demo``, as a user calls it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from support.server_user import kill_all, postgres_processes
from support.waiting import wait_until

pytestmark = pytest.mark.slow

CALL = "import sys; from positionstore.cli import main; sys.exit(main())"
DEADLINE = 150


class Demos:
    """Starts demos in a data directory of the test's own."""

    def __init__(self, folder: Path) -> None:
        # A path as awkward as a user's.
        self.folder = folder / "it's mine"
        self.folder.mkdir()
        self.own = self.folder / "demo"
        # Whatever the developer has set is not the test's concern.
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DIMES_", "DATABASE_URL", "POSITIONSTORE_"))
        }
        self.environment = {**kept, "HOME": str(folder), "POSITIONSTORE_DATA_DIR": str(self.folder)}

    @contextmanager
    def started(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CALL, "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **environment},
            cwd=self.folder,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.started(*arguments, **environment) as process:
            output, errors = process.communicate(timeout=DEADLINE)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def processes(self) -> dict[str, psutil.Process]:
        """What runs besides the demo itself and the database, by name."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()) == self.own.resolve():
                    command = process.cmdline()
                    found["sandbox" if "sandbox" in command else "ingester"] = process
        return found

    def nothing_runs(self) -> bool:
        return not self.processes() and not postgres_processes(self.own)


@pytest.fixture
def demos() -> Iterator[Demos]:
    # pytest's own folder may be too deep for the path of a socket.
    folder = Path(tempfile.mkdtemp(prefix="positionstore-"))
    demos = Demos(folder)
    yield demos
    for process in demos.processes().values():
        with suppress(psutil.Error):
            process.kill()
    kill_all(demos.own)
    shutil.rmtree(folder, ignore_errors=True)


def wait_for_the_show(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "events in" in line:
            return
    raise AssertionError(process.communicate()[1])


def last_sight(output: str) -> dict[str, int]:
    line = [line for line in output.splitlines() if "events in" in line][-1]
    return {
        name: int(count.replace(",", "")) for count, name in re.findall(r"([\d,]+) ([a-z ]+)", line)
    }


def suggested(output: str) -> list[str]:
    parts = re.split(r"(?m)^# ", output)[1:]
    return [part.partition("\n")[2].partition("\n\n")[0].strip() for part in parts]


def page_of(output: str) -> str:
    """The status page's address, which the last line names."""
    found = re.search(r"http://127\.0\.0\.1:\d+/", output.strip().splitlines()[-1])
    assert found is not None, output
    return found[0]


def paste(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        cwd="/",
        env=environment,
        check=False,
    )


def test_it_shows_the_system_at_work_and_what_it_suggests_works_when_pasted(demos: Demos) -> None:
    shown = demos.run("--seconds", "7", "--seed", "11")
    assert (shown.returncode, shown.stderr) == (0, "")
    sight = last_sight(shown.stdout)
    assert sight["events in"] > 200
    assert sight["duplicates dropped"] > 0
    assert sight["out of order"] > 0
    assert sight["quarantined"] >= 2
    assert sight["connections"] >= 1
    assert sight["open"] > 0
    outage = re.search(
        r"in which (\d+) events were emitted: (\d+) came by recovery, .* the gap needs no repair",
        shown.stdout,
    )
    assert outage is not None, shown.stdout
    assert int(outage[1]) >= 100
    assert int(outage[2]) >= int(outage[1])
    assert "Verified: every position is the fold of its facts" in shown.stdout
    assert re.search(r": ([\d,]+) of \1 positions have the right status", shown.stdout)
    assert re.search(r"\(seed 11\): [\d,]+ of [\d,]+ positions have the right", shown.stdout)
    assert demos.nothing_runs()
    page = page_of(shown.stdout)
    assert f"The status page: {page}\n" in shown.stdout.partition("events in")[0]

    commands = suggested(shown.stdout)
    assert len(commands) >= 5
    assert sum("SELECT" in command for command in commands) >= 3
    for number, command in enumerate(commands):
        answer = paste(command, demos.environment)
        assert answer.returncode == 0, (command, answer.stderr)
        assert "SELECT" not in command or re.search(r"\(\d+ rows?\)|RECORD 1", answer.stdout)
        if number == 0:
            assert demos.nothing_runs()
            # Now that the database is known to start by itself, the others may find it running.
            running = {**demos.environment, "POSITIONSTORE_DATA_DIR": str(demos.own)}
            subprocess.run(
                [sys.executable, "-c", CALL, "db", "url"],
                env=running,
                capture_output=True,
                timeout=DEADLINE,
                check=True,
            )


def test_a_demo_that_is_kept_goes_on_until_it_is_stopped(demos: Demos) -> None:
    kept = demos.run("--seconds", "1", "--keep")
    assert (kept.returncode, kept.stderr) == (0, "")
    assert "Verified" in kept.stdout
    assert set(demos.processes()) == {"sandbox", "ingester"}
    page = page_of(kept.stdout)
    assert "<title>positionstore</title>" in httpx.get(page, trust_env=False).text
    *_, stop, _, _ = kept.stdout.strip().splitlines()
    status = suggested(kept.stdout)[-2]
    assert status.endswith(" status")

    def last_seq() -> int:
        answer = json.loads(paste(f"{status} --json", demos.environment).stdout)
        return int(answer["log"]["last_seq"] or 0)

    before = last_seq()
    wait_until(lambda: last_seq() > before, "events go on")
    runs = "select count(*) from reconciliation_runs where finished_at is not null"
    psql = status.removesuffix("status") + f'db psql -Atc "{runs}"'
    wait_until(lambda: int(paste(psql, demos.environment).stdout) > 0, "it is reconciled")

    another = demos.run("--seconds", "1")
    assert (another.returncode, another.stdout) == (2, "")
    assert len(another.stderr.splitlines()) == 1
    assert "--stop" in another.stderr

    stopped = paste(stop, demos.environment)
    assert (stopped.returncode, stopped.stdout) == (0, "The demo is stopped.\n")
    wait_until(demos.nothing_runs, "all is stopped")
    assert demos.run("--stop").stdout == "No demo was left running.\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_in_the_middle_leaves_nothing_running(
    demos: Demos, number: signal.Signals, code: int
) -> None:
    with demos.started("--seconds", "60") as process:
        wait_for_the_show(process)
        assert set(demos.processes()) == {"sandbox", "ingester"}
        if number is signal.SIGINT:
            second = demos.run("--seconds", "1")
            assert (second.returncode, second.stdout) == (2, "")
            assert len(second.stderr.splitlines()) == 1
            assert "Another demo is running" in second.stderr
        process.send_signal(number)
        _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (code, "")
    assert demos.nothing_runs()


def test_a_process_that_ends_by_itself_ends_the_demo_with_one_line(demos: Demos) -> None:
    with demos.started("--seconds", "60") as process:
        wait_for_the_show(process)
        demos.processes()["ingester"].kill()
        _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "The ingester ended by itself with code -9; it said: " in errors
    assert "gateway_connected" in errors
    assert demos.nothing_runs()


def test_each_demo_begins_empty_even_after_one_that_was_killed(demos: Demos) -> None:
    with demos.started("--seconds", "60") as process:
        wait_for_the_show(process)
        process.kill()
        process.wait()
        left = demos.processes()
        assert set(left) == {"sandbox", "ingester"}
    again = demos.run("--seconds", "1")
    assert (again.returncode, again.stderr) == (0, "")
    assert "Stopped the processes of a demo that had been killed" in again.stdout
    first = next(line for line in again.stdout.splitlines() if "events in" in line)
    assert " 0 quarantined" in first
    assert not any(process.is_running() for process in left.values())
    assert demos.nothing_runs()


def test_the_users_own_database_and_key_are_left_alone(demos: Demos) -> None:
    # Were either used, the demo would fail.
    theirs = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "DIMES_API_KEY": "dm_live_skey_0123456789abcdef",
    }
    (demos.folder / ".env").write_text("POSITIONSTORE_BATCH_SIZE=7\n")
    shown = demos.run("--seconds", "1", **theirs)
    assert (shown.returncode, shown.stderr) == (0, "")
    answer = paste(suggested(shown.stdout)[0], {**demos.environment, **theirs})
    assert answer.returncode == 0, answer.stderr
    assert "collateral_usd" in answer.stdout
    assert not (demos.folder / "postgres").exists()


def test_where_the_usual_port_is_taken_the_page_is_on_another(demos: Demos) -> None:
    with socket.socket() as taken:
        # A server that has just ended leaves connections behind that are no obstacle.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # it may be taken already
            taken.bind(("127.0.0.1", 9464))
            taken.listen()
        shown = demos.run("--seconds", "1")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert ":9464/" not in page_of(shown.stdout)


def test_a_directory_that_cannot_be_used_is_one_line(demos: Demos) -> None:
    demos.own.write_text("")
    answer = demos.run("--seconds", "1")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert len(answer.stderr.splitlines()) == 1
    assert "POSITIONSTORE_DATA_DIR" in answer.stderr
