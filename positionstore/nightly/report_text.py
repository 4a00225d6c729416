"""The report as plain text, for a mail: pure."""

from collections.abc import Iterator
from typing import Final

from positionstore.escaping import one_line, printable, shortened
from positionstore.nightly import contents as says
from positionstore.nightly.contents import Contents
from positionstore.store.differing import Differing

_LONGEST: Final = 60


def text(contents: Contents) -> str:
    """Return the report as lines of text."""
    return "\n".join(printable(line) for line in _lines(contents)) + "\n"


def _lines(contents: Contents) -> Iterator[str]:
    yield f"Nightly reconciliation, {contents.made_at:%F %H:%M} UTC"
    yield one_line(says.verdict(contents)[1])
    yield ""
    for name, value in says.head(contents).items():
        yield f"{name}: {value}"
    for name, value in says.facts(contents.report).items() if contents.report else ():
        yield f"{name}: {value}"
    if gaps := says.gaps(contents):
        yield ""
        yield gaps
    yield from _positions(contents)
    if contents.invalid_fields:
        yield ""
        yield "Invalid fields; their columns are NULL, positions.data has the original values:"
        for each in contents.invalid_fields:
            examples = ", ".join(shortened(one, _LONGEST) for one in each.examples)
            yield f"  {each.field}: {each.positions:,} positions, for example {examples}"
    if contents.report is not None and contents.report.errors:
        yield ""
        yield "Errors:"
        yield from (f"  {one_line(error)}" for error in contents.report.errors)
    for note in contents.report.notes if contents.report else ():
        yield ""
        yield one_line(note)


def _positions(contents: Contents) -> Iterator[str]:
    found = contents.differing
    if found is None or not found.in_all:
        return
    yield ""
    yield f"Still different: {says.summed(found)}"
    for position in found.positions:
        yield from _position(position)
    if more := says.unlisted(found):
        yield more


def _position(position: Differing) -> Iterator[str]:
    todo = says.action(position)
    yield ""
    yield f"  {position.position_id}"
    yield f"    {' · '.join(shortened(part, _LONGEST) for part in says.described(position))}"
    for field, store, rest in position.fields:
        yield f"    {field}: {_short(store)} → {_short(rest)}"
    yield f"    {todo.words}"
    if todo.command:
        yield f"    {todo.command}"


def _short(value: str | None) -> str:
    return "nothing" if value is None else shortened(value, _LONGEST)
