"""The log: one line an event, for people or for machines, and no secret in it."""

import io
import json
import logging
import stat
import sys
import threading
import warnings
from pathlib import Path

import pytest

from positionstore.cli import logs
from positionstore.cli.logs import configure_logging, log_unexpected
from positionstore.cli.masking import hide
from positionstore.log import get_logger


def log_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def fail(words: str = "a wheel\ncame off") -> None:
    raise ValueError(words)


def test_for_machines_a_line_is_json_with_a_stable_action(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(form="json")

    get_logger("positionstore.tried").info(
        "gateway_connected", gateway="partner", text="two\nlines"
    )

    (line,) = log_lines(capsys)
    assert list(line)[:3] == ["at", "level", "action"]
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "level": "info",
        "action": "gateway_connected",
        "logger": "positionstore.tried",
        "gateway": "partner",
        "text": "two\nlines",
    }


def test_a_sentence_beside_an_action_is_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="json")

    get_logger("positionstore.tried").info("It is connected.", action="gateway_connected")

    (line,) = log_lines(capsys)
    assert (line["action"], line["message"]) == ("gateway_connected", "It is connected.")


def test_without_a_terminal_the_log_is_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="auto")

    get_logger("positionstore.tried").info("tried")

    assert log_lines(capsys)[0]["action"] == "tried"


def test_for_people_a_line_is_short_and_says_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(form="console")

    get_logger("some.where").warning("tried", said="\x1b[31mred\x9b", count=3)

    line = capsys.readouterr().err.rstrip("\n")
    assert line.isprintable()
    assert "warning" in line
    assert "tried" in line
    assert "count=3" in line
    assert r"\x1b[31mred\x9b" in line
    assert "some.where" not in line


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_is_logged_whoever_wrote_the_line(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    hide(["hush-hush"])
    configure_logging(form="console" if form == "console" else "json")

    get_logger("positionstore.tried").info(
        "tried", url="postgresql://me:word@h/d", nested={"a": ["hush-hush"]}
    )
    logging.getLogger("some.library").warning("key %s", "dm_live_skey_abcdef")
    try:
        fail("hush-hush dm_live_skey_abcdef")
    except ValueError:
        get_logger("positionstore.tried").exception("failed")

    written = capsys.readouterr().err
    assert len(written.splitlines()) == 3
    assert "hush-hush" not in written
    assert "abcdef" not in written
    assert ":word@" not in written


def test_a_librarys_line_is_routed_with_its_logger_as_action(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(form="json")

    logging.getLogger("some.library").warning("%d of %d", 1, 2)

    (line,) = log_lines(capsys)
    assert (line["action"], line["message"], line["level"]) == ("some.library", "1 of 2", "warning")


@pytest.mark.parametrize(("level", "heard"), [("info", 1), ("debug", 3), ("error", 0)])
def test_libraries_that_talk_much_are_heard_from_warning_on(
    capsys: pytest.CaptureFixture[str], level: str, heard: int
) -> None:
    configure_logging(form="json", level=level)

    for speak in ("debug", "info", "warning"):
        getattr(logging.getLogger("httpx"), speak)("GET https://host")

    assert len(log_lines(capsys)) == heard


def test_what_is_below_the_level_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="json", level="warning")
    log = get_logger("positionstore.tried")

    log.info("quiet")
    log.warning("loud")

    assert [line["action"] for line in log_lines(capsys)] == ["loud"]


def test_a_traceback_is_part_of_a_line_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="json")

    try:
        fail()
    except ValueError:
        get_logger("positionstore.tried").exception("failed")

    (line,) = log_lines(capsys)
    assert "Traceback (most recent call last)" in str(line["exception"])
    assert "came off" in str(line["exception"])


@pytest.mark.parametrize("way", ["exception", "exc_info", "stdlib"])
def test_a_traceback_is_kept_off_the_terminal_in_a_private_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, way: str
) -> None:
    configure_logging(form="console", data_dir=tmp_path)

    try:
        fail()
    except ValueError as error:
        if way == "exception":
            get_logger("positionstore.tried").exception("failed")
        elif way == "exc_info":
            get_logger("positionstore.tried").error("failed", exc_info=error)
        else:
            logging.getLogger("some.library").exception("failed")

    written = capsys.readouterr().err
    path = tmp_path / "log" / "positionstore.log"
    assert len(written.splitlines()) == 1
    assert "Traceback" not in written
    assert "ValueError: a wheel" in written
    assert str(path) in written
    assert "Traceback (most recent call last)" in json.loads(path.read_text())["exception"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_error_nobody_foresaw_goes_to_the_file_alone_on_a_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    configure_logging(form="console", data_dir=tmp_path)

    where = log_unexpected(ValueError("a wheel came off"))

    assert where == str(tmp_path / "log" / "positionstore.log")
    assert capsys.readouterr() == ("", "")


def test_secrets_are_masked_in_the_file_too(tmp_path: Path) -> None:
    configure_logging(form="console", data_dir=tmp_path)

    where = log_unexpected(ValueError("dm_live_skey_abcdef"))

    assert "abcdef" not in Path(where).read_text()


def test_where_the_data_directory_cannot_be_written_the_details_are_elsewhere(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    configure_logging(form="console", data_dir=tmp_path / "file")

    where = Path(log_unexpected(ValueError("a wheel came off")))

    try:
        assert "came off" in where.read_text()
    finally:
        where.unlink()


def test_the_file_of_details_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_LARGEST", 10)
    configure_logging(form="console", data_dir=tmp_path)

    for number in range(4):
        log_unexpected(ValueError(f"number {number}"))

    kept = {path.name: path.read_text() for path in (tmp_path / "log").iterdir()}
    assert set(kept) == {"positionstore.log", "positionstore.log.1"}
    assert "number 3" in kept["positionstore.log"]
    assert "number 2" in kept["positionstore.log.1"]


def test_a_thread_that_fails_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="json")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()

    (line,) = log_lines(capsys)
    assert (line["action"], line["thread"]) == ("thread_failed", "worker")
    assert "came off" in str(line["exception"])


def test_a_finalizer_that_fails_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(form="json")

    class Broken:
        def __del__(self) -> None:
            fail()

    Broken().__class__  # noqa: B018 - made, and gone at once

    assert [line["action"] for line in log_lines(capsys)] == ["error_in_finalizer"]


@pytest.mark.parametrize(("level", "heard"), [("info", 0), ("debug", 1)])
def test_pythons_warnings_are_for_those_who_debug(
    capsys: pytest.CaptureFixture[str], level: str, heard: int
) -> None:
    configure_logging(form="json", level=level)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)

    assert len(log_lines(capsys)) == heard


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(f"{len(text)} characters for nobody")


def test_a_log_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_logging(form="json")
    gone = Gone()
    monkeypatch.setattr(sys, "stderr", gone)

    get_logger("positionstore.tried").info("tried")

    assert gone.getvalue() == ""
