"""The layers of docs/architecture.md are those of the import contract."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_is_in_its_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    there = {path.stem for path in (ROOT / "positionstore").iterdir()}
    contract = [set(re.findall(r"\w+", layer)) & there for layer in layers]

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d+ \| ([^|]+) \|", page, re.MULTILINE)

    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == contract
    assert "| beside | `sandbox` |" in page
