"""No test leaves the next one a log that is about to be configured."""

from collections.abc import Iterator

import pytest

from positionstore.log import before_first_line


@pytest.fixture(autouse=True)
def _no_setup_is_left() -> Iterator[None]:
    """A command that ran in the test's process and logged nothing would leave its own."""
    yield
    before_first_line(lambda: None)
