"""User tokens, minted from the API key.

Source: the vendor's REST reference, ``POST /v1/prediction-markets/tokens``.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import httpx
import msgspec

from positionstore.dimes.complaint import complaint, is_error_body
from positionstore.dimes.http import (
    ACCEPT_ENCODING,
    ClosesAbandoned,
    TooLongError,
    distrust,
    read_body,
)
from positionstore.dimes.proxy import Proxy, proxy_trouble
from positionstore.dimes.retrying import LONGEST_ASKED, TransientError, retry_after
from positionstore.errors import CredentialsError, GatewayError
from positionstore.model.secret import SecretStr
from positionstore.model.timestamps import parse_http_date, parse_instant
from positionstore.redaction import redacted

TOKENS_PATH: Final = "/v1/prediction-markets/tokens"
_TIMEOUT: Final = 15.0  # seconds without a sign of life
_ATTEMPT: Final = 60.0  # seconds that an attempt may take, from connecting to the last byte
_LONGEST: Final = 1024 * 1024
"""Bytes of an answer; a usual one has a thousand."""


@dataclass(frozen=True, slots=True)
class Token:
    """A user token.

    Attributes:
        secret: the token itself.
        lifetime: how many seconds it is valid at least, by the server's clock; None if unknown.
    """

    secret: SecretStr
    lifetime: float | None


class KeyRefusedError(CredentialsError):
    """The API refuses the key, whatever the wallet."""


class _Answer(msgspec.Struct):
    token: Annotated[str, msgspec.Meta(pattern="^[!-~]+$")]  # what fits into a header
    expires_at: str | None = None


async def mint_token(
    client: httpx.AsyncClient,
    base_url: str,
    api_key: SecretStr,
    wallet: str,
    *,
    proxy: Proxy | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Token:
    """Mint a token for one wallet, in one attempt.

    Args:
        client: sends the request; redirects must be off, so that the key stays with the host.
        base_url: the REST host.
        api_key: the partner's key.
        wallet: the customer's address.
        proxy: the client's proxy.
        clock: the time, if the answer has no ``Date``.

    Raises:
        CredentialsError: the key or the wallet is refused; the message names the variable.
        GatewayError: the API cannot be reached, fails, or answers in an unknown form; another
            attempt may succeed.
    """
    try:
        async with (
            asyncio.timeout(_ATTEMPT),
            client.stream(
                "POST",
                base_url + TOKENS_PATH,
                json={"wallet_address": wallet},
                headers={
                    "Accept-Encoding": ACCEPT_ENCODING,
                    "Authorization": f"Api-Key {api_key.get_secret_value()}",
                },
                timeout=_TIMEOUT,
                extensions={"trace": ClosesAbandoned()},
            ) as response,
        ):
            content = await read_body(response, at_most=_LONGEST)
    except TooLongError:
        raise GatewayError(
            f"No token could be minted: the answer has more than {_LONGEST:,} bytes."
        ) from None
    except TimeoutError:
        raise GatewayError(
            f"No token could be minted: no answer within {_ATTEMPT:.0f} s."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if trouble := proxy_trouble(proxy, error):
            raise trouble from None
        if distrusted := distrust("No token could be minted", error):
            raise distrusted from None
        cause = redacted(str(error)) or error.__class__.__name__
        raise GatewayError(f"No token could be minted: {cause}.") from None
    date = response.headers.get("date")
    asked = retry_after(response.headers.get("retry-after"), date=date, now=clock())
    if response.status_code in {429, 503} and asked is not None:
        raise TransientError(
            f"No token could be minted ({complaint(response.status_code, content)}).",
            asked=min(asked, LONGEST_ASKED),
        )
    return read_token(response.status_code, content, date=date, clock=clock)


def read_token(
    status: int,
    content: bytes,
    *,
    date: str | None,
    clock: Callable[[], datetime],
    wallet_remedy: str = "Look at DIMES_WALLET_ADDRESS.",
) -> Token:
    """Read the answer to ``POST /tokens``.

    Args:
        status: its HTTP status.
        content: its body.
        date: its ``Date`` header.
        clock: the time, if there is no ``Date``; UTC.
        wallet_remedy: what to check if no token is minted for the wallet.

    Raises:
        KeyRefusedError: the key is not valid.
        CredentialsError: the key or the wallet is refused; the message names the variable.
        SetbackError: the answer is in no known form, as a proxy's page or its refusal; another
            attempt may succeed.
        GatewayError: the API fails.
    """
    said = complaint(status, content)
    if status in {400, 403, 422} and not is_error_body(content):
        # A proxy or a firewall on the way; the API says what it refuses.
        raise TransientError(f"No token could be minted ({said}).")
    if status in {401, 403}:
        refused = KeyRefusedError if status == 401 else CredentialsError
        raise refused(f"The API refused the key ({said}).", remedy="Look at DIMES_API_KEY.")
    if status in {400, 422}:
        raise CredentialsError(
            f"The API mints no token for this wallet ({said}).", remedy=wallet_remedy
        )
    if not 200 <= status < 300:
        raise GatewayError(f"No token could be minted ({said}).")
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (ValueError, RecursionError):
        raise TransientError("No token could be minted: the answer names none.") from None
    return Token(SecretStr(answer.token), _lifetime(answer, date, clock))


def _lifetime(answer: _Answer, date: str | None, clock: Callable[[], datetime]) -> float | None:
    if answer.expires_at is None:
        return None
    try:
        expires = parse_instant(answer.expires_at)
    except ValueError:
        return None
    stamped = parse_http_date(date)
    # By the server's clock on both sides: ours may be wrong. It tells whole seconds.
    now = clock() if stamped is None else stamped + timedelta(seconds=1)
    return (expires - now).total_seconds()
