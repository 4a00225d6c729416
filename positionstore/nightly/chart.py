"""The drift of the last nights as a chart: inline SVG, pure."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Final

from positionstore.escaping import html
from positionstore.nightly.contents import KINDS as NAMES
from positionstore.store.nights import Night

KINDS: Final = ("missing", "stale", "divergent", "absent_upstream")
"""The kinds of discrepancy, in the order of their bars; each names the class of its own."""

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 12, 34


def chart(nights: Sequence[Night], *, last: date, count: int) -> str:
    """Draw a bar for each night, its differences stacked by kind.

    A night without a run is a hollow mark on the axis, an incomplete run a cross.

    Args:
        nights: the nights with a run.
        last: the day of the rightmost bar.
        count: the number of days.
    """
    by_day = {night.day: night for night in nights}
    days = [last - timedelta(days=back) for back in reversed(range(count))]
    highest = _ceiling(max((_total(night) for night in nights), default=0))
    words = html(_in_words(nights, count))
    return "\n".join(
        (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{words}">',
            *_axis(highest),
            *(
                line
                for place, day in enumerate(days)
                for line in _night(by_day.get(day), day, place, count, highest)
            ),
            "</svg>",
        )
    )


def _in_words(nights: Sequence[Night], count: int) -> str:
    total = sum(map(_total, nights))
    return f"Differences found in the last {count} nights: {total:,} in {len(nights)} nights."


def _total(night: Night) -> int:
    return sum(getattr(night, kind) for kind in KINDS)


def _ceiling(highest: int) -> int:
    """Return the next round number."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if size * step >= max(highest, 4):
                return size * step
        size *= 10


def _y(value: float, highest: int) -> float:
    return _HEIGHT - _BOTTOM - value / highest * (_HEIGHT - _TOP - _BOTTOM)


def _axis(highest: int) -> Iterator[str]:
    for part in (0.0, 0.5, 1.0):
        y = _y(part * highest, highest)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield (
            f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_amount(part * highest)}</text>"
        )


def _amount(value: float) -> str:
    """Format a number briefly: the margin is narrow."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1_000:g}k" if value >= 10_000 else f"{value:,g}"


def legend() -> str:
    """Return what the colours and marks of the chart mean; a phone breaks it into lines."""
    keys = (f'<span><i class="key {kind}"></i>{NAMES[kind]}</span>' for kind in KINDS)
    marks = (
        '<span><b class="bad">×</b> not complete</span>',
        '<span><b class="soft">○</b> no run</span>',
    )
    return f'<p class="legend">{" ".join((*keys, *marks))}</p>'


def _night(night: Night | None, day: date, place: int, count: int, highest: int) -> Iterator[str]:
    slot = (_WIDTH - _LEFT - _RIGHT) / count
    x, middle = _LEFT + slot * place, _LEFT + slot * (place + 0.5)
    if (count - 1 - place) % 5 == 0:
        yield (
            f'<text class="tick" x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
            f"{day:%d %b}</text>"
        )
    if night is None:
        yield f'<circle class="none" cx="{middle:.1f}" cy="{_y(0, highest) + 9:.1f}" r="3"/>'
        return
    title = ", ".join(f"{getattr(night, kind):,} {NAMES[kind]}" for kind in KINDS)
    yield f"<g><title>{day:%F}: {html(night.state)}; {title}</title>"
    below = 0
    for kind in KINDS:
        if value := getattr(night, kind):
            top, bottom = _y(below + value, highest), _y(below, highest)
            yield (
                f'<rect class="{kind}" x="{x + slot * 0.15:.1f}" y="{top:.1f}" '
                f'width="{slot * 0.7:.1f}" height="{max(bottom - top, 1):.1f}"/>'
            )
            below += value
    if night.state != "complete":
        y = _y(0, highest) + 14
        yield f'<text class="bad" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">×</text>'
    yield "</g>"
