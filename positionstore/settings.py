"""Every setting, from the environment or a ``.env`` file; nothing else is configured.

A secret may also stand in a file of its own: ``DIMES_API_KEY_FILE``, ``DIMES_JWT_FILE`` and
``DATABASE_URL_FILE`` name one, as container platforms provide them.
"""

import ipaddress
import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from positionstore.errors import ConfigurationError, WrongEnvironmentError

_SECRETS = ("DIMES_API_KEY", "DIMES_JWT", "DATABASE_URL")


class Environment(StrEnum):
    """The vendor's two worlds. A key works against its own only, and a store holds one only."""

    PRODUCTION = "production"
    SANDBOX = "sandbox"

    @property
    def key_prefix(self) -> str:
        """How an API key of this environment begins."""
        return {"production": "dm_live_skey_", "sandbox": "dm_sbx_skey_"}[self]

    @property
    def base_url(self) -> str:
        """The vendor's host of this environment."""
        return {
            "production": "https://api.dimes.fi",
            "sandbox": "https://api-sandbox.dimes.fi",
        }[self]


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "positionstore"


class Settings(BaseSettings):
    """What is in force. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_prefix="POSITIONSTORE_",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    api_key: SecretStr | None = Field(
        None, validation_alias="DIMES_API_KEY", description="The partner's API key."
    )
    base_url_setting: str | None = Field(
        None,
        validation_alias="DIMES_BASE_URL",
        description="Gateway and REST host; by the key's prefix where it is not set.",
    )
    auth_style: Literal["payload", "header"] = Field(
        "payload",
        validation_alias="DIMES_AUTH_STYLE",
        description="Where the gateway gets the credentials: the Socket.IO auth payload, or a header.",
    )
    wallet_address: str | None = Field(
        None,
        validation_alias="DIMES_WALLET_ADDRESS",
        description="Customer gateway: the wallet to mint a token for.",
    )
    jwt: SecretStr | None = Field(
        None, validation_alias="DIMES_JWT", description="Customer gateway: a ready user token."
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="Any PostgreSQL 15 or newer; the embedded server where it is not set.",
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="Where the embedded server and other files are kept.",
    )
    pg_bin: Path | None = Field(
        None, description="Directory of the PostgreSQL binaries for the embedded server."
    )
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts besides the vendor's that may be sent credentials, by commas."
    )
    settle_window: float = Field(
        60.0,
        ge=0,
        description="How long before its as-of a snapshot leaves events to compete with it.",
    )
    batch_size: int = Field(
        10_000, ge=1, le=1_000_000, description="Events the ingester writes in one transaction."
    )
    import_batch_size: int = Field(
        50_000, ge=1, le=1_000_000, description="Events an import writes in one transaction."
    )
    heartbeat_every: float = Field(
        5.0, gt=0, description="How often a stream session's last proof of life is recorded."
    )
    reconnect_cap: float = Field(
        30.0, gt=0, description="The longest wait between two attempts to connect."
    )
    http_retry_budget: float = Field(
        120.0, ge=0, description="How long one request may spend on retries."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="The log's form: for people on a terminal, JSON otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe log line to print."
    )

    @field_validator("trusted_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator(
        "base_url_setting", "wallet_address", "api_key", "jwt", "database_url", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return (value.strip() or None) if isinstance(value, str) else value

    @property
    def environment(self) -> Environment:
        """The environment of the key; without a key, that of the host.

        Raises:
            ConfigurationError: neither the key nor the host tells.
            WrongEnvironmentError: key and host belong to different environments.
        """
        by_host = _environment_of_host(self.base_url_setting)
        if self.api_key is None:
            if by_host is None:
                raise ConfigurationError(
                    "No environment can be told: neither DIMES_API_KEY nor DIMES_BASE_URL is set.",
                    remedy="Set one of them, or run `positionstore sandbox` to develop against.",
                )
            return by_host
        key = self.api_key.get_secret_value()
        by_key = next((e for e in Environment if key.startswith(e.key_prefix)), None)
        if by_key is None:
            raise ConfigurationError(
                "DIMES_API_KEY begins with neither dm_live_skey_ nor dm_sbx_skey_.",
                remedy="Copy the whole key from the vendor's dashboard.",
            )
        vendor_host = _vendor_environment(self.base_url_setting)
        if vendor_host is not None and vendor_host is not by_key:
            raise WrongEnvironmentError(
                f"DIMES_API_KEY is a {by_key} key, but DIMES_BASE_URL is the {vendor_host} host.",
                remedy="Nothing was sent. Unset DIMES_BASE_URL, or use the other key.",
            )
        return by_key

    @property
    def base_url(self) -> str:
        """The host that is spoken to, checked, without a trailing slash.

        Raises:
            ConfigurationError: the host is not the vendor's, not loopback and not trusted, or
                would be spoken to without TLS.
            WrongEnvironmentError: key and host belong to different environments.
        """
        environment = self.environment
        if self.base_url_setting is None:
            return environment.base_url
        url = self.base_url_setting.rstrip("/")
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host or parts.username:
            raise ConfigurationError(
                "DIMES_BASE_URL is not of the form https://host[:port].",
                remedy=f"The vendor's is {environment.base_url}.",
            )
        if _is_loopback(host):
            return url
        if _vendor_environment(url) is None and host not in self.trusted_hosts:
            raise ConfigurationError(
                f"DIMES_BASE_URL names {host}, which is not the vendor's host.",
                remedy=f"If it may be sent your credentials, set POSITIONSTORE_TRUSTED_HOSTS={host}.",
            )
        if parts.scheme != "https":
            raise ConfigurationError(
                f"DIMES_BASE_URL would send credentials to {host} without TLS.",
                remedy="Write https://.",
            )
        return url

    @property
    def settle_window_duration(self) -> timedelta:
        """The settle window as a duration."""
        return timedelta(seconds=self.settle_window)


def environment_variable(name: str) -> str:
    """Return the environment variable that sets the field ``name`` of :class:`Settings`."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, str):
        return alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"POSITIONSTORE_{name.upper()}"


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401 - any field of Settings
    """Read the settings from the environment, ``.env`` and secret files.

    Args:
        overrides: fields that a command-line option sets.

    Raises:
        ConfigurationError: a value cannot be used; the message names the variable.
    """
    values: dict[str, Any] = {}
    for variable in _SECRETS:
        path = os.environ.get(f"{variable}_FILE")
        if path and not os.environ.get(variable):
            values[variable] = _read_secret(variable, Path(path))
    values.update(overrides)
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "a setting"
        variable = environment_variable(name) if name in Settings.model_fields else name
        raise ConfigurationError(f"{variable} cannot be used: {first['msg']}.") from None


def _read_secret(variable: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{variable}_FILE names {path}, which cannot be read: {error.__class__.__name__}."
        ) from None


def _vendor_environment(url: str | None) -> Environment | None:
    host = urlsplit(url or "").hostname
    return next((e for e in Environment if urlsplit(e.base_url).hostname == host), None)


def _environment_of_host(url: str | None) -> Environment | None:
    if url is None:
        return None
    if _is_loopback(urlsplit(url).hostname or ""):
        return Environment.SANDBOX
    return _vendor_environment(url) or Environment.PRODUCTION


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
