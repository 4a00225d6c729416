"""What a REST request shows to be let in, and whose positions it sees by that.

Source: the vendor's REST reference, "Authentication".
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from pydantic import SecretStr

from positionstore.dimes.tokens import Token

_RENEW_AT: Final = 0.9  # the share of a token's life after which the next one is minted


class RestCredentials:
    """A key, or a token that somebody else has minted.

    Args:
        authorization: the value of the ``Authorization`` header.
        wallet: whose positions are seen.
        what: how a message calls it.
        remedy: which variable to look at when it is refused.

    Attributes:
        wallet: the one wallet whose positions are seen; None where it is all of the partner's, or
            where a ready token does not say whose it is.
    """

    def __init__(
        self, authorization: SecretStr, *, wallet: str | None, what: str, remedy: str
    ) -> None:
        self.wallet = wallet
        self.what = what
        self.remedy = remedy
        self._authorization = authorization

    async def authorization(self) -> SecretStr:
        """Return the value of the ``Authorization`` header.

        Raises:
            CredentialsError: it cannot be had with these credentials.
            GatewayError: it cannot be had just now.
        """
        return self._authorization

    async def renew(self, refused: SecretStr) -> bool:  # noqa: ARG002 - see MintedAccess
        """Get another one in place of one that was refused. Returns whether there is another.

        Raises:
            CredentialsError: it cannot be had with these credentials.
            GatewayError: it cannot be had just now.
        """
        return False


class MintedToken(RestCredentials):
    """A wallet's token, minted when it is first needed and again shortly before it expires.

    However many requests are under way, one token is minted for all of them.

    Args:
        mint: mints a token.
        wallet: whose it is.
        remedy: which variable to look at when it is refused.
        monotonic: tells seconds that only grow.
    """

    def __init__(
        self,
        mint: Callable[[], Awaitable[Token]],
        *,
        wallet: str,
        remedy: str,
        monotonic: Callable[[], float],
    ) -> None:
        super().__init__(SecretStr(""), wallet=wallet, what="minted token", remedy=remedy)
        self._mint = mint
        self._monotonic = monotonic
        self._good_until = -math.inf
        self._lock = asyncio.Lock()

    async def authorization(self) -> SecretStr:
        """Return the token's header, of a new token where the last one is about to expire."""
        async with self._lock:
            if self._monotonic() >= self._good_until:
                await self._mint_anew()
            return self._authorization

    async def renew(self, refused: SecretStr) -> bool:
        """Mint a new token, unless somebody has done so since the refused one was taken."""
        async with self._lock:
            if self._authorization == refused:
                await self._mint_anew()
            return True

    async def _mint_anew(self) -> None:
        asked_at = self._monotonic()
        token = await self._mint()
        # Where nothing sensible is said of its life, it is used until it is refused.
        lasts = token.lifetime if token.lifetime and token.lifetime > 0 else math.inf
        self._good_until = asked_at + lasts * _RENEW_AT
        self._authorization = bearer(token.secret)


def api_key_access(api_key: SecretStr) -> RestCredentials:
    """Return the access that a partner's key gives, to all of the partner's positions."""
    return RestCredentials(
        SecretStr(f"Api-Key {api_key.get_secret_value()}"),
        wallet=None,
        what="API key",
        remedy="Look at DIMES_API_KEY.",
    )


def ready_token_access(token: SecretStr, wallet: str | None) -> RestCredentials:
    """Return the access that a ready token gives, to its wallet's positions."""
    return RestCredentials(
        bearer(token),
        wallet=wallet,
        what="user token",
        remedy="Look at DIMES_JWT: it may have expired.",
    )


def bearer(token: SecretStr) -> SecretStr:
    """Return the ``Authorization`` header of a user token."""
    return SecretStr(f"Bearer {token.get_secret_value()}")
