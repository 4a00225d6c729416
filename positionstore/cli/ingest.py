"""``positionstore ingest``: the ingester alone."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start_work
from positionstore.cli.signals import until_signalled
from positionstore.ingest.ingester import Ingester
from positionstore.ingest.meter import Meter
from positionstore.model.facts import Source
from positionstore.service.notify import Notifier, notified
from positionstore.store.database import opened
from positionstore.web.serving import shown


class Gateway(StrEnum):
    """The vendor's gateways."""

    PARTNER = "partner"
    CUSTOMER = "customer"


def ingest(
    *,
    gateway: Annotated[
        Gateway, typer.Option(help="All positions of the partner, or those of one customer.")
    ] = Gateway.PARTNER,
) -> None:
    """Write what a gateway sends into the store, until SIGTERM or Ctrl-C.

    The ingester reconnects without limit; only wrong credentials end it (exit 1). On SIGTERM or
    Ctrl-C it writes what has arrived first; a second signal ends it at once. It does not reconcile
    what was missed while disconnected; `positionstore run` does.

    Metrics and health are served over HTTP on POSITIONSTORE_LISTEN. Under systemd the command
    reports when it is ready and how it is doing, and feeds the watchdog: `positionstore systemd`.


    Example: DIMES_API_KEY=dm_sbx_skey_... positionstore ingest
    """
    notifier = Notifier.of(os.environ)
    settings = start_work()
    _ = settings.listen_address  # refused before anything is begun
    with opened(settings, may_be_away=True) as store:
        source, meter = Source(gateway), Meter()
        ingester = Ingester(settings, store, source, meter=meter)
        if sys.stderr.isatty():
            typer.echo(f"Ingesting from {settings.base_url}. Ctrl-C stops it.", err=True)
        work = notified(notifier, source, meter, ingester.run)
        until_signalled(shown(settings, store, source, meter, work))
