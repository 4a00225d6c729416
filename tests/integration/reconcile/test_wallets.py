"""Wallet by wallet: where the API key lists no positions, and with a customer's credentials."""

import pytest
from support.reconciling import Desk

from positionstore.cli.run_view import print_run
from positionstore.dimes.rest import RestClient
from positionstore.dimes.tokens import Token
from positionstore.errors import GatewayError
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger

from .conftest import Opened


async def after(desk: Desk, steps: int = 800) -> None:
    await desk.serving.step(steps)
    await desk.serving.quiet()
    await desk.serving.advance(120)


def wallets_of(desk: Desk) -> set[str]:
    return {str(body["wallet_address"]) for body in desk.serving.world.truth(0).values()}


async def test_without_any_known_wallet_the_run_fails_and_says_what_to_do(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        report = await desk.run()
        assert (report.state, report.exit_code) == (RunState.FAILED, 1)
        assert "POSITIONSTORE_WALLETS" in report.errors[0]
        assert desk.facts == 0


async def test_wallets_named_in_the_settings_are_found(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        # Written as a checksummed address is, in both cases.
        named = ",".join("0x" + wallet[2:].upper() for wallet in desk.serving.wallets)
        report = await desk.run(wallets=named)
        assert (report.state, report.reach) == (RunState.COMPLETE, "wallets")
        assert desk.wrong() == {}
        assert (await desk.run(wallets=named)).discrepancies == []
        # From now on the store knows them.
        assert (await desk.run()).discrepancies == []


async def test_a_wallet_of_which_all_events_were_lost_is_found_once_it_is_named(
    desk_of: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        heard_of = desk.serving.wallets[0]
        desk.append([each for each in desk.miss() if heard_of.encode() in each])
        report = await desk.run()
        assert report.state is RunState.COMPLETE
        truth = desk.serving.world.truth(0)
        unseen = {position for position in truth if truth[position]["wallet_address"] != heard_of}
        assert unseen
        assert desk.wrong().keys() == unseen
        print_run(report)
        assert "POSITIONSTORE_WALLETS" in capsys.readouterr().out
        await desk.run(wallets=",".join(desk.serving.wallets))
        assert desk.wrong() == {}


async def test_a_wallet_is_the_same_however_it_is_spelled(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False, wallets=1) as desk:
        await after(desk)
        (wallet,) = wallets_of(desk)
        upper = "0x" + wallet[2:].upper()
        # Half of the events spell it as a checksummed address is spelled.
        desk.append(
            [
                each.replace(wallet.encode(), upper.encode()) if number % 2 else each
                for number, each in enumerate(desk.miss())
            ]
        )
        assert desk.one("SELECT count(DISTINCT wallet_address) FROM positions") == 1
        assert desk.one("SELECT count(DISTINCT data ->> 'wallet_address') FROM positions") == 2
        gone = [
            next(
                position_id
                for position_id, spelled in desk.rows(
                    "SELECT position_id, data ->> 'wallet_address' FROM positions"
                    " WHERE phase <> 'terminal' ORDER BY 1"
                )
                if spelled == wanted
            )
            for wanted in (wallet, upper)
        ]
        desk.serving.faults.hidden = tuple(gone)
        report = await desk.run(dry_run=True)
        assert {each.position_id: each.kind for each in report.discrepancies} == dict.fromkeys(
            gone, DiscrepancyKind.ABSENT_UPSTREAM
        )
        assert report.state is RunState.COMPLETE


async def test_one_wallet_whose_list_is_empty_does_not_stop_the_others(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        desk.hear(losing=0.1)
        truth = desk.serving.world.truth(0)
        empty = str(truth[desk.live_ids()[0]]["wallet_address"])
        theirs = [each for each in desk.live_ids() if truth[each]["wallet_address"] == empty]
        assert 0 < len(theirs) < len(desk.live_ids())
        desk.serving.faults.unlisted = tuple(theirs)
        wrong = desk.wrong()
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        (error,) = report.errors
        assert empty in error
        assert "lists no active positions" in error
        assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0
        assert {each for each in wrong if truth[each]["wallet_address"] == empty} == set(
            desk.wrong()
        )
        assert len(desk.wrong()) < len(wrong)


async def test_a_wallet_that_the_api_does_not_know_hides_no_other(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        desk.hear(losing=0.1)
        report = await desk.run(wallets="notanaddress")
        assert report.state is RunState.PARTIAL
        (error,) = report.errors
        assert "notanaddress" in error
        assert "POSITIONSTORE_WALLETS" in error
        assert desk.wrong() == {}


async def test_a_live_position_without_a_wallet_is_seen_or_said_not_to_be(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        desk.hear()
        shown, hidden = desk.live_ids()[:2]
        desk.rows(
            "UPDATE positions SET wallet_address = NULL WHERE position_id = ANY (%s) RETURNING 1",
            [[shown, hidden]],
        )
        desk.serving.faults.hidden = (hidden,)
        report = await desk.run()
        assert report.state is RunState.PARTIAL
        (error,) = report.errors
        assert error.startswith("1 live positions of the store name no wallet")
        assert set(desk.wrong()) == {hidden}
        assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0


async def test_where_no_token_can_be_had_it_is_not_tried_for_each_wallet(
    desk_of: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_of(api_key_lists=False) as desk:
        named = ",".join(f"0x{number:040x}" for number in range(200))

        async def unwell(*_: object, **__: object) -> Token:
            raise GatewayError("No token could be minted (503).")

        monkeypatch.setattr(RestClient, "mint_token", unwell)
        report = await desk.run(wallets=named)
        assert report.state is RunState.FAILED, "nothing was seen"
        assert len(report.errors) < 20
        assert "were not asked for" in report.errors[-1]


async def test_a_key_that_is_refused_midway_is_said_once(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False, wallets=30, positions=60) as desk:
        await after(desk)
        desk.hear(losing=0.05)
        wallets = len(wallets_of(desk))

        def refuse(_: RunReport) -> None:
            desk.serving.faults.refuse_tokens = True
            desk.serving.faults.refuse_api_keys = True

        reconciler = desk.reconciler(http_concurrency=1)
        report = await reconciler.run(Trigger.COMMAND, Scope.full(), progress=refuse)
        assert report.state is RunState.PARTIAL
        (error,) = report.errors
        assert error.startswith(f"The positions of {wallets} wallets were not all seen: ")
        assert "DIMES_API_KEY" in error
        assert desk.one("SELECT error FROM reconciliation_runs") == error


async def test_a_wrong_key_ends_the_run_in_one_line(desk_of: Opened) -> None:
    async with desk_of(api_key_lists=False) as desk:
        await after(desk)
        desk.hear()
        report = await desk.run(api_key="dm_sbx_skey_wrong")
        assert (report.state, report.exit_code) == (RunState.FAILED, 1)
        (error,) = report.errors
        assert "DIMES_API_KEY" in error
        assert "dm_sbx_skey_wrong" not in error
        assert report.requests > 0
        assert desk.rows("SELECT state, error, requests > 0 FROM reconciliation_runs") == [
            ("failed", error, True)
        ]


async def test_a_customer_s_token_reconciles_that_wallet(desk_of: Opened) -> None:
    async with desk_of(partners=1, wallets=1) as desk:
        await after(desk)
        desk.hear(losing=0.2)
        token = desk.serving.mint_token(desk.serving.wallets[0])
        reports = []
        for address in (None, desk.serving.wallets[0]):
            report = await desk.run(api_key=None, jwt=token, wallet_address=address)
            reports.append(report)
            assert (report.state, report.reach) == (RunState.COMPLETE, "wallets")
            assert desk.wrong() == {}
        assert reports[1].discrepancies == []


async def test_a_customer_s_token_says_nothing_of_others_and_repairs_no_gap_for_them(
    desk_of: Opened,
) -> None:
    async with desk_of() as desk:
        await after(desk)
        desk.hear(losing=0.1)
        wallet = desk.serving.wallets[0]
        assert len(wallets_of(desk)) > 1
        token = desk.serving.mint_token(wallet)
        for address in (None, wallet):
            report = await desk.run(api_key=None, jwt=token, wallet_address=address)
            assert report.state is RunState.PARTIAL
            (error,) = report.errors
            assert f"{len(wallets_of(desk)) - 1} others" in error
            assert report.by_kind[DiscrepancyKind.ABSENT_UPSTREAM] == 0
        truth = desk.serving.world.truth(0)
        assert all(truth[each]["wallet_address"] != wallet for each in desk.wrong())


async def test_an_expired_token_is_told_by_its_variable(desk_of: Opened) -> None:
    async with desk_of(wallets=1, token_life=1.0) as desk:
        token = desk.serving.mint_token(desk.serving.wallets[0])
        await after(desk)
        desk.hear()
        report = await desk.run(api_key=None, jwt=token)
        assert report.exit_code == 1
        assert "DIMES_JWT" in report.errors[-1]
        assert desk.snapshots == 0
