"""Whether there is room for what a gateway would send."""

import asyncio


class Backpressure:
    """Lets a connection be held while there is room, and has it closed while there is none."""

    def __init__(self) -> None:
        self._room = asyncio.Event()
        self._none = asyncio.Event()
        self._room.set()

    def update(self, *, has_room: bool) -> None:
        """Say whether there is room."""
        now, then = (self._room, self._none) if has_room else (self._none, self._room)
        then.clear()
        now.set()

    async def until_room(self) -> None:
        """Wait until there is room."""
        await self._room.wait()

    async def until_full(self) -> None:
        """Wait until there is none."""
        await self._none.wait()
