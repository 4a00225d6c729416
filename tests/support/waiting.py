"""How long tests wait for a condition: far longer than a slow, busy machine needs."""

import asyncio
import time
from collections.abc import Callable

DEADLINE = 90.0
"""Seconds after which what a test waits for will never come."""


async def eventually(condition: Callable[[], bool], *, within: float = DEADLINE) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - of a condition, nobody sets an event
            await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    """Wait until a condition holds, in a thread."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)
