"""The sandbox's REST API as the vendor documents it, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from positionstore.sandbox import Options, Sandbox
from positionstore.sandbox.world import ACTIVE_STATUSES, STATUSES, TERMINAL_STATUSES

POSITIONS = "/v1/prediction-markets/positions"
TOKENS = "/v1/prediction-markets/tokens"
SAMPLES = "/v1/prediction-markets/sample-events"
START = datetime(2026, 7, 1, 12, tzinfo=UTC)

Json = dict[str, Any]


class Caller:
    """Asks the sandbox's REST API."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self._session = session
        self.authorization = f"Bearer {sandbox.mint_token(sandbox.wallets[0])}"

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        expect: int = 200,
        authorization: str | None = None,
        body: bytes | None = None,
        **parameters: Any,
    ) -> Json:
        header = self.authorization if authorization is None else authorization
        async with self._session.request(
            method,
            self.sandbox.url + path,
            params=parameters,
            data=body,
            headers={"Authorization": header} if header else {},
        ) as response:
            answer: Json = await response.json()
            assert response.status == expect, answer
            self.last = response
            return answer

    async def refused(self, path: str, status: int, code: str, /, **options: Any) -> Json:
        answer = await self.ask(path, expect=status, **options)
        assert set(answer) == {"error"}
        error: Json = answer["error"]
        assert {"type", "code", "message"} <= set(error) <= {"type", "code", "message", "params"}
        assert error["code"] == code
        return error

    async def walk(self, **parameters: Any) -> list[Json]:
        """All pages forward."""
        found: list[Json] = []
        while True:
            cursor = {"starting_after": found[-1]["id"]} if found else {}
            page = await self.ask(POSITIONS, **parameters, **cursor)
            found += page["data"]
            if not page["has_more"]:
                return found
            assert page["data"]


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[Caller]:
    settings = {"ticking": False, "start": START, "positions": 60, "wallets": 3, **options}
    async with Sandbox(Options(**settings)) as sandbox, aiohttp.ClientSession() as session:
        await sandbox.step(700)
        yield Caller(sandbox, session)


def mine(sandbox: Sandbox) -> list[str]:
    """The ids of the first wallet's positions at the first partner, in order of creation."""
    return [each.id for each in sandbox.world.book(0, sandbox.wallets[0]).created]


async def test_a_token_is_minted_for_a_wallet_and_reads_its_positions() -> None:
    async with calling() as caller:
        sandbox = caller.sandbox
        answer = await caller.ask(
            TOKENS,
            method="POST",
            expect=201,
            authorization=f"Api-Key {sandbox.credentials.keys[0][1]}",
            body=json.dumps(
                {"wallet_address": sandbox.wallets[0].upper().replace("X", "x")}
            ).encode(),
        )
        assert set(answer) == {"token", "expires_at"}
        life = datetime.fromisoformat(answer["expires_at"]) - sandbox.now()
        assert timedelta(minutes=59) < life <= timedelta(hours=1)
        page = await caller.ask(POSITIONS, authorization=f"Bearer {answer['token']}", limit=100)
        assert {each["wallet_address"] for each in page["data"]} == {sandbox.wallets[0]}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", b"{}", b'{"wallet_address": 1}', b'{"wallet_address": "0x12"}'],
)
async def test_a_token_wants_a_wallet(body: bytes) -> None:
    async with calling() as caller:
        key = f"Api-Key {caller.sandbox.api_key}"
        answer = await caller.ask(TOKENS, method="POST", expect=400, authorization=key, body=body)
        assert answer["error"]["type"] == "invalid_request_error"


async def test_who_may_not_is_told_why() -> None:
    async with calling() as caller:
        sandbox = caller.sandbox
        key = f"Api-Key {sandbox.api_key}"
        await caller.refused(POSITIONS, 401, "missing_credentials", authorization="")
        await caller.refused(POSITIONS, 401, "missing_credentials", authorization="Basic x")
        await caller.refused(POSITIONS, 401, "invalid_api_key", authorization="Api-Key x")
        await caller.refused(POSITIONS, 401, "invalid_token", authorization="Bearer x")
        await caller.refused(POSITIONS, 403, "user_token_required", authorization=key)
        await caller.refused(f"{POSITIONS}/x", 403, "user_token_required", authorization=key)
        await caller.refused(SAMPLES, 403, "user_token_required", method="POST", authorization=key)
        await caller.refused(TOKENS, 403, "api_key_required", method="POST")
        await caller.refused(TOKENS, 401, "missing_credentials", method="POST", authorization="")
        await caller.refused("/v1/nothing", 404, "not_found")
        await caller.refused(POSITIONS, 405, "method_not_allowed", method="DELETE")


async def test_a_forged_token_is_refused() -> None:
    async with calling() as caller:
        head, body, signature = caller.authorization.split(".")
        for forged in (
            f"{head}.{body}.{signature[::-1]}",
            f"{head}.{body}x.{signature}",
            "Bearer a.b.c",
        ):
            await caller.refused(POSITIONS, 401, "invalid_token", authorization=forged)


async def test_a_token_expires_and_can_be_revoked() -> None:
    async with calling(token_life=60) as caller:
        await caller.ask(POSITIONS)
        await caller.sandbox.advance(61)
        await caller.refused(POSITIONS, 401, "token_expired")
        wallet = caller.sandbox.wallets[0]
        caller.authorization = f"Bearer {caller.sandbox.mint_token(wallet)}"
        await caller.ask(POSITIONS)
        caller.sandbox.revoke_tokens()
        await caller.refused(POSITIONS, 401, "invalid_token")
        caller.authorization = f"Bearer {caller.sandbox.mint_token(wallet)}"
        await caller.ask(POSITIONS)


async def test_the_api_key_lists_all_of_a_partner_where_that_is_allowed() -> None:
    async with calling(api_key_lists=True) as caller:
        for partner, keys in enumerate(caller.sandbox.credentials.keys):
            for key in keys:
                caller.authorization = f"Api-Key {key}"
                found = await caller.walk(limit=100)
                assert {each["id"] for each in found} == set(caller.sandbox.world.truth(partner))


async def test_a_position_is_read_by_its_owner_alone() -> None:
    async with calling() as caller:
        sandbox = caller.sandbox
        position_id = mine(sandbox)[0]
        assert await caller.ask(f"{POSITIONS}/{position_id}") == sandbox.world.truth()[position_id]
        await caller.refused(f"{POSITIONS}/dm_pos_none", 404, "position_not_found")
        for other in (
            sandbox.mint_token(sandbox.wallets[1]),
            sandbox.mint_token(sandbox.wallets[0], partner=1),
        ):
            await caller.refused(
                f"{POSITIONS}/{position_id}",
                404,
                "position_not_found",
                authorization=f"Bearer {other}",
            )


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_forward_and_backward_hold_each_position_once(
    direction: str, limit: int
) -> None:
    async with calling() as caller:
        expected = mine(caller.sandbox)
        if direction == "desc":
            expected.reverse()
        found = [each["id"] for each in await caller.walk(limit=limit, sort_direction=direction)]
        assert found == expected
        back: list[str] = [found[-1]]
        has_more = True
        while has_more:
            page = await caller.ask(
                POSITIONS, limit=limit, sort_direction=direction, ending_before=back[0]
            )
            back = [each["id"] for each in page["data"]] + back
            has_more = page["has_more"]
        assert back == expected


async def test_the_newest_come_first_twenty_five_at_a_time() -> None:
    async with calling(wallets=1) as caller:
        page = await caller.ask(POSITIONS)
        assert [each["id"] for each in page["data"]] == mine(caller.sandbox)[:-26:-1]
        assert page["has_more"] is True


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_list_can_be_sorted_by_its_end_with_the_living_last(direction: str) -> None:
    async with calling() as caller:
        everything = await caller.walk(limit=9, sort_by="closed_at", sort_direction=direction)
        assert sorted(each["id"] for each in everything) == sorted(mine(caller.sandbox))
        ends = [each["result"]["closed_at"] if "result" in each else None for each in everything]
        closed = [each for each in ends if each]
        assert ends == closed + [None] * (len(ends) - len(closed))
        assert closed == sorted(closed, reverse=direction == "desc")
        last = everything[-1]["id"]
        page = await caller.ask(
            POSITIONS, limit=100, sort_by="closed_at", sort_direction=direction, ending_before=last
        )
        assert page["data"] == everything[:-1][-100:]
        only = await caller.walk(sort_by="closed_at", sort_direction=direction, state="inactive")
        assert [each["result"]["closed_at"] for each in only] == closed


async def test_filters_split_the_list_without_rest() -> None:
    async with calling(wallets=1) as caller:
        everything = {each["id"] for each in await caller.walk(limit=100)}
        by_state = {
            state: await caller.walk(limit=100, state=state) for state in ("active", "inactive")
        }
        assert {each["status"] for each in by_state["active"]} <= set(ACTIVE_STATUSES)
        assert {each["status"] for each in by_state["inactive"]} == set(TERMINAL_STATUSES)
        ids = [each["id"] for found in by_state.values() for each in found]
        assert sorted(ids) == sorted(everything)
        by_status = {status: await caller.walk(limit=10, status=status) for status in STATUSES}
        for status, found in by_status.items():
            assert {each["status"] for each in found} <= {status}
        assert sum(map(len, by_status.values())) == len(everything)
        assert await caller.walk(state="active", status="closed") == []


async def test_unwinds_are_shown_on_demand() -> None:
    async with calling(wallets=1) as caller:
        plain = await caller.walk(limit=100)
        assert not any("unwinds" in each for each in plain)
        expanded = await caller.walk(limit=100, expand="unwinds")
        assert any(each["unwinds"] for each in expanded)
        one = await caller.ask(f"{POSITIONS}/{expanded[0]['id']}", expand="unwinds")
        assert one == expanded[0]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "ten"),
        ("limit", "-1"),
        ("sort_by", "size"),
        ("sort_direction", "up"),
        ("state", "live"),
        ("status", "opened"),
        ("expand", "everything"),
        ("starting_after", "dm_pos_none"),
        ("ending_before", "dm_pos_none"),
    ],
)
async def test_a_wrong_parameter_is_named(parameter: str, value: str) -> None:
    async with calling() as caller:
        error = await caller.refused(POSITIONS, 400, "invalid_parameter", **{parameter: value})
        assert set(error["params"]) == {parameter}


async def test_both_cursors_at_once_are_refused() -> None:
    async with calling() as caller:
        one = mine(caller.sandbox)[0]
        await caller.refused(
            POSITIONS, 400, "invalid_parameter", starting_after=one, ending_before=one
        )


async def test_another_customers_position_is_no_cursor() -> None:
    async with calling() as caller:
        other = caller.sandbox.world.book(0, caller.sandbox.wallets[1]).created[0].id
        await caller.refused(POSITIONS, 400, "invalid_parameter", starting_after=other)


@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_a_walk_over_a_moving_world_misses_nothing_that_was_there(direction: str) -> None:
    async with calling(wallets=1, partners=1) as caller:
        before = mine(caller.sandbox)
        found: list[str] = []
        cursor: Json = {}
        while True:
            page = await caller.ask(POSITIONS, limit=10, sort_direction=direction, **cursor)
            found += [each["id"] for each in page["data"]]
            # Faster than the walk, positions are created and end while it goes on.
            await caller.sandbox.step(15)
            if not page["has_more"] or len(found) > 3 * len(before):
                break
            cursor = {"starting_after": found[-1]}
        assert len(found) == len(set(found))
        assert set(before) <= set(found)


async def test_an_active_walk_goes_on_from_a_position_that_has_ended() -> None:
    async with calling(wallets=1, partners=1) as caller:
        world = caller.sandbox.world
        page = await caller.ask(POSITIONS, limit=20, state="active", sort_direction="asc")
        cursor = page["data"][-1]["id"]
        while cursor in world.book(0).active:
            await caller.sandbox.step()
        page = await caller.ask(
            POSITIONS, limit=100, state="active", sort_direction="asc", starting_after=cursor
        )
        position = world.get(cursor)
        assert position is not None
        later = [each.id for each in world.book(0).active.values() if each.serial > position.serial]
        assert [each["id"] for each in page["data"]] == later[:100]


async def test_the_date_is_the_servers() -> None:
    async with calling() as caller:
        before = caller.sandbox.now().replace(microsecond=0)
        await caller.ask(POSITIONS)
        date = parsedate_to_datetime(caller.last.headers["Date"])
        assert before <= date <= caller.sandbox.now()
        caller.sandbox.faults.omit_date = True
        await caller.ask(POSITIONS)
        assert "Date" not in caller.last.headers


@pytest.mark.parametrize("seconds", [-600.0, 600.0, 13.5 * 365.25 * 86_400])
async def test_the_date_header_can_be_wrong_and_only_that(seconds: float) -> None:
    async with calling() as caller:
        before = await caller.ask(POSITIONS)
        caller.sandbox.faults.update({"rest_clock_offset": seconds})
        after = await caller.ask(POSITIONS)
        date = parsedate_to_datetime(caller.last.headers["Date"])
        assert abs(date - caller.sandbox.now() - timedelta(seconds=seconds)) < timedelta(minutes=1)
        assert [each["id"] for each in after["data"]] == [each["id"] for each in before["data"]]
        caller.sandbox.faults.update({"rest_clock_wrong": 0.0})
        await caller.ask(POSITIONS)
        date = parsedate_to_datetime(caller.last.headers["Date"])
        assert abs(date - caller.sandbox.now()) < timedelta(minutes=1)


async def test_throttling_says_when_to_come_back_in_both_forms() -> None:
    async with calling() as caller:
        faults = caller.sandbox.faults
        faults.update({"rest_throttled": 1.0, "retry_after": 3.0})
        await caller.refused(POSITIONS, 429, "rate_limited")
        assert caller.last.headers["Retry-After"] == "3"
        faults.retry_after_as_date = True
        before = caller.sandbox.now()
        await caller.refused(POSITIONS, 429, "rate_limited")
        until = parsedate_to_datetime(caller.last.headers["Retry-After"])
        assert before + timedelta(seconds=3) <= until <= caller.sandbox.now() + timedelta(seconds=4)
        faults.retry_after = -1
        await caller.refused(POSITIONS, 429, "rate_limited")
        assert "Retry-After" not in caller.last.headers


async def test_rest_can_fail_break_off_and_be_slow() -> None:
    async with calling() as caller:
        faults = caller.sandbox.faults
        faults.rest_errors = 1.0
        seen = set()
        for _ in range(20):
            async with aiohttp.request("GET", caller.sandbox.url + POSITIONS) as response:
                seen.add(response.status)
                assert "error" in await response.json()
        assert seen == {500, 503}
        faults.update({"rest_errors": 0, "rest_resets": 1})
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.ask(POSITIONS)
        faults.update({"rest_resets": 0, "rest_latency": 0.2})
        began = asyncio.get_running_loop().time()
        await caller.ask(POSITIONS)
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_credentials_can_be_refused_midway() -> None:
    async with calling(api_key_lists=True) as caller:
        await caller.ask(POSITIONS)
        caller.sandbox.faults.update({"refuse_tokens": True, "refuse_api_keys": True})
        await caller.refused(POSITIONS, 401, "invalid_token")
        key = f"Api-Key {caller.sandbox.api_key}"
        await caller.refused(POSITIONS, 401, "invalid_api_key", authorization=key)


async def test_a_page_can_fail_for_good_and_a_list_come_back_empty() -> None:
    async with calling(wallets=1) as caller:
        caller.sandbox.faults.failing_page = 3
        cursor: Json = {}
        for _ in range(2):
            page = await caller.ask(POSITIONS, limit=10, **cursor)
            cursor = {"starting_after": page["data"][-1]["id"]}
        for _ in range(2):
            await caller.refused(POSITIONS, 500, "internal_error", limit=10, **cursor)
        caller.sandbox.faults.update({"failing_page": 0, "empty_list": True})
        assert await caller.ask(POSITIONS) == {"data": [], "has_more": False}


async def test_positions_can_be_left_out_or_hidden() -> None:
    async with calling() as caller:
        first, second, *rest = mine(caller.sandbox)
        caller.sandbox.faults.update({"unlisted": [first], "hidden": [second]})
        found = await caller.walk(limit=100, sort_direction="asc")
        assert [each["id"] for each in found] == rest
        await caller.ask(f"{POSITIONS}/{first}")
        await caller.refused(f"{POSITIONS}/{second}", 404, "position_not_found")


async def test_a_replica_answers_from_the_past() -> None:
    async with calling(wallets=1, partners=1, rate=10) as caller:
        sandbox = caller.sandbox
        then = sandbox.world.truth()
        moment = sandbox.now()
        await sandbox.advance(10)
        assert sandbox.world.truth().keys() != then.keys()
        sandbox.faults.replica_lag = (sandbox.now() - moment).total_seconds()
        found = await caller.walk(limit=100, sort_direction="asc")
        assert found == list(then.values())
        active = await caller.walk(limit=100, state="active")
        assert {each["id"] for each in active} == {
            each["id"] for each in then.values() if each["status"] in ACTIVE_STATUSES
        }
        new = set(sandbox.world.truth()) - set(then)
        await caller.refused(f"{POSITIONS}/{new.pop()}", 404, "position_not_found")
