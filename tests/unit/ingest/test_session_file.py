"""A recovery session, kept for the next process."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from positionstore.dimes.recovery import RecoverySession
from positionstore.ingest.session_file import OLDEST, SessionFile
from positionstore.model.facts import Source

NOW = datetime(2026, 7, 1, tzinfo=UTC)
URL = "https://api-sandbox.dimes.fi"


def file(folder: Path, *, gateway: Source = Source.PARTNER, url: str = URL) -> SessionFile:
    return SessionFile(folder, gateway=gateway, base_url=url)


def session(number: int = 1) -> RecoverySession:
    return RecoverySession(f"pid-{number}", f"offset-{number}", NOW, 45.0, replays_all=number != 1)


def left(folder: Path, number: int = 1, at: datetime = NOW) -> None:
    """A process has ended, and left a session."""
    ended = file(folder)
    ended.save(session(number), at)
    ended.close()


def test_the_next_process_gets_what_was_kept_last(tmp_path: Path) -> None:
    ended = file(tmp_path)
    for number in (1_000, 1):
        ended.save(session(number), NOW)
    ended.close()
    assert file(tmp_path).take_over(NOW + timedelta(seconds=3)) == session()


def test_only_one_gets_it(tmp_path: Path) -> None:
    left(tmp_path)
    first, second = file(tmp_path), file(tmp_path)
    assert first.take_over(NOW) == session()
    assert second.take_over(NOW) is None


def test_one_that_ends_before_it_is_connected_leaves_it_to_the_next(tmp_path: Path) -> None:
    left(tmp_path)
    first = file(tmp_path)
    assert first.take_over(NOW) == session()
    first.close()
    assert file(tmp_path).take_over(NOW) == session()
    assert file(tmp_path).take_over(NOW + OLDEST) is None, "its age is that of the session"


def test_a_living_process_is_left_its_session(tmp_path: Path) -> None:
    living = file(tmp_path)
    living.save(session(), NOW)
    assert file(tmp_path).take_over(NOW) is None


def test_the_latest_of_several_is_taken_and_none_is_left(tmp_path: Path) -> None:
    left(tmp_path, 1, NOW - timedelta(seconds=9))
    left(tmp_path, 2, NOW)
    left(tmp_path, 3, NOW - timedelta(seconds=5))
    taken = file(tmp_path)
    assert taken.take_over(NOW) == session(2)
    assert len(list((tmp_path / "recovery").iterdir())) == 1


@pytest.mark.parametrize("age", [OLDEST + timedelta(seconds=1), timedelta(seconds=-1)])
def test_one_that_is_too_old_or_of_the_future_is_not_used(tmp_path: Path, age: timedelta) -> None:
    left(tmp_path)
    assert file(tmp_path).take_over(NOW + age) is None


@pytest.mark.parametrize(
    ("gateway", "url"), [(Source.CUSTOMER, URL), (Source.PARTNER, "https://api.dimes.fi")]
)
def test_it_is_shown_to_no_other_gateway(tmp_path: Path, gateway: Source, url: str) -> None:
    left(tmp_path)
    assert file(tmp_path, gateway=gateway, url=url).take_over(NOW) is None


@pytest.mark.parametrize(
    ("gateway", "url"), [(Source.CUSTOMER, URL), (Source.PARTNER, "https://api.dimes.fi")]
)
def test_another_gateway_leaves_it_to_its_own(tmp_path: Path, gateway: Source, url: str) -> None:
    left(tmp_path)
    assert file(tmp_path, gateway=gateway, url=url).take_over(NOW) is None
    assert file(tmp_path).take_over(NOW) == session()


def test_another_gateway_deletes_one_that_is_too_old(tmp_path: Path) -> None:
    left(tmp_path)
    file(tmp_path, gateway=Source.CUSTOMER).take_over(NOW + OLDEST + timedelta(seconds=1))
    assert not list((tmp_path / "recovery").iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid":1}', b"[" * 100_000])
def test_a_file_that_was_cut_short_is_no_session(tmp_path: Path, content: bytes) -> None:
    left(tmp_path)
    for path in (tmp_path / "recovery").iterdir():
        path.write_bytes(content)
    assert file(tmp_path).take_over(NOW) is None


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    left(tmp_path)
    (path,) = (tmp_path / "recovery").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "recovery").write_text("a file in the way")
    kept = file(tmp_path)
    kept.save(session(), NOW)
    kept.close()
    assert file(tmp_path).take_over(NOW) is None


def test_the_secrets_are_not_in_its_representation() -> None:
    assert "pid-1" not in repr(session())
    assert "offset-1" not in repr(session())
