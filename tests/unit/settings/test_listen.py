"""Where HTTP is served, and who may see it."""

import pytest

from positionstore.errors import ConfigurationError
from positionstore.settings import load_settings

TOKEN = "0123456789abcdef-a-token"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("localhost:80", ("localhost", 80)),
        ("[::1]:9464", ("::1", 9464)),
        ("127.8.8.8:65535", ("127.8.8.8", 65535)),
        ("off", None),
        ("OFF", None),
        ("", ("127.0.0.1", 9464)),
    ],
)
def test_an_address_is_a_host_and_a_port_or_off(
    monkeypatch: pytest.MonkeyPatch, written: str, address: tuple[str, int] | None
) -> None:
    monkeypatch.setenv("POSITIONSTORE_LISTEN", written)

    assert load_settings().listen_address == address


@pytest.mark.parametrize(
    "written",
    ["9464", "127.0.0.1", "127.0.0.1:65536", "::1:80", "http://127.0.0.1:80", ":80", "no"],
)
def test_another_value_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("POSITIONSTORE_LISTEN", written)

    with pytest.raises(ConfigurationError, match="POSITIONSTORE_LISTEN cannot be used") as raised:
        load_settings()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("written", ["0.0.0.0:9464", "[::]:9464", "10.0.0.7:80", "desk.example:80"])
def test_another_address_than_loopback_wants_a_token_or_a_word(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("POSITIONSTORE_LISTEN", written)

    with pytest.raises(ConfigurationError) as raised:
        _ = load_settings().listen_address
    assert raised.value.exit_code == 2
    assert "POSITIONSTORE_LISTEN_TOKEN" in str(raised.value)
    assert "\n" not in str(raised.value)
    with monkeypatch.context() as with_token:
        with_token.setenv("POSITIONSTORE_LISTEN_TOKEN", TOKEN)
        assert load_settings().listen_address is not None
    monkeypatch.setenv("POSITIONSTORE_LISTEN_WITHOUT_TOKEN", "true")
    assert load_settings().listen_address is not None


@pytest.mark.parametrize("token", ["short", "with a blank in it, and long", "0123456789abcde"])
def test_a_token_that_is_short_or_fits_no_header_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("POSITIONSTORE_LISTEN_TOKEN", token)

    with pytest.raises(ConfigurationError, match="POSITIONSTORE_LISTEN_TOKEN") as raised:
        load_settings()
    assert token not in str(raised.value)


def test_the_token_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONSTORE_LISTEN_TOKEN", TOKEN)
    settings = load_settings()

    assert TOKEN in settings.secret_values
    assert TOKEN not in repr(settings)
