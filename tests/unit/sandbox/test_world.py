"""The world: the same seed makes the same bytes, and every body is whole and true to itself."""

import hashlib
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from positionstore.sandbox import Emission, World, history
from positionstore.sandbox.world import (
    ACTIVE_STATUSES,
    EVENT_TYPES,
    NOTIFICATION,
    STATUSES,
    TERMINAL_STATUSES,
    micros,
)

MONEY_TWINS = ("_usd", "_usd_pips")


def money(*names: str) -> set[str]:
    return {name + twin for name in names for twin in MONEY_TWINS}


# The vendor's reference, written down once more, so that the templates are held to it.
COMMON = {
    "id", "market_ticker", "market_title", "side", "status", "wallet_address",
    "on_chain_position_key", "provider", "effective_leverage_bps", "entry",
}  # fmt: skip
ENTRY = {
    "leverage_bps", "opened_at", "origination_fee_bps", "protocol_origination_fee_bps",
    "partner_origination_fee_bps", "effective_slippage_bps", "position_token_units",
    "initial_fill_bps",
} | money(
    "collateral", "notional", "origination_fee", "price", "effective_entry_price"
)  # fmt: skip
OPEN_SHAPE = {
    "current": {
        "leverage_bps", "book_leverage_bps", "position_token_units", "unrealized_pnl_bps",
        "net_unrealized_pnl_bps", "remaining_bps",
    } | money(
        "collateral", "effective_collateral", "mark_price", "notional", "position_value",
        "unrealized_pnl", "net_unrealized_pnl",
    ),
    "risk": {"health_bps", "liquidation_buffer_bps", "liquidation_fee_bps"}
    | money("current_liquidation_price", "margin_buffer"),
    "fees": {"lifetime_apr_bps"}
    | money("accrued_lifetime_fee", "accrued_venue_fee", "pending_lifetime_fee", "total_fees"),
    "timing": {
        "market_close_time", "market_status", "settlement_state", "time_to_close_minutes",
        "is_voided", "is_settlement_pending",
    },
}  # fmt: skip
CLOSED_SHAPE = {
    "fees": {"lifetime_apr_bps", "origination_fee_bps"}
    | money("origination_fee", "total_fees", "total_lifetime_fee", "total_venue_fee"),
    "result": {"closed_at", "net_realized_pnl_bps"}
    | money(
        "collected_lifetime_fee", "collected_liquidation_fee", "proceeds", "realized_pnl",
        "net_realized_pnl",
    ),
}  # fmt: skip
STATUSES_OF_TYPE = {
    "position.created": {"pending"},
    "position.opening": {"pending"},
    "position.opened": {"open"},
    "position.close_requested": {"closing"},
    "position.closed": {"closed"},
    "position.settled": {"settled"},
    "position.liquidated": {"liquidated"},
    "position.force_unwound": {"open", "unwinding"},
    "position.reverted": {"cancelled"},
    "position.cancelled": {"cancelled"},
    "position.partial_close_requested": {"open"},
    "position.partial_close_initiated": {"closing"},
    "position.partial_closed": {"open"},
    "position.partial_close_aborted": {"open"},
    "position.settlement_state_changed": {"open", "settling"},
}
CLOSE_REASONS = {
    "position.closed": "closed",
    "position.settled": "settled",
    "position.liquidated": "liquidated",
    "position.reverted": "reverted",
    "position.cancelled": "reverted",
}

Envelope = dict[str, Any]


@cache
def lived(seed: int = 1, events: int = 12_000) -> tuple[World, tuple[Emission, ...]]:
    world = World(seed=seed, positions=150, rate=10)
    return world, tuple(world.step() for _ in range(events))


@cache
def envelopes() -> tuple[Envelope, ...]:
    return tuple(json.loads(each.text) for each in lived()[1])


def positions_in(every: tuple[Envelope, ...]) -> list[Envelope]:
    return [each for each in every if each["type"] != NOTIFICATION]


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others() -> None:
    def digest(seed: int) -> str:
        world = World(seed=seed, positions=40)
        stream = b"".join(world.step().envelope for _ in range(1_500))
        return hashlib.sha256(stream).hexdigest()

    assert digest(3) == digest(3)
    assert digest(3) != digest(4)


@pytest.mark.slow
def test_neither_the_size_of_ticks_nor_a_look_changes_what_happens() -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    one, other = (World(seed=5, positions=40, rate=20, start=start) for _ in range(2))
    until = micros(start + timedelta(seconds=60))
    at_once = [each.text for each in one.advance_to(until)]
    in_ticks = []
    while other.now < until:
        in_ticks += [each.text for each in other.advance_to(min(until, other.now + 70_000))]
        other.truth()
    assert in_ticks == at_once
    assert len(at_once) > 1_000
    assert one.truth() == other.truth()


def test_every_event_type_status_and_path_is_reached() -> None:
    seen = Counter(each["type"] for each in envelopes())
    assert set(seen) == {*EVENT_TYPES, NOTIFICATION}
    bodies = [each["data"] for each in positions_in(envelopes())]
    assert {body["status"] for body in bodies} == set(STATUSES)
    states = {body["timing"]["settlement_state"] for body in bodies if "timing" in body}
    assert states == {"none", "awaiting_resolution", "settling", "voided", "unresolved_upstream"}
    assert {True, False} == {body["timing"]["is_voided"] for body in bodies if "timing" in body}
    assert any(body["market_title"] is None for body in bodies)

    steps: set[tuple[str, str]] = set()
    last: dict[str, Envelope] = {}
    for envelope in positions_in(envelopes()):
        before = last.get(envelope["data"]["id"])
        if before is not None:
            steps.add((before["type"].split(".")[1], envelope["type"].split(".")[1]))
        last[envelope["data"]["id"]] = envelope
    assert steps >= {
        ("created", "opening"), ("created", "opened"), ("created", "reverted"),
        ("created", "cancelled"), ("opening", "opened"), ("opening", "reverted"),
        ("opened", "close_requested"), ("close_requested", "closed"), ("opened", "liquidated"),
        ("partial_close_requested", "partial_close_initiated"),
        ("partial_close_requested", "partial_close_aborted"),
        ("partial_close_initiated", "partial_closed"),
        ("partial_close_initiated", "partial_close_aborted"),
        ("force_unwound", "force_unwound"), ("settlement_state_changed", "settled"),
    }  # fmt: skip


def test_a_settlement_state_can_fall_back_to_none() -> None:
    states: dict[str, list[str]] = {}
    for envelope in positions_in(envelopes()):
        if envelope["type"] == "position.settlement_state_changed":
            state = envelope["data"]["timing"]["settlement_state"]
            states.setdefault(envelope["data"]["id"], ["none"]).append(state)
    steps = {step for chain in states.values() for step in pairwise(chain)}
    assert ("awaiting_resolution", "none") in steps
    assert ("settling", "none") in steps


def test_every_status_has_its_shape_with_every_field() -> None:
    for envelope in positions_in(envelopes()):
        body = envelope["data"]
        if body["status"] in ACTIVE_STATUSES:
            assert set(body) == COMMON | set(OPEN_SHAPE)
            sections = OPEN_SHAPE
        else:
            assert set(body) == COMMON | set(CLOSED_SHAPE) | {"close_reason", "failure"}
            sections = CLOSED_SHAPE
            assert body["close_reason"] == CLOSE_REASONS[envelope["type"]]
            assert (body["failure"] is not None) == (envelope["type"] == "position.reverted")
        assert set(body["entry"]) == ENTRY
        for section, names in sections.items():
            assert set(body[section]) == names, section


def test_a_status_is_one_of_its_event_type() -> None:
    for envelope in positions_in(envelopes()):
        assert envelope["data"]["status"] in STATUSES_OF_TYPE[envelope["type"]]


def test_values_are_of_the_documented_kinds_and_dollars_agree_with_pips() -> None:
    def check(name: str, value: object, section: dict[str, Any]) -> None:
        if name.endswith("_usd_pips"):
            dollars = section[name.removesuffix("_pips")]
            if value is None:
                assert dollars is None
                return
            assert isinstance(value, str)
            whole, _, rest = dollars.lstrip("-").partition(".")
            assert len(rest) == 4
            sign = -1 if dollars.startswith("-") else 1
            assert int(value) == sign * int(whole + rest)
            assert str(int(value)) == value
        elif name.endswith("_bps"):
            assert value is None or type(value) is int
        elif name.endswith("_token_units"):
            assert isinstance(value, str)
            assert str(int(value)) == value

    for envelope in positions_in(envelopes()):
        body = envelope["data"]
        for section in (body, *(each for each in body.values() if isinstance(each, dict))):
            for name, value in section.items():
                check(name, value, section)


def test_nullable_entry_fields_are_null_until_the_position_opens() -> None:
    for envelope in positions_in(envelopes()):
        entry = envelope["data"]["entry"]
        opened = entry["opened_at"] is not None
        assert opened == (entry["effective_entry_price_usd_pips"] is not None)
        assert opened == (entry["effective_slippage_bps"] is not None)
        assert opened == (int(entry["position_token_units"]) > 0)
        if envelope["data"]["status"] == "pending":
            assert not opened


def test_a_liquidation_collects_a_fee_only_where_something_is_left() -> None:
    bodies = [each["data"] for each in envelopes() if each["type"] == "position.liquidated"]
    assert any(int(body["result"]["collected_liquidation_fee_usd_pips"]) > 0 for body in bodies)
    for envelope in envelopes():
        if envelope["type"] in {"position.closed", "position.settled", "position.cancelled"}:
            fee = envelope["data"]["result"]["collected_liquidation_fee_usd_pips"]
            assert fee == "0"


def test_an_unwinding_reduces_the_size() -> None:
    units: dict[str, int] = {}
    reduced = 0
    for envelope in positions_in(envelopes()):
        body = envelope["data"]
        if body["status"] in TERMINAL_STATUSES or body["status"] == "pending":
            continue
        now = int(body["current"]["position_token_units"])
        before = units.get(body["id"], now)
        if envelope["type"] in {"position.force_unwound", "position.partial_closed"}:
            assert now < before
            reduced += 1
        else:
            assert now == before
        units[body["id"]] = now
    assert reduced > 100


def test_notifications_name_their_position_and_are_none() -> None:
    ids = set(lived()[0].truth())
    notices = [each for each in envelopes() if each["type"] == NOTIFICATION]
    assert notices
    for notice in notices:
        assert set(notice["data"]) == {"code", "message", "params"}
        assert notice["data"]["params"]["position_id"] in ids


def test_the_truth_is_what_the_last_event_said_in_all_that_is_durable() -> None:
    world, _ = lived()
    last = {each["data"]["id"]: each["data"] for each in positions_in(envelopes())}
    truth = world.truth()
    assert set(truth) == set(last)
    for position_id, body in truth.items():
        said = last[position_id]
        if said["status"] in TERMINAL_STATUSES:
            assert body == said
            continue
        for field in ("status", "entry", "wallet_address", "side", "market_ticker"):
            assert body[field] == said[field]
        for field in ("remaining_bps", "position_token_units"):
            assert body["current"][field] == said["current"][field]  # type: ignore[index] # a JSON object
        assert (
            body["timing"]["settlement_state"]  # type: ignore[index] # a JSON object
            == said["timing"]["settlement_state"]
        )


def test_live_fields_move_without_any_event_while_the_world_rests() -> None:
    world = World(seed=2, positions=50, rate=10)
    for _ in range(400):
        world.step()
    before = {key: body for key, body in world.truth().items() if body["status"] == "open"}
    world.rest_until(world.now + 60_000_000)
    after = world.truth()
    moved = 0
    for key, body in before.items():
        assert body["entry"] == after[key]["entry"]
        assert body["status"] == after[key]["status"]
        moved += body["current"] != after[key]["current"]
    assert moved > len(before) / 2
    assert len(after) == len(world.truth())


def test_events_of_a_position_never_share_a_millisecond() -> None:
    last: dict[str, str] = {}
    for emission, envelope in zip(lived()[1], envelopes(), strict=True):
        before = last.get(emission.position_id, "")
        assert envelope["created_at"] > before
        last[emission.position_id] = envelope["created_at"]


def test_a_clock_skew_moves_created_at_but_not_the_order_of_what_happens() -> None:
    straight, skewed = (World(seed=8, positions=20, rate=5) for _ in range(2))
    skewed.clock_skew = 3.0
    differences: set[float] = set()
    for _ in range(500):
        one, other = json.loads(straight.step().text), json.loads(skewed.step().text)
        assert one["data"] == other["data"]
        apart = datetime.fromisoformat(other["created_at"]) - datetime.fromisoformat(
            one["created_at"]
        )
        differences.add(round(apart.total_seconds(), 3))
    assert differences == {0.0, 1.5, -3.0, 3.0}


def test_a_past_state_can_be_read_back() -> None:
    world = World(seed=4, positions=20, rate=10, remember=600)
    for _ in range(300):
        world.step()
    then = world.now
    truth = world.truth()
    for _ in range(200):
        world.step()
    assert world.truth() != truth
    for position in world.book().created:
        state = world.as_of(position, then)
        if position.id in truth:
            assert state is not None
            assert json.loads(state.render(then)) == truth[position.id]
        else:
            assert state is None


def test_a_close_can_be_taken_back() -> None:
    world = World(seed=4, positions=20, rate=10, remember=600)
    while not any(each.opened_at for each in world.book().closed):
        world.step()
    position = next(each for each in world.book().closed if each.opened_at)
    world.undo_close(position.id)
    body = world.truth()[position.id]
    assert body["status"] in ACTIVE_STATUSES
    assert "current" in body
    assert position.id in world.book(position.partner, position.wallet).active
    with pytest.raises(KeyError):
        world.undo_close(position.id)


def test_partners_and_wallets_see_their_own() -> None:
    world, _ = lived()
    by_partner = [set(world.truth(partner)) for partner in (0, 1)]
    assert by_partner[0]
    assert by_partner[1]
    assert not by_partner[0] & by_partner[1]
    assert by_partner[0] | by_partner[1] == set(world.truth())
    shared = [
        wallet
        for wallet in world.wallets
        if world.book(0, wallet).created and world.book(1, wallet).created
    ]
    assert shared, "one wallet of two partners is what scoping must tell apart"
    for wallet in shared:
        assert {each.partner for each in world.book(1, wallet).created} == {1}


def test_sample_events_are_one_of_each_type_and_leave_the_world_alone() -> None:
    one, other = (World(seed=6, positions=20) for _ in range(2))
    for world in (one, other):
        for _ in range(100):
            world.step()
    wallet = "0x" + "ab" * 20
    samples = one.sample_events(0, wallet)
    assert sorted(each.type for each in samples) == sorted(EVENT_TYPES)
    assert not {each.position_id for each in samples} & set(one.truth())
    for sample in samples:
        body = json.loads(sample.text)["data"]
        assert body["status"] in STATUSES_OF_TYPE[sample.type]
        assert body["wallet_address"] == wallet
    assert [one.step().text for _ in range(50)] == [other.step().text for _ in range(50)]


def test_a_history_is_made_with_duplicates_and_within_its_window() -> None:
    plain = list(history(events=4_000, seed=2, positions=500))
    assert plain == list(history(events=4_000, seed=2, positions=500))
    shuffled = list(history(events=4_000, seed=2, positions=500, duplicates=0.05, shuffle_within=3))
    assert set(shuffled) == set(plain)
    assert 100 < len(shuffled) - len(plain) < 320
    moments = [
        datetime.fromisoformat(json.loads(each)["created_at"]).timestamp() for each in shuffled
    ]
    assert moments != sorted(moments)
    highest = moments[0]
    for moment in moments:
        assert moment > highest - 3.001
        highest = max(highest, moment)


def test_envelopes_have_a_realistic_size() -> None:
    sizes = [len(each.envelope) for each in lived()[1] if each.type != NOTIFICATION]
    assert 1_500 < sum(sizes) / len(sizes) < 2_500
