"""When a silent WebSocket is pinged, and when it is taken for dead."""

import asyncio

from positionstore.dimes.pinger import Pinger


class Link:
    """A WebSocket and a clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.happened: list[str] = []
        self.awake = asyncio.Event()
        self.pinger = Pinger(
            10.0,
            on_silence=lambda: self.happened.append("dead"),
            monotonic=lambda: self.now,
            sleep=self._sleep,
        )
        self.pinger.start(self._ping)

    async def _sleep(self, seconds: float) -> None:
        assert seconds == 5.0
        self.awake.clear()
        await self.awake.wait()

    async def _ping(self) -> None:
        self.happened.append("ping")

    async def passes(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        for _ in range(int(seconds / 5)):
            await asyncio.sleep(0)
            self.now += 5
            self.awake.set()
            await asyncio.sleep(0)


async def test_it_pings_while_nothing_comes_and_gives_a_link_up_at_last() -> None:
    link = Link()
    with link.pinger:
        await link.passes(5)
        assert link.happened == []
        await link.passes(15)
        assert link.happened == ["ping", "ping", "ping"]
        await link.passes(10)
    assert link.happened == ["ping", "ping", "ping", "dead"]
    await link.pinger.stop()


async def test_any_frame_ends_the_silence() -> None:
    link = Link()
    for _ in range(10):
        with link.pinger:
            await link.passes(15)
    assert set(link.happened) == {"ping"}
    await link.pinger.stop()


async def test_nobody_is_silent_while_nobody_listens() -> None:
    link = Link()
    await link.passes(1_000)
    assert link.happened == []
    with link.pinger:
        await link.passes(5)
    assert link.happened == []
    await link.pinger.stop()


async def test_a_ping_that_cannot_be_sent_is_no_error() -> None:
    link = Link()

    async def fail() -> None:
        raise ConnectionResetError

    await link.pinger.stop()
    link.pinger.start(fail)
    with link.pinger:
        await link.passes(60)
    assert link.happened == ["dead"]
    await link.pinger.stop()
