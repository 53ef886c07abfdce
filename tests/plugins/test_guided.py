"""Guidance and a PTM of a user's own in use: a trial, its sweep, its tables, its forecast; also without the plugin."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ddsweep import overview, sweep, trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.estimate import work, workers
from ddsweep.estimate.costs import Prices
from ddsweep.estimate.workers import Order
from ddsweep.pretrained import made, published
from ddsweep.recipe import Recipe, make
from ddsweep.registry.ptms import PTMS
from ddsweep.results.tables import naming
from ddsweep.sweep import Sweep
from ddsweep.trackers import Tracker
from ddsweep.trackers.wandb import inputs
from tests.cli.conftest import Run, ddsweep
from tests.plugins.plugged import Plug, forget, plug

__all__ = ["ddsweep", "plug"]
OWN = """
import ddsweep, torch
from torch import nn

@ddsweep.guidance("far", paper="Far", alpha=3.0)
def far(ptm, synthetic, real, *, power=1.0):
    apart = ptm.embed(synthetic.images).mean(0) - real.features.mean(0)
    return (apart + 0.1 * torch.randn(apart.shape)).square().sum() ** power

@ddsweep.ptm("waves", paper="Waves", domain="Oceans", channels=1, mean=0.5, std=0.5, classes="digits")
class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 6, 5, stride=3), nn.Linear(6, 10)

    def embed(self, x):
        return self.conv(x).relu().mean((2, 3))

    def forward(self, x):
        return self.head(self.embed(x))
"""
TINY: dict[str, Any] = {
    "target": "digits", "method": "dm", "ipc": 1, "iterations": 4, "width": 4, "arch": "convnet1", "eval_nets": 1,
    "eval_epochs": 2, "batch_real": 4, "cclom_batch": 9,
}  # fmt: skip


def recipe(**choices: Any) -> Recipe:
    return make(TINY | {"source": "waves", "regularizer": "far"} | choices)


@dataclass
class LeaveAt(Checkpoints):
    """Asks the trial to leave at a boundary."""

    boundary: int = 0

    def __post_init__(self) -> None:
        asks = itertools.count(1)
        self.leave = lambda: next(asks) == self.boundary


@pytest.mark.slow
@pytest.mark.parametrize("choices", [{}, {"regularizer": "clom"}, {"regularizer": "cclom"}, {"source": "shapes"}])
def test_a_trial_with_guidance_and_a_ptm_of_ones_own(plug: Plug, choices: dict[str, Any]) -> None:
    """It is interrupted after every other step, and resumes to the same bits."""
    plug(own=OWN)
    choices = {"ptm_train_epochs": 1} | choices
    one = recipe(**choices)
    whole = trial.run(one, Tracker(), "cpu", Path("whole"))
    if one.source == "waves":
        assert whole.data["waves"] == published.checksum(made.build(PTMS["waves"]).state_dict())
    assert one.plugins
    resumed = None
    for boundary in itertools.count(2):
        try:
            resumed = trial.run(one, Tracker(), "cpu", Path("parts"), checkpoints=LeaveAt(boundary=2))
            break
        except Interrupted:
            assert boundary < 20
    assert resumed is not None
    ours, theirs = (load_file(Path(place, one.key(), "synthetic.safetensors")) for place in ("whole", "parts"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert resumed.accuracies == whole.accuracies


def test_what_is_said_about_it(plug: Plug) -> None:
    plug(own=OWN)
    one = sweep.load("ablation-alpha", "demo", TINY | {"source": ["waves"], "regularizer": ["far"], "alpha": [0, 3]})
    found = overview.of(one, Path("runs"))
    assert "waves, of a plugin: made in each trial by own:Waves" in "\n".join(found.needs_lines())
    assert [naming.value(*pair) for pair in (("regularizer", "far"), ("source", "waves"), ("ptm_archs", "waves"))] == [
        "Far", "Oceans", "Waves",
    ]  # fmt: skip
    assert list(inputs(one.cells[-1].recipe)) == []
    assert naming.value("regularizer", "cclom") == "CCLoM"


def test_its_steps_can_be_measured(plug: Plug) -> None:
    plug(own=OWN)
    kinds = work.of(recipe())
    (distilling,) = (kind for kind in kinds if isinstance(kind, work.Distilling))
    assert distilling.title == "dm · digits · ipc 1 · far waves from waves"
    found = Prices(workers.measure(work.of_all([recipe()]), Order("cpu", seconds=0.01))[0]).distilled(recipe())
    assert found.look > 0
    assert found.features == 4 * 6


def test_a_sweep_that_was_launched_with_it_is_read_without_it(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(own=OWN)
    settings = TINY | {"source": ["waves"], "regularizer": ["far"], "alpha": [0, 3], "power": [1, 2]}
    one = sweep.load("ablation-alpha", "demo", settings)
    definition, keys = json.loads(json.dumps(one.definition())), [cell.key for cell in one.cells]
    monkeypatch.setenv("DDSWEEP_PLUGINS", "")
    forget("own")
    again = Sweep.from_definition(definition)
    assert [cell.key for cell in again.cells] == keys
    assert [cell.recipe.regularizer for cell in again.cells] == ["none", "far", "far"]
    assert naming.value("regularizer", "far") == "Far"


def test_nothing_is_downloaded_or_trained_for_it(plug: Plug, ddsweep: Run) -> None:
    plug(own=OWN)
    done = ddsweep("pretrain", "waves")
    assert (done.exit_code, done.stderr) == (
        2, "error: source: waves is made by a plugin; there is nothing to train or to download\n",
    )  # fmt: skip
    assert "PTM waves" in ddsweep("plugins").stdout
