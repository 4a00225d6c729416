"""What is in force: where it comes from, and what is refused."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from positionstore.errors import ConfigurationError, WrongEnvironmentError
from positionstore.settings import (
    Environment,
    Given,
    Settings,
    default_data_dir,
    environment_variable,
    given,
    load_settings,
    meaning,
    unknown_variables,
)

LIVE_KEY = "dm_live_skey_0123456789abcdef"
SANDBOX_KEY = "dm_sbx_skey_0123456789abcdef"


def dotenv(text: str) -> None:
    Path(".env").write_text(text, encoding="utf-8")


def refusal() -> str:
    with pytest.raises(ConfigurationError) as raised:
        load_settings()
    assert raised.value.exit_code == 2
    assert "\n" not in str(raised.value)
    return str(raised.value)


def base_url_refusal(kind: type[ConfigurationError] = ConfigurationError) -> str:
    with pytest.raises(kind) as raised:
        _ = load_settings().base_url
    return str(raised.value)


# --- where a setting comes from


def test_without_any_variable_the_defaults_are_in_force(tmp_path: Path) -> None:
    settings = load_settings()

    assert given() == {}
    assert settings.api_key is None
    assert settings.database_url is None
    assert settings.settle_window_duration == timedelta(seconds=60)
    assert settings.http_retry_budget == 120
    assert settings.data_dir == tmp_path / "xdg" / "positionstore"


def test_the_environment_wins_over_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv("POSITIONSTORE_BATCH_SIZE=5\nPOSITIONSTORE_LOG_LEVEL='debug'  # loud\n")
    monkeypatch.setenv("POSITIONSTORE_BATCH_SIZE", "7")

    settings = load_settings()

    assert (settings.batch_size, settings.log_level) == (7, "debug")
    assert given() == {
        "batch_size": Given("7", "environment"),
        "log_level": Given("debug", ".env"),
    }


def test_what_a_command_sets_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONSTORE_BATCH_SIZE", "7")

    assert load_settings(batch_size=9).batch_size == 9


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_variable_is_not_set(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    names = Settings.__struct_fields__
    for name in names:
        monkeypatch.setenv(environment_variable(name), blank)

    assert load_settings() == Settings()
    assert given() == {}


def test_a_blank_variable_does_not_hide_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv(f"DIMES_API_KEY={SANDBOX_KEY}\n")
    monkeypatch.setenv("DIMES_API_KEY", "")

    settings = load_settings()

    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == SANDBOX_KEY


def test_blanks_around_a_value_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_API_KEY", f" {SANDBOX_KEY}\n")

    assert load_settings().environment is Environment.SANDBOX


@pytest.mark.parametrize(
    ("variable", "field"),
    [("DIMES_API_KEY", "api_key"), ("DIMES_JWT", "jwt"), ("DATABASE_URL", "database_url")],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_secret_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, field: str, place: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://u:p@h/d\n", encoding="utf-8")
    if place == "environment":
        monkeypatch.setenv(f"{variable}_FILE", str(secret))
    else:
        dotenv(f"{variable}_FILE={secret}\n")

    assert getattr(load_settings(), field).get_secret_value() == "postgresql://u:p@h/d"
    assert given()[field].origin == f"{variable}_FILE"


def test_the_variable_wins_over_its_file_and_the_environment_over_dotenv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("from-file", encoding="utf-8")
    monkeypatch.setenv("DIMES_JWT_FILE", "secret")
    dotenv("DIMES_JWT=from-dotenv\n")
    assert given()["jwt"] == Given("from-file", "DIMES_JWT_FILE")

    monkeypatch.setenv("DIMES_JWT", "from-environment")
    assert given()["jwt"] == Given("from-environment", "environment")


def test_a_file_for_what_is_no_secret_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_WALLET_ADDRESS_FILE", "/nowhere")

    assert given() == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "No such file or directory."), (b"\xff\xfe", "it is no UTF-8 text.")],
)
def test_a_secret_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("DIMES_API_KEY_FILE", str(path))

    assert refusal() == f"DIMES_API_KEY_FILE names {path}, which cannot be read: {why}"


def test_a_dotenv_that_is_no_text_is_named() -> None:
    Path(".env").write_bytes(b"A=\xff\n")

    assert refusal() == ".env in this directory cannot be read: it is no UTF-8 text."


def test_a_dotenv_may_be_a_fifo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSITIONSTORE_LOG_LEVEL", raising=False)
    os.mkfifo(".env")
    writer = threading.Thread(target=dotenv, args=("POSITIONSTORE_LOG_LEVEL=error\n",))
    writer.start()
    try:
        assert given()["log_level"] == Given("error", ".env")
    finally:
        writer.join()


def test_a_directory_that_may_not_be_searched_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)

    assert refusal() == ".env in this directory cannot be read: Permission denied."


def test_only_the_documented_names_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("POSITIONSTORE_API_KEY", "API_KEY", "api_key", "POSITIONSTORE_BASE_URL"):
        monkeypatch.setenv(variable, SANDBOX_KEY)

    assert load_settings().api_key is None


def test_every_field_has_a_variable_of_its_own_and_a_meaning() -> None:
    variables = [environment_variable(name) for name in Settings.__struct_fields__]

    assert len(set(variables)) == len(variables)
    assert all(meaning(name).endswith(".") for name in Settings.__struct_fields__)


# --- what looks like a slip


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("POSITIONSTORE_DATADIR", "POSITIONSTORE_DATA_DIR"),
        ("POSITIONSTORE_SETTLE_WINDW", "POSITIONSTORE_SETTLE_WINDOW"),
        ("positionstore_batch_size", "POSITIONSTORE_BATCH_SIZE"),
        ("POSITIONSTORE_QUITE_ANOTHER_THING", None),
        ("POSITIONSTORE_DEFLATE", None),
        ("POSITIONSTORE_PING", "POSITIONSTORE_PING_EVERY"),
        ("POSITIONSTORE_COMPRESSION", "POSITIONSTORE_STREAM_COMPRESSION"),
        ("POSITIONSTORE_API_KEY", "DIMES_API_KEY"),
        ("POSITIONSTORE_HTTP", None),
        ("DIMES_APIKEY", "DIMES_API_KEY"),
        ("DIMES_API_KEY_FIL", "DIMES_API_KEY_FILE"),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_variable_nobody_knows_is_found_with_the_name_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str | None, place: str
) -> None:
    if place == "environment":
        monkeypatch.setenv(variable, "1")
    else:
        dotenv(f"{variable}=1\n")

    assert unknown_variables() == [(variable, meant)]


@pytest.mark.parametrize("variable", ["DIMES_PARTNER_NAME", "PGHOST", "DATABASE_URLS"])
def test_the_variables_of_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")

    assert unknown_variables() == []


def test_no_variable_of_ours_is_taken_for_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.__struct_fields__:
        monkeypatch.setenv(environment_variable(name), "1")
    for secret in ("DIMES_API_KEY", "DIMES_JWT", "DATABASE_URL"):
        monkeypatch.setenv(f"{secret}_FILE", "1")

    assert unknown_variables() == []


# --- what is refused


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("POSITIONSTORE_BATCH_SIZE", "0"),
        ("POSITIONSTORE_BATCH_SIZE", "many"),
        ("POSITIONSTORE_BATCH_SIZE", "1.5"),
        ("POSITIONSTORE_SETTLE_WINDOW", "-1"),
        ("POSITIONSTORE_SETTLE_WINDOW", "nan"),
        ("POSITIONSTORE_SETTLE_WINDOW", "inf"),
        ("POSITIONSTORE_RECONCILE_EVERY", "inf"),
        ("POSITIONSTORE_FULL_PASS_AT", "24:00"),
        ("POSITIONSTORE_SETTLE_WINDOW", "1e300"),
        ("POSITIONSTORE_HEARTBEAT_EVERY", "0"),
        ("POSITIONSTORE_RECONNECT_CAP", "0"),
        ("POSITIONSTORE_HTTP_RATE", "fast"),
        ("POSITIONSTORE_VALUATION_HISTORY", "maybe"),
        ("POSITIONSTORE_LOG_LEVEL", "loud"),
        ("POSITIONSTORE_LOG_FORMAT", "xml"),
        ("DIMES_AUTH_STYLE", "smoke signals"),
        ("POSITIONSTORE_DATA_DIR", "~nobody_of_this_name/data"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert refusal().startswith(f"{variable} cannot be used: ")


@pytest.mark.parametrize("variable", ["DIMES_API_KEY", "DIMES_JWT"])
@pytest.mark.parametrize("value", ["to ken", "to\nken", "schlüssel", "to\x7fken"])
def test_a_secret_that_no_header_could_carry_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    message = refusal()

    assert message.startswith(f"{variable} cannot be used: ")
    assert value not in message


@pytest.mark.parametrize(
    "url", ["mysql://u:topsecret@h/d", "http://u:topsecret@h", "topsecret", "sqlite:///topsecret"]
)
def test_a_database_that_is_not_postgres_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    message = refusal()

    assert message.startswith("DATABASE_URL cannot be used: ")
    assert "topsecret" not in message


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgres://u:p@h:5433/d?sslmode=require", "postgresql://u:p@h:5433/d?sslmode=require"),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d"),
        ("postgresql:///d?host=/run/postgresql", "postgresql:///d?host=/run/postgresql"),
        ("host=h dbname=d", "host=h dbname=d"),
    ],
)
def test_every_spelling_of_a_postgres_database_is_taken(
    monkeypatch: pytest.MonkeyPatch, url: str, used: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    database_url = load_settings().database_url

    assert database_url is not None
    assert database_url.get_secret_value() == used


def test_a_setting_that_does_not_exist_cannot_be_set_by_a_command() -> None:
    with pytest.raises(ConfigurationError, match="databse_url"):
        load_settings(databse_url="postgresql://h/d")


@pytest.mark.parametrize("value", ["loud", "DEBUG"])
def test_the_values_that_can_be_chosen_are_named(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("POSITIONSTORE_LOG_LEVEL", value)

    why = "it is none of debug, info, warning, error. Its meaning: The lowest level to log."
    assert refusal() == f"POSITIONSTORE_LOG_LEVEL cannot be used: {why}"


def test_a_bound_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSITIONSTORE_PING_EVERY", "20.5")

    assert "POSITIONSTORE_PING_EVERY cannot be used: it has to be <= 20.0. Its" in refusal()


@pytest.mark.parametrize("value", [0, 1_000_001, 1.5, None])
def test_what_a_command_sets_is_checked_too(value: object) -> None:
    with pytest.raises(ConfigurationError, match="POSITIONSTORE_BATCH_SIZE cannot be used"):
        load_settings(batch_size=value)


@pytest.mark.parametrize(
    ("word", "means"),
    [("true", True), ("Yes", True), ("on", True), ("1", True), ("FALSE", False), ("no", False)],
)
def test_yes_and_no_are_spelt_in_several_ways(
    monkeypatch: pytest.MonkeyPatch, word: str, means: bool
) -> None:
    monkeypatch.setenv("POSITIONSTORE_VALUATION_HISTORY", word)

    assert load_settings().valuation_history is means


# --- paths


def test_a_tilde_and_a_relative_path_are_resolved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POSITIONSTORE_DATA_DIR", "~/books")
    monkeypatch.setenv("POSITIONSTORE_PG_BIN", "bin")

    settings = load_settings()

    assert settings.data_dir == tmp_path / "home" / "books"
    assert settings.pg_bin == tmp_path / "bin"


def test_a_relative_xdg_directory_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert default_data_dir() == tmp_path / ".local" / "share" / "positionstore"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", no_home)

    assert "Set POSITIONSTORE_DATA_DIR." in refusal()


# --- the environment and the host


@pytest.mark.parametrize(
    ("key", "environment", "url"),
    [
        (LIVE_KEY, Environment.PRODUCTION, "https://api.dimes.fi"),
        (SANDBOX_KEY, Environment.SANDBOX, "https://api-sandbox.dimes.fi"),
    ],
)
def test_the_host_follows_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, environment: Environment, url: str
) -> None:
    monkeypatch.setenv("DIMES_API_KEY", key)

    settings = load_settings()

    assert (settings.environment, settings.base_url) == (environment, url)


@pytest.mark.parametrize(
    ("key", "url"),
    [
        (LIVE_KEY, "https://api-sandbox.dimes.fi"),
        (SANDBOX_KEY, "https://api.dimes.fi"),
        (SANDBOX_KEY, "HTTPS://API.DIMES.FI:443/"),
    ],
)
def test_a_key_against_the_other_environments_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, key: str, url: str
) -> None:
    monkeypatch.setenv("DIMES_API_KEY", key)
    monkeypatch.setenv("DIMES_BASE_URL", url)

    message = base_url_refusal(WrongEnvironmentError)

    assert "Nothing was sent." in message
    assert key not in message


def test_a_key_of_no_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_API_KEY", "sk_whatever_this_is")

    message = base_url_refusal()

    assert message.startswith("DIMES_API_KEY begins with neither")
    assert "sk_whatever_this_is" not in message


def test_without_key_and_host_no_environment_can_be_told() -> None:
    assert "neither DIMES_API_KEY nor DIMES_BASE_URL is set" in base_url_refusal()


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://api.dimes.fi", Environment.PRODUCTION),
        ("https://api-sandbox.dimes.fi/", Environment.SANDBOX),
        ("http://127.0.0.1:8787", Environment.SANDBOX),
    ],
)
def test_without_a_key_the_host_tells_the_environment(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: Environment
) -> None:
    monkeypatch.setenv("DIMES_BASE_URL", url)

    settings = load_settings()

    assert (settings.environment, settings.base_url) == (environment, url.rstrip("/"))


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1", "http://127.9.9.9:80", "http://[::1]:8787"]
)
def test_a_loopback_host_is_always_allowed(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DIMES_API_KEY", LIVE_KEY)
    monkeypatch.setenv("DIMES_BASE_URL", url)

    assert load_settings().base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://dimes.example",
        "https://api.dimes.fi.evil.example",
        "https://evil-api.dimes.fi",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
    ],
)
def test_a_host_that_is_not_the_vendors_needs_trust(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DIMES_API_KEY", LIVE_KEY)
    monkeypatch.setenv("DIMES_BASE_URL", url)

    assert "POSITIONSTORE_TRUSTED_HOSTS" in base_url_refusal()


def test_a_trusted_host_is_allowed_with_tls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_API_KEY", LIVE_KEY)
    monkeypatch.setenv("POSITIONSTORE_TRUSTED_HOSTS", "proxy.example, Dimes.Example ,")
    monkeypatch.setenv("DIMES_BASE_URL", "https://dimes.example:8443")
    assert load_settings().base_url == "https://dimes.example:8443"

    monkeypatch.setenv("DIMES_BASE_URL", "http://dimes.example:8443")
    assert "without TLS" in base_url_refusal()


def test_the_vendors_host_needs_tls_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_API_KEY", LIVE_KEY)
    monkeypatch.setenv("DIMES_BASE_URL", "http://api.dimes.fi")

    assert "without TLS" in base_url_refusal()


@pytest.mark.parametrize(
    "url",
    [
        "api.dimes.fi",
        "wss://api.dimes.fi/v1/ws/prediction-markets/positions",
        "https://api.dimes.fi/v1",
        "https://api.dimes.fi?x=1",
        "https://user:word@api.dimes.fi",
        "https://api.dimes.fi\\@evil.example",
        "https://evil.example#@api.dimes.fi",
        "https://[::1",
        "https://api.dimes.fi:99999",
        "https://api.dimes.fi:0",
        "https://",
        "https://api dimes.fi",
    ],
)
def test_a_base_url_that_is_no_plain_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DIMES_BASE_URL", url)

    assert "it is not of the form https://host[:port]" in refusal()


# --- secrets


def test_no_secret_shows_in_the_settings_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIMES_API_KEY", SANDBOX_KEY)
    monkeypatch.setenv("DIMES_JWT", "eyJhbGciOi.hush.hush")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p%40ss-word@h/d")

    settings = load_settings()

    for shown in (repr(settings), str(settings), f"{settings.api_key}{settings.database_url}"):
        assert SANDBOX_KEY not in shown
        assert "hush" not in shown
        assert "ss-word" not in shown
    assert {SANDBOX_KEY, "eyJhbGciOi.hush.hush", "p%40ss-word", "p@ss-word"} <= set(
        settings.secret_values
    )
