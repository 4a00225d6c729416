"""The page that lists every action of the log, found in the code by its syntax tree."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import checkout

PAGE: Final = """\
# Log actions

<!-- Made by scripts/docs.py from the code and scripts/docs_logs.py; edit those, and run this. -->

Every line of the log has an `action`, a stable name for what happened, to filter and alert on.
This page lists all of them. Names stay stable, see [compatibility](compatibility.md); the text in
a field may change.

- Every JSON line has `at` (UTC), `level`, `action` and `logger` besides the fields below; see
  [logging](settings.md#logging).
- A line of a library has the library's logger as its action, such as `aiohttp.access`, and the text
  in `message`.
- `exception`, where it is among the fields, is the traceback of an unexpected error.
- No field contains a secret: API keys, tokens and passwords are masked in every line.

| action | level | meaning | fields |
| --- | --- | --- | --- |
{rows}
"""

MEANINGS: Final = {
    "clock_set": "The clock of this machine was set while a connection was open; it is replaced.",
    "database_back": "The database takes writes again.",
    "database_lost": "The database does not take writes; events are kept meanwhile.",
    "error_in_finalizer": "Python could not report an error in any other way.",
    "event_not_appended": "The database refuses an event for good; it is in quarantine.",
    "event_not_read": "An input could not be read, for an unexpected reason; it is in quarantine.",
    "every_input_quarantined": "Ten inputs in a row went to quarantine, and none was understood.",
    "gateway_connected": "The gateway is connected, for the first time or again.",
    "gateway_error": "The gateway sent an error message.",
    "gateway_lost": "The connection to the gateway ended; it is made again.",
    "gateway_turned_away": "The gateway let a connection in and ended it at once; tried again.",
    "gateway_unreachable": "The gateway cannot be connected; told once for each cause.",
    "http_failed": "The HTTP server ended; the work goes on without it.",
    "http_request_failed": "A request could not be answered, for an unexpected reason.",
    "ingester_failed": "The ingester ended with an error; `run` starts it again.",
    "input_quarantined": "The first input that was not understood; later ones are only counted.",
    "inputs_understood_again": "An input was understood, after `every_input_quarantined`.",
    "invalid_fields": "Fields that the vendor sent in an unknown form; their columns are NULL.",
    "left_in_spool": "On stopping, events that the database did not take stay in the spool.",
    "listening": "The HTTP server answers on an address.",
    "metrics_not_read": "A part of the store could not be read for metrics or the status page.",
    "nightly_failed": "The nightly job did not run; its report says so.",
    "not_listening": "The HTTP server cannot use its address; it tries again.",
    "page_not_read": "The database could not be read for a page; told until it can be.",
    "reconciled": "A reconciliation ended; `partial` is a warning, `failed` an error.",
    "reconciler_not_ended": "On stopping, the current reconciliation did not end in time.",
    "reconciliation_back": "A reconciliation of `run` was complete again.",
    "reconciliation_elsewhere": "Another process reconciles; `run` tries again later.",
    "reconciliation_failed": "A reconciliation of `run` failed; the same trouble is told once.",
    "reconciliation_note": "Something that a run noticed and a person has to look at.",
    "reconciliation_partial": "A reconciliation of `run` did not see everything; told once.",
    "session_not_recovered": "The gateway replays nothing after an outage; a run repairs it.",
    "session_recovered": "The gateway replayed the events of an outage.",
    "session_recovered_in_part": "The gateway replayed events of an outage, and sends others which"
    " it never replays; a run repairs the gap.",
    "spool_damaged": "A file of the spool is damaged; it is set aside.",
    "spool_drained": "The events of a spool are in the database.",
    "spool_has_no_room": "The spool is full or cannot be written; reading the gateway stops.",
    "spool_has_room": "The spool takes events again.",
    "spool_of_other_environment": "A spool holds events of the other environment; it is left.",
    "started_without_database": "The database is away at the start; events go to the spool.",
    "stopped": "The command has ended.",
    "stopping": "A signal asked the command to end.",
    "thread_failed": "A thread ended with an unexpected error.",
    "tracing_off": "OpenTelemetry variables ask for traces, and they cannot be sent; why.",
    "unexpected_error": "A command ended with an unexpected error.",
    "unknown_setting": "A variable named POSITIONSTORE_... is unknown; another was probably meant.",
    "waiting_for_another_reconciliation": "The nightly job waits for another run to end.",
    "worker_interrupted": "Something other than its end interrupted the reconciler; it goes on.",
}

_METHODS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
_ORDER: Final = ("debug", "info", "warning", "error", "critical")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Action:
    """What the code logs under one name.

    Attributes:
        levels: its levels.
        fields: its fields, in the order of their first mention.
    """

    levels: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)


def logs_page() -> str:
    """Return docs/log-actions.md.

    Raises:
        LookupError: an action has no meaning here, or a meaning no action.
    """
    found = actions()
    if wrong := found.keys() ^ MEANINGS.keys():
        raise LookupError(f"scripts/docs_logs.py, MEANINGS: {', '.join(sorted(wrong))}")
    rows = (
        f"| `{name}` | {', '.join(level for level in _ORDER if level in action.levels)} | "
        f"{MEANINGS[name]} | {', '.join(f'`{each}`' for each in action.fields)} |"
        for name, action in sorted(found.items())
    )
    return PAGE.format(rows="\n".join(rows))


def actions(package: Path = checkout.ROOT / "positionstore") -> dict[str, Action]:
    """Return what the package logs, by the name of the action.

    Raises:
        LookupError: a line is logged in a form that cannot be read here.
    """
    found: dict[str, Action] = {}
    for path in sorted(package.rglob("*.py")):
        if "sandbox" in path.relative_to(package).parts:  # the other side logs as it likes
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for function in ast.walk(tree):
            if isinstance(function, _Function):
                for name, levels, fields in _logged(function, constants, path.name):
                    action = found.setdefault(name, Action())
                    action.levels |= levels
                    action.fields |= dict.fromkeys(fields)
    return found


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        node.target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _logged(
    function: _Function, constants: dict[str, str], where: str
) -> Iterator[tuple[str, set[str], list[str]]]:
    aliases = {
        node.targets[0].id: levels
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and not isinstance(node.value, ast.Call)
        and (levels := _levels(node.value))
    }
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called, arguments = node.func, list(node.args)
        if isinstance(called, ast.Name):
            levels = aliases.get(called.id, set())
        elif isinstance(called, ast.Attribute) and _is_logger(called.value):
            levels = _levels(called)
            if called.attr == "log":
                levels, arguments = _named_levels(function), arguments[1:]
        else:
            continue
        if not levels:
            continue
        name = arguments[0] if arguments else None
        if isinstance(name, ast.Name) and name.id in constants:
            name = ast.Constant(constants[name.id])
        literal = name.value if isinstance(name, ast.Constant) else None
        if not isinstance(literal, str):
            message = f"{where}:{node.lineno} logs an action that is not a literal"
            raise LookupError(message)  # noqa: TRY004 - it is the code that is wrong
        fields = [each for keyword in node.keywords for each in _fields(keyword, function)]
        if isinstance(called, ast.Attribute) and called.attr == "exception":
            fields.append("exception")
        yield literal, levels, fields


def _is_logger(node: ast.expr) -> bool:
    said = ast.unparse(node)
    return said in {"_log", "log"} or said.startswith(("get_logger(", "structlog.get_logger("))


def _levels(node: ast.AST) -> set[str]:
    return {
        _METHODS[each.attr]
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and each.attr in _METHODS and _is_logger(each.value)
    }


def _named_levels(function: _Function) -> set[str]:
    """Return the levels of the standard library's module that a function mentions."""
    return {
        each.attr.lower()
        for each in ast.walk(function)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) == "logging"
    }


def _fields(keyword: ast.keyword, function: _Function) -> Iterator[str]:
    if keyword.arg is not None:
        yield "exception" if keyword.arg == "exc_info" else keyword.arg
        return
    name = ast.unparse(keyword.value)
    for node in ast.walk(function):
        if not (isinstance(node, ast.Assign) and node.targets):
            continue
        target = node.targets[0]
        if ast.unparse(target) == name and isinstance(node.value, ast.Dict):
            yield from (ast.literal_eval(key) for key in node.value.keys if key is not None)
        elif isinstance(target, ast.Subscript) and ast.unparse(target.value) == name:
            yield ast.literal_eval(target.slice)
