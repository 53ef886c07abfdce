"""Choices that contradict each other or the dataset."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import make


@pytest.mark.parametrize(
    ("choices", "line"),
    [
        ({"ipc": 6000}, "ipc: 6000 is more than the 5000 images of a class in cifar10"),
        ({"source": "cifar100", "regularizer": "clom"}, "source is cifar100; use cclom, or source: target"),
        ({"target": "digits", "arch": "convnet5"}, "arch: convnet5 needs images of at least 32 pixels, not 16"),
        ({"ptm_epoch": 151}, "ptm_epoch: 151 is after the last epoch (allowed: 1 to 150)"),
        ({"n_models": 0}, "n_models: 0 is out of range"),
        ({"source": "imagenet", "regularizer": "clom"}, "source is imagenet; use cclom, or source: target"),
        (
            {"source": "imagenet", "ptm_archs": "convnet3"},
            "ptm_archs: convnet3 is not published for imagenet (allowed: resnet18-",
        ),
        ({"eval_epochs": 0}, "eval_epochs: 0 is out of range; at least 1"),
        ({"eval_strategy": "color_shear"}, "eval_strategy: unknown operation 'shear'"),
    ],
)
def test_a_contradiction_is_one_line(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make(choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "choices", [{"ipc": 5000}, {"ptm_epoch": 150}, {"ptm_epoch": 1}, {"n_models": 1}, {"eval_epochs": 1}]
)
def test_the_bounds_themselves_are_allowed(choices: dict[str, Any]) -> None:
    assert make(choices).model_dump().items() >= choices.items()
