"""What docs/house.md says of the rooms is what the import contract holds them to."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_room_stands_on_its_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract["id"] == "floors")
    there = {path.stem for path in (ROOT / "positionstore").iterdir()}
    contract = [set(re.findall(r"\w+", floor)) & there for floor in floors]

    page = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| ([^|]+) \|", page, re.MULTILINE)

    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == contract
    assert "| beside | `sandbox` |" in page
