#!/usr/bin/env python3
"""List the promises of the docs, with the tests that keep each, and the runs that have them.

    scripts/guarantees.py             a line a promise: its page and number, its tests
    scripts/guarantees.py CHECKOUT    the same of another checkout, to compare two of them

A test that `scripts/test` leaves to `scripts/test --all` has an asterisk.
tests/docs/test_promises.py sees that each promise has a test.
"""

import ast
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ("docs/guarantees.md", "docs/reconciliation.md", "SECURITY.md")
_ROW: Final = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


class Test(NamedTuple):
    """A test that keeps a promise.

    Attributes:
        path: of its file, from the root of the checkout.
        name: of its function.
        is_there: whether the file has it.
        is_slow: whether only ``scripts/test --all`` runs it.
    """

    path: str
    name: str
    is_there: bool
    is_slow: bool

    def __str__(self) -> str:
        return f"{self.path}::{self.name}{'*' * self.is_slow}"


class Promise(NamedTuple):
    """A numbered row of a page that names tests."""

    page: str
    number: int
    text: str
    tests: tuple[Test, ...]


def promises(root: Path = ROOT) -> list[Promise]:
    """Read those of a checkout."""
    return [promise for page in PAGES for promise in _promises_of(root, page)]


def _promises_of(root: Path, page: str) -> list[Promise]:
    found = []
    for number, row in _ROW.findall((root / page).read_text(encoding="utf-8")):
        named = _TEST.findall(row)
        if named:
            tests = tuple(_test(root / path, path, name) for path, name in named)
            found.append(Promise(page, int(number), row.partition(" | ")[0], tests))
    return found


def _test(file: Path, path: str, name: str) -> Test:
    slow_by_name = _tests_of(file)
    return Test(path, name, name in slow_by_name, slow_by_name.get(name, False))


@cache
def _tests_of(file: Path) -> dict[str, bool]:
    """Return the test functions of a file, and whether each is marked as slow."""
    if not file.exists():
        return {}
    module = ast.parse(file.read_text(encoding="utf-8"))
    whole = any(
        isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "pytestmark"
        and _marks_slow(node.value)
        for node in module.body
    )
    return {
        node.name: whole or any(map(_marks_slow, node.decorator_list))
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _marks_slow(expression: ast.expr) -> bool:
    return ast.unparse(expression) == "pytest.mark.slow"


def main(arguments: Sequence[str]) -> int:
    """Print the list; return the exit code."""
    root = Path(arguments[0]).resolve() if arguments else ROOT
    for promise in promises(root):
        print(f"{promise.page} {promise.number}: {promise.text}")
        for test in promise.tests:
            print(f"    {test}{'' if test.is_there else '  (missing)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
