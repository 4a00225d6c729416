"""The dbt project, run by dbt itself on two nights."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from support.factories import event
from support.tool_venv import tool_venv
from support.typed_in import rows

from positionstore.cli import dbt
from positionstore.errors import ConfigurationError
from positionstore.store import database
from positionstore.store.appender import Appender

SAME = (
    "SELECT day, market_ticker, side, opened, closed, settled, liquidated, cancelled, volume_usd,"
    " fees_usd, net_realized_pnl_usd FROM {} ORDER BY 1, 2, 3"
)


def body(opened: str, closed: str | None = None) -> dict[str, object]:
    told: dict[str, object] = {
        "market_ticker": "RAIN",
        "side": "yes",
        "entry": {"opened_at": opened, "notional_usd_pips": "12345"},
    }
    if closed:
        told["fees"] = {"total_fees_usd_pips": "7"}
        told["result"] = {"closed_at": closed, "net_realized_pnl_usd_pips": "-1001"}
    return told


@pytest.mark.slow
def test_two_nights_give_the_figures_of_the_views(store_url: str, tmp_path: Path) -> None:
    tools = tool_venv("dbt", ["dbt-core==1.10.23", "dbt-postgres==1.10.2"])
    project = tmp_path / "project"
    dbt.dbt(project)
    with pytest.raises(ConfigurationError, match="is not empty"):
        dbt.dbt(project)
    dbt.dbt(project, force=True)
    given = conninfo_to_dict(store_url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    environment = {
        **os.environ,
        **{names[key]: str(given[key]) for key in names},
        "PGDATABASE": str(given["dbname"]),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }

    def night() -> None:
        done = subprocess.run(
            [tools / "dbt", "build", "--project-dir", project, "--profiles-dir", project],
            env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert rows(store_url, SAME.format("models.activity")) == rows(
            store_url, SAME.format("daily_activity")
        )

    with closing(database.connect(store_url)) as connection:
        appender = Appender(connection)
        appender.append(
            [
                event("evt_1", position="p1", body=body("2026-07-01T10:00:00Z")),
                event("evt_2", position="p2", body=body("2026-07-01T11:00:00Z")),
            ]
        )
        night()
        # A late fact that moves the day of before, and a position that is new.
        appender.append(
            [
                event(
                    "evt_3", kind="position.closed", status="closed", position="p1", at=60,
                    body=body("2026-06-30T10:00:00Z", "2026-07-02T09:00:00Z"),
                ),
                event("evt_4", position="p3", body=body("2026-07-02T10:00:00Z")),
            ]
        )  # fmt: skip
        night()
    with psycopg.connect(store_url) as connection:
        history = "SELECT count(*), count(dbt_valid_to) FROM models.book_history"
        assert connection.execute(history.encode()).fetchone() == (4, 1)
