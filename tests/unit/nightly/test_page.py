"""The page and its chart: all a person needs, nothing that speaks to the browser."""

import random
import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.nightly import MADE_AT, contents_of

from positionstore.nightly.chart import KINDS, chart
from positionstore.nightly.report_html import page
from positionstore.nightly.report_text import text as report_text
from positionstore.reconcile.compare import DiscrepancyKind
from positionstore.reconcile.report import Discrepancy, Resolution, RunReport, RunState
from positionstore.reconcile.scope import Scope, Trigger
from positionstore.store.backfills import Unrepaired
from positionstore.store.differing import Differing, StillDiffering
from positionstore.store.invalid_fields import InvalidField
from positionstore.store.nights import Night
from positionstore.store.runs import FieldDifference

SVG = "{http://www.w3.org/2000/svg}"


def report(*discrepancies: Discrepancy, state: RunState = RunState.COMPLETE) -> RunReport:
    made = RunReport(Trigger.NIGHTLY, Scope.full(), dry_run=False, started_at=MADE_AT, run_id=7)
    made.state, made.seen, made.requests = state, 12_345, 130
    made.finished_at = MADE_AT + timedelta(seconds=42)
    for each in discrepancies:
        made.add(each)
    return made


def discrepancy(
    name: str, *values: str, resolution: Resolution = Resolution.REPAIRED
) -> Discrepancy:
    fields = tuple(FieldDifference("status", value, "closed") for value in values)
    return Discrepancy(name, DiscrepancyKind.STALE, fields, resolution)


def night(back: int = 0, state: str = "complete", **counts: int) -> Night:
    day = MADE_AT.date() - timedelta(days=back)
    return Night(
        day, state, **{**dict.fromkeys(KINDS, 0), "repaired": 0, "unresolved": 0, **counts}
    )


def drawn(nights: list[Night]) -> ElementTree.Element:
    text = chart(nights, last=MADE_AT.date(), count=30)
    return ElementTree.fromstring(text.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))  # noqa: S314 - it is our own


def test_a_quiet_night_is_told_in_a_line() -> None:
    text = page(contents_of(report()))

    assert "All is well: nothing differed." in text
    assert "12,345" in text
    assert "What was repaired" not in text
    assert "Still different" not in text
    for head in ("sandbox", "book on db.example:5432", "positionstore 0.1.0"):
        assert head in text
    assert "Gaps of the stream" not in text


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (report(discrepancy("a")), "All is well: 1 position differed, and all is repaired."),
        (
            report(discrepancy("a", resolution=Resolution.UNRESOLVED)),
            "Still different from GET /positions: 1 position.",
        ),
        (report(state=RunState.PARTIAL), "The run is partial: not all positions were seen."),
        (report(state=RunState.FAILED), "The run is failed: not all positions were seen."),
    ],
)
def test_the_verdict_says_how_it_is(run: RunReport, verdict: str) -> None:
    assert verdict in page(contents_of(run))


def test_a_night_without_a_run_says_why() -> None:
    text = page(contents_of(error="The database cannot be reached: <refused>.", gaps=None))

    assert "It did not run. The database cannot be reached: &lt;refused&gt;." in text


def test_gaps_are_told() -> None:
    gaps = Unrepaired(2, 1, MADE_AT - timedelta(hours=6), None, MADE_AT - timedelta(hours=2))

    text = page(contents_of(report(), gaps=gaps))

    assert "nothing has repaired: 2, the oldest since 2026-07-30 23:00 UTC." in text
    assert "There has been no stream since 2026-07-31 03:00 UTC." in text


def test_nothing_from_the_wire_becomes_markup() -> None:
    evil = "<script>alert(1)</script>\x1b[31m\ud800\u202e&\"'"
    run = report(discrepancy(evil, evil, evil), state=RunState.PARTIAL)
    run.errors = [evil]

    text = page(contents_of(run, error=evil))

    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not set(text) & {"\x1b", "\ud800", "\u202e"}
    text.encode()


def test_a_page_is_never_long() -> None:
    run = report(*(discrepancy(f"dm_pos_{n}", *["x" * 10_000] * 9) for n in range(10_000)))
    run.errors = ["y" * 10_000] * 20

    text = page(contents_of(run, nights=[night(n, missing=10**9) for n in range(30)]))

    assert len(text) < 100_000
    assert "And 9,950 more; the table discrepancies has all of them." in text
    assert "and 6 more" in text


def differing(
    name: str, value: int | None, *, kind: str = "absent_upstream", resolution: str = "unresolved"
) -> Differing:
    return Differing(
        position_id=name,
        run_id=7,
        kind=kind,
        resolution=resolution,
        fields=[["status", "open", "closed"]],
        status="open",
        wallet_address="0xabc",
        market_ticker="RAIN-26",
        market_title=None,
        value_usd_pips=value,
    )


def test_each_position_that_still_differs_is_told_with_what_to_do() -> None:
    found = StillDiffering(
        [
            differing("dm_pos_1", 12_345_600),
            differing("dm_pos_2", None, kind="stale"),
            differing("dm_pos_3", 0, resolution="in_flux"),
            differing("$(reboot)'\"", 1),
        ],
        4,
        Decimal(12_345_601),
    )
    said = contents_of(report(), differing=found)

    for form in (html_as_text(page(said)), report_text(said)):
        assert "Still different: 4 positions, $1,234.5601 together" in form
        assert "dm_pos_1" in form
        for part in ("$1,234.56", "wallet 0xabc", "market RAIN-26", "absent upstream", "open"):
            assert part in form
        assert "WHERE position_id = 'dm_pos_1' ORDER BY seq\"" in form
        assert "positionstore reconcile --full" in form
        assert "amount not known" in form
        assert "the next run looks again" in form
        assert "status: open → closed" in form
        # An id that means something to a shell is shown, and is part of no command.
        assert form.count("$(reboot)") == 1


def test_none_that_still_differs_is_hidden() -> None:
    many = [differing(f"dm_pos_{n:04}", n) for n in range(2000)]
    said = contents_of(report(), differing=StillDiffering(many, 2003, Decimal(5)))

    for form in (page(said), report_text(said)):
        assert all(each.position_id in form for each in many)
        assert "3 of smaller amounts are not listed here: positionstore db psql" in form


def test_retries_are_called_retries() -> None:
    run = report()
    run.retries = 3
    assert "130, of them 3 retries" in page(contents_of(run))
    run.retries = 1
    assert "130, of them 1 retry" in report_text(contents_of(run))


def html_as_text(page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page))


def test_a_bar_for_each_kind_stacked_without_gaps() -> None:
    svg = drawn([night(missing=10, stale=20, divergent=5, absent_upstream=5)])

    bars = svg.findall(f"{SVG}g/{SVG}rect")
    assert [bar.get("class") for bar in bars] == list(KINDS)
    heights = [float(bar.get("height", "0")) for bar in bars]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    for lower, upper in pairwise(bars):
        bottom = float(upper.get("y", "0")) + float(upper.get("height", "0"))
        assert bottom == pytest.approx(float(lower.get("y", "0")), abs=0.2)


def test_nights_without_a_run_and_incomplete_ones_are_marked() -> None:
    svg = drawn([night(0), night(1, "partial"), night(2, "failed", stale=3)])

    assert len(svg.findall(f"{SVG}circle")) == 27
    assert [each.text for each in svg.iter(f"{SVG}text")].count("×") == 2


def test_the_newest_night_is_dated_at_the_right() -> None:
    texts = [each.text for each in drawn([]).iter(f"{SVG}text")]

    assert texts[-1] == "31 Jul"


def test_no_label_is_cut_at_the_edge() -> None:
    widest = 8.0  # of a character at 12 px, in the units of the picture

    for label in drawn([night(missing=9_999), night(1, missing=10**8)]).iter(f"{SVG}text"):
        text, x = label.text or "", float(label.get("x", "nan"))
        before = {"end": 1.0, "middle": 0.5}.get(label.get("text-anchor", ""), 0.0)
        assert x + (1 - before) * widest * len(text) <= 720, text
        assert x - before * widest * len(text) >= 0, text


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (3, ["0", "2.5", "5"]),
        (9_000, ["0", "5,000", "10k"]),
        (400_000, ["0", "250k", "500k"]),
        (10**6, ["0", "500k", "1M"]),
    ],
)
def test_the_axis_says_its_numbers_in_few_characters(highest: int, labels: list[str]) -> None:
    ticks = list(drawn([night(missing=highest)]).iter(f"{SVG}text"))

    assert [each.text for each in ticks if each.get("text-anchor") == "end"] == labels


def test_where_the_nights_are_not_known_none_are_drawn() -> None:
    assert "<svg" not in page(contents_of(error="The database cannot be reached.", nights=None))
    assert "<svg" in page(contents_of(error="Another one is at work.", nights=[]))


def test_what_a_cell_says_in_a_word_stays_in_one_line() -> None:
    text = page(contents_of(report(discrepancy("dm_pos_1", "open"))))

    assert '<td class="word">stale</td>' in text
    assert "td.word { white-space: nowrap; }" in text


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10**12)), max_size=40))
def test_whatever_the_numbers_every_bar_is_inside_the_picture(
    counts: list[tuple[int, int]],
) -> None:
    nights = {back: night(back, missing=count, stale=count // 3) for back, count in counts}
    svg = drawn(list(nights.values()))

    for bar in svg.findall(f"{SVG}g/{SVG}rect"):
        x, y, width, height = (
            float(bar.get(name, "nan")) for name in ("x", "y", "width", "height")
        )
        assert x >= 52
        assert x + width <= 720
        assert y >= 12
        assert y + height <= 220 - 34 + 1


def sample() -> str:
    """A page to look at: python -c 'import test_page; print(test_page.sample())'."""
    rng = random.Random(5)
    nights = [
        night(
            back,
            rng.choice(["complete"] * 9 + ["partial"]),
            missing=rng.randrange(30),
            stale=rng.randrange(60),
            divergent=rng.randrange(6),
            absent_upstream=rng.randrange(3),
        )
        for back in range(30)
        if back not in {4, 17}
    ]
    found = [
        discrepancy(f"dm_pos_{n:024x}", "open", resolution=resolution)
        for n, resolution in enumerate([*Resolution] * 3)
    ]
    gaps = Unrepaired(1, 0, MADE_AT - timedelta(hours=6), None, MADE_AT - timedelta(hours=6))
    kinds = ("stale", "absent_upstream", "unreadable", "missing")
    still = [
        differing(f"dm_pos_{n:024x}", 98_765_432 >> n, kind=kind, resolution=resolution)
        for n, (kind, resolution) in enumerate(
            zip(kinds, ["unresolved"] * 3 + ["in_flux"], strict=True)
        )
    ]
    return page(
        contents_of(
            report(*found),
            nights=nights[::-1],
            gaps=gaps,
            differing=StillDiffering(still, 4, Decimal(185_185_185)),
            invalid_fields=[InvalidField("entry.notional_usd_pips", 2, ["dm_pos_1", "dm_pos_2"])],
        )
    )


def test_the_sample_to_look_at_is_made() -> None:
    assert date(2026, 7, 31).isoformat() in sample()
