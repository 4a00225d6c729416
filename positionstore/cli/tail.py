"""``positionstore tail``: follows the log."""

import sys
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start
from positionstore.escaping import json_as_it_came, json_text, printable
from positionstore.store.archived import refuse_behind
from positionstore.store.database import opened
from positionstore.store.feed import LoggedFact, before_the_newest, pages_after


def tail(
    *,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Start with this many of the newest facts.")
    ] = 10,
    after: Annotated[
        int | None,
        typer.Option(min=0, help="Start after this seq instead; 0 is the whole log."),
    ] = None,
    follow: Annotated[
        bool, typer.Option(help="Keep following the log, until Ctrl-C or SIGTERM.")
    ] = True,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON per fact, including its envelope."),
    ] = False,
) -> None:
    """Follow the log: each fact once, in the order of the log.

    A program that remembers the last seq it read continues with --after and misses nothing.
    `positionstore import` accepts the output of --json.

    Example: positionstore tail --json --no-follow
    """
    with opened(start()) as store, store.connect() as connection:
        seq = before_the_newest(connection, lines) if after is None else after
        if after is not None:
            refuse_behind(connection, after)
        for page in pages_after(connection, seq, follow=follow):
            for fact in page:
                if as_json:
                    print(_json(fact))
                else:
                    print(printable(_line(fact)))
            sys.stdout.flush()


def _line(fact: LoggedFact) -> str:
    moment = fact.created_at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    status = fact.status or "-"
    name = fact.position_id or "-"
    return f"{fact.seq:>8}  {moment}  {fact.type:<33} {status:<10} {name}  ({fact.source})"


def _json(fact: LoggedFact) -> str:
    head = json_text(
        {
            "seq": fact.seq,
            "event_id": fact.event_id,
            "position_id": fact.position_id,
            "type": fact.type,
            "status": fact.status,
            "created_at": fact.created_at,
            "received_at": fact.received_at,
            "source": fact.source,
            "supersedes_before": fact.supersedes_before,
            "retracts": fact.retracts,
        }
    )
    return f'{head[:-1]}, "envelope": {json_as_it_came(fact.envelope)}}}'
