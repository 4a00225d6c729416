"""``POSITIONSTORE_WALLETS``: a list, or a file."""

from pathlib import Path

import pytest

from positionstore.errors import ConfigurationError
from positionstore.settings import load_settings

A, B = "0x" + "aA" * 20, "0x" + "bB" * 20


def wallets(monkeypatch: pytest.MonkeyPatch, value: str) -> tuple[str, ...]:
    monkeypatch.setenv("POSITIONSTORE_WALLETS", value)
    return load_settings().wallets


def test_none_are_named_unless_somebody_does() -> None:
    assert load_settings().wallets == ()


@pytest.mark.parametrize("value", [f"{A},{B}", f" {A} , {B} ,", f"{A},{B},{A.lower()},{B.upper()}"])
def test_a_list_by_commas_names_each_once(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert wallets(monkeypatch, value) == (A, B)


def test_base58_addresses_that_differ_in_case_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wallets(monkeypatch, "7xKX,7XkX,7xKX") == ("7xKX", "7XkX")


def test_a_file_names_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "my wallets.txt"
    file.write_text(f"\ufeff# ours\n{A}  # the desk\r\n\n  {B}\n{A.lower()}\n", encoding="utf-8")
    assert wallets(monkeypatch, f"@{file}") == (A, B)


def test_an_empty_file_names_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    assert wallets(monkeypatch, "@none") == ()


@pytest.mark.parametrize("missing", ["@absent.txt", "@.", "@"])
def test_a_file_that_cannot_be_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"POSITIONSTORE_WALLETS .* cannot be read"):
        wallets(monkeypatch, missing)


@pytest.mark.parametrize("wrong", ["wallets.txt", "./w", "dm_live_skey_0123", "eyJhbGciOi.eyJ.x"])
def test_what_is_no_address_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    with pytest.raises(ConfigurationError, match="entry 2") as raised:
        wallets(monkeypatch, f"{A},{wrong}")
    assert wrong not in str(raised.value)
