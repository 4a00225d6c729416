"""What a process does until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable

Work = Callable[[asyncio.Event], Awaitable[None]]
"""Works until the event is set."""
