"""``positionstore sandbox`` as a person or a script starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.waiting import DEADLINE

from positionstore.sandbox import read

START = "import sys; from positionstore.cli import main; sys.exit(main())"


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", START, "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ask(url: str, body: bytes | None = None) -> dict[str, object]:
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, data=body, timeout=DEADLINE) as response:  # noqa: S310 - loopback
        answer: dict[str, object] = json.load(response)
        return answer


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_records_and_ends_cleanly_by_a_signal(
    number: signal.Signals, tmp_path: Path
) -> None:
    file = tmp_path / "emitted.jsonl"
    with started("--json", "--rate", "200", "--seed", "3", "--record", str(file)) as process:
        told = json.loads(first_line(process))
        assert told["api_key"].startswith("dm_sbx_skey_")
        assert ask(told["base_url"] + "/_sandbox")["api_keys"] == told["api_keys"]
        ask(told["base_url"] + "/_sandbox/advance", b'{"events": 100}')
        process.send_signal(number)
        output, errors = process.communicate(timeout=DEADLINE)
        assert (process.returncode, output, errors) == (0, "", "")
    records = list(read(file))
    assert len(records) >= 100
    assert {each.fate for each in records} == {"unheard"}


def test_it_prints_lines_to_paste_for_a_person() -> None:
    with started("--start", "2026-07-01T12:00:00Z") as process:
        url = first_line(process).split(" (")[0].rpartition(" ")[2]
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        output = process.stdout.read()
        process.wait(DEADLINE)
        lines = output.splitlines()
        assert f"export DIMES_BASE_URL={url}" in lines
        assert any(line.startswith("export DIMES_API_KEY=dm_sbx_skey_") for line in lines)
        assert any(line.startswith("export DIMES_WALLET_ADDRESS=0x") for line in lines)


def test_the_same_seed_makes_the_same_keys_and_events(tmp_path: Path) -> None:
    envelopes = []
    for name in ("one", "two"):
        file = tmp_path / name
        with started(
            "--json", "--seed", "9", "--start", "2026-07-01", "--rate", "0.1", "--record", str(file)
        ) as process:
            told = json.loads(first_line(process))
            ask(told["base_url"] + "/_sandbox/advance", b'{"events": 50}')
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE)
        envelopes.append((told["api_keys"], [bytes(each.envelope) for each in read(file)][:50]))
    assert envelopes[0] == envelopes[1]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--start", "soon"], "--start"),
        (["--lost", "2"], "--lost"),
        (["--disconnect-how", "rudely"], "--disconnect-how"),
        (["--record", "/no/such/directory/file"], "--record"),
    ],
)
def test_a_wrong_option_is_named_and_ends_with_two(arguments: list[str], names: str) -> None:
    with started(*arguments) as process:
        output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert output == ""
    assert names in errors
    assert "Traceback" not in errors


def test_a_port_in_use_is_one_line_and_ends_with_two() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("--port", str(port)) as process:
            output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert output == ""
    assert len(errors.splitlines()) == 1
    assert f"Port {port}" in errors
    assert "--port 0" in errors
