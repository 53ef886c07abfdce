"""The title of a cell names what its sweep varies, and says ``baseline`` of a baseline only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.backends import Definition
from ddsweep.backends.local import FolderStore
from ddsweep.sweep import Sweep
from ddsweep.trackers.status import AgentStatus, StatusTracker, folder
from tests.sweep.examples import write


def titles(parameters: dict[str, list[Any]], **extra: Any) -> list[str]:
    return [point.title for point in Definition.of(swept(parameters, **extra)).points]


def swept(parameters: dict[str, list[Any]], **extra: Any) -> Sweep:
    document = {
        "method": "grid", "parameters": {name: {"values": values} for name, values in parameters.items()},
        "x-ddsweep": {"title": "t", **extra},
    }  # fmt: skip
    return sweep.load(write(yaml.safe_dump(document)), "paper")


def test_what_varies_beside_the_axis_is_named() -> None:
    found = titles({"lr_img": [0.1, 1.0], "alpha": [0]}, axis=["lr_img"], baseline={"lr_img": 1.0})
    assert found == ["dm · ipc 50 · α 0 · lr_img 0.1 · seed 0", "dm · ipc 50 · lr_img 1 · baseline · seed 0"]


@pytest.mark.parametrize(
    ("parameters", "extra"),
    [
        ({"lr_img": [0.1, 1.0], "alpha": [0, 1]}, {"axis": ["alpha"], "baseline": {"alpha": 0}}),
        ({"init": ["noise", "real"], "alpha": [1, 100]}, {"axis": ["alpha"], "baseline": {"init": "real"}}),
        ({"regularizer": ["none", "clom", "cclom"], "seed": [0, 1]}, {"axis": ["regularizer"]}),
        ({"alpha": [1234567, 1234568, 1234.54935, 1234.5545]}, {"axis": ["alpha"]}),
        ({"alpha": [0, 100], "n_models": [1, 2], "target": ["mnist", "cifar10"]}, {"axis": ["alpha"]}),
        ({"iterations": [10, 20], "width": [8, 16], "eval_epochs": [5, 6]}, {"axis": ["width"]}),
    ],
)
def test_different_cells_have_different_titles(parameters: dict[str, list[Any]], extra: dict[str, Any]) -> None:
    one = swept(parameters, **extra)
    found = [one.cell_title(cell.recipe) for cell in one.cells]
    assert len(set(found)) == len(one.cells)
    for cell, title in zip(one.cells, found, strict=True):
        assert ("baseline" in title) is one.is_baseline(cell.recipe)


def test_the_cell_of_an_agent_is_found_by_its_key(tmp_path: Path) -> None:
    """An agent of W&B knows the recipe only, whose title does not tell two cells apart."""
    one = swept({"lr_img": [0.1, 1.0], "alpha": [0]}, axis=["lr_img"])
    store = FolderStore(tmp_path)
    store.remember(Definition.of(one))
    backend = store.sweep(one.full_name)
    tracker = StatusTracker(folder(tmp_path, one.full_name), AgentStatus("host:1", "cpu", one.full_name))
    tracker.start(one.cells[1].recipe)
    assert [str(row.state) for row in backend.status().rows] == ["waiting", "running"]
    tracker.idle()
    assert [str(row.state) for row in backend.status().rows] == ["waiting", "waiting"]


def test_an_agent_shows_the_title_in_its_sweep(tmp_path: Path) -> None:
    one = swept({"lr_img": [0.1, 1.0], "alpha": [0]}, axis=["lr_img"])
    tracker = StatusTracker(tmp_path, AgentStatus("host:1", "cpu", one.full_name))
    tracker.show("starting", one.cell_title(one.cells[0].recipe))
    tracker.start(one.cells[0].recipe)
    assert tracker.status.cell == "dm · ipc 50 · α 0 · lr_img 0.1 · seed 0"
