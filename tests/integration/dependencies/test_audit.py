"""The lock files are pinned by hash, installed so, and audited."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = (
    "requirements.lock",
    "requirements-run.lock",
    "requirements-lowest.lock",
    "requirements-node.lock",
)
HASH = "--hash=sha256:" + "a" * 64
LOCK = f"sound==1.0 {HASH}\nbroken==2.0 {HASH}\n"


def advisory(package: str) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}]
    return {
        "id": "GHSA-test",
        "summary": "It breaks.",
        "affected": [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": ranges}],
    }


@contextmanager
def database(*vulnerable: str, status: int = 200, silent: bool = False) -> Iterator[str]:
    """A database of vulnerabilities; yields its address."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if silent:
                over.wait()
            name = asked["package"]["name"]
            known = {"vulns": [advisory(name)]} if name in vulnerable else {}
            body = json.dumps(known).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            over.set()
            server.shutdown()
            serving.join()


def audited(
    folder: Path, url: str, *, lock: str = LOCK, within: float = 120
) -> subprocess.CompletedProcess[str]:
    path = folder / "requirements.lock"
    path.write_text(lock)
    script = ROOT / "scripts" / "audit.py"
    return subprocess.run(
        [sys.executable, script, path, "--osv-url", url, "--within", str(within)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_passes_where_no_vulnerability_is_known(tmp_path: Path) -> None:
    with database("django") as url:
        done = audited(tmp_path, url)
    assert (done.returncode, done.stdout) == (0, "2 packages, 0 known vulnerabilities\n"), done


def test_it_fails_on_a_known_vulnerability_and_names_it(tmp_path: Path) -> None:
    with database("django", "broken") as url:
        done = audited(tmp_path, url)
    assert done.returncode == 1, done
    assert "broken 2.0: GHSA-test, mended in 2.1\n" in done.stdout
    assert "sound" not in done.stdout


@pytest.mark.parametrize("how", ["nobody listens", "an error", "it knows nothing"])
def test_it_says_that_it_was_skipped_where_there_is_no_data(tmp_path: Path, how: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(database(status=503 if how == "an error" else 200))
        if how == "nobody listens":
            stack.close()
        done = audited(tmp_path, url)
    assert done.returncode == 0, done
    assert done.stdout == "skipped: the advisory data cannot be reached\n"


def test_it_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    began = time.monotonic()
    with database("django", silent=True) as url:
        done = audited(tmp_path, url, within=3)
    assert done.stdout == "skipped: the advisory data cannot be reached\n"
    assert time.monotonic() - began < 60


def test_a_lock_without_hashes_is_a_fault_and_no_reason_to_skip(tmp_path: Path) -> None:
    with database("django") as url:
        done = audited(tmp_path, url, lock="sound==1.0\n")
    assert done.returncode == 1, done
    assert "hash" in done.stderr


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_to_a_version_and_its_hashes(name: str) -> None:
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text("utf-8"))
    packages = [line for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    assert packages
    pinned = re.compile(r"[a-z0-9._-]+==[^\s;]+( ; .+?)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+(#.*)?")
    assert [line for line in packages if not pinned.fullmatch(line.strip())] == []


def test_what_the_set_up_installs_is_checked_against_its_hashes() -> None:
    script = (ROOT / "scripts" / "setup").read_text("utf-8")
    installs = re.findall(r"^\s+install (.+)$", script, re.MULTILINE)
    assert len(installs) == 3
    for arguments in installs:
        # The project itself is the one thing that comes from no registry.
        assert arguments.startswith(("--require-hashes -r ", "--no-deps --no-build-isolation "))


def test_a_package_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    wheel = tmp_path / "sound-1.0-py3-none-any.whl"
    wheel.write_bytes(b"anything")
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"sound==1.0 {HASH}\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-index", "--find-links", tmp_path),
            *("--require-hashes", "--dry-run", "-r", lock),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
