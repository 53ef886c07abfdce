"""Sets and files as others write them, made here without ddsweep's writers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ddsweep import data
from ddsweep.data import Dataset
from ddsweep.exchange import Facts, ImageSet
from ddsweep.recipe import make


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pixels(n: int, channels: int = 1, size: int = 16, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed))


def labels(classes: int = 10, ipc: int = 2) -> Tensor:
    return torch.arange(classes).repeat_interleave(ipc)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with nothing in it."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return data.load("digits")


@pytest.fixture(params=["digits", "shapes"])
def one(request: pytest.FixtureRequest) -> ImageSet:
    """A normalized set of ours, gray or RGB; some of its values are no pixels."""
    dataset = data.load(request.param)
    channels = dataset.channels
    recipe = make({"target": request.param, "ipc": 2, "alpha": 0}).model_dump()
    facts = Facts(
        request.param, dataset.classes, "normalised", dataset.mean, dataset.std, False, 1, 2, "dm", 0.25, recipe,
        {"key": "0123456789abcdef", "title": "a title", "accuracies": {"convnet3": [0.5, 0.75]}},
    )  # fmt: skip
    return ImageSet(draw(20, channels, 16, 16), labels(), facts)


def saved(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path
