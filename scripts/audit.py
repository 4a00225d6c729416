#!/usr/bin/env python3
"""Look up every package of the lock file in the databases of known vulnerabilities.

    scripts/audit.py

Exit 0: none is known. Exit 1: one is, or the lock file is not pinned by hash. Where no database can
be reached it says "skipped" and ends with 0: a network without it is no fault of the lock file.

A database that finds nothing may be one that knows nothing, as a mirror of packages alone. So a
package that is known to be vulnerable is asked for with the others.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
KNOWN: Final = "django"
"""A package with a known vulnerability in the version below, to test the database with."""

_PROBE: Final = f"\n{KNOWN}==1.11 --hash=sha256:{'0' * 64}\n"
_UNREACHED: Final = (
    "requests.exceptions.",
    "urllib3.exceptions.",
    "ServiceError",
    "Could not connect",
)


def main() -> int:
    """Ask one database after the other, until one answers."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("lock", nargs="?", type=Path, default=ROOT / "requirements.lock")
    options.add_argument("--osv-url", help="ask this database alone, which speaks as OSV does")
    options.add_argument(
        "--within", type=float, default=20.0, metavar="SECONDS", help="how long it may take (20)"
    )
    asked = options.parse_args()
    only = ["osv", "--osv-url", asked.osv_url]
    deadline = time.monotonic() + asked.within
    for database in [only] if asked.osv_url else [["osv"], ["pypi"]]:
        report = _report(asked.lock, database, deadline)
        if isinstance(report, str):
            sys.stderr.write(f"audit: {asked.lock.name}: {report}\n")
            return 1
        if report is not None:
            return _told(report)
    print("skipped: the advisory data cannot be reached")
    return 0


def _report(lock: Path, database: list[str], deadline: float) -> list[dict[str, Any]] | str | None:
    """Return each package with what is known of it; what is wrong with the lock; None unreached."""
    with tempfile.TemporaryDirectory() as folder:
        asking, answer = Path(folder) / "asked.lock", Path(folder) / "answer.json"
        asking.write_text(lock.read_text("utf-8") + _PROBE, "utf-8")
        command = [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(asking), "--require-hashes"),
            *("--disable-pip", "--progress-spinner", "off", "--timeout", "5"),
            *("--cache-dir", folder, "--format", "json", "--output", str(answer)),
            *("--vulnerability-service", *database),
        ]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=max(0.1, deadline - time.monotonic()),
            )
        except subprocess.TimeoutExpired:
            return None
        if not answer.exists() or not answer.stat().st_size:
            said = done.stderr.strip()
            unreached = any(words in said for words in _UNREACHED)
            return None if unreached else said.rpartition("\n")[2]
        packages: list[dict[str, Any]] = json.loads(answer.read_text("utf-8"))["dependencies"]
    if any(package["name"] == KNOWN and package.get("vulns") for package in packages):
        return [package for package in packages if package["name"] != KNOWN]
    return None


def _told(packages: list[dict[str, Any]]) -> int:
    found = 0
    for package in packages:
        for fault in package.get("vulns", ()):
            found += 1
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    unknown = sorted(package["name"] for package in packages if "skip_reason" in package)
    if unknown:
        print(f"not known there: {', '.join(unknown)}")
    print(f"{len(packages)} packages, {found} known vulnerabilities")
    if found:
        sys.stderr.write("audit: scripts/lock --upgrade-package NAME takes a newer version\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
