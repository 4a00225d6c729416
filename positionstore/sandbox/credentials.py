"""Who may see what: partners with two active keys each, and the tokens of their customers."""

import base64
import hashlib
import hmac
import random
import re
from dataclasses import dataclass

import msgspec

from positionstore.sandbox.faults import Faults

_WALLET = re.compile(r"0x[0-9a-fA-F]{40}")


class CredentialsRefusedError(Exception):
    """A key or token is not accepted.

    Attributes:
        code: the error code, as in the API's error body.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Scope:
    """What a caller may see: a partner's positions, or one wallet's of that partner."""

    partner: int
    wallet: str | None = None

    def may_see(self, partner: int | None, wallet: str | None) -> bool:
        """Whether an event of a partner's customer is for the caller; None is for all."""
        if partner is not None and self.partner != partner:
            return False
        return wallet is None or self.wallet in {None, wallet.lower()}


class _Claims(msgspec.Struct):
    sub: str
    partner: int
    iat: float
    exp: float
    jti: int


class Credentials:
    """Issues and checks keys and tokens; the keys follow from the seed.

    Args:
        seed: the world's seed.
        partners: the number of partners.
        token_life: the lifetime of a token in seconds.
        faults: the active faults; they may refuse valid credentials.
    """

    def __init__(self, *, seed: int, partners: int, token_life: float, faults: Faults) -> None:
        self._faults = faults
        rng = random.Random(f"positionstore-keys-{seed}")
        self.keys = tuple(
            tuple(f"dm_sbx_skey_{rng.getrandbits(128):032x}" for _ in range(2))
            for _ in range(partners)
        )
        self.token_life = token_life
        self._secret = rng.randbytes(32)
        self._issued = 0
        self._oldest_valid = 0

    def partner_of(self, api_key: str) -> int:
        """The partner an API key belongs to.

        Raises:
            CredentialsRefusedError: the key is not one of ours.
        """
        for partner, keys in enumerate(self.keys):
            if api_key in keys and not self._faults.refuse_api_keys:
                return partner
        raise CredentialsRefusedError("invalid_api_key", "The API key is not valid.")

    def mint(self, partner: int, wallet: str, now: int) -> tuple[str, int]:
        """Issue a token; returns it and the moment it expires, microseconds since 1970."""
        expires = now + round(self.token_life * 1_000_000)
        self._issued += 1
        claims = _Claims(wallet.lower(), partner, now / 1e6, expires / 1e6, self._issued)
        body = ".".join(
            _encode(part) for part in (b'{"alg":"HS256","typ":"JWT"}', msgspec.json.encode(claims))
        )
        return f"{body}.{self._sign(body)}", expires

    def scope_of(self, token: str, now: int) -> Scope:
        """What a token lets its bearer see.

        Raises:
            CredentialsRefusedError: it is forged, revoked or has expired.
        """
        body, _, signature = token.rpartition(".")
        genuine = hmac.compare_digest(signature.encode(), self._sign(body).encode())
        if not genuine or self._faults.refuse_tokens:
            raise CredentialsRefusedError("invalid_token", "The token is not valid.")
        claims = msgspec.json.decode(_decode(body.partition(".")[2]), type=_Claims)
        if claims.jti <= self._oldest_valid:
            raise CredentialsRefusedError("invalid_token", "The token has been revoked.")
        if claims.exp * 1e6 <= now:
            raise CredentialsRefusedError("token_expired", "The token has expired.")
        return Scope(claims.partner, claims.sub)

    def revoke_tokens(self) -> None:
        """Refuse every token issued so far."""
        self._oldest_valid = self._issued

    def _sign(self, body: str) -> str:
        return _encode(hmac.digest(self._secret, body.encode(), hashlib.sha256))


def is_wallet(text: str) -> bool:
    """Whether a text is a wallet's address."""
    return _WALLET.fullmatch(text) is not None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
