"""The report for people: self-contained HTML, pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from positionstore.escaping import html, shortened
from positionstore.model.wording import counted
from positionstore.nightly.chart import KINDS, chart
from positionstore.reconcile.report import Discrepancy, Resolution, RunReport, RunState
from positionstore.store.backfills import Unrepaired
from positionstore.store.nights import Night
from positionstore.store.runs import InvalidField

_MOST_ROWS: Final = 50
_MOST_FIELDS: Final = 3
_MOST_ERRORS: Final = 10
_LONGEST: Final = 60
_LONGEST_ERROR: Final = 500
_URGENT: Final = (Resolution.UNRESOLVED, Resolution.IN_FLUX, Resolution.REPAIRED)

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #667; --line: #d9dce3; --paper: #fff;
  --missing: #c2553a; --stale: #d99a2b; --divergent: #7a5ea8; --absent: #3f7f93;
  --good: #1f7a4d; --warn: #b36b00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #9aa1ad; --line: #3a3f49;
  --paper: #17191e; --good: #5cc08f; --warn: #e0a445; --bad: #f2867e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
.verdict { font-size: 1.15rem; font-weight: 600; margin: .3rem 0 1rem; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
p { margin: .3rem 0; } .soft { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
td.word { white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } td.number { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; }
.tick { fill: var(--soft); } text.bad { fill: var(--bad); font-weight: 700; }
.grid { stroke: var(--line); } .none { fill: none; stroke: var(--soft); }
.missing { fill: var(--missing); } .stale { fill: var(--stale); }
.divergent { fill: var(--divergent); } .absent_upstream { fill: var(--absent); }
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of the report.

    Attributes:
        made_at: its time, UTC.
        report: the run; None if there was none.
        error: why there was none, in one line.
        nights: the last nights, including this one; None if unknown.
        nights_shown: the number of days of the chart.
        gaps: the unrepaired gaps; None if unknown.
    """

    made_at: datetime
    report: RunReport | None
    error: str
    nights: Sequence[Night] | None
    nights_shown: int
    gaps: Unrepaired | None


def page(contents: Contents) -> str:
    """Return the page."""
    report = contents.report
    kind, verdict = _verdict(contents)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Reconciliation of {contents.made_at:%F}: {html(verdict)}</title>",
        f"<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>Nightly reconciliation, {contents.made_at:%F %H:%M} UTC</h1>",
        f'<p class="verdict {kind}">{html(verdict)}</p>',
        *(_facts(report) if report is not None else ()),
        *_gaps(contents.gaps),
        *(_invalid_fields(report.invalid_fields) if report is not None else ()),
        *(_errors(report.errors) if report is not None else ()),
        *_drift(contents),
        *(_discrepancies(report) if report is not None else ()),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _verdict(contents: Contents) -> tuple[str, str]:
    report = contents.report
    if report is None:
        return "bad", f"It did not run. {contents.error}"
    if report.state is not RunState.COMPLETE:
        return "bad", f"The run is {report.state}: not all positions were seen."
    if report.unresolved:
        return (
            "warn",
            f"Still different from GET /positions: {_positions(report.unresolved)}.",
        )
    if report.invalid_fields:
        return "warn", "Some amounts are missing: the vendor sent fields in an unknown form."
    if report.repaired:
        return (
            "good",
            f"All is well: {_positions(report.repaired)} differed, and all is repaired.",
        )
    return "good", "All is well: nothing differed."


def _positions(count: int) -> str:
    return counted(count, "position")


def _facts(report: RunReport) -> Iterator[str]:
    kinds = (f"{report.by_kind[kind]:,} {_kind(kind)}" for kind in sorted(report.by_kind))
    took = (report.finished_at or report.started_at) - report.started_at
    rows = {
        "Positions seen": f"{report.seen:,}",
        "Differed": ", ".join(kinds) or "none",
        "Repaired": f"{report.repaired:,}",
        "Still differ": f"{report.unresolved:,}",
        "Requests": f"{report.requests:,}, of them {report.retries:,} retries",
        "Took": f"{took.total_seconds():,.0f} seconds",
        "Run": str(report.run_id),
    }
    yield "<table>"
    for name, value in rows.items():
        yield f'<tr><th scope="row">{name}</th><td class="number">{html(value)}</td></tr>'
    yield "</table>"


def _kind(kind: str) -> str:
    return KINDS.get(kind, kind)


def _gaps(gaps: Unrepaired | None) -> Iterator[str]:
    if gaps is None or not gaps.gaps:
        return
    since = f"{gaps.since:%F %H:%M} UTC" if gaps.since else "?"
    yield '<p class="warn">'
    yield f"Gaps of the stream that nothing has repaired: {gaps.gaps:,}, the oldest since {since}."
    if gaps.open_since is not None:
        yield f"There has been no stream since {gaps.open_since:%F %H:%M} UTC."
    yield "</p>"


def _invalid_fields(fields: Sequence[InvalidField]) -> Iterator[str]:
    if not fields:
        return
    yield "<h2>Invalid fields</h2>"
    yield '<p class="warn">These columns are NULL; positions.data has the original values.</p>'
    yield "<table><tr><th>field</th><th>positions</th><th>for example</th></tr>"
    for each in fields:
        examples = html(", ".join(_short(one) for one in each.examples))
        yield (
            f"<tr><td>{html(each.field)}</td>"
            f'<td class="number">{each.positions:,}</td><td>{examples}</td></tr>'
        )
    yield "</table>"


def _errors(errors: Sequence[str]) -> Iterator[str]:
    if not errors:
        return
    yield "<h2>Errors</h2>"
    for error in errors[:_MOST_ERRORS]:
        yield f'<p class="bad">{html(shortened(error, _LONGEST_ERROR))}</p>'
    if (more := len(errors) - _MOST_ERRORS) > 0:
        yield f"<p>And {more:,} more.</p>"


def _drift(contents: Contents) -> Iterator[str]:
    if contents.nights is None:
        return
    yield f"<h2>Drift of the last {contents.nights_shown} nights</h2>"
    yield chart(contents.nights, last=contents.made_at.date(), count=contents.nights_shown)


def _discrepancies(report: RunReport) -> Iterator[str]:
    if not report.discrepancies:
        return
    first = sorted(report.discrepancies, key=lambda each: _URGENT.index(each.resolution))
    yield "<h2>What differed</h2>\n<table>"
    yield "<tr><th>position</th><th>kind</th><th>now</th><th>store → REST</th></tr>"
    for each in first[:_MOST_ROWS]:
        words = (_kind(each.kind), each.resolution.replace("_", " "))
        yield (
            f"<tr><td>{html(_short(each.position_id))}</td>"
            + "".join(f'<td class="word">{html(word)}</td>' for word in words)
            + f"<td>{_fields(each)}</td></tr>"
        )
    yield "</table>"
    if (more := len(first) + report.omitted - _MOST_ROWS) > 0:
        yield f'<p class="soft">And {more:,} more; the table discrepancies has all of them.</p>'


def _fields(discrepancy: Discrepancy) -> str:
    shown = [
        html(f"{each.field}: {_short(each.store_value)} → {_short(each.rest_value)}")
        for each in discrepancy.fields[:_MOST_FIELDS]
    ]
    if (more := len(discrepancy.fields) - _MOST_FIELDS) > 0:
        shown.append(f"and {more} more")
    return "<br>".join(shown)


def _short(value: str | None) -> str:
    return "nothing" if value is None else shortened(value, _LONGEST)
