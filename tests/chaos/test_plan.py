"""The faults of a scenario follow from its seed."""

from itertools import pairwise

from support.harness import plan
from support.harness.stage import WAYS


def test_the_same_seed_brings_the_same_faults_and_another_seed_others() -> None:
    assert plan.draw("7-0", 60.0) == plan.draw("7-0", 60.0)
    assert plan.draw("7-0", 60.0) != plan.draw("7-1", 60.0)


def test_every_kind_has_its_turn_and_a_way_to_bring_it_about() -> None:
    assert {fault.kind for fault in plan.draw("7-0", 300.0)} == set(plan.KINDS) == set(WAYS)


def test_what_this_machine_cannot_do_is_left_out() -> None:
    able = [kind for kind in plan.KINDS if kind != "disk full"]

    faults = plan.draw("7-0", 300.0, able)

    assert {fault.kind for fault in faults} == set(able)


def test_faults_of_one_track_follow_each_other() -> None:
    for track in plan.TRACKS:
        faults = [fault for fault in plan.draw("3-0", 120.0) if fault.track == track]
        assert all(before.at + before.lasts < fault.at for before, fault in pairwise(faults))
