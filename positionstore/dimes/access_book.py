"""The REST credentials that the settings give."""

import asyncio

from positionstore.dimes.access import (
    MintedToken,
    RestCredentials,
    api_key_access,
    ready_token_access,
)
from positionstore.dimes.rest import RestClient
from positionstore.dimes.tokens import KeyRefusedError, Token
from positionstore.errors import ConfigurationError
from positionstore.model.address import one_spelling
from positionstore.model.secret import SecretStr
from positionstore.settings import Settings


class CredentialProvider:
    """The credentials of one run, each created once.

    The vendor does not say whether a partner's key may list positions, so each run tries it once.
    If it is refused, tokens are minted for each wallet.

    Args:
        settings: the key, the ready-made token and the wallet.
        client: carries the requests.
    """

    def __init__(self, settings: Settings, client: RestClient) -> None:
        self._settings = settings
        self._client = client
        self._lock = asyncio.Lock()
        self._partner: RestCredentials | None = None
        self._partner_tried = False
        self._wallets: dict[str, RestCredentials] = {}
        self._key_refused: KeyRefusedError | None = None

    async def for_partner(self) -> RestCredentials | None:
        """Return credentials for all of the partner's positions; None if the key gives none.

        Raises:
            GatewayError: that is unknown at the moment; the next call tries again.
        """
        async with self._lock:
            key = self._settings.api_key
            if key is not None and not self._partner_tried:
                access = api_key_access(key)
                self._partner = access if await self._client.allows(access) else None
                self._partner_tried = True
            return self._partner

    def for_wallet(self, wallet: str) -> RestCredentials:
        """Return credentials for one wallet's positions.

        Its token is minted when it is first needed; a wrong key or wallet shows then. Once the key
        was refused, no further token is requested.

        Raises:
            ConfigurationError: there is no key to mint a token with.
        """
        return self._minted(wallet, f"The wallet is {wallet}; {self._where_from(wallet)}.")

    def _where_from(self, wallet: str) -> str:
        settings, spelled = self._settings, one_spelling(wallet)
        if spelled in map(one_spelling, settings.wallets):
            return "look at POSITIONSTORE_WALLETS"
        if settings.wallet_address and spelled == one_spelling(settings.wallet_address):
            return "look at DIMES_WALLET_ADDRESS"
        return (
            "events in the log name it: look at its rows of positions, and if it is no wallet, "
            "retract the events (positionstore retract)"
        )

    async def for_customer(self) -> RestCredentials:
        """Return credentials for the customer's wallet that the settings name.

        A ready-made token takes precedence. Its wallet is the one in the settings, if any.

        Raises:
            ConfigurationError: they name none.
            CredentialsError: the key or the wallet is refused; the message names the variable.
            GatewayError: no token is available at the moment.
        """
        settings = self._settings
        if settings.jwt is not None:
            return ready_token_access(settings.jwt, settings.wallet_address)
        if settings.wallet_address is None:
            raise ConfigurationError(
                "A customer's positions need a user token.",
                remedy="Set DIMES_JWT, or DIMES_API_KEY and DIMES_WALLET_ADDRESS to mint one.",
            )
        access = self._minted(settings.wallet_address, "Look at DIMES_WALLET_ADDRESS.")
        await access.authorization()
        return access

    def _minted(self, wallet: str, remedy: str) -> RestCredentials:
        key = self._settings.api_key
        if key is None:
            raise ConfigurationError(
                "A wallet's positions need an API key to mint its token with.",
                remedy="Set DIMES_API_KEY.",
            )
        return self._wallets.setdefault(
            one_spelling(wallet),
            MintedToken(
                lambda: self._mint(key, wallet, remedy),
                wallet=wallet,
                remedy="Look at DIMES_API_KEY, which the token was minted with.",
                monotonic=self._client.monotonic,
            ),
        )

    async def _mint(self, key: SecretStr, wallet: str, remedy: str) -> Token:
        if self._key_refused is not None:
            raise self._key_refused
        try:
            return await self._client.mint_token(key, wallet, wallet_remedy=remedy)
        except KeyRefusedError as refusal:
            self._key_refused = refusal
            raise
