"""How long tests wait for a condition: far longer than a slow, busy machine needs."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

DEADLINE = 90.0
"""Seconds after which what a test waits for will never come."""


_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.05
_SHARE: Final = 40
"""What has been waited for long is looked at less often: to look takes time from what it waits for,
which often is served by the same process, and is slow because the machine is busy."""


def _pause(began: float) -> float:
    return min(max(_PAUSE, (time.monotonic() - began) / _SHARE), _LONGEST_PAUSE)


async def eventually(condition: Callable[[], bool], *, within: float = DEADLINE) -> None:
    """Wait until a condition holds."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - of a condition, nobody sets an event
            await asyncio.sleep(_pause(began))


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait until a condition holds, in a thread."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds} s: {what}"
        time.sleep(_pause(began))
