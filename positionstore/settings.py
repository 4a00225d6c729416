"""Every setting, from the environment or a ``.env`` file; nothing else is configured.

A secret may also be in a separate file, as container platforms provide them:
``DIMES_API_KEY_FILE``, ``DATABASE_URL_FILE`` and so on name it. The environment wins over ``.env``,
and in each of them the variable wins over its ``_FILE``. An empty or blank variable is not set.
"""

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta

from positionstore import postgres_url
from positionstore.errors import ConfigurationError, WrongEnvironmentError
from positionstore.model.address import one_spelling
from positionstore.model.secret import SecretStr

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


@dataclass(frozen=True, slots=True)
class _Read:
    """How a field is read from the text of its variable; ValueError says why it cannot be."""

    read: Callable[[str], object]


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("it is no number") from None
    if not math.isfinite(number):
        raise ValueError("it is no finite number")
    return number


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("it is no whole number") from None


def _flag(text: str) -> bool:
    word = text.lower()
    if word in {"true", "t", "yes", "y", "on", "1"}:
        return True
    if word in {"false", "f", "no", "n", "off", "0"}:
        return False
    raise ValueError("it is neither true nor false")


def _one_of(choices: object) -> _Read:
    """Read one of the texts of a Literal."""
    texts = get_args(choices)

    def read(text: str) -> str:
        if text not in texts:
            raise ValueError(f"it is none of {', '.join(texts)}")
        return text

    return _Read(read)


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError("it is no time of the form HH:MM")
    return text


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(",") if part.strip())


def _wallets(value: str) -> tuple[str, ...]:
    """Read addresses by commas, or ``@`` and the path of a file with one a line."""
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


def _credential(text: str) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it holds a blank or a character that no key has; copy it once more")
    return SecretStr(text)


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


def _token(text: str) -> SecretStr:
    token = _credential(text)
    if len(text) < _SHORTEST_TOKEN:
        raise ValueError(f"it has fewer than {_SHORTEST_TOKEN} characters, and may be guessed")
    return token


def _of_postgres(url: str) -> SecretStr:
    if (said := postgres_url.not_for_postgres(url)) is not None:
        raise ValueError(said)
    _, separator, rest = url.partition("://")
    return SecretStr(f"postgresql://{rest}" if separator else url)


def _of_a_schema(name: str) -> str:
    if len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"a name has {_LONGEST_NAME} bytes at most")
    if not name.isprintable():
        raise ValueError("it holds a character that cannot be printed")
    if name.startswith("pg_") or name in {"information_schema", "$user"}:
        raise ValueError(f"{name} is PostgreSQL's own; take another name")
    return name


AuthStyle = Literal["payload", "header"]
Durability = Literal["batch", "spool"]
LogFormat = Literal["auto", "console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_Credential = Annotated[SecretStr | None, _Read(_credential)]
_LocalPath = Annotated[Path, _Read(_path)]
_Flag = Annotated[bool, _Read(_flag)]
_Whole = Annotated[int, _Read(_whole)]
_Number = Annotated[float, _Read(_number)]
_Seconds = Annotated[_Number, Meta(ge=0, le=_A_YEAR)]
_SecondsOfSome = Annotated[_Number, Meta(gt=0, le=_A_YEAR)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in effect. Durations are in seconds.

    Of a field, ``_Read`` says how its text is read, ``Meta`` has the bounds, and the text is what
    it means. Made by :func:`load_settings`: the class itself checks nothing.
    """

    api_key: Annotated[_Credential, "The partner's API key."] = None
    base_url_setting: Annotated[
        str | None,
        _Read(_of_host),
        "Gateway and REST host; the default follows from the key's prefix.",
    ] = None
    auth_style: Annotated[
        AuthStyle,
        _one_of(AuthStyle),
        "Where credentials are sent: in the Socket.IO auth payload, or in a header.",
    ] = "payload"
    wallet_address: Annotated[str | None, "Customer gateway: the wallet to mint a token for."] = (
        None
    )
    jwt: Annotated[_Credential, "Customer gateway: a user token, instead of minting one."] = None
    database_url: Annotated[
        SecretStr | None,
        _Read(_of_postgres),
        "Any PostgreSQL 15 or newer; the default is the embedded server.",
    ] = None
    schema_name: Annotated[
        str | None,
        _Read(_of_a_schema),
        (
            "The database schema of the store; `migrate` creates it. The default is the first"
            " schema of the role's search_path, usually public."
        ),
    ] = None
    data_dir: Annotated[_LocalPath, "The directory of the embedded server and other files."] = (
        msgspec.field(default_factory=default_data_dir)
    )
    pg_bin: Annotated[
        Path | None, _Read(_path), "Directory of the PostgreSQL binaries for the embedded server."
    ] = None
    trusted_hosts: Annotated[
        tuple[str, ...],
        _Read(_split),
        "Hosts besides the vendor's that may receive credentials, separated by commas.",
    ] = ()
    proxy: Annotated[
        SecretStr | None,
        _Read(SecretStr),
        (
            "The HTTP proxy to the vendor, http://[user:password@]host:port; overrides HTTPS_PROXY,"
            " ALL_PROXY and NO_PROXY."
        ),
    ] = None
    ping_every: Annotated[
        _Number,
        Meta(gt=0, le=20.0),  # a session that is silent for a minute counts as dead
        (
            "Seconds of silence after which the ingester pings the gateway's WebSocket; one that is"
            " silent for two and a half times as long counts as dead."
        ),
    ] = 15.0
    stream_compression: Annotated[
        _Flag,
        (
            "Whether to request permessage-deflate from the gateway: an eighth of the traffic for"
            " six times the CPU time of receiving."
        ),
    ] = False
    settle_window: Annotated[
        _Seconds,
        (
            "A snapshot overrules every event that is older than it by this much; younger ones"
            " compete with it."
        ),
    ] = 60.0
    batch_size: Annotated[
        _Whole,
        Meta(ge=1, le=1_000_000),
        "Events that the ingester may hold in memory and writes in one transaction.",
    ] = 100_000
    import_batch_size: Annotated[
        _Whole,
        Meta(ge=1, le=1_000_000),
        "Events that an import writes in one transaction, at most 256 MiB.",
    ] = 20_000
    durability: Annotated[
        Durability,
        _one_of(Durability),
        (
            "What a crash of the ingester may lose: with `batch`, what has arrived since the last"
            " commit, at most a batch; with `spool`, only what arrived during the last sync of the"
            " disk, since every event goes to disk at once."
        ),
    ] = "batch"
    spool_max_bytes: Annotated[
        _Whole,
        Meta(ge=1_000_000),
        (
            "How many bytes an ingester keeps on disk while the database is away. Just below this"
            " limit it disconnects until half of it is free again."
        ),
    ] = 4_000_000_000
    database_patience: Annotated[
        _SecondsOfSome,
        (
            "How long the ingester waits for one database statement (for a lock, half of that)"
            " before it tries again; meanwhile events go to the spool."
        ),
    ] = 120.0
    heartbeat_every: Annotated[
        _Number,
        Meta(gt=0, le=30.0),  # the same
        "How often the last proof of life of a stream session is recorded.",
    ] = 5.0
    reconnect_cap: Annotated[
        _SecondsOfSome, "The longest pause between two connection attempts."
    ] = 30.0
    http_retry_budget: Annotated[_Seconds, "How long one request may spend on retries."] = 120.0
    reconcile_every: Annotated[
        _Number, Meta(gt=0), "How often `run` reconciles, give or take a tenth."
    ] = 300.0
    full_pass_at: Annotated[
        str,
        _Read(_time_of_day),
        "When `run` does its daily full reconciliation: HH:MM, UTC.",
    ] = "03:30"  # noqa: S105 - to pass a book is no password
    valuation_history: Annotated[
        _Flag, "Whether to keep every valuation rather than only each position's latest."
    ] = False
    http_concurrency: Annotated[
        _Whole, Meta(ge=1, le=100), "The number of concurrent REST requests."
    ] = 4
    http_rate: Annotated[
        _Number, Meta(gt=0, le=10_000), "The number of REST requests per second."
    ] = 10.0
    wallets: Annotated[
        tuple[str, ...],
        _Read(_wallets),
        (
            "Wallets to reconcile besides those in the log, if the API requires a token for each:"
            " separated by commas, or @ and the path of a file with one per line (# begins a"
            " comment)."
        ),
    ] = ()
    listen: Annotated[
        str,
        _Read(_of_listener),
        (
            "Where `run` and `ingest` serve the status page, `/metrics`, `/livez` and `/readyz`"
            " over HTTP: host:port (port 0: any free port), or `off`."
        ),
    ] = "127.0.0.1:9464"
    listen_token: Annotated[
        SecretStr | None,
        _Read(_token),
        (
            "The token for the status page (a browser asks for it as a password) and `/metrics`,"
            " 16 characters or more; required for an address other than loopback."
        ),
    ] = None
    listen_without_token: Annotated[
        _Flag,
        (
            "Whether an address other than loopback may go without a token; anyone who reaches it"
            " can then read the book."
        ),
    ] = False
    log_format: Annotated[
        LogFormat,
        _one_of(LogFormat),
        "The log format; `auto` is readable text on a terminal and JSON otherwise.",
    ] = "auto"
    log_level: Annotated[LogLevel, _one_of(LogLevel), "The lowest level to log."] = "info"

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
        for name, value in os.environ.items():
            if name.lower().endswith("_proxy"):
                found += _passwords(value)
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
    for name in Settings.__struct_fields__:
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
    known = {environment_variable(name) for name in Settings.__struct_fields__}
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
    values = {**{name: found.value for name, found in given().items()}, **overrides}
    if unknown := values.keys() - set(Settings.__struct_fields__):
        raise ConfigurationError(f"There is no setting {min(unknown)}.")
    return Settings(**{name: _of_the_field(name, value) for name, value in values.items()})


def meaning(name: str) -> str:
    """Return what the field ``name`` of :class:`Settings` means."""
    return next(each for each in _hints()[name].__metadata__ if isinstance(each, str))


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings, include_extras=True)


def _of_the_field(name: str, value: object) -> Any:
    """Return a value as its field holds it: a text is read, and everything checked."""
    hint = _hints()[name]
    try:
        for each in hint.__metadata__:
            if isinstance(each, _Read) and isinstance(value, str):
                value = each.read(value)
        return msgspec.convert(value, hint)
    except (ValueError, msgspec.ValidationError) as error:
        # A bound that is not kept is said as: Expected `float` <= 20.0
        reason = re.sub("^Expected `(int|float)`", "it has to be", str(error)).rstrip(".")
        raise ConfigurationError(
            f"{environment_variable(name)} cannot be used: {reason[:1].lower()}{reason[1:]}.",
            remedy=f"Its meaning: {meaning(name)}",
        ) from None


def _dotenv() -> Mapping[str, str | None]:
    file = Path(".env")
    try:
        # A FIFO is how programs that keep secrets hand them over.
        if not (file.is_file() or file.is_fifo()):
            return {}
        from dotenv import dotenv_values  # noqa: PLC0415 - most have no such file

        return dotenv_values(".env", encoding="utf-8")
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
