"""Which tests a run takes, by markers that pytest's ``-m`` reads; ``scripts/test`` says which.

``slow``
    set where the test is: only ``scripts/test --all`` runs it.
``any_server``
    set here on each test of the server that ``POSITIONSTORE_TEST_WORLD`` names.
``dependency``
    set here on tests that show how a library behaves that we call.
"""

from typing import Final

import pytest

LEANING: Final = (
    "tests/unit/",
    "tests/integration/dimes_rest/",
    "tests/integration/ingest/test_gateway_connections.py",
    "tests/integration/ingest/test_ingest_process.py",
    "tests/integration/ingest/test_ingester.py",
    "tests/integration/ingest/test_wire_list.py",
    "tests/integration/web/",
)
"""Where the tests lean on a dependency: each one of pyproject.toml is called by one of these, or by
a test of the store."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what follows from a test's fixtures and from its place."""
    for item in items:
        if "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("any_server")
        if item.nodeid.startswith(LEANING):
            item.add_marker("dependency")
