"""``positionstore retract``, as an operator runs it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.fork_server import completed
from support.waiting import DEADLINE

Run = Callable[..., subprocess.CompletedProcess[str]]
TIMELINE = (
    "List the facts of a position: positionstore db psql -c "
    "\"SELECT * FROM position_timeline WHERE position_id = 'ID'\"."
)
REASON = ("--reason", "Dated 2096.")
SECRET = "dm_sbx_skey_retractretractretract"


def envelope(event_id: str, at: str, status: str = "open", position: str = "dm_pos_1") -> str:
    data = {"id": position, "status": status}
    return json.dumps({"id": event_id, "type": "position.opened", "created_at": at, "data": data})


LOG = "\n".join(
    [
        envelope("evt_1", "2026-07-01T12:00:00Z"),
        envelope("evt_2", "2096-01-01T00:00:00Z", "closing"),
        envelope("evt_3", "2026-07-01T13:00:00Z", "unwinding"),
        envelope("evt_1", "2026-07-01T12:00:00Z", position="dm_pos_2"),
        '{"id": "evt_n", "type": "hint", "created_at": "2026-07-01T12:00:00Z", "data": {}}',
    ]
)


@pytest.fixture
def run(store_url: str, tmp_path: Path) -> Run:
    """Run the program on a store with a few events."""
    environment = {
        **os.environ,
        "DATABASE_URL": store_url,
        "DIMES_API_KEY": SECRET,
        "POSITIONSTORE_DATA_DIR": str(tmp_path / "data"),
    }

    def run(*arguments: str, expect: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = completed(
            arguments,
            environment=environment,
            folder=tmp_path,
            given=stdin,
            within=DEADLINE,
        )
        assert done.returncode == expect, done
        assert SECRET not in done.stdout + done.stderr
        return done

    run("import", "-", stdin=LOG)
    return run


def told(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_before_and_after_are_shown_and_it_can_be_taken_back(run: Run) -> None:
    tried = told(run("retract", "evt_2", *REASON, "--dry-run", "--json"))
    assert (tried["written"], tried["dry_run"]) == (False, True)
    done = told(run("retract", "evt_2", *REASON, "--json"))
    assert (done["position_id"], done["written"], done["retracted"]) == ("dm_pos_1", True, True)
    for each in (tried, done):
        assert each["before"]["last_event_id"] == "evt_2"
        assert each["after"] == {
            "status": "unwinding",
            "phase": "live",
            "last_event_id": "evt_3",
            "last_event_type": "position.opened",
            "last_event_at": "2026-07-01T13:00:00+00:00",
        }
    run("verify")

    again = run("retract", "evt_2", *REASON)
    (name,) = done["retractions"]
    assert again.stdout == (
        f"evt_2 (position.opened, of dm_pos_1) is retracted already, by {name}. "
        "Nothing was written.\n"
    )
    back = run("retract", "evt_2", "--undo", "--reason", "It was right.")
    head, *table = back.stdout.splitlines()
    assert head.startswith("evt_2 (position.opened, of dm_pos_1) counts again, by ret_")
    assert [line.split("\t")[:4] for line in table] == [
        ["", "status", "phase", "last_event_id"],
        ["before", "unwinding", "live", "evt_3"],
        ["after", "closing", "live", "evt_2"],
    ]
    nothing = told(run("retract", "evt_2", "--undo", *REASON, "--json"))
    assert (nothing["written"], nothing["retractions"], nothing["standing"]) == (False, [], [])
    run("verify")

    # The one that took it back can be retracted as well: the event does not count again.
    undone = told(run("retract", name, "--undo", *REASON, "--json"))
    assert undone["after"]["last_event_id"] == "evt_3"
    run("verify")


def test_the_log_shows_it_whole(run: Run, tmp_path: Path) -> None:
    run("retract", "evt_2", "--reason", f" The key is {SECRET}, \N{BUG}\n")
    (line,) = run("tail", "--json", "--no-follow", "-n", "1").stdout.splitlines()
    fact = json.loads(line)
    assert (fact["type"], fact["status"], fact["source"]) == ("retraction", None, "import")
    assert fact["envelope"]["data"] == {
        "position_id": "dm_pos_1",
        "retracts": "evt_2",
        "reason": "The key is dm_sbx_skey_********, \N{BUG}",
    }
    run("export", "events", "--format", "jsonl", "--out", "log.jsonl")
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["retracts"] == "evt_2"


def test_the_last_fact_of_a_position_takes_its_row_along(run: Run) -> None:
    done = run("retract", "evt_1", "--position", "dm_pos_2", *REASON)
    assert done.stdout.splitlines()[-1].startswith("after\tno fact is left")
    run("verify")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evt_9", *REASON], ("The log has no fact evt_9.", TIMELINE)),
        (["", *REASON], ("EVENT_ID is empty.", "`positionstore tail` shows the ids of facts.")),
        (
            ["evt_2", "--position", "dm_pos_9", *REASON],
            ("Position dm_pos_9 has no fact evt_2.", TIMELINE),
        ),
        (
            ["evt_1", *REASON],
            ("2 positions have a fact evt_1: dm_pos_1, dm_pos_2.", "Say which with --position."),
        ),
        (
            ["evt_n", *REASON],
            (
                "evt_n is a notification (hint): it counts for no position.",
                "There is nothing to retract.",
            ),
        ),
        (
            ["evt_2", "--reason", "  "],
            (
                "--reason needs 1 to 1,000 characters.",
                "Say why the fact is wrong: readers of the log will ask.",
            ),
        ),
        (["evt_2"], ("Missing option '--reason'.", "Try 'positionstore retract --help'.")),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Run, arguments: list[str], said: tuple[str, str]
) -> None:
    done = run("retract", *arguments, expect=2)
    assert (done.stdout, done.stderr) == ("", f"positionstore: {' '.join(said)}\n")
