"""Who is let in."""

import base64

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from positionstore.model.secret import SecretStr
from positionstore.web.door import Door

TOKEN = "a-token-that-nobody-guesses"


async def page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="the book")


async def answer(door: Door, **headers: str) -> int:
    return (await door(page)(make_mocked_request("GET", "/", headers=headers))).status


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("host", ["127.0.0.1:9464", "localhost", "[::1]:9464"])
async def test_on_this_machine_nothing_has_to_be_shown(host: str) -> None:
    assert await answer(Door(None, is_loopback=True), Host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", ""]
)
async def test_a_page_of_another_site_does_not_read_it_by_a_name_of_its_own(host: str) -> None:
    assert await answer(Door(None, is_loopback=True), Host=host) == 403


async def test_where_it_was_opened_on_purpose_it_answers_to_any_name() -> None:
    assert await answer(Door(None, is_loopback=False), Host="store.internal") == 200


@pytest.mark.parametrize(
    "shown", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic("", TOKEN), basic("anyone", TOKEN)]
)
async def test_the_token_lets_in_however_it_is_shown(shown: str) -> None:
    door = Door(SecretStr(TOKEN), is_loopback=False)
    assert await answer(door, Host="store.internal", Authorization=shown) == 200


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer x", TOKEN, basic(TOKEN, ""), "Basic !", "Basic w7", f"Digest {TOKEN}"],
)
async def test_nothing_else_does(shown: str) -> None:
    door = Door(SecretStr(TOKEN), is_loopback=True)
    assert await answer(door, Host="localhost", Authorization=shown) == 401
