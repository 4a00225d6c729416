"""Every setting, from the environment or a ``.env`` file; nothing else is configured.

A secret may also be in a separate file, as container platforms provide them:
``DIMES_API_KEY_FILE``, ``DATABASE_URL_FILE`` and so on name it. The environment wins over ``.env``,
and in each of them the variable wins over its ``_FILE``. An empty or blank variable is not set.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies_environment

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from positionstore import postgres_url
from positionstore.errors import ConfigurationError, WrongEnvironmentError
from positionstore.model.address import one_spelling

_PREFIX: Final = "POSITIONSTORE_"
_VARIABLES: Final = {
    "api_key": "DIMES_API_KEY",
    "base_url_setting": "DIMES_BASE_URL",
    "auth_style": "DIMES_AUTH_STYLE",
    "wallet_address": "DIMES_WALLET_ADDRESS",
    "jwt": "DIMES_JWT",
    "database_url": "DATABASE_URL",
    "schema_name": "POSITIONSTORE_SCHEMA",
}
"""The variables that have a name of their own; all others are the field's with the prefix."""

_SECRETS: Final = (
    "DIMES_API_KEY",
    "DIMES_JWT",
    "DATABASE_URL",
    "POSITIONSTORE_PROXY",
    "POSITIONSTORE_LISTEN_TOKEN",
)
_BASE_URL: Final = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?)(:\d{1,5})?/?", re.IGNORECASE
)
_LONGEST_NAME: Final = 63  # in PostgreSQL, which would cut the rest off
_LISTEN: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")
_SHORTEST_TOKEN: Final = 16
_A_YEAR: Final = 366 * 86_400.0
_ALIKE: Final = 0.75  # from this similarity on, one name is taken for a misspelling of the other


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


def default_data_dir() -> Path:
    """Return the data directory where none is set: where the XDG rules put it.

    Raises:
        ConfigurationError: the user has no home directory.
    """
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".local" / "share"
        except RuntimeError:
            raise ConfigurationError(
                "This user has no home directory to keep data in.",
                remedy="Set POSITIONSTORE_DATA_DIR.",
            ) from None
    return base / "positionstore"


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip().lower() for part in value.split(",") if part.strip())
    return value


def _wallets(value: object) -> object:
    """Take addresses by commas, or ``@`` and the path of a file with one a line."""
    if not isinstance(value, str):
        return value
    if value.startswith("@"):
        try:
            lines = (
                Path(value[1:].strip()).expanduser().read_text(encoding="utf-8-sig").splitlines()
            )
        except (OSError, RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(f"its file cannot be read: {_why_not_read(error)}") from None
        parts = [line.partition("#")[0].strip() for line in lines]
    else:
        parts = [part.strip() for part in value.split(",")]
    wallets = [part for part in parts if part]
    for number, wallet in enumerate(wallets, start=1):
        if not re.fullmatch(r"[0-9A-Za-z]+", wallet):
            # Not quoted: it may be a secret in the wrong place.
            raise ValueError(f"its entry {number} is no address; write @ before a file's path")
    found: dict[str, str] = {}
    for wallet in wallets:
        found.setdefault(one_spelling(wallet), wallet)
    return tuple(found.values())


def _fit_for_a_header(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("it holds a blank or a character that no key has; copy it once more")
    return secret


def _of_host(url: str) -> str:
    try:
        well_formed = bool(_BASE_URL.fullmatch(url)) and urlsplit(url).port != 0
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ValueError("it is not of the form https://host[:port]")
    return url


def _of_listener(address: str) -> str:
    found = _LISTEN.fullmatch(address)
    if address.lower() != "off" and (found is None or int(found["port"]) > 65_535):
        raise ValueError("it is neither off nor of the form host:port, such as 127.0.0.1:9464")
    return address


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < _SHORTEST_TOKEN:
        raise ValueError(f"it has fewer than {_SHORTEST_TOKEN} characters, and may be guessed")
    return secret


def _of_postgres(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    if (said := postgres_url.not_for_postgres(url)) is not None:
        raise ValueError(said)
    _, separator, rest = url.partition("://")
    return SecretStr(f"postgresql://{rest}") if separator else secret


def _of_a_schema(name: str) -> str:
    if len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"a name has {_LONGEST_NAME} bytes at most")
    if not name.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    if name.startswith("pg_") or name in {"information_schema", "$user"}:
        raise ValueError(f"{name} is PostgreSQL's own; take another name")
    return name


Credential = Annotated[SecretStr, AfterValidator(_fit_for_a_header)]
LocalPath = Annotated[Path, AfterValidator(_expanded)]
Seconds = Annotated[float, Field(ge=0, le=_A_YEAR, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The settings in effect. Durations are in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    api_key: Credential | None = Field(default=None, description="The partner's API key.")
    base_url_setting: Annotated[str, AfterValidator(_of_host)] | None = Field(
        default=None,
        description="Gateway and REST host; the default follows from the key's prefix.",
    )
    auth_style: Literal["payload", "header"] = Field(
        default="payload",
        description="Where credentials are sent: in the Socket.IO auth payload, or in a header.",
    )
    wallet_address: str | None = Field(
        default=None, description="Customer gateway: the wallet to mint a token for."
    )
    jwt: Credential | None = Field(
        default=None, description="Customer gateway: a user token, instead of minting one."
    )
    database_url: Annotated[SecretStr, AfterValidator(_of_postgres)] | None = Field(
        default=None,
        description="Any PostgreSQL 15 or newer; the default is the embedded server.",
    )
    schema_name: Annotated[str, AfterValidator(_of_a_schema)] | None = Field(
        default=None,
        description=(
            "The database schema of the store; `migrate` creates it. The default is the first"
            " schema of the role's search_path, usually public."
        ),
    )
    data_dir: LocalPath = Field(
        default_factory=default_data_dir,
        description="The directory of the embedded server and other files.",
    )
    pg_bin: LocalPath | None = Field(
        default=None, description="Directory of the PostgreSQL binaries for the embedded server."
    )
    trusted_hosts: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=(),
        description="Hosts besides the vendor's that may receive credentials, separated by commas.",
    )
    proxy: SecretStr | None = Field(
        default=None,
        description=(
            "The HTTP proxy to the vendor, http://[user:password@]host:port; overrides HTTPS_PROXY,"
            " ALL_PROXY and NO_PROXY."
        ),
    )
    ping_every: Seconds = Field(
        default=15.0,
        gt=0,
        le=20.0,  # a session that is silent for a minute counts as dead
        description=(
            "Seconds of silence after which the ingester pings the gateway's WebSocket; one that is"
            " silent for two and a half times as long counts as dead."
        ),
    )
    stream_compression: bool = Field(
        default=False,
        description=(
            "Whether to request permessage-deflate from the gateway: an eighth of the traffic for"
            " six times the CPU time of receiving."
        ),
    )
    settle_window: Seconds = Field(
        default=60.0,
        description=(
            "A snapshot overrules every event that is older than it by this much; younger ones"
            " compete with it."
        ),
    )
    batch_size: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        description="Events that the ingester may hold in memory and writes in one transaction.",
    )
    import_batch_size: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Events that an import writes in one transaction, at most 256 MiB.",
    )
    durability: Literal["batch", "spool"] = Field(
        default="batch",
        description=(
            "What a crash of the ingester may lose: with `batch`, what has arrived since the last"
            " commit, at most a batch; with `spool`, only what arrived during the last sync of the"
            " disk, since every event goes to disk at once."
        ),
    )
    spool_max_bytes: int = Field(
        default=4_000_000_000,
        ge=1_000_000,
        description=(
            "How many bytes an ingester keeps on disk while the database is away. Just below this"
            " limit it disconnects until half of it is free again."
        ),
    )
    database_patience: Seconds = Field(
        default=120.0,
        gt=0,
        description=(
            "How long the ingester waits for one database statement (for a lock, half of that)"
            " before it tries again; meanwhile events go to the spool."
        ),
    )
    heartbeat_every: Seconds = Field(
        default=5.0,
        gt=0,
        le=30.0,  # a session that is silent for a minute counts as dead
        description="How often the last proof of life of a stream session is recorded.",
    )
    reconnect_cap: Seconds = Field(
        default=30.0, gt=0, description="The longest pause between two connection attempts."
    )
    http_retry_budget: Seconds = Field(
        default=120.0, description="How long one request may spend on retries."
    )
    reconcile_every: float = Field(
        default=300.0,
        gt=0,
        allow_inf_nan=False,
        description="How often `run` reconciles, give or take a tenth.",
    )
    full_pass_at: str = Field(
        default="03:30",
        pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
        description="When `run` does its daily full reconciliation: HH:MM, UTC.",
    )
    valuation_history: bool = Field(
        default=False,
        description="Whether to keep every valuation rather than only each position's latest.",
    )
    http_concurrency: int = Field(
        default=4, ge=1, le=100, description="The number of concurrent REST requests."
    )
    http_rate: float = Field(
        default=10.0,
        gt=0,
        le=10_000,
        allow_inf_nan=False,
        description="The number of REST requests per second.",
    )
    wallets: Annotated[tuple[str, ...], BeforeValidator(_wallets)] = Field(
        default=(),
        description=(
            "Wallets to reconcile besides those in the log, if the API requires a token for each:"
            " separated by commas, or @ and the path of a file with one per line (# begins a"
            " comment)."
        ),
    )
    listen: Annotated[str, AfterValidator(_of_listener)] = Field(
        default="127.0.0.1:9464",
        description=(
            "Where `run` and `ingest` serve the status page, `/metrics`, `/livez` and `/readyz`"
            " over HTTP: host:port (port 0: any free port), or `off`."
        ),
    )
    listen_token: Annotated[Credential, AfterValidator(_long_enough)] | None = Field(
        default=None,
        description=(
            "The token for the status page (a browser asks for it as a password) and `/metrics`,"
            " 16 characters or more; required for an address other than loopback."
        ),
    )
    listen_without_token: bool = Field(
        default=False,
        description=(
            "Whether an address other than loopback may go without a token; anyone who reaches it"
            " can then read the book."
        ),
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="The log format; `auto` is readable text on a terminal and JSON otherwise.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level to log."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what :func:`given` finds, below what the caller sets."""
        del env_settings, dotenv_settings, file_secret_settings  # less exact than ours
        return init_settings, _Variables(settings_cls)

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
        if is_loopback(host):
            return url
        if _vendor_environment(url) is None and host not in self.trusted_hosts:
            raise ConfigurationError(
                f"DIMES_BASE_URL names {host}, which is not the vendor's host.",
                remedy=f"If it may get your credentials, set POSITIONSTORE_TRUSTED_HOSTS={host}.",
            )
        if parts.scheme != "https":
            raise ConfigurationError(
                f"DIMES_BASE_URL would send credentials to {host} without TLS.",
                remedy="Write https://.",
            )
        return url

    @property
    def store_dir(self) -> Path:
        """Where this store's own files are: what waits for one store is not for another."""
        if self.schema_name is None:
            return self.data_dir
        return self.data_dir / "schemas" / quote(self.schema_name, safe="")

    @property
    def listen_address(self) -> tuple[str, int] | None:
        """The host and port to serve HTTP on; None where it is turned off.

        Raises:
            ConfigurationError: others than this machine would reach it, and no token is set.
        """
        found = _LISTEN.fullmatch(self.listen)
        if found is None:
            return None
        host = found["host"].strip("[]")
        if not (is_loopback(host) or self.listen_token or self.listen_without_token):
            raise ConfigurationError(
                f"POSITIONSTORE_LISTEN={self.listen} would show the metrics to others than this"
                " machine.",
                remedy="Set POSITIONSTORE_LISTEN_TOKEN; or POSITIONSTORE_LISTEN_WITHOUT_TOKEN=true"
                " where anyone who reaches that address may read them.",
            )
        return host, int(found["port"])

    @property
    def settle_window_duration(self) -> timedelta:
        """The settle window as a duration."""
        return timedelta(seconds=self.settle_window)

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Every secret there is, the database's password among them, so that they can be masked."""
        found = [
            secret.get_secret_value()
            for secret in (self.api_key, self.jwt, self.listen_token)
            if secret
        ]
        if self.database_url is not None:
            url = self.database_url.get_secret_value()
            found += [url, *postgres_url.passwords(url)]
        if self.proxy is not None:
            found += [self.proxy.get_secret_value(), *_passwords(self.proxy.get_secret_value())]
        for url in getproxies_environment().values():
            found += _passwords(url)
        return tuple(found)


def _passwords(url: str) -> list[str]:
    try:
        password = urlsplit(url).password if "://" in url else None
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


@dataclass(frozen=True, slots=True)
class Given:
    """A setting that the user set.

    Attributes:
        value: as it was written.
        origin: where: ``environment``, ``.env``, or the variable that names the secret's file.
    """

    value: str
    origin: str


class _Variables(PydanticBaseSettingsSource):
    """The settings that the user set, for pydantic."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the library's signature
        found = given().get(field_name)
        return (None if found is None else found.value), field_name, False

    def __call__(self) -> dict[str, Any]:
        return {name: found.value for name, found in given().items()}


def environment_variable(name: str) -> str:
    """Return the environment variable that sets the field ``name`` of :class:`Settings`."""
    return _VARIABLES.get(name, f"{_PREFIX}{name.upper()}")


def given() -> dict[str, Given]:
    """Return the settings that the user set, by field name.

    Raises:
        ConfigurationError: ``.env`` or the file of a secret cannot be read.
    """
    places = (("environment", os.environ), (".env", _dotenv()))
    found = {}
    for name in Settings.model_fields:
        variable = environment_variable(name)
        for place, values in places:
            if value := (values.get(variable) or "").strip():
                found[name] = Given(value, place)
                break
            path = (values.get(f"{variable}_FILE") or "").strip()
            if path and variable in _SECRETS and (value := _read_secret(variable, path)):
                found[name] = Given(value, f"{variable}_FILE")
                break
    return found


def unknown_variables() -> list[tuple[str, str | None]]:
    """Return variables that look like settings but are not, each with the name probably meant.

    Every ``POSITIONSTORE_`` variable counts. A ``DIMES_`` variable counts only if it resembles one
    of our names, because the vendor's own tools may have variables too.
    """
    known = {environment_variable(name) for name in Settings.model_fields}
    known |= {f"{secret}_FILE" for secret in _SECRETS}
    found: list[tuple[str, str | None]] = []
    for variable in sorted({*os.environ, *_dotenv()} - known):
        ours = variable.upper().startswith(_PREFIX)
        if ours or variable.upper().startswith("DIMES_"):
            meant = _meant(variable.upper(), known)
            if meant or ours:
                found.append((variable, meant))
    return found


def _meant(variable: str, known: set[str]) -> str | None:
    """Return the one setting that a name misspells or abbreviates."""
    # What all of them begin with makes any two look alike.
    bare = {name.removeprefix(_PREFIX): name for name in known}
    name = variable.removeprefix(_PREFIX)
    if nearest := difflib.get_close_matches(name, bare, n=1, cutoff=_ALIKE):
        return bare[nearest[0]]
    if name == variable:
        return None
    words = set(name.split("_"))
    longer = [
        full
        for each, full in bare.items()
        if words <= set(each.split("_")) and not each.endswith("_FILE")
    ]
    return longer[0] if len(longer) == 1 else None


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment, ``.env`` and secret files.

    Args:
        overrides: fields that a command-line option sets.

    Raises:
        ConfigurationError: a value cannot be used; the message names the variable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "a setting"
        variable = environment_variable(name) if name in Settings.model_fields else name
        meaning = Settings.model_fields[name].description if name in Settings.model_fields else ""
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ConfigurationError(
            f"{variable} cannot be used: {reason[:1].lower()}{reason[1:]}.",
            remedy=f"Its meaning: {meaning}" if meaning else "",
        ) from None


def _dotenv() -> Mapping[str, str | None]:
    try:
        return DotEnvSettingsSource(
            Settings, env_file=Path(".env"), env_file_encoding="utf-8", case_sensitive=True
        ).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f".env in this directory cannot be read: {_why_not_read(error)}."
        ) from None


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{variable}_FILE names {path}, which cannot be read: {_why_not_read(error)}."
        ) from None


def _why_not_read(error: OSError | RuntimeError | UnicodeDecodeError) -> str:
    match error:
        case OSError(strerror=str(words)):
            return words
        case UnicodeDecodeError():  # its own words would quote what may be a secret
            return "it is no UTF-8 text"
        case _:
            return str(error).rstrip(".")


def _vendor_environment(url: str | None) -> Environment | None:
    host = urlsplit(url or "").hostname
    return next((e for e in Environment if urlsplit(e.base_url).hostname == host), None)


def _environment_of_host(url: str | None) -> Environment | None:
    if url is None:
        return None
    if is_loopback(urlsplit(url).hostname or ""):
        return Environment.SANDBOX
    return _vendor_environment(url) or Environment.PRODUCTION


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
