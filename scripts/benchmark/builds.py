"""Another build of positionstore, measured beside this one."""

import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Build:
    """A build of positionstore that processes are started from.

    Attributes:
        name: what it is called in a report.
        folder: where the package was installed to; None for this checkout.
    """

    name: str
    folder: Path | None = None

    @classmethod
    def of_commit(cls, commit: str, folder: Path) -> "Build":
        """Build the wheel of an earlier commit and install it into a folder of its own.

        It runs on the same dependencies as this checkout.

        Raises:
            RuntimeError: git does not know the commit, or it cannot be built.
        """
        source, installed = folder / f"source-{commit}", folder / f"build-{commit}"
        packed = _output("git", "-C", str(_ROOT), "archive", "--format=tar", commit)
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(source, filter="data")
        pip = [sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", "--no-input"]
        options = ["--no-deps", "--no-build-isolation", "--target", str(installed), str(source)]
        _output(*pip, "install", *options)
        return cls(commit, installed)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of one of its commands."""
        return [
            sys.executable,
            "-P",  # otherwise the current checkout would be imported, whatever PYTHONPATH says
            "-c",
            "import sys; from positionstore.cli import main; sys.exit(main())",
            *arguments,
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment its commands run in, without settings of positionstore."""
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("DIMES_", "POSITION"))}
        return ours if self.folder is None else {**ours, "PYTHONPATH": str(self.folder)}

    def migrate(self, url: str) -> None:
        """Bring an empty database to this build's schema."""
        self.run(url, "migrate")

    def run(self, url: str, *arguments: str) -> None:
        """Run one of its commands on a database, to its end."""
        subprocess.run(
            self.command(*arguments),
            env={**self.environment(), "DATABASE_URL": url},
            check=True,
            capture_output=True,
        )


THIS: Final = Build("this checkout")


def _output(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{command[0]}: {said[-1] if said else done.returncode}")
    return done.stdout
