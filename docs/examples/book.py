"""Draws a book: its equity, its exposure by market, and the life of one position.

python docs/examples/book.py [FOLDER]

Reads the store that DATABASE_URL names, or the embedded server's, and writes three pictures into
the folder: equity.png, exposure.png and life.png.
"""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import dates, ticker
from matplotlib import pyplot as plt

import positionstore
from positionstore.notebook import Book

mpl.use("Agg")  # draws into files, and needs no window

PIPS = 10_000
"""How many are a dollar."""

BLUE, ORANGE, GREY, RED = "#2563a8", "#d97917", "#6b7280", "#b4232a"
MOMENTS = 96


def equity(book: Book, path: Path) -> None:
    """Draw what open positions were worth, and what ended ones had brought, as it really was."""
    ((first, last),) = rows(
        book, "SELECT min(created_at) AS first, max(created_at) AS last FROM events"
    )
    step = (last - first) / MOMENTS
    moments = [first + step * n for n in range(1, MOMENTS + 1)]
    found = book.sql(
        "SELECT m.at, coalesce(b.collateral, 0)::bigint AS collateral,"
        " coalesce(b.pnl, 0)::bigint AS pnl,"
        " (SELECT coalesce(sum(c.result_net_realized_pnl_usd_pips), 0)"
        " FROM closed_positions c WHERE c.ended_at <= m.at)::bigint AS realized"
        " FROM unnest(%(moments)s::timestamptz[]) m (at)"
        " LEFT JOIN (SELECT at, sum(collateral_usd_pips) AS collateral,"
        " sum(net_unrealized_pnl_usd_pips) AS pnl"
        " FROM book_at(%(moments)s::timestamptz[]) GROUP BY at) b ON b.at = m.at ORDER BY m.at",
        {"moments": moments},
    ).to_pandas()
    paid_in = found["collateral"] / PIPS
    worth = paid_in + found["pnl"] / PIPS
    realized = found["realized"] / PIPS

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 5.6), sharex=True, height_ratios=[3, 2], layout="constrained"
    )
    above.plot(moments, worth, color=BLUE, linewidth=1.8, label="equity: collateral and PnL")
    above.plot(moments, paid_in, color=GREY, linewidth=1.2, linestyle="--", label="collateral")
    above.set_title("Equity of the open positions", loc="left")
    above.set_ylabel("USD")
    above.legend(frameon=False, loc="best")
    below.fill_between(moments, realized, color=ORANGE, alpha=0.25, linewidth=0)
    below.plot(moments, realized, color=ORANGE, linewidth=1.8)
    below.axhline(0, color=GREY, linewidth=0.8)
    below.set_title("Net result of those that ended, added up", loc="left")
    below.set_ylabel("USD")
    for axes in (above, below):
        in_dollars(axes.yaxis)
        by_day(axes)
    save(figure, path)


def exposure(book: Book, path: Path) -> None:
    """Draw the open interest by market, yes against no."""
    frame = book.sql(
        "SELECT market_ticker, coalesce(sum(open_interest_usd_pips)"
        " FILTER (WHERE side = 'yes'), 0)::bigint AS yes, coalesce(sum(open_interest_usd_pips)"
        " FILTER (WHERE side = 'no'), 0)::bigint AS no FROM open_positions"
        " GROUP BY 1 ORDER BY sum(open_interest_usd_pips) DESC NULLS LAST LIMIT 15"
    ).to_pandas()[::-1]

    figure, axes = plt.subplots(figsize=(9, 0.34 * len(frame) + 1.4), layout="constrained")
    axes.barh(frame["market_ticker"], -frame["no"] / PIPS, color=ORANGE, label="no")
    axes.barh(frame["market_ticker"], frame["yes"] / PIPS, color=BLUE, label="yes")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_title(f"Exposure of the {len(frame)} largest markets", loc="left")
    axes.set_xlabel("open interest, USD")
    axes.legend(frameon=False, title="side", loc="lower right")
    in_dollars(axes.xaxis, signed=False)
    axes.grid(axis="x", color="#e5e7eb")
    axes.set_axisbelow(True)
    save(figure, path)


def life(book: Book, path: Path) -> None:
    """Draw the prices and the size of the position that has most to tell, fact by fact."""
    ((name,),) = rows(
        book,
        "SELECT position_id FROM events JOIN positions USING (position_id)"
        " WHERE phase = 'terminal' AND entry_opened_at IS NOT NULL"
        " GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
    )
    facts = book.timeline(name).to_pylist()
    bodies = {
        fact["event_id"]: json.loads(fact["envelope"])["data"]
        for fact in book.events(position=name).to_pylist()
    }
    moments = [fact["created_at"] for fact in facts]
    states = [bodies[fact["event_id"]] for fact in facts]

    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9, 6.4), sharex=True, height_ratios=[3, 2], layout="constrained"
    )
    for label, section, field, color, style in (
        ("mark price", "current", "mark_price_usd_pips", BLUE, "-"),
        ("entry price", "entry", "price_usd_pips", GREY, "--"),
        ("liquidation price", "risk", "current_liquidation_price_usd_pips", RED, ":"),
    ):
        line(above, moments, dollars(states, section, field), label=label, color=color, style=style)
    above.set_title(f"The life of {name}", loc="left")
    above.set_ylabel("price of a token, USD")
    above.legend(frameon=False, loc="best")
    above.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:.2f}"))
    notional = dollars(states, "current", "notional_usd_pips")
    line(below, moments, notional, label="notional", color=BLUE, style="-")
    below.set_ylabel("notional, USD")
    below.set_ylim(bottom=0)
    in_dollars(below.yaxis)
    span = moments[-1] - moments[0]
    free_from = moments[0]
    for moment, fact in zip(moments, facts, strict=True):
        for axes in (above, below):
            axes.axvline(moment, color="#d1d5db", linewidth=0.7, zorder=0)
        at = max(moment, free_from)
        below.annotate(
            fact["type"].removeprefix("position.").replace("_", " "),
            xy=(moment, 0),
            xytext=(at, -0.36),
            textcoords=below.get_xaxis_transform(),
            arrowprops={"arrowstyle": "-", "color": "#9ca3af", "linewidth": 0.7},
            rotation=45,
            ha="right",
            va="top",
            fontsize=8,
            annotation_clip=False,
        )
        free_from = at + span / 28
    by_day(above)
    by_day(below)
    save(figure, path)


def rows(book: Book, query: str) -> list[tuple[Any, ...]]:
    """Return what a query gives as plain rows."""
    return [tuple(row.values()) for row in book.sql(query).to_pylist()]


def dollars(states: Sequence[dict[str, Any]], section: str, field: str) -> list[float | None]:
    """Return a field of each body, in dollars; None where it is not said."""
    values = [(body.get(section) or {}).get(field) for body in states]
    # A price of nothing is one that is not known yet.
    return [int(value) / PIPS if value and int(value) else None for value in values]


def line(
    axes: plt.Axes,
    moments: Sequence[datetime],
    values: Sequence[float | None],
    *,
    label: str,
    color: str,
    style: str,
) -> None:
    """Draw what holds from one fact to the next."""
    known = [(at, value) for at, value in zip(moments, values, strict=True) if value is not None]
    if known:
        axes.step(
            *zip(*known, strict=True), where="post", color=color, linestyle=style, label=label
        )
        axes.plot(*zip(*known, strict=True), ".", color=color, markersize=5)


def in_dollars(axis: Any, *, signed: bool = True) -> None:
    """Write an axis's numbers as dollars."""
    axis.set_major_formatter(
        ticker.FuncFormatter(lambda x, _: f"{x if signed else abs(x):,.0f}".replace("-", "−"))
    )


def by_day(axes: plt.Axes) -> None:
    """Write an axis's moments as briefly as can be, and draw a grid."""
    locator = dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.grid(axis="y", color="#e5e7eb")


def save(figure: plt.Figure, path: Path) -> None:
    """Write a picture."""
    figure.align_ylabels()
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
    print(path)


def main(folder: Path) -> None:
    """Draw all three."""
    folder.mkdir(parents=True, exist_ok=True)
    with positionstore.connect() as book:
        equity(book, folder / "equity.png")
        exposure(book, folder / "exposure.png")
        life(book, folder / "life.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
