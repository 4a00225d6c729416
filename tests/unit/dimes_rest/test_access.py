"""Tokens are minted when they are needed, once for all who need them, and renewed in time."""

import asyncio
import json
import re

import httpx
import pytest
from support.rest_doubles import (
    DATE,
    Server,
    Time,
    answered,
    client_of,
    failed,
    listed,
    token,
    walked,
)

from positionstore.dimes.access import MintedToken, api_key_access, ready_token_access
from positionstore.dimes.access_book import CredentialProvider
from positionstore.dimes.tokens import KeyRefusedError, Token
from positionstore.errors import ConfigurationError, CredentialsError, GatewayError
from positionstore.model.secret import SecretStr
from positionstore.settings import Settings, load_settings

KEY = "dm_sbx_skey_0123456789abcdef"
WALLET = "0x" + "Ab" * 20


class Mint:
    """Mints token-1, token-2, ..."""

    def __init__(self, lifetime: float | None = 3600.0) -> None:
        self.lifetime = lifetime
        self.minted = 0
        self.fault: Exception | None = None

    async def __call__(self) -> Token:
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        self.minted += 1
        return token(f"token-{self.minted}", self.lifetime)


def minted(mint: Mint, time: Time) -> MintedToken:
    return MintedToken(mint, wallet=WALLET, remedy="Look there.", monotonic=time.monotonic)


async def shown(access: MintedToken) -> str:
    return (await access.authorization()).get_secret_value()


async def test_a_key_and_a_ready_token_are_shown_as_they_are_and_cannot_be_renewed() -> None:
    for access, header in (
        (api_key_access(SecretStr(KEY)), f"Api-Key {KEY}"),
        (ready_token_access(SecretStr("t"), None), "Bearer t"),
    ):
        authorization = await access.authorization()
        assert authorization.get_secret_value() == header
        assert not await access.renew(authorization)


async def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    mint, time = Mint(lifetime=3600), Time()
    access = minted(mint, time)
    assert [await shown(access), await shown(access)] == ["Bearer token-1"] * 2
    time.now += 3600 * 0.9 - 1
    assert await shown(access) == "Bearer token-1"
    time.now += 2
    assert await shown(access) == "Bearer token-2"


@pytest.mark.parametrize("lifetime", [None, 0.0, -5.0])
async def test_a_token_of_unknown_life_is_used_until_it_is_refused(lifetime: float | None) -> None:
    mint, time = Mint(lifetime), Time()
    access = minted(mint, time)
    for _ in range(3):
        assert await shown(access) == "Bearer token-1"
        time.now += 1e9
    assert await access.renew(await access.authorization())
    assert await shown(access) == "Bearer token-2"


async def test_one_token_is_minted_for_however_many_need_it_at_once() -> None:
    mint = Mint()
    access = minted(mint, Time())
    assert set(await asyncio.gather(*(shown(access) for _ in range(20)))) == {"Bearer token-1"}
    refused = await access.authorization()
    assert all(await asyncio.gather(*(access.renew(refused) for _ in range(20))))
    assert mint.minted == 2


async def test_a_mint_that_failed_is_asked_again_by_the_next_who_needs_a_token() -> None:
    mint = Mint()
    access = minted(mint, Time())
    mint.fault = GatewayError("down")
    with pytest.raises(GatewayError):
        await shown(access)
    mint.fault = None
    assert await shown(access) == "Bearer token-1"


def test_no_secret_shows_in_a_repr() -> None:
    access = ready_token_access(SecretStr("hush-hush"), WALLET)
    assert "hush" not in repr(access) + repr(vars(access))


# --- the book


def settings(**values: object) -> Settings:
    return load_settings(base_url_setting="http://127.0.0.1:1", **values)


def minting(request: httpx.Request) -> httpx.Response:
    """An API that lets no key list, and mints tokens."""
    if request.method == "GET" and request.headers["authorization"].startswith("Api-Key"):
        return failed(403, "user_token_required")
    if request.method == "GET":
        return listed("a")
    wallet = json.loads(request.content)["wallet_address"]
    if not re.fullmatch("0x[0-9a-fA-F]{40}", wallet):
        return failed(400, "invalid_parameter", "No wallet.")
    body = {"token": f"of-{wallet}", "expires_at": "2026-07-01T10:00:00Z"}
    return answered(json.dumps(body), 201)


async def test_the_key_is_tried_once_a_run() -> None:
    for answer, allowed in ((listed("a"), True), (failed(403), False), (failed(401), False)):
        server = Server(answer)
        async with client_of(server) as client:
            book = CredentialProvider(settings(api_key=KEY), client)
            found = await asyncio.gather(*(book.for_partner() for _ in range(3)))
            assert [access is not None for access in found] == [allowed] * 3
        assert [str(request.url) for request in server.requests] == [
            "https://api.example/v1/prediction-markets/positions?limit=1"
        ]
        assert server.shown() == [f"Api-Key {KEY}"]


async def test_a_failure_is_no_refusal_and_the_key_is_tried_again() -> None:
    server = Server(failed(500), listed())
    async with client_of(server, retry_budget=0) as client:
        book = CredentialProvider(settings(api_key=KEY), client)
        with pytest.raises(GatewayError):
            await book.for_partner()
        assert await book.for_partner() is not None


async def test_without_a_key_nothing_is_tried() -> None:
    server = Server(listed())
    async with client_of(server) as client:
        book = CredentialProvider(settings(jwt="t"), client)
        assert await book.for_partner() is None
        with pytest.raises(ConfigurationError, match="DIMES_API_KEY"):
            book.for_wallet(WALLET)
    assert not server.requests


async def test_a_wallet_s_token_is_minted_once_however_its_address_is_spelled() -> None:
    server = Server(minting)
    async with client_of(server) as client:
        book = CredentialProvider(settings(api_key=KEY), client)
        first = book.for_wallet(WALLET)
        assert book.for_wallet(WALLET.lower()) is first
        assert first.wallet == WALLET
        assert [page.positions async for page in client.walk(first)] != []
    assert server.shown() == [f"Api-Key {KEY}", f"Bearer of-{WALLET}"]
    assert client.requests == 2


@pytest.mark.parametrize(
    ("set_to", "remedy"),
    [
        ({"wallets": ("nonsense",)}, "POSITIONSTORE_WALLETS"),
        ({"wallet_address": "nonsense"}, "DIMES_WALLET_ADDRESS"),
        ({}, "events in the log name it.*positionstore retract"),
    ],
)
async def test_a_refused_wallet_is_named_with_where_it_comes_from_and_hinders_no_other(
    set_to: dict[str, object], remedy: str
) -> None:
    async with client_of(minting) as client:
        book = CredentialProvider(settings(api_key=KEY, **set_to), client)
        with pytest.raises(CredentialsError, match=f"nonsense.*{remedy}") as raised:
            await book.for_wallet("nonsense").authorization()
        assert not isinstance(raised.value, KeyRefusedError)
        await book.for_wallet(WALLET).authorization()


async def test_a_refused_key_is_not_shown_for_every_wallet() -> None:
    server = Server(failed(401, "invalid_api_key"))
    async with client_of(server) as client:
        book = CredentialProvider(settings(api_key=KEY), client)
        for wallet in ("0x1", "0x2", "0x1"):
            with pytest.raises(KeyRefusedError, match="DIMES_API_KEY"):
                await book.for_wallet(wallet).authorization()
    assert len(server.requests) == 1


async def test_a_mint_is_tried_again_like_any_request() -> None:
    answers = (
        failed(503),
        answered("<html>", 201),
        answered('{"token":""}', 201),
        answered('{"token":"two words"}', 201),
        minting,
    )
    server = Server(*answers)
    async with client_of(server) as client:
        access = CredentialProvider(settings(api_key=KEY), client).for_wallet(WALLET)
        assert (await access.authorization()).get_secret_value() == f"Bearer of-{WALLET}"
    assert (client.requests, client.retries) == (5, 4)


async def test_a_customer_is_seen_by_the_ready_token_first() -> None:
    async with client_of(minting) as client:
        both = settings(api_key=KEY, jwt="ready", wallet_address=WALLET)
        access = await CredentialProvider(both, client).for_customer()
        assert (access.wallet, client.requests) == (WALLET, 0)
        minted_ = settings(api_key=KEY, wallet_address=WALLET)
        access = await CredentialProvider(minted_, client).for_customer()
        assert (await access.authorization()).get_secret_value() == f"Bearer of-{WALLET}"
        with pytest.raises(ConfigurationError, match="DIMES_JWT"):
            await CredentialProvider(settings(api_key=KEY), client).for_customer()
        wrong = settings(api_key=KEY, wallet_address="x")
        with pytest.raises(CredentialsError, match="DIMES_WALLET_ADDRESS"):
            await CredentialProvider(wrong, client).for_customer()


async def test_the_life_of_a_token_is_measured_by_the_server_s_clock() -> None:
    """The server is three hours behind us: by our clock every token is long dead."""
    time, server = Time(), Server(minting)
    assert DATE.startswith("Wed, 01 Jul 2026 09")
    async with client_of(server, time=time) as client:
        book = CredentialProvider(settings(api_key=KEY), client)
        access = book.for_wallet(WALLET)
        await access.authorization()
        time.now += 3000
        await book.for_wallet(WALLET).authorization()
        assert len(server.requests) == 1
        time.now += 300
        await access.authorization()
        assert len(server.requests) == 2


async def test_a_key_that_may_list_walks_with_the_key() -> None:
    server = Server(listed("a"))
    async with client_of(server) as client:
        await walked(client)
    assert server.shown() == [f"Api-Key {KEY}"]
