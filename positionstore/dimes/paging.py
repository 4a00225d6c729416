"""Walks a list that changes while it is read, going back a page where needed.

The cursor of a list is the id of a row. A row can leave a filtered list between two requests, and
then the API no longer knows the cursor. The walk goes back to an earlier row of the last page, or
starts the list again; it yields no element twice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from positionstore.dimes.page import Item
from positionstore.errors import GatewayError

_PAUSE: Final = 1.0
"""Seconds before a page that contradicts the one before it is asked for again."""

_OVERLAP: Final = 2
"""Pages with nothing new that going back may lead to."""

_REMEDY: Final = "What it had shown up to there was taken; try again later."


class CursorLostError(GatewayError):
    """The API does not know the cursor of a request."""


class Shown(NamedTuple):
    """The answer to a request for a page.

    Attributes:
        items: its elements.
        has_more: whether it says that there is more.
        as_of: a moment at which the server had certainly not yet read it, UTC.
        doubtful: whether that time is unreliable.
    """

    items: list[Item]
    has_more: bool
    as_of: datetime
    doubtful: bool = False


class Step(NamedTuple):
    """One step of a walk.

    Attributes:
        new: the elements that no earlier step had.
        has_more: whether the walk continues.
        as_of: a moment at which the server had certainly not yet read them, UTC.
        cursor: the id to continue after; None on an empty page.
        doubtful: whether ``as_of`` is unreliable.
    """

    new: list[Item]
    has_more: bool
    as_of: datetime
    cursor: str | None
    doubtful: bool


class Paging:
    """One walk over a list.

    Args:
        ask: requests the page after an id, or the first; raises :class:`CursorLostError` if the
            API does not know the id.
        pause: waits for seconds.
    """

    def __init__(
        self,
        ask: Callable[[str | None], Awaitable[Shown]],
        *,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._seen: set[str] = set()
        self._last_page: list[str] = []
        self._pages = 0
        # How many more pages may show nothing new, for the walk has gone back behind them.
        self._allowed = 0
        self._advanced = True
        self._advanced_since_begun_again = True
        self._contradicted: set[str | None] = set()

    async def steps(self, starting_after: str | None) -> AsyncIterator[Step]:
        """Yield the steps of the walk; at least one.

        Raises:
            CursorLostError: the API does not know ``starting_after`` itself.
            GatewayError: a page is unavailable, or the pages contradict each other.
        """
        cursor = starting_after
        self._seen.update([cursor] if cursor else [])
        has_more = True
        while has_more:
            shown = await self._page_after(cursor)
            has_more = shown.has_more
            ids = [item.id for item in shown.items if item.id is not None]
            new = self._once(shown.items)
            last = ids[-1] if ids else None
            advances = any(item.id is not None for item in new)
            if advances:
                self._advanced = self._advanced_since_begun_again = True
            elif self._allowed:
                self._allowed -= 1
            else:
                self._check_advance(cursor, shown)
            self._pages += 1
            self._last_page = ids
            cursor = last
            yield Step(new, has_more, shown.as_of, cursor, shown.doubtful)

    def _check_advance(self, cursor: str | None, shown: Shown) -> None:
        """Raise if a page without new elements contradicts the list."""
        repeats = cursor is not None and any(item.id == cursor for item in shown.items)
        if shown.has_more or repeats:
            none = "none" if not shown.items else "none that it had not shown before"
            raise GatewayError(
                "The list of positions does not advance: it says that there are more, but "
                f"shows {none}.",
                remedy=_REMEDY,
            )

    async def _page_after(self, cursor: str | None) -> Shown:
        """Return the page after a cursor, or if that is unavailable, one that starts earlier."""
        try:
            shown = await self._ask(cursor)
            if shown.items or not (self._pages or shown.has_more):
                return shown
            # The page before said that there are more, or this one does.
            await self._pause(_PAUSE)
            shown = await self._ask(cursor)
        except CursorLostError:
            if not self._pages:
                raise
            return await self._went_back()
        if shown.items or shown.has_more or not self._pages:
            return shown
        return await self._overlapping(cursor)

    async def _overlapping(self, cursor: str | None) -> Shown:
        """Return a page that starts before the cursor, after two empty answers.

        The rest may have left the list meanwhile. Then a page that starts a little earlier ends
        with known rows.
        """
        if cursor not in self._contradicted:
            self._contradicted.add(cursor)
            shown = await self._went_back()
            if shown.items:
                return shown
        raise GatewayError(
            "The list of positions contradicts itself: a page says that there are more, but the "
            "next has none, when it is asked for again too.",
            remedy=_REMEDY,
        )

    async def _went_back(self) -> Shown:
        lost: CursorLostError | None = None
        for earlier in self._way_back():
            try:
                return await self._ask(earlier)
            except CursorLostError as error:
                lost = error
        raise GatewayError(
            "The list of positions cannot be walked to its end: the API does not know the rows "
            f"that it has just shown{f' ({lost})' if lost else ''}.",
            remedy=_REMEDY,
        )

    def _way_back(self) -> Iterator[str | None]:
        """Yield earlier rows of the last page, at growing distances, then the start of the list.

        The list is started again only if that led to something new the last time.
        """
        if self._advanced:
            self._advanced, self._allowed = False, self._allowed + _OVERLAP
        step = 2
        while step <= len(self._last_page):
            yield self._last_page[-step]
            step = 2 * step - 1 if step > 2 else 3  # 2, 3, 5, 9, 17...
        if self._advanced_since_begun_again:
            self._advanced_since_begun_again = False
            self._allowed = self._pages + _OVERLAP
            yield None

    def _once(self, items: list[Item]) -> list[Item]:
        """Return the unseen items, and mark them as seen."""
        new = []
        for item in items:
            if item.id is None or item.id not in self._seen:
                new.append(item)
                if item.id is not None:
                    self._seen.add(item.id)
        return new
