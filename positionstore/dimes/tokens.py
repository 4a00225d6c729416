"""User tokens, minted from the API key.

Source: the vendor's REST reference, ``POST /v1/prediction-markets/tokens``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec
from pydantic import SecretStr

from positionstore.dimes.instant import parse_instant
from positionstore.dimes.redaction import redacted
from positionstore.dimes.refusal import words_of
from positionstore.errors import CredentialsError, GatewayError

TOKENS_PATH: Final = "/v1/prediction-markets/tokens"
_TIMEOUT: Final = 15.0


@dataclass(frozen=True, slots=True)
class Token:
    """A user token.

    Attributes:
        secret: the token itself.
        lifetime: for how many seconds at least it is good, by the server's clock; None where the
            answer does not tell.
    """

    secret: SecretStr
    lifetime: float | None


class _Answer(msgspec.Struct):
    token: str
    expires_at: str | None = None


async def mint_token(
    client: httpx.AsyncClient,
    base_url: str,
    api_key: SecretStr,
    wallet: str,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Token:
    """Mint a token for one wallet.

    Args:
        client: carries the request; redirects must be off, so that the key stays with the host.
        base_url: the REST host.
        api_key: the partner's key.
        wallet: the customer's address.
        clock: tells the time where the answer has no ``Date``.

    Raises:
        CredentialsError: the key or the wallet is refused; the message names the variable.
        GatewayError: the API cannot be reached, is unwell, or answers in no known form; another
            attempt may succeed.
    """
    try:
        response = await client.post(
            base_url + TOKENS_PATH,
            json={"wallet_address": wallet},
            headers={"Authorization": f"Api-Key {api_key.get_secret_value()}"},
            timeout=_TIMEOUT,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        cause = redacted(str(error)) or error.__class__.__name__
        raise GatewayError(f"No token could be minted: {cause}.") from None
    if response.status_code in {401, 403}:
        raise CredentialsError(
            f"The API refused the key ({_complaint(response)}).",
            remedy="Look at DIMES_API_KEY.",
        )
    if response.status_code in {400, 422}:
        raise CredentialsError(
            f"The API mints no token for this wallet ({_complaint(response)}).",
            remedy="Look at DIMES_WALLET_ADDRESS.",
        )
    if not response.is_success:
        raise GatewayError(f"No token could be minted ({_complaint(response)}).")
    try:
        answer = msgspec.json.decode(response.content, type=_Answer)
    except (ValueError, RecursionError):
        raise GatewayError("No token could be minted: the answer names none.") from None
    return Token(SecretStr(answer.token), _lifetime(answer, response, clock))


def _complaint(response: httpx.Response) -> str:
    said = words_of(response.content[:2000]) if "json" in _media_type(response) else ""
    return f"{response.status_code}: {said}" if said else str(response.status_code)


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", ""))


def _lifetime(
    answer: _Answer, response: httpx.Response, clock: Callable[[], datetime]
) -> float | None:
    if answer.expires_at is None:
        return None
    try:
        expires = parse_instant(answer.expires_at)
    except ValueError:
        return None
    try:
        # By the server's clock on both sides: ours may be wrong. It tells whole seconds.
        now = parsedate_to_datetime(str(response.headers.get("date", ""))) + timedelta(seconds=1)
    except ValueError:
        now = clock()
    if now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    return (expires - now).total_seconds()
