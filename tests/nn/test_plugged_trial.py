"""A ViT and a ResNet of torchvision as matching network, as PTMs and as evaluation networks, cut off and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ddsweep import trial
from ddsweep.checkpoints import Checkpoints, Interrupted
from ddsweep.pretrained import spec
from ddsweep.recipe import make
from ddsweep.results.result import Result
from ddsweep.trackers import Tracker
from tests.nn.authors import DATASET, RESNET, TIED, VIT
from tests.plugins.plugged import Plug, plug
from tests.test_resume import AskedAt, CutOffAt, pieces

__all__ = ["plug"]
TINY: dict[str, Any] = {
    "target": "tiles", "ipc": 1, "width": 16, "iterations": 2, "batch_real": 4, "outer_loops": 2, "inner_epochs": 1,
    "alpha": 10.0, "ptm_train_epochs": 2, "ptm_epoch": 2, "ptm_batch": 20, "cclom_batch": 8, "n_models": 1,
    "eval_nets": 2, "eval_epochs": 4,
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "vit, dm, clom": ("vit", {"method": "dm", "regularizer": "clom"}),
    "vit, dc, cclom": ("vit", {"method": "dc", "regularizer": "cclom"}),
    "tied and frozen, dm, clom": ("tied", {"method": "dm", "regularizer": "clom"}),
    "tied and frozen, dc, clom": ("tied", {"method": "dc", "regularizer": "clom"}),
    "resnet, dm, cclom": ("tv-resnet18", {"method": "dm", "regularizer": "cclom", "iterations": 1}),
    "resnet, dc, clom": ("tv-resnet18", {"method": "dc", "regularizer": "clom", "iterations": 1}),
}
SOURCES = {"tied": TIED, "vit": VIT, "resnet": RESNET, "tiles": DATASET}
SLOW = pytest.mark.slow


def run(case: str, checkpoints: Checkpoints | None, runs: str) -> Result:
    arch, choices = CASES[case]
    recipe = make({**TINY, **choices, **dict.fromkeys(("arch", "ptm_archs", "eval_archs"), arch)})
    return trial.run(recipe, Tracker(), "cpu", Path(runs), spec.needs([recipe]), checkpoints)


@pytest.mark.parametrize(
    ("case", "cut"),
    [
        ("vit, dm, clom", CutOffAt),
        ("tied and frozen, dm, clom", CutOffAt),
        pytest.param("tied and frozen, dc, clom", AskedAt, marks=SLOW),
        pytest.param("vit, dm, clom", AskedAt, marks=SLOW),
        pytest.param("vit, dc, cclom", CutOffAt, marks=SLOW),
        pytest.param("vit, dc, cclom", AskedAt, marks=SLOW),
        pytest.param("resnet, dm, cclom", CutOffAt, marks=SLOW),
        pytest.param("resnet, dc, clom", AskedAt, marks=SLOW),
    ],
)
def test_a_trial_that_is_cut_off_ends_in_the_same_bits(
    case: str, cut: type[Checkpoints], plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(**SOURCES)
    with monkeypatch.context() as patch:
        patch.setenv("DDSWEEP_CACHE", "undisturbed")
        run(case, None, "whole")
        expected = pieces("whole")
    attempts = 0
    while True:
        attempts += 1
        assert attempts < 60
        try:
            run(case, cut(), "runs")
        except (Interrupted, KeyboardInterrupt):
            continue
        break
    found = pieces("runs")
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert attempts > 2
