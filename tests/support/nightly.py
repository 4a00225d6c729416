"""The contents of a nightly report, for tests."""

from datetime import UTC, datetime

from positionstore.nightly.contents import Contents
from positionstore.reconcile.report import RunReport
from positionstore.store.backfills import Unrepaired

MADE_AT = datetime(2026, 7, 31, 5, 0, tzinfo=UTC)


def contents_of(run: RunReport | None = None, **changes: object) -> Contents:
    """Contents about which there is nothing to say but what is named."""
    values: dict[str, object] = {
        "made_at": MADE_AT,
        "environment": "sandbox",
        "database": "book on db.example:5432",
        "version": "positionstore 0.1.0",
        "report": run,
        "error": "",
        "nights": [],
        "nights_shown": 30,
        "gaps": Unrepaired(0, 0, None, None, None),
        "differing": None,
        "invalid_fields": (),
        **changes,
    }
    return Contents(**values)  # type: ignore[arg-type] # by name
