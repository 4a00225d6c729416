#!/usr/bin/env python3
"""Writes the pages of docs/ that are made from code.

scripts/docs.py            write them
scripts/docs.py --check    exit 1 where a page is not what the code says
scripts/docs.py --check URL    the same, by an empty store that is there already
"""

import sys
from collections.abc import Callable
from typing import Literal, get_args, get_origin, get_type_hints

import checkout

checkout.enter()

from docs_chaos import guarantees_page  # noqa: E402 - the checkout's package comes first
from docs_logs import logs_page  # noqa: E402 - the checkout's package comes first
from docs_metrics import metrics_page  # noqa: E402 - the checkout's package comes first
from docs_roles import roles_page  # noqa: E402 - the checkout's package comes first
from docs_schema import database_pages, pages_of  # noqa: E402 - the checkout's package comes first

from positionstore.settings import (  # noqa: E402 - the checkout's package comes first
    Settings,
    environment_variable,
    meaning,
)

SETTINGS = """\
# Settings

<!-- Made by scripts/docs.py from positionstore/settings.py; edit that, and run this. -->

All settings are environment variables. `positionstore config` prints the values in effect, where
each comes from and what it means, with secrets masked.

You can also put variables into a file `.env` in the directory where you start a command; the
environment takes precedence. An empty or blank variable counts as not set. A secret may be in a
separate file, as container platforms provide them: `DIMES_API_KEY_FILE`, `DIMES_JWT_FILE`,
`DATABASE_URL_FILE`, `POSITIONSTORE_PROXY_FILE` and `POSITIONSTORE_LISTEN_TOKEN_FILE` name it. No
secret is ever a command-line argument.

The vendor's certificate is checked against the CA certificates of the system and of certifi. To
trust others instead, such as those of a proxy of your own, set `SSL_CERT_FILE` (a file) or
`SSL_CERT_DIR` (a directory) in the environment; `.env` does not work for these two.

An invalid value ends a command with exit code 2 and one line that names the variable. An unknown
`POSITIONSTORE_` variable causes a warning with the name that was probably meant.

Durations are in seconds. [The order of facts](order-of-facts.md) explains the settle window,
[reconciliation](reconciliation.md) what `run` and `reconcile` do.

| variable | meaning | default |
| --- | --- | --- |
{rows}

## Logging

The log goes to standard error, one line per event: readable text on a terminal, JSON otherwise.
Every JSON line has `at` (UTC), `level`, `action` and `logger`. `action` is a stable name for what
happened, to filter and alert on: [log actions](log-actions.md) lists them. API keys, tokens and
passwords are masked in every line. [Traces](operations.md#traces) are sent where they are wanted.

Tracebacks are not printed on a terminal. They go to `log/positionstore.log` in the data directory,
as a JSON line, and the line on the terminal refers to it. Elsewhere they are in `exception` of the
JSON line.
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    rows = []
    defaults = Settings()
    literals = {
        name: get_args(hint)
        for name, hint in get_type_hints(Settings).items()
        if get_origin(hint) is Literal
    }
    for name in Settings.__struct_fields__:
        value = getattr(defaults, name)
        if name == "data_dir":
            default = "`~/.local/share/positionstore`"
        elif value in (None, ()):
            default = ""
        else:
            default = (
                f"`{int(value) if isinstance(value, float) and value.is_integer() else value}`"
            )
        means = meaning(name)
        if choices := literals.get(name):
            means += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        rows.append(f"| `{environment_variable(name)}` | {means} | {default} |")
    return SETTINGS.format(rows="\n".join(rows))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "log-actions.md": logs_page,
    "metrics.md": metrics_page,
    "roles.md": roles_page,
    "guarantees.md": guarantees_page,
}


def main() -> int:
    """Write or check every page."""
    check, *store = sys.argv[1:] or [""]
    stale = 0
    pages = {name: page() for name, page in PAGES.items()}
    pages |= pages_of(*store) if store else database_pages()
    for name, text in pages.items():
        path = checkout.ROOT / "docs" / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        if check:
            print(f"docs/{name} is stale: run scripts/docs.py", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"docs/{name} is written.")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
