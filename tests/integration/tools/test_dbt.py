"""The dbt project, run by dbt itself on two nights."""

import json
import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from support.factories import event, moment, received
from support.roles import roles_on
from support.tool_venv import tool_venv
from support.typed_in import rows

from positionstore.cli import dbt
from positionstore.errors import ConfigurationError
from positionstore.model.facts import Retraction
from positionstore.store import database
from positionstore.store.appender import Appender
from positionstore.store.checks import checks
from positionstore.store.grants import Role
from positionstore.store.psql import libpq_environment

SAME = (
    "SELECT day, market_ticker, side, opened, closed, settled, liquidated, cancelled, volume_usd,"
    " fees_usd, net_realized_pnl_usd FROM {} ORDER BY 1, 2, 3"
)


NOTIFICATION = (
    b'{"id": "evt_told", "type": "notification.created", "created_at": "2026-07-02T08:00:00Z",'
    b' "data": {"code": "hint", "params": {"position_id": "p1"}}}'
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
@pytest.mark.superuser
@pytest.mark.timeout(900)  # it may have to install dbt first, and starts it again and again
def test_two_nights_of_the_builder_give_the_figures_of_the_views(
    store_url: str, tmp_path: Path
) -> None:
    tools = tool_venv("dbt", ["dbt-core==1.10.23", "dbt-postgres==1.10.2"])
    project = tmp_path / "project"
    dbt.dbt(project)
    with pytest.raises(ConfigurationError, match="is not empty"):
        dbt.dbt(project)
    dbt.dbt(project, force=True)
    with (
        roles_on(store_url) as urls,
        closing(database.connect(urls[Role.WRITER])) as connection,
    ):
        builder = libpq_environment(urls[Role.BUILDER])
        models = builder["PGUSER"].removesuffix("_builder") + "_models"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            **builder,
            "DBT_SCHEMA": models,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

        def run(*words: str) -> str:
            done = subprocess.run(
                [tools / "dbt", *words, "--project-dir", project, "--profiles-dir", project],
                env=environment, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout
            return done.stdout

        def night() -> None:
            built = run("build")
            assert "WARN=0 ERROR=0 SKIP=0" in built, built
            reader = urls[Role.READER]
            assert rows(reader, SAME.format(f"{models}.activity")) == rows(
                reader, SAME.format("daily_activity")
            )

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
                received(NOTIFICATION),
            ]
        )  # fmt: skip
        night()
        history = f"SELECT count(*), count(dbt_valid_to) FROM {models}.book_history"
        assert rows(urls[Role.READER], history) == [(4, 1)]

        freshness = run("source", "freshness")
        for table in ("events", "positions"):
            assert re.search(rf"(PASS|WARN) freshness of positionstore\.{table}", freshness)
        # An unknown status and type are kept: warnings, and no failed run.
        appender.append([event("evt_5", position="p4", status="odd", kind="position.odd")])
        # And all that said that there is the third position was wrong.
        wrong = Retraction("p3", "evt_4", "Of a test.", moment(200))
        appender.append_retractions([wrong], wrong.created_at)
        assert "WARN=2 ERROR=0" in run("build")
        assert rows(urls[Role.READER], history) == [(5, 2)]
        assert "ERROR=0" in run("test")
        run("docs", "generate")
        docs = json.loads((project / "target" / "manifest.json").read_bytes())["nodes"]
        for name in ("stg_facts", "book", "activity"):
            columns = docs[f"model.positionstore.{name}"]["columns"].values()
            assert all(column["description"] for column in columns)
            made = "SELECT column_name FROM information_schema.columns WHERE table_name = '{}'"
            assert {column["name"] for column in columns} == {
                column for (column,) in rows(urls[Role.READER], made.format(name))
            }
        catalogue = json.loads((project / "target" / "catalog.json").read_bytes())
        assert "source.positionstore.positionstore.events" in catalogue["sources"]
        comment = f"SELECT obj_description('{models}.book'::regclass)"
        assert "A row a position" in str(rows(urls[Role.READER], comment)[0][0])
        assert [each.name for each in checks(connection) if not each.ok] == []
