"""``positionstore run``: the service."""

import os
import sys
from typing import Annotated

import typer

from positionstore.cli.bootstrap import start_work
from positionstore.cli.ingest import Gateway
from positionstore.cli.signals import until_signalled
from positionstore.ingest.meter import Meter
from positionstore.model.facts import Source
from positionstore.service.notify import Notifier, notified
from positionstore.service.service import Service
from positionstore.store.database import opened
from positionstore.web.serving import shown


def run(
    *,
    gateway: Annotated[
        Gateway, typer.Option(help="All positions of the partner, or those of one customer.")
    ] = Gateway.PARTNER,
) -> None:
    """Run the service: the ingester and the periodic reconciler.

    It ingests like `positionstore ingest` and reconciles like `positionstore reconcile`: after each
    connection, every POSITIONSTORE_RECONCILE_EVERY seconds, and in full once a day at
    POSITIONSTORE_FULL_PASS_AT. Neither part stops the other. Only credentials that the gateway
    refuses end it (exit 1). SIGTERM or Ctrl-C ends it within ten seconds (exit 0).

    Metrics and health are served over HTTP on POSITIONSTORE_LISTEN. Under systemd the command
    reports when it is ready and how it is doing, and feeds the watchdog: `positionstore systemd`.


    Example: DIMES_API_KEY=dm_sbx_skey_... positionstore run
    """
    notifier = Notifier.of(os.environ)
    settings = start_work()
    _ = settings.listen_address  # refused before anything is begun
    with opened(settings, may_be_away=True) as store:
        source, meter = Source(gateway), Meter()
        service = Service(settings, store, source, meter=meter)
        if sys.stderr.isatty():
            typer.echo(
                f"Ingesting from and reconciling with {settings.base_url}. Ctrl-C stops it.",
                err=True,
            )
        work = notified(notifier, source, meter, service.run)
        until_signalled(shown(settings, store, source, meter, work))
