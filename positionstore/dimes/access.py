"""Credentials of a REST request, and the positions they give access to.

Source: the vendor's REST reference, "Authentication".
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Final

from positionstore.dimes.tokens import Token
from positionstore.model.secret import SecretStr

_RENEW_AT: Final = 0.9  # the share of a token's life after which the next one is minted


class RestCredentials:
    """A key, or a ready-made token.

    Args:
        authorization: the value of the ``Authorization`` header.
        wallet: the wallet whose positions are visible.
        what: its name in messages.
        remedy: the variable to check when it is refused.

    Attributes:
        wallet: the one wallet whose positions are visible; None for all of the partner's, or if
            a ready-made token does not name its wallet.
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
            CredentialsError: these credentials do not give access.
            GatewayError: the API is unavailable.
        """
        return self._authorization

    async def renew(self, refused: SecretStr) -> bool:  # noqa: ARG002 - see MintedAccess
        """Replace refused credentials. Returns whether there are new ones.

        Raises:
            CredentialsError: these credentials do not give access.
            GatewayError: the API is unavailable.
        """
        return False


class MintedToken(RestCredentials):
    """A wallet's token, minted when it is first needed and again shortly before it expires.

    Concurrent requests share one token.

    Args:
        mint: mints a token.
        wallet: its wallet.
        remedy: the variable to check when it is refused.
        monotonic: a monotonic clock, seconds.
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
        """Return the header, with a new token if the last one is about to expire."""
        async with self._lock:
            if self._monotonic() >= self._good_until:
                await self._mint_again()
            return self._authorization

    async def renew(self, refused: SecretStr) -> bool:
        """Mint a new token, unless another request has done so already."""
        async with self._lock:
            if self._authorization == refused:
                await self._mint_again()
            return True

    async def _mint_again(self) -> None:
        asked_at = self._monotonic()
        token = await self._mint()
        # Where nothing sensible is said of its life, it is used until it is refused.
        lasts = token.lifetime if token.lifetime and token.lifetime > 0 else math.inf
        self._good_until = asked_at + lasts * _RENEW_AT
        self._authorization = bearer(token.secret)


def api_key_access(api_key: SecretStr) -> RestCredentials:
    """Return the credentials of a partner's key, for all of the partner's positions."""
    return RestCredentials(
        SecretStr(f"Api-Key {api_key.get_secret_value()}"),
        wallet=None,
        what="API key",
        remedy="Look at DIMES_API_KEY.",
    )


def ready_token_access(token: SecretStr, wallet: str | None) -> RestCredentials:
    """Return the credentials of a ready-made token, for its wallet's positions."""
    return RestCredentials(
        bearer(token),
        wallet=wallet,
        what="user token",
        remedy="Look at DIMES_JWT: it may have expired.",
    )


def bearer(token: SecretStr) -> SecretStr:
    """Return the ``Authorization`` header of a user token."""
    return SecretStr(f"Bearer {token.get_secret_value()}")
