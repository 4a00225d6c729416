#!/usr/bin/env python3
"""Writes the pages of docs/ that are made from code.

scripts/docs.py            write them
scripts/docs.py --check    exit 1 where a page is not what the code says
"""

import sys
from collections.abc import Callable
from typing import Literal, get_args, get_origin

import checkout

checkout.enter()

from docs_chaos import guarantees_page  # noqa: E402 - the checkout's package comes first
from docs_metrics import metrics_page  # noqa: E402 - the checkout's package comes first
from docs_roles import roles_page  # noqa: E402 - the checkout's package comes first
from docs_schema import database_pages  # noqa: E402 - the checkout's package comes first

from positionstore.settings import (  # noqa: E402 - the checkout's package comes first
    Settings,
    environment_variable,
)

SETTINGS = """\
# Settings

<!-- Made by scripts/docs.py from positionstore/settings.py; edit that, and run this. -->

Every setting is an environment variable; nothing else is configured. `positionstore config` prints
what is in force, where it comes from and what it means, with secrets masked.

A variable may also stand in a file `.env` in the directory that a command is started in; the
environment wins. A variable that is empty or blank is not set. A secret may stand in a file of its
own instead, as container platforms provide them: `DIMES_API_KEY_FILE`, `DIMES_JWT_FILE`,
`DATABASE_URL_FILE`, `POSITIONSTORE_PROXY_FILE` and `POSITIONSTORE_LISTEN_TOKEN_FILE` name one. No
secret is ever an argument of a command.

Whom the vendor's host is believed to be is told by the authorities of the system and those of
certifi. `SSL_CERT_FILE`, in the environment only, names a file of certificates to trust in their
place, such as those of a proxy of your own; `SSL_CERT_DIR` a directory.

A value that cannot be used ends a command with exit code 2 and one line that names the variable. A
`POSITIONSTORE_` variable that does not exist is a warning, with the name that was probably meant.

Durations are in seconds. What the settle window is for is told in
[the order of facts](order-of-facts.md), what `run` and `reconcile` do in
[reconciliation](reconciliation.md).

| variable | meaning | default |
| --- | --- | --- |
{rows}

## Logging

The log goes to standard error, one line an event: for people on a terminal, JSON otherwise. Every
JSON line has `at` (UTC), `level`, `action` and `logger`; `action` is a stable name for what
happened, to filter and alert by. API keys, tokens and passwords are masked in every line.

A traceback is never printed on a terminal: it goes as a JSON line into `log/positionstore.log`
under the data directory, and the terminal's line says so. Elsewhere it is the `exception` of a JSON
line.
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    rows = []
    for name, field in Settings.model_fields.items():
        if name == "data_dir":
            default = "`~/.local/share/positionstore`"
        elif field.default in (None, ()):
            default = ""
        else:
            value = field.default
            default = (
                f"`{int(value) if isinstance(value, float) and value.is_integer() else value}`"
            )
        meaning = field.description or ""
        if get_origin(field.annotation) is Literal:
            meaning += " One of " + ", ".join(f"`{value}`" for value in get_args(field.annotation))
            meaning += "."
        rows.append(f"| `{environment_variable(name)}` | {meaning} | {default} |")
    return SETTINGS.format(rows="\n".join(rows))


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "roles.md": roles_page,
    "schema.md": lambda: database_pages()["schema.md"],
    "sql.md": lambda: database_pages()["sql.md"],
    "cookbook.md": lambda: database_pages()["cookbook.md"],
    "guarantees.md": guarantees_page,
}


def main() -> int:
    """Write or check every page."""
    check = sys.argv[1:] == ["--check"]
    stale = 0
    for name, page in PAGES.items():
        path = checkout.ROOT / "docs" / name
        text = page()
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
