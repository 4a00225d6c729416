"""The credentials of a gateway handshake."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import httpx

from positionstore.dimes.failures import Verdict
from positionstore.dimes.http import trusted
from positionstore.dimes.proxy import proxy_for
from positionstore.dimes.tokens import Token, mint_token
from positionstore.errors import ConfigurationError
from positionstore.model.facts import Source
from positionstore.model.secret import SecretStr
from positionstore.settings import Settings

AuthStyle = Literal["payload", "header"]
Mint = Callable[[], Awaitable[Token]]

_RENEW_AT = 0.9
"""The share of a token's life after which the next one is minted."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What is sent with one connection attempt.

    Attributes:
        auth: the Socket.IO auth payload; empty with ``DIMES_AUTH_STYLE=header``.
        headers: HTTP headers of the handshake; empty with ``DIMES_AUTH_STYLE=payload``.
        renew_after: seconds after which a connection should be replaced by one with new
            credentials; None if they do not expire.
    """

    auth: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    renew_after: float | None = None


class Credentials(Protocol):
    """Gateway credentials, evaluated for each attempt."""

    @property
    def refused(self) -> str:
        """The message, and the variable to check, when the gateway refuses them."""
        ...

    @property
    def when_stale(self) -> Verdict:
        """What it means that the gateway calls a token expired or revoked."""
        ...

    @property
    def when_invalid(self) -> Verdict:
        """What it means that the gateway calls a token invalid, malformed or missing."""
        ...

    async def handshake(self) -> Handshake:
        """Return what to send with the next attempt.

        Raises:
            CredentialsError: they are known to be wrong.
            GatewayError: they are unavailable at the moment.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The partner's key."""

    secret: SecretStr
    style: AuthStyle
    refused: str = "Look at DIMES_API_KEY."
    when_stale: Verdict = Verdict.UNCLEAR  # no token was shown
    when_invalid: Verdict = Verdict.CREDENTIALS  # it may call the key that

    async def handshake(self) -> Handshake:
        """Return the key, in the form the settings ask for."""
        key = self.secret.get_secret_value()
        if self.style == "header":
            return Handshake(auth={}, headers={"Authorization": f"Api-Key {key}"})
        return Handshake(auth={"apiKey": key}, headers={})


@dataclass(frozen=True, slots=True)
class ReadyToken:
    """A ready-made user token."""

    secret: SecretStr
    style: AuthStyle
    refused: str = "Look at DIMES_JWT: it may have expired."
    when_stale: Verdict = Verdict.CREDENTIALS
    when_invalid: Verdict = Verdict.CREDENTIALS

    async def handshake(self) -> Handshake:
        """Return the token, in the form the settings ask for."""
        return _with_token(self.secret, self.style)


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A user token that is minted for each connection attempt."""

    mint: Mint
    style: AuthStyle
    refused: str = "Look at DIMES_API_KEY and DIMES_WALLET_ADDRESS, which the token was minted for."
    when_stale: Verdict = Verdict.PASSING  # the next attempt mints another
    # The API has just made it: the vendor contradicts itself, and no restart mends that.
    when_invalid: Verdict = Verdict.UNCLEAR

    async def handshake(self) -> Handshake:
        """Mint a token and return it, in the form the settings ask for."""
        token = await self.mint()
        lasts = token.lifetime
        renew_after = None if lasts is None or lasts <= 0 else lasts * _RENEW_AT
        return _with_token(token.secret, self.style, renew_after)


def _with_token(secret: SecretStr, style: AuthStyle, renew_after: float | None = None) -> Handshake:
    token = secret.get_secret_value()
    if style == "header":
        return Handshake({}, {"Authorization": f"Bearer {token}"}, renew_after)
    return Handshake({"token": token}, {}, renew_after)


def credentials_for(settings: Settings, gateway: Source) -> Credentials:
    """Return the credentials that the settings give for a gateway.

    Raises:
        ConfigurationError: a variable is missing, or the host may not be sent credentials;
            nothing was sent.
    """
    base_url = settings.base_url
    if gateway is Source.PARTNER:
        if settings.api_key is None:
            raise ConfigurationError(
                "The partner gateway needs an API key.", remedy="Set DIMES_API_KEY."
            )
        return ApiKey(settings.api_key, settings.auth_style)
    if settings.jwt is not None:
        return ReadyToken(settings.jwt, settings.auth_style)
    if settings.api_key is None or settings.wallet_address is None:
        raise ConfigurationError(
            "The customer gateway needs a user token.",
            remedy="Set DIMES_JWT, or DIMES_API_KEY and DIMES_WALLET_ADDRESS to mint one.",
        )
    api_key, wallet = settings.api_key, settings.wallet_address
    proxy = proxy_for(settings)

    async def mint() -> Token:
        through = None if proxy is None else proxy.for_httpx()
        async with httpx.AsyncClient(trust_env=False, verify=trusted(), proxy=through) as client:
            return await mint_token(client, base_url, api_key, wallet, proxy=proxy)

    return MintedToken(mint, settings.auth_style)
