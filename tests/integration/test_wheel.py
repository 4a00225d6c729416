"""The wheel, installed where no checkout is, brings its own migrations."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    finished = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, cwd=ROOT)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it; the dependencies are lent by this one."""
    home = tmp_path_factory.mktemp("a machine without the checkout")
    venv = home / "venv"
    if uv := shutil.which("uv"):
        run(uv, "venv", "--python", sys.executable, venv, cwd=home)
        install: list[str | Path] = [uv, "pip", "install", "--python", venv / "bin" / "python"]
    else:
        run(sys.executable, "-m", "venv", venv, cwd=home)
        install = [venv / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
    run(*install, "--no-deps", "--no-index", wheel, cwd=home)

    (site_packages,) = venv.glob("lib/python*/site-packages")
    # A directory named in a .pth file joins the path, but .pth files inside it are not read: the
    # editable installation of the checkout stays invisible.
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "lent.pth").write_text("\n".join(sorted(lent)) + "\n")
    return venv


def test_the_wheel_carries_every_migration_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    migrations = {
        f"positionstore/_migrations/{path.relative_to(ROOT / 'migrations').as_posix()}"
        for path in (ROOT / "migrations").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert migrations
    assert migrations <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"positionstore"}


def test_the_wheel_carries_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "positionstore").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= names


def test_migrate_finds_its_migrations_outside_the_checkout(
    installed: Path, database_url: str
) -> None:
    away = installed.parent
    environment = {
        "PATH": os.defpath,
        "HOME": str(away),
        "DATABASE_URL": database_url,
        "POSITIONSTORE_DATA_DIR": str(away / "data"),
    }

    package = run(
        installed / "bin" / "python",
        "-c",
        "import positionstore; print(*positionstore.__path__)",
        cwd=away,
        env=environment,
    ).strip()
    run(installed / "bin" / "positionstore", "migrate", cwd=away, env=environment)

    assert Path(package).is_relative_to(installed)
    with psycopg.connect(database_url) as connection:
        events = connection.execute("SELECT to_regclass('events') IS NOT NULL").fetchone()
    assert events == (True,)
