"""The order in which test processes take the tests: at first those that take long.

xdist gives each process a stretch of the list, all equally long, and one that is done with its own
takes from the end of another's. So the slow tests begin each stretch, a file in one piece (its
tests share what they have set up): one that began last would keep a process busy while the
others had nothing left.
"""

import itertools
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.hookimpl(trylast=True)  # after those that are not wanted have been left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slow ones first, in every process the same."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    if processes > 1:
        slow = [item for item in items if item.get_closest_marker("slow")]
        others = [item for item in items if not item.get_closest_marker("slow")]
        files = [list(of_file) for _, of_file in itertools.groupby(slow, lambda item: item.path)]
        items[:] = stretches(files, others, processes)


def stretches(first: Sequence[list[T]], then: Sequence[T], count: int) -> list[T]:
    """Return all in an order whose equal stretches begin with as many of the first as others do.

    Args:
        first: what stays together.
        then: what follows, in its order.
        count: how many stretches there are.
    """
    whole = sum(map(len, first)) + len(then)
    left = iter(then)
    ordered: list[T] = []
    for number in range(count):
        ends = whole * (number + 1) // count
        for together in first[number::count]:
            ordered += together
        ordered += itertools.islice(left, max(0, ends - len(ordered)))
    return [*ordered, *left]
