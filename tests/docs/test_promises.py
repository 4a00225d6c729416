"""Every promise of the docs has tests, and ``scripts/test`` runs one; see scripts/guarantees.py."""

from itertools import groupby

import guarantees
import pytest
from guarantees import PAGES, promises

ALL = promises()
ONLY_IN_A_LONG_RUN = {("docs/guarantees.md", 23), ("docs/guarantees.md", 25)}
"""Memory that comes back and secrets that show nowhere, after every fault."""


def test_each_page_has_its_promises_in_order() -> None:
    numbers = {
        page: [promise.number for promise in of_page]
        for page, of_page in groupby(ALL, lambda promise: promise.page)
    }
    assert [*numbers] == [*PAGES]
    for page, found in numbers.items():
        assert found == [*range(1, len(found) + 1)], page
        assert len(found) >= 25, page


def test_every_test_that_is_named_is_there() -> None:
    missing = [test for promise in ALL for test in promise.tests if not test.is_there]
    assert missing == []


def test_a_newcomer_s_run_has_a_test_of_each_promise() -> None:
    slow_alone = {
        (promise.page, promise.number)
        for promise in ALL
        if all(test.is_slow for test in promise.tests)
    }
    assert slow_alone == ONLY_IN_A_LONG_RUN


def test_the_marks_that_it_reads_are_those_that_pytest_reads(
    request: pytest.FixtureRequest,
) -> None:
    slow = {(test.path, test.name): test.is_slow for promise in ALL for test in promise.tests}
    marked: dict[tuple[str, str], bool] = {}  # of all of a test's parameters
    for item in request.session.items:
        path, _, name = item.nodeid.partition("::")
        test = path, name.partition("[")[0]
        if test in slow:
            is_marked = item.get_closest_marker("slow") is not None
            marked[test] = marked.get(test, True) and is_marked
    assert marked == {test: slow[test] for test in marked}


def test_the_list_names_each_promise_and_its_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarantees.main([]) == 0
    printed = capsys.readouterr().out
    for promise in ALL:
        assert f"{promise.page} {promise.number}: " in printed
        assert all(f"{test.path}::{test.name}" in printed for test in promise.tests)
