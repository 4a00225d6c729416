"""Faults: changed by name, all or none, and with dice of their own."""

import pytest

from positionstore.sandbox import Emission, Faults, World
from positionstore.sandbox.faults import Outbox


def emissions(count: int) -> list[Emission]:
    world = World(seed=1, positions=50, rate=100)
    return [world.step() for _ in range(count)]


def sent(faults: Faults, seed: int = 0) -> tuple[list[str], int]:
    """Ids in the order of sending, and how many were lost."""
    outbox, ids, lost = Outbox(faults, seed), list[str](), 0
    for emission in emissions(2_000):
        lost += not outbox.put(emission)
        ids += [each.event_id for _, each in outbox.due(emission.at)]
    ids += [each.event_id for _, each in outbox.due(None)]
    assert len(outbox) == 0
    return ids, lost


def test_without_faults_everything_is_sent_once_and_in_order() -> None:
    assert sent(Faults()) == ([each.event_id for each in emissions(2_000)], 0)


def test_each_fault_comes_about_as_often_as_asked_for() -> None:
    ids, lost = sent(Faults(duplicates=0.1, reordering=0.3, lost=0.2))
    assert 300 < lost < 500
    assert len(set(ids)) == 2_000 - lost
    assert 100 < len(ids) - len(set(ids)) < 230
    order = {each.event_id: number for number, each in enumerate(emissions(2_000))}
    places = [order[each] for each in ids]
    assert places != sorted(places)


def test_the_dice_follow_the_seed() -> None:
    faults = Faults(duplicates=0.1, reordering=0.3, lost=0.2)
    assert sent(faults, 1) == sent(faults, 1)
    assert sent(faults, 1) != sent(faults, 2)


def test_a_delay_stays_within_its_window() -> None:
    outbox = Outbox(Faults(reordering=1.0, reorder_window=0.5), 0)
    for emission in emissions(500):
        outbox.put(emission)
        for _, each in outbox.due(emission.at):
            assert emission.at - each.at <= 600_000
        assert outbox.next_due is None or outbox.next_due <= emission.at + 500_000


def test_faults_change_by_name() -> None:
    faults = Faults()
    faults.update({"lost": 1, "failing_page": 2, "hidden": ["dm_pos_1"], "empty_list": True})
    assert faults == Faults(lost=1.0, failing_page=2, hidden=("dm_pos_1",), empty_list=True)


@pytest.mark.parametrize(
    "change",
    [
        {"lots": 1},
        {"lost": 2},
        {"lost": "often"},
        {"lost": True},
        {"empty_list": 1},
        {"hidden": "dm_pos_1"},
        {"failing_page": 1.5},
        {"failing_page": -1},
        {"disconnect_how": "rudely"},
        {"reorder_window": -1},
    ],
)
def test_a_wrong_change_changes_nothing_and_says_why(change: dict[str, object]) -> None:
    faults = Faults(duplicates=0.5)
    with pytest.raises(ValueError, match=next(iter(change))):
        faults.update({"duplicates": 0.1, **change})
    assert faults == Faults(duplicates=0.5)
