"""The report for people: self-contained HTML, pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from positionstore.escaping import html, shortened
from positionstore.nightly import contents as says
from positionstore.nightly.chart import chart, legend
from positionstore.nightly.contents import KINDS, Contents
from positionstore.reconcile.report import Resolution, RunReport
from positionstore.store.differing import StillDiffering
from positionstore.store.invalid_fields import InvalidField

_MOST_ROWS: Final = 50
_MOST_FIELDS: Final = 3
_LONGEST: Final = 60
_LONGEST_ERROR: Final = 500

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #667; --line: #d9dce3; --paper: #fff;
  --missing: #c2553a; --stale: #d99a2b; --divergent: #7a5ea8; --absent: #3f7f93;
  --good: #1f7a4d; --warn: #8a5300; --bad: #b3261e; }
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
td.word { white-space: nowrap; } th { overflow-wrap: normal; }
th { color: var(--soft); font-weight: 500; } td.number { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, sans-serif; }
.legend { font-size: .9rem; color: var(--soft); }
.legend span { white-space: nowrap; margin-right: .8rem; }
.key { display: inline-block; width: .7rem; height: .7rem; margin-right: .3rem; }
.key.missing { background: var(--missing); } .key.stale { background: var(--stale); }
.key.divergent { background: var(--divergent); } .key.absent_upstream { background: var(--absent); }
.open { border-left: .25rem solid var(--warn); padding: .1rem 0 .1rem .8rem; margin: .8rem 0; }
.open h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.open ul { list-style: none; margin: .2rem 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: 0 1rem; font-variant-numeric: tabular-nums; }
.open li { overflow-wrap: anywhere; } .open li:first-child { font-weight: 600; }
.open p, .verdict, h2 { overflow-wrap: anywhere; }
code { font: .88rem/1.45 ui-monospace, monospace; }
@media (max-width: 34rem) { svg text { font-size: 20px; } body { margin: 1rem auto; } }
.tick { fill: var(--soft); } text.bad { fill: var(--bad); font-weight: 700; }
.grid { stroke: var(--line); } .none { fill: none; stroke: var(--soft); }
.missing { fill: var(--missing); } .stale { fill: var(--stale); }
.divergent { fill: var(--divergent); } .absent_upstream { fill: var(--absent); }
"""


def page(contents: Contents) -> str:
    """Return the page."""
    report = contents.report
    kind, verdict = says.verdict(contents)
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>Reconciliation of {contents.made_at:%F}: {html(verdict)}</title>",
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>",
        f"<h1>Nightly reconciliation, {contents.made_at:%F %H:%M} UTC</h1>",
        f'<p class="verdict {kind}">{html(verdict)}</p>',
        *_table(says.head(contents)),
        *_gaps(contents),
        *_differing(contents.differing),
        *_invalid_fields(contents.invalid_fields or ()),
        *(_errors(report) if report is not None else ()),
        *_run(report),
        *_drift(contents),
        *(_repaired(report) if report is not None else ()),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _table(rows: Mapping[str, str]) -> Iterator[str]:
    yield "<table>"
    for name, value in rows.items():
        yield f'<tr><th scope="row">{name}</th><td class="number">{html(value)}</td></tr>'
    yield "</table>"


def _run(report: RunReport | None) -> Iterator[str]:
    if report is not None:
        yield "<h2>The run</h2>"
        yield from _table(says.facts(report))


def _gaps(contents: Contents) -> Iterator[str]:
    if said := says.gaps(contents):
        yield f'<p class="warn">{html(said)}</p>'


def _differing(found: StillDiffering | None) -> Iterator[str]:
    if found is None or not found.in_all:
        return
    yield f"<h2>Still different: {says.summed(found)}</h2>"
    for each in found.positions:
        todo = says.action(each)
        facts = "".join(f"<li>{html(_short(part))}</li>" for part in says.described(each))
        yield f'<section class="open"><h3>{html(each.position_id)}</h3><ul>{facts}</ul>'
        if each.fields:
            fields = "<br>".join(map(_field, each.fields))
            yield f'<p class="soft">Store → GET /positions:<br>{fields}</p>'
        command = f"<br><code>{html(todo.command)}</code>" if todo.command else ""
        yield f"<p>{html(todo.words)}{command}</p></section>"
    if more := says.unlisted(found):
        yield f'<p class="warn">{html(more)}</p>'


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


def _errors(report: RunReport) -> Iterator[str]:
    if report.errors:
        yield "<h2>Errors</h2>"
        for error in report.errors:
            yield f'<p class="bad">{html(shortened(error, _LONGEST_ERROR))}</p>'
    for note in report.notes:
        yield f'<p class="warn">{html(shortened(note, _LONGEST_ERROR))}</p>'


def _drift(contents: Contents) -> Iterator[str]:
    if contents.nights is None:
        return
    yield f"<h2>Drift of the last {contents.nights_shown} nights</h2>"
    yield legend()
    yield chart(contents.nights, last=contents.made_at.date(), count=contents.nights_shown)


def _repaired(report: RunReport) -> Iterator[str]:
    repaired = [each for each in report.discrepancies if each.resolution is Resolution.REPAIRED]
    if not repaired:
        return
    yield "<h2>What was repaired</h2>\n<p>Nothing is to be done about it.</p>\n<table>"
    yield "<tr><th>position</th><th>kind</th><th>store → GET /positions</th></tr>"
    for each in repaired[:_MOST_ROWS]:
        fields = [(one.field, one.store_value, one.rest_value) for one in each.fields]
        shown = [_field(field) for field in fields[:_MOST_FIELDS]]
        if (more := len(fields) - _MOST_FIELDS) > 0:
            shown.append(f"and {more} more")
        yield (
            f"<tr><td>{html(_short(each.position_id))}</td>"
            f'<td class="word">{html(KINDS[each.kind])}</td><td>{"<br>".join(shown)}</td></tr>'
        )
    yield "</table>"
    if (more := report.repaired - min(len(repaired), _MOST_ROWS)) > 0:
        yield f'<p class="soft">And {more:,} more; the table discrepancies has all of them.</p>'


def _field(field: Sequence[str | None]) -> str:
    name, store, rest = field
    return html(f"{name}: {_short(store)} → {_short(rest)}")


def _short(value: str | None) -> str:
    return "nothing" if value is None else shortened(value, _LONGEST)
