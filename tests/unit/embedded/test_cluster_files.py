import socket
import stat
from pathlib import Path

import pytest

from positionstore.embedded.cluster import (
    choose_port,
    configure,
    last_words,
    major_version,
    new_password,
    write_private,
)
from positionstore.errors import ConfigurationError


def test_settings_are_quoted_and_those_given_go_before_ours(tmp_path: Path) -> None:
    configure(tmp_path, None, 5433, {"fsync": "off", "archive_command": "echo 'it''s'"})
    lines = (tmp_path / "positionstore.conf").read_text().splitlines()
    assert "port = '5433'" in lines
    assert "fsync = 'off'" in lines
    assert "fsync = 'on'" not in lines
    assert "archive_command = 'echo ''it''''s'''" in lines
    assert stat.S_IMODE((tmp_path / "positionstore.conf").stat().st_mode) == 0o600


def test_the_preferred_port_is_used_while_it_is_free() -> None:
    port = choose_port()
    assert choose_port(port) == port
    with socket.create_server(("127.0.0.1", port)):
        assert choose_port(port) != port


def test_a_private_file_is_private_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old and open to all")
    path.chmod(0o666)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_passwords_differ_and_need_no_quoting() -> None:
    first, second = new_password(), new_password()
    assert first != second
    assert len(first) >= 32
    assert all(character.isalnum() or character in "-_" for character in first)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("LOG:  starting\nFATAL:  no space left.\nLOG:  shut down\n", "no space left"),
        ("FATAL:  first\nFATAL:  last\n", "last"),
        ("initdb: error: it failed\ninitdb: removing contents\n", "it failed"),
        ("something else\n\n", "something else"),
        ("FATAL:  No space left on device\nPANIC:  cannot abort\n", "No space left on device"),
        (
            'LOG:  invalid value for "x"\nFATAL:  configuration file "c" contains errors\n',
            'invalid value for "x"',
        ),
    ],
)
def test_the_line_that_says_what_went_wrong_is_found(log: str, words: str) -> None:
    assert last_words(log) == words


def test_the_version_of_the_files_is_read(tmp_path: Path) -> None:
    assert major_version(tmp_path) is None
    (tmp_path / "PG_VERSION").write_text("18\n")
    assert major_version(tmp_path) == 18
    (tmp_path / "PG_VERSION").write_text("")
    with pytest.raises(ConfigurationError, match="is damaged"):
        major_version(tmp_path)
