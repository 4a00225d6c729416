"""The REST client against the sandbox: real HTTP, and every fault it can make."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from positionstore.dimes.access import RestCredentials, ready_token_access
from positionstore.dimes.access_book import CredentialProvider
from positionstore.dimes.page import Listed
from positionstore.dimes.rest import RestClient
from positionstore.dimes.tokens import KeyRefusedError
from positionstore.errors import CredentialsError, GatewayError
from positionstore.model.secret import SecretStr
from positionstore.sandbox import Faults, Options, Sandbox
from positionstore.settings import load_settings

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
ENDED = {"closed", "settled", "liquidated", "cancelled"}


class Desk:
    """A sandbox with some past, a client of it, and who may see what."""

    def __init__(self, sandbox: Sandbox, client: RestClient) -> None:
        self.sandbox = sandbox
        self.client = client
        self.settings = load_settings(api_key=sandbox.api_key, base_url_setting=sandbox.url)
        self.book = CredentialProvider(self.settings, client)

    async def walk(self, access: RestCredentials, **options: Any) -> list[Listed]:
        return [
            position
            async for page in self.client.walk(access, **options)
            for position in page.positions
        ]

    async def access(self) -> RestCredentials:
        """The access to all of the partner's positions."""
        found = await self.book.for_partner()
        assert found is not None
        return found

    def truth(self, wallet: str | None = None) -> list[str]:
        return [each.id for each in self.sandbox.world.book(0, wallet).created]


@asynccontextmanager
async def desk(
    *,
    budget: float = 60.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
    past: int = 1500,
    **options: Any,
) -> AsyncIterator[Desk]:
    chosen = {
        "seed": 5,
        "ticking": False,
        "start": START,
        "positions": 150,
        "wallets": 3,
        "api_key_lists": True,
        **options,
    }
    async with Sandbox(Options(**chosen)) as sandbox:
        await sandbox.step(past)
        client = RestClient(
            sandbox.url,
            concurrency=4,
            requests_per_second=1000,
            retry_budget=budget,
            sleep=sleep,
            monotonic=monotonic,
        )
        async with client:
            yield Desk(sandbox, client)


def ids(positions: list[Listed]) -> list[str]:
    return [position.position_id for position in positions]


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_walk_shows_every_position_once_in_order(direction: str) -> None:
    async with desk() as its:
        found = await its.walk(await its.access(), sort_direction=direction)
        wanted = its.truth()
        assert len(wanted) > 250
        assert ids(found) == (wanted if direction == "asc" else wanted[::-1])
        # One request for the key, one for each hundred begun.
        assert its.client.requests == 1 + -(-len(wanted) // 100)


async def test_a_walk_can_be_narrowed() -> None:
    async with desk() as its:
        access = await its.access()
        active = await its.walk(access, state="active")
        inactive = await its.walk(access, state="inactive", sort_by="closed_at")
        closed = await its.walk(access, status="closed")
        assert {each.status for each in inactive} <= ENDED
        assert not {each.status for each in active} & ENDED
        assert sorted(ids(active) + ids(inactive)) == sorted(its.truth())
        assert {each.status for each in closed} == {"closed"}
        assert all(each.closed_at is None for each in active)
        times = [each.closed_at for each in inactive if each.closed_at is not None]
        assert len(times) == len(inactive)
        assert times == sorted(times)


async def test_a_walk_goes_on_from_any_page_s_cursor() -> None:
    async with desk() as its:
        access = await its.access()
        pages = [page async for page in its.client.walk(access)]
        for number, page in enumerate(pages[:-1], start=1):
            rest = await its.walk(access, starting_after=page.cursor)
            assert ids(rest) == [each for later in pages[number:] for each in ids(later.positions)]


async def test_a_position_asked_for_alone_is_the_same_bytes_as_in_the_list() -> None:
    async with desk() as its:
        access = await its.access()
        for listed in (await its.walk(access))[:20]:
            answer = await its.client.position(access, listed.position_id)
            assert answer is not None
            assert answer[0] == listed
            assert json.loads(listed.body)["wallet_address"] == listed.wallet_address


async def test_wallet_by_wallet_is_the_same_as_all_at_once() -> None:
    async with desk(api_key_lists=False) as its:
        assert await its.book.for_partner() is None
        found = []
        for wallet in its.sandbox.wallets:
            positions = await its.walk(its.book.for_wallet(wallet))
            assert {each.wallet_address for each in positions} <= {wallet}
            found += ids(positions)
        assert sorted(found) == sorted(its.truth())


async def test_a_customer_sees_the_wallet_s_positions() -> None:
    async with desk() as its:
        wallet = its.sandbox.wallets[1]
        jwt = its.sandbox.mint_token(wallet)
        settings = load_settings(jwt=jwt, base_url_setting=its.sandbox.url)
        access = await CredentialProvider(settings, its.client).for_customer()
        assert ids(await its.walk(access)) == its.truth(wallet)


async def test_positions_made_and_closed_during_a_walk_cost_no_position_that_was_there() -> None:
    async with desk() as its:
        access, before = await its.access(), its.truth()
        for options in ({}, {"sort_direction": "desc"}):
            found: list[str] = []
            async for page in its.client.walk(access, **options):  # type: ignore[arg-type] # by name
                found += ids(page.positions)
                await its.sandbox.step(100)
            assert len(set(found)) == len(found)
            assert set(found) >= set(before)


# --- faults


async def test_every_passing_fault_is_outlasted() -> None:
    faults = Faults(rest_errors=0.3, rest_throttled=0.2, rest_resets=0.2, retry_after=0.01)

    async def hurry(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    async with desk(faults=faults, sleep=hurry, api_key_lists=False) as its:
        found = []
        for wallet in its.sandbox.wallets:
            found += ids(await its.walk(its.book.for_wallet(wallet)))
        assert sorted(found) == sorted(its.truth())
        assert its.client.retries > 3
        assert its.client.requests == its.sandbox.stats()["rest_requests"]


async def test_a_page_that_fails_for_good_ends_the_walk_after_what_came_before_it() -> None:
    async with desk(faults=Faults(failing_page=3), budget=0.2) as its:
        walk = its.client.walk(await its.access())
        found = ids((await anext(walk)).positions) + ids((await anext(walk)).positions)
        with pytest.raises(GatewayError, match="500: api_error/internal_error") as raised:
            await anext(walk)
        assert found == its.truth()[:200]
        assert "\n" not in str(raised.value)
        assert its.client.retries >= 1


@pytest.mark.parametrize("as_date", [False, True])
async def test_a_throttled_request_waits_as_long_as_it_is_told(as_date: bool) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        its.sandbox.faults.rest_throttled = 0.0

    # By a clock that these waits move on: what holds back the requests then waits for nothing more.
    async with desk(sleep=wait, monotonic=lambda: time.monotonic() + sum(waits)) as its:
        access = await its.access()
        its.sandbox.faults.update(
            {"rest_throttled": 1.0, "retry_after": 7.0, "retry_after_as_date": as_date}
        )
        assert await its.client.allows(access)
    (told,) = [seconds for seconds in waits if seconds > 0.1]
    assert 7 <= told < 9


async def test_a_revoked_token_is_renewed_in_the_middle_of_a_walk() -> None:
    async with desk(api_key_lists=False, wallets=1) as its:
        access = its.book.for_wallet(its.sandbox.wallets[0])
        found: list[str] = []
        async for page in its.client.walk(access):
            found += ids(page.positions)
            its.sandbox.revoke_tokens()
        assert found == its.truth(its.sandbox.wallets[0])


async def test_a_token_that_dies_young_is_renewed_by_its_refusal() -> None:
    async with desk(api_key_lists=False, wallets=1, token_life=600) as its:
        access = its.book.for_wallet(its.sandbox.wallets[0])
        await access.authorization()
        await its.sandbox.advance(601)
        assert ids(await its.walk(access)) == its.truth(its.sandbox.wallets[0])


async def test_tokens_refused_for_good_end_it_and_name_the_variable() -> None:
    async with desk(api_key_lists=False) as its:
        access = its.book.for_wallet(its.sandbox.wallets[0])
        its.sandbox.faults.refuse_tokens = True
        with pytest.raises(CredentialsError, match=r"invalid_token.*DIMES_API_KEY"):
            await its.walk(access)
        jwt = SecretStr(its.sandbox.mint_token(its.sandbox.wallets[0]))
        with pytest.raises(CredentialsError, match="DIMES_JWT"):
            await its.walk(ready_token_access(jwt, None))


async def test_a_key_refused_for_good_ends_it_and_names_the_variable() -> None:
    async with desk() as its:
        access = await its.access()
        its.sandbox.faults.refuse_api_keys = True
        with pytest.raises(CredentialsError, match=r"invalid_api_key.*DIMES_API_KEY") as raised:
            await its.walk(access)
        assert its.sandbox.api_key not in str(raised.value)
        with pytest.raises(KeyRefusedError, match="DIMES_API_KEY"):
            await its.book.for_wallet(its.sandbox.wallets[0]).authorization()


async def test_a_wallet_that_is_none_gets_no_token() -> None:
    async with desk() as its:
        with pytest.raises(CredentialsError, match=r"0x12.*events in the log"):
            await its.book.for_wallet("0x12").authorization()


async def test_a_position_that_nobody_knows_is_absent() -> None:
    async with desk() as its:
        access = await its.access()
        known = its.truth()[0]
        assert await its.client.position(access, "dm_pos_unknown") is None
        assert await its.client.position(access, known) is not None
        its.sandbox.faults.hidden = (known,)
        assert await its.client.position(access, known) is None


async def test_an_empty_list_is_told_as_it_is() -> None:
    async with desk(faults=Faults(empty_list=True)) as its:
        [page] = [page async for page in its.client.walk(await its.access())]
        assert (page.positions, page.has_more) == ([], False)


async def test_the_vendor_s_complaint_is_quoted() -> None:
    async with desk() as its:
        with pytest.raises(GatewayError, match="400: invalid_request_error/invalid_parameter: "):
            await its.walk(await its.access(), starting_after="dm_pos_unknown")


# --- the as-of


@pytest.mark.parametrize("latency", [0.0, 0.15])
async def test_the_server_had_read_nothing_before_the_as_of(latency: float) -> None:
    """The server's clock is months ahead of ours or behind; it does not matter."""
    async with desk(ticking=True, rate=1.0, past=300) as its:
        access = await its.access()
        its.sandbox.faults.rest_latency = latency
        for _ in range(5):
            before = its.sandbox.now()
            page = await anext(its.client.walk(access))
            took = its.sandbox.now() - before
            assert page.as_of <= before
            # A Date tells whole seconds; no more than that and the request is taken off.
            assert before - page.as_of <= timedelta(seconds=1) + took


async def test_without_a_date_the_as_of_is_our_own_time() -> None:
    async with desk(faults=Faults(omit_date=True)) as its:
        access = await its.access()
        before = datetime.now(UTC)
        page = await anext(its.client.walk(access))
        assert before <= page.as_of <= datetime.now(UTC)
