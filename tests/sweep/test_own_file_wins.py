"""What a user's own file pins is not replaced by a profile: method, target, options, and an α of 0."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ddsweep import sweep
from tests.plugins.plugged import HALF, Plug, plug
from tests.sweep.examples import minimal, write

__all__ = ["plug"]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
def test_a_file_that_pins_a_method_of_ones_own(plug: Plug, profile: str) -> None:
    plug(mine=HALF)
    parameters = {
        "method": {"value": "half"}, "target": {"value": "shapes"}, "options": {"value": "rate:0.25+steps:7"},
        "ipc": {"value": 2}, "alpha": {"value": 0}, "seed": {"values": [0, 1]},
    }  # fmt: skip
    document = minimal(parameters=parameters) | {"x-ddsweep": {"axis": ["seed"]}}
    loaded = sweep.load(write(yaml.safe_dump(document)), profile)
    found = {
        (one.method, one.target, one.ipc, one.alpha, one.value("rate"), one.value("steps")) for one in loaded.recipes
    }
    assert found == {("half", "shapes", 2, 0.0, 0.25, 7)}
    assert len(loaded.cells) == 2
    by_name = {name: one for name, one in parameters.items() if name != "options"}
    document["parameters"] = by_name | {"rate": {"value": 0.25}, "steps": {"value": 7}}
    assert [cell.key for cell in sweep.load(write(yaml.safe_dump(document)), profile).cells] == [
        cell.key for cell in loaded.cells
    ]
