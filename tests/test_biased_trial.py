"""Trials on biased datasets: from the recipe to the files of a run, and to the evaluation of these files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddsweep import data, exchange, judging, trial
from ddsweep.data import fingerprints
from ddsweep.data.bias import colors
from ddsweep.distill.synthetic import read
from ddsweep.errors import UserError
from ddsweep.pretrained import spec
from ddsweep.recipe import Recipe, make
from ddsweep.results.result import read as read_result
from ddsweep.trackers import Tracker

NAME = "cdigits:align=0.95,severity=4"
TINY: dict[str, Any] = {
    "target": NAME, "ipc": 2, "width": 4, "iterations": 2, "batch_real": 8, "alpha": 10.0, "arch": "convnet1",
    "ptm_train_epochs": 1, "eval_nets": 1, "eval_epochs": 2, "init": "real",
}  # fmt: skip


def run(**choices: Any) -> tuple[Recipe, Path]:
    recipe = make(TINY | choices)
    trial.run(recipe, Tracker(), "cpu", Path("runs"))
    return recipe, Path("runs") / recipe.key()


def test_a_run_names_the_share_and_severity_wherever_it_names_the_images() -> None:
    recipe, folder = run()
    result = read_result(folder)
    assert result is not None
    assert result.data == {NAME: data.checksum(NAME)}
    assert result.made == "made: from digits, colored here"
    assert json.loads((folder / "result.json").read_text())["made"] == result.made
    assert (result.recipe.target, result.recipe.align, result.recipe.severity) == ("cdigits", 0.95, 4)
    assert read(folder / "synthetic.safetensors")[1]["dataset"] == NAME
    ((ptm,),) = spec.of(recipe)
    assert ptm.saved() == {1}


def test_networks_take_three_channels_of_28_pixels() -> None:
    """As PathMNIST's: padded to 32. The dataset is resized here, so that no download is needed."""
    recipe, folder = run(size=28, arch="convnet3", alpha=0)
    assert read(folder / "synthetic.safetensors")[0].images.shape == (20, 3, 28, 28)
    assert recipe.size == 28


def test_the_real_images_are_shown_from_everywhere() -> None:
    """They are sorted by attribute: the first of each class would have the color of the digit 0."""
    _, folder = run(alpha=0)
    shown = np.asarray(Image.open(folder / "real.png").convert("RGB")).astype(float)
    red, green, blue = (shown[..., channel].sum() for channel in range(3))
    assert blue > 0.7 * red
    assert green > 0.7 * red


def test_a_set_is_evaluated_as_in_its_trial_under_every_spelling_of_its_dataset() -> None:
    recipe, folder = run(alpha=0)
    own = exchange.read(folder / "synthetic.safetensors").facts
    assert own.dataset == NAME
    for name in (None, NAME, "cdigits:severity=4"):
        assert judging.choices_of(own, name, {})["eval_epochs"] == recipe.eval_epochs
    assert "eval_epochs" not in judging.choices_of(own, "cdigits:severity=1", {})
    assert judging.Job("cdigits:severity=1", {}, "cpu", False).recipe(16).dataset == "cdigits:align=0.95,severity=1"


def test_a_result_of_other_images_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made on each host, perhaps by another version of ddsweep."""
    recipe, _ = run(alpha=0)
    monkeypatch.setattr(fingerprints, "MADE", fingerprints.MADE + 1)
    monkeypatch.setitem(colors.NOISE, 4, 0.3)
    with pytest.raises(UserError, match=r"cdigits:align=0.95,severity=4.*to compute it again from the present images"):
        trial.run(recipe, Tracker(), "cpu", Path("runs"))
