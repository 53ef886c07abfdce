"""Any of the five ablations runs with any of the seven methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep, trial
from ddsweep.trackers import Tracker

ABLATIONS = ("ablation-alpha", "ablation-n-models", "ablation-n-archs", "ablation-epoch", "ablation-domain")
METHODS = ("dc", "dsa", "dm", "idc", "dream", "tm", "dim")
TINY: dict[str, Any] = {
    "ipc": 1, "width": 4, "iterations": 1, "outer_loops": 1, "inner_epochs": 1, "batch_real": 8, "net_images": 8,
    "syn_steps": 2, "expert_epochs": 1, "max_start_epoch": 1, "lr_lr": 1e-9, "n_experts": 1, "expert_train_epochs": 2,
    "match_archs": "convnet3", "gan_epochs": 1, "gan_batch": 400, "ptm_train_epochs": 1, "ptm_batch": 400,
    "eval_nets": 1, "eval_epochs": 1, "eval_archs": "convnet1",
}  # fmt: skip


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_can_be_planned_with_any_method(name: str, method: str, profile: str) -> None:
    own, asked = sweep.load(name, profile), sweep.load(name, profile, {"method": [method]})
    assert {cell.recipe.method for cell in asked.cells} == {method}
    methods = {cell.recipe.method for cell in own.cells}
    assert len(asked.cells) * len(methods) == len(own.cells)
    for cell in asked.cells:
        assert asked.is_baseline(cell.recipe) == (cell.recipe.alpha == 0)
        assert asked.baselines[cell.key]
    points = [{field: value for field, value in cell.point.items() if field != "method"} for cell in asked.cells]
    example = next(iter(methods))
    assert points == [
        {field: value for field, value in cell.point.items() if field != "method"}
        for cell in own.cells
        if cell.recipe.method == example
    ]


@pytest.mark.parametrize("method", METHODS)
def test_an_ablation_runs_with_any_method(method: str) -> None:
    asked = sweep.load("ablation-alpha", "demo", {"method": [method], **{name: [one] for name, one in TINY.items()}})
    guided = next(cell.recipe for cell in asked.cells if cell.recipe.alpha == 10)
    result = trial.run(guided, Tracker(), "cpu", Path("runs"))
    assert result.state == "complete", result.reason
    (accuracies,) = result.accuracies.values()
    assert len(accuracies) == 1
    assert 0 <= accuracies[0] <= 1
