"""The image's ingredients are there, and it runs as nobody. No test builds it."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from positionstore.cli.commands import COMMANDS
from positionstore.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Each instruction and what follows it, with its lines joined."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [
        (name, rest.strip())
        for line in joined.splitlines()
        if line.strip()
        for name, _, rest in [line.partition(" ")]
    ]


LINES = instructions()
STAGES = [number for number, (name, _) in enumerate(LINES) if name == "FROM"]
IMAGE = LINES[STAGES[-1] :]


def only(name: str) -> str:
    (found,) = (rest for each, rest in IMAGE if each == name)
    return found


def copied() -> list[str]:
    """The sources that come from the checkout."""
    return [
        source
        for name, rest in LINES
        if name == "COPY" and not rest.startswith("--from=")
        for source in shlex.split(rest)[:-1]
    ]


def test_the_instructions_are_ones_that_builders_know() -> None:
    known = "FROM WORKDIR COPY RUN ENV VOLUME USER STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD"
    assert {name for name, _ in LINES} == set(known.split())


def test_it_is_built_in_stages_and_takes_from_those_there_are() -> None:
    assert len(STAGES) == 2
    bases = [LINES[number][1].split() for number in STAGES]
    assert bases[0][1:] == ["AS", "build"]
    # The libraries were compiled for the interpreter of the first stage.
    assert bases[0][0] == bases[1][0]
    assert all(":" in base and not base.endswith(":latest") for base, *_ in bases)
    taken = [rest for name, rest in IMAGE if name == "COPY"]
    assert [rest.split()[0] for rest in taken] == ["--from=build"]
    # Nothing that builds or installs comes along.
    assert not any("pip" in rest for name, rest in IMAGE if name == "RUN")


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_is_there_and_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    ignore = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    assert f"!{source.split('/', maxsplit=1)[0]}" in ignore


def test_what_the_package_is_built_of_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"],
        project["project"]["readme"],
        *project["project"]["license-files"],
        "pyproject.toml",
    }
    assert needed <= set(copied())


def test_it_runs_as_nobody_and_writes_to_its_volume_alone() -> None:
    assert only("USER") == "65534:65534"
    names = [name for name, _ in IMAGE]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")
    environment = dict(pair.split("=", 1) for pair in shlex.split(only("ENV")))
    volume = only("VOLUME")
    assert environment["POSITIONSTORE_DATA_DIR"] == volume == environment["HOME"]
    assert f"--owner 65534 --group 65534 {volume}" in only("RUN")
    assert f":{volume} " in PAGE
    assert f"mountPath: {volume}}}" in PAGE


def test_no_secret_is_in_it() -> None:
    assert not re.search(r"(?i)api_key|token|jwt|password|database_url", TEXT)


def test_it_starts_a_command_that_there_is() -> None:
    entry, command = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert entry[0] in project["scripts"]
    assert command[0] in COMMANDS
    assert only("STOPSIGNAL") == "SIGTERM"


def test_it_asks_whether_it_is_ready_where_the_service_listens() -> None:
    options, _, command = only("HEALTHCHECK").partition("CMD ")
    assert re.fullmatch(r"(--[a-z-]+=\d+s? +)+", options)
    program, flag, code = json.loads(command)
    assert (program, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    host, port = str(Settings().listen).split(":")
    assert f"C('{host}', {port}," in code
    assert "'/readyz'" in code


def test_what_it_installs_is_what_the_tests_run_with() -> None:
    def pinned(name: str) -> dict[str, str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return dict(re.findall(r"(?m)^([a-z0-9._-]+(?:\[\w+\])?)==(\S+)", text))

    run, tested = pinned("requirements-run.lock"), pinned("requirements.lock")
    assert run.items() <= tested.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[\[><=; ]", each)[0] for each in project["dependencies"]}
    # As the index spells names: https://packaging.python.org/specifications/name-normalization/
    assert {re.sub(r"[._]", "-", each) for each in wanted} <= {name.split("[")[0] for name in run}


def test_the_page_builds_it_with_what_there_is() -> None:
    assert "podman build --tag positionstore ." in PAGE
    assert "--read-only" in PAGE
    assert "readOnlyRootFilesystem: true" in PAGE
