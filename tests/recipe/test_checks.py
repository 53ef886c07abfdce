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
            "ptm_archs: convnet3 is not the PTM of imagenet (allowed: resnet18-",
        ),
        ({"eval_epochs": 0}, "eval_epochs: 0 is out of range; at least 1"),
        (
            {"method": "idc", "factor": 9},
            "factor: 9 does not fit images of 32×32 pixels (allowed: 1, 2, 3, 4, 5, 6, 7, 8)",
        ),
        ({"method": "idc", "factor": 0}, "factor: 0 does not fit images of 32×32 pixels (allowed: 1, 2"),
        (
            {"method": "idc", "target": "imagenette", "factor": 50, "init": "noise"},
            "(allowed: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …)",
        ),
        ({"method": "idc", "size": 21, "factor": 6}, "factor: 6 does not fit images of 21×21 pixels (allowed: 1, 2, 3"),
        ({"method": "idc", "init": "first"}, "init: first has one image per grid; with factor 2, choose mix"),
        (
            {"method": "idc", "ipc": 1251},
            "ipc: 1251 with factor 2 begins with 5004 images per class, but cifar10 has 5000; choose a smaller ipc",
        ),
        ({"method": "dream", "target": "digits", "ipc": 1}, "batch_real: 128 representatives are more than the 116"),
        ({"method": "dream", "select_every": 0}, "select_every: 0 is out of range; at least 1"),
        ({"method": "dm", "init": "mix"}, "init: mix is not supported by dm (allowed: noise, real)"),
        ({"eval_strategy": "color_shear"}, "eval_strategy: unknown operation 'shear'"),
    ],
)
def test_a_contradiction_is_one_line(choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as error:
        make(choices)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "choices",
    [
        {"ipc": 5000},
        {"ptm_epoch": 150},
        {"ptm_epoch": 1},
        {"n_models": 1},
        {"eval_epochs": 1},
        {"method": "idc", "ipc": 1250, "factor": 2},
        {"method": "idc", "ipc": 1251, "factor": 2, "init": "noise"},
        {"method": "idc", "factor": 8, "ipc": 1},
        {"method": "dream", "target": "digits", "ipc": 1, "batch_real": 116},
    ],
)
def test_the_bounds_themselves_are_allowed(choices: dict[str, Any]) -> None:
    assert make(choices).model_dump().items() >= choices.items()
