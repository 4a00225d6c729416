"""The letter case of a 0x address is no difference; that of any other address is one."""

import pytest
from support.scripted_api import Api, position, refusal

from positionstore.dimes.rest import RestClient
from positionstore.dimes.tokens import Token
from positionstore.model.secret import SecretStr
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import RunState
from positionstore.store.database import Store

MIXED = "0xAbCdEf0123456789aBcDeF0123456789abcdef01"
LOWER = MIXED.lower()
BASE58 = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"


@pytest.fixture
def api(store_url: str) -> Api:
    return Api(Store(store_url, embedded=False))


@pytest.mark.parametrize(("heard", "listed"), [(MIXED, LOWER), (LOWER, MIXED), (MIXED, MIXED)])
@pytest.mark.parametrize("units", ["7", 7], ids=["as usual", "spelled another way"])
async def test_a_checksum_is_no_difference(
    api: Api, heard: str, listed: str, units: object
) -> None:
    api.hear([position(1, wallet_address=heard, on_chain_position_key=heard)])
    api.bodies = [position(1, wallet_address=listed, on_chain_position_key=listed)]
    api.bodies[0]["entry"]["collateral_usd_pips"] = 10_000 if units == 7 else "10000"
    report = await api.run()
    assert (report.state, report.discrepancies) == (RunState.COMPLETE, [])
    assert api.rows("SELECT wallet_address, verified_at IS NOT NULL FROM positions") == [
        (LOWER, True)
    ]


async def test_a_snapshot_is_projected_in_the_same_spelling(api: Api) -> None:
    api.bodies = [position(1, wallet_address=MIXED, on_chain_position_key=MIXED)]
    assert (await api.run()).repaired == 1
    assert api.rows("SELECT wallet_address, on_chain_position_key FROM positions") == [
        (LOWER, LOWER)
    ]
    assert (await api.run()).discrepancies == []


async def test_another_base58_address_is_a_difference(api: Api) -> None:
    api.hear([position(1, wallet_address=BASE58, on_chain_position_key=BASE58)])
    api.bodies = [position(1, wallet_address=BASE58, on_chain_position_key=BASE58.lower())]
    report = await api.run()
    (found,) = report.discrepancies
    assert found.kind is DiscrepancyKind.DIVERGENT
    assert [(each.field, each.store_value, each.rest_value) for each in found.fields] == [
        ("on_chain_position_key", BASE58, BASE58.lower())
    ]
    assert (await api.run()).discrepancies == []


@pytest.fixture
def minted(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wallets that tokens were minted for; the key lists nothing by itself."""
    api.answer = lambda _, request: (
        refusal(401, "unauthorized")
        if "apikey" in request.headers.get("Authorization", "").replace("-", "").lower()
        else None
    )
    wallets: list[str] = []

    async def mint(_: RestClient, __: SecretStr, wallet: str, **___: object) -> Token:
        wallets.append(wallet)
        return Token(SecretStr("a.token.of_theirs"), None)

    monkeypatch.setattr(RestClient, "mint_token", mint)
    return wallets


async def test_tokens_are_minted_by_the_operators_spelling(api: Api, minted: list[str]) -> None:
    api.hear([position(1, wallet_address=LOWER), position(2, wallet_address=BASE58)])
    await api.run(wallets=MIXED)
    assert set(minted) == {MIXED, BASE58}


async def test_wallets_that_differ_in_the_case_of_base58_are_two(
    api: Api, minted: list[str]
) -> None:
    other = BASE58.swapcase()
    api.hear([position(1, wallet_address=BASE58), position(2, wallet_address=other)])
    await api.run(wallets=f"{BASE58},{other}")
    assert sorted(minted) == sorted([BASE58, other])
