"""The page of the log's actions is of the code, and complete."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \| (.+) \| (.*) \|$", re.MULTILINE)
LOGS = re.compile(r"\blog(?:ger\(__name__\))?\s*\.\s*(?:debug|info|warning|error|exception)\(")


def rows() -> dict[str, tuple[str, ...]]:
    page = (ROOT / "docs" / "log-actions.md").read_text(encoding="utf-8")
    return {name: tuple(rest) for name, *rest in ROW.findall(page)}


def test_every_action_has_a_level_a_meaning_and_its_fields() -> None:
    found = rows()

    assert len(found) > 40
    for name, (levels, meaning, fields) in found.items():
        assert set(levels.split(", ")) <= {"debug", "info", "warning", "error"}, name
        assert meaning.endswith("."), name
        assert re.fullmatch(r"(`\w+`(, `\w+`)*)?", fields), name
    assert found["gateway_unreachable"][0] == "warning, error"
    assert found["reconciled"][0] == "info, warning, error"
    assert found["gateway_connected"][2] == "`gateway`, `seconds_away`, `more_attempts`"
    assert found["unexpected_error"][2] == "`exception`"


def test_no_line_of_the_code_is_overlooked() -> None:
    """Found another way: by the text of the calls, with the action on their line or the next."""
    found = rows()
    for path in (ROOT / "positionstore").rglob("*.py"):
        if "sandbox" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for call in LOGS.finditer(text):
            action = re.match(r'\s*(?:"(\w+)"|([A-Z_]+))', text[call.end() :])
            assert action, f"{path.name}: {text[call.start() : call.end() + 40]}"
            assert action[1] is None or action[1] in found, (path.name, action[1])


def test_an_action_that_is_no_literal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("def f(name):\n    _log.info(name)\n", encoding="utf-8")
    code = "import pathlib, sys, docs_logs; docs_logs.actions(pathlib.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "some.py:2 logs an action that is not a literal" in done.stderr
