"""The tests that a page of the docs names beside what it promises."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def missing(text: str) -> list[str]:
    """Return the tests that a text names and that are not there.

    Raises:
        AssertionError: it names none.
    """
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert named, f"no test is named: {text}"
    return [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
