"""Whether there is room for what a gateway would send."""

import asyncio


class Gate:
    """Open while there is room; to be used in one event loop, but told in any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()
        self._shut = asyncio.Event()
        self._open.set()
        self._is_open = True

    def enter_loop(self) -> None:
        """Work in the running loop from now on."""
        self._loop = asyncio.get_running_loop()

    def tell(self, *, has_room: bool) -> None:
        """Say whether there is room; in any thread."""
        if has_room is not self._is_open and self._loop is not None:
            self._is_open = has_room
            try:
                self._loop.call_soon_threadsafe(self._turn, has_room)
            except RuntimeError:  # nobody is there any more
                return

    async def opened(self) -> None:
        """Wait until there is room."""
        await self._open.wait()

    async def shut(self) -> None:
        """Wait until there is none."""
        await self._shut.wait()

    def _turn(self, has_room: bool) -> None:
        now, then = (self._open, self._shut) if has_room else (self._shut, self._open)
        then.clear()
        now.set()
