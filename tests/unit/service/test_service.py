"""The service: what becomes of the whole when the ingester fails."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs
from support.waiting import DEADLINE

from positionstore.errors import CredentialsError, DatabaseUnavailableError
from positionstore.ingest.meter import Meter
from positionstore.ingest.supervisor import OnConnected
from positionstore.model.facts import Source
from positionstore.reconcile.reconciler import Reconciler
from positionstore.service import service as module
from positionstore.service.service import Service
from positionstore.settings import load_settings
from positionstore.store.database import Store

Ends = list[Exception | None]


async def served(
    monkeypatch: pytest.MonkeyPatch, ends: Ends, *, stop_after: int = 0
) -> tuple[int, list[str]]:
    """Run the service with ingesters that end so; return how many there were, and the log."""
    stop = asyncio.Event()
    made = 0
    meter_of_all = Meter()

    class Ingester:
        def __init__(self, *_: object, on_connected: Sequence[OnConnected], meter: Meter) -> None:
            assert len(on_connected) == 1
            assert meter is meter_of_all
            nonlocal made
            made += 1

        async def run(self, stop: asyncio.Event) -> None:
            if made == stop_after:
                stop.set()
            end = ends.pop(0)
            if end is not None:
                raise end

    monkeypatch.setattr(module, "Ingester", Ingester)
    monkeypatch.setattr(module, "_BASE_WAIT", 0.001)
    with capture_logs() as lines:
        service = Service(
            load_settings(),
            Store("", embedded=False),
            Source.PARTNER,
            meter=meter_of_all,
            reconciler=Reconciler,
        )
        await asyncio.wait_for(service.run(stop), DEADLINE)
    return made, [line["event"] for line in lines]


async def test_an_ingester_that_fails_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: Ends = [ValueError("?"), DatabaseUnavailableError("No."), None]

    assert await served(monkeypatch, ends) == (3, ["ingester_failed", "ingester_failed"])


async def test_refused_credentials_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsError):
        await served(monkeypatch, [ValueError("?"), CredentialsError("Refused.")])


async def test_what_could_not_be_written_on_stopping_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(DatabaseUnavailableError):
        await served(monkeypatch, [DatabaseUnavailableError("3 events.")], stop_after=1)
