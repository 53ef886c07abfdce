"""Features of real images that cells have in common: read by other cells, with the bits of computing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import trial
from ddsweep.data import Dataset
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.results.result import Result
from ddsweep.shared import sets
from ddsweep.shared.budget import Budget
from ddsweep.shared.sharing import Sharing
from ddsweep.trackers import Tracker
from tests import toys

CPU = torch.device("cpu")
BLOCK, BLOCKS = 7, 9  # the last one has 4 of the 60 images


class BatchDependent(toys.Net):
    """Its features of an image depend on the other images of the batch, as the last bits of any network's do."""

    def embed(self, x: Tensor) -> Tensor:
        return super().embed(x) * (1 + x.mean())


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)  # blocks this small take less time than reading


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """60 images, of which a CPU takes seven at once."""
    toys.bound_passes(monkeypatch, BLOCK)
    return toys.dataset()


class Cell:
    """One cell's PTM and what it shares."""

    def __init__(self, folder: Path, budget: int = 1 << 30, seed: int = 5, **more: Any) -> None:
        self.shared = Sharing({"threads": 1}, CPU, Budget(budget), folder=folder / "shared")
        net = BatchDependent(seed=seed).requires_grad_(False)
        self.model = PretrainedModel("toy", net, more.pop("transform", InputTransform(3)), **more)
        Pool([[self.model]]).share(self.shared)

    def features(self, dataset: Dataset, *draws: list[int]) -> Tensor:
        return torch.cat([self.model.features(dataset, torch.tensor(draw)) for draw in draws])

    @property
    def counts(self) -> tuple[int, int]:
        found = self.shared.counts()["ptm-features"]
        return found["read"], found["computed"]


def test_a_second_cell_reads_what_the_first_one_computed(tmp_path: Path, dataset: Dataset) -> None:
    """Whatever each of them draws; the last block is smaller than the others."""
    every = list(range(60))
    expected = Cell(tmp_path, budget=0).features(dataset, every)
    first, second, third = (Cell(tmp_path) for _ in range(3))
    assert torch.equal(first.features(dataset, [59, 0], [8]), expected[[59, 0, 8]])
    assert first.counts == (0, 3)
    assert torch.equal(second.features(dataset, [0], every), expected[[0, *every]])
    assert second.counts == (3, BLOCKS - 3)
    second.shared.close()
    assert torch.equal(third.features(dataset, every), expected)
    assert third.counts == (BLOCKS, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 6},
        {"canvas": 16},
        {"transform": InputTransform(3, ((0.1,) * 3, (0.5,) * 3))},
        {"transform": InputTransform(3, None, ((0.0,) * 3, (0.5,) * 3))},
    ],
    ids=["weights", "canvas", "target", "source"],
)
def test_another_ptm_reads_nothing(tmp_path: Path, dataset: Dataset, other: dict[str, Any]) -> None:
    first, second = Cell(tmp_path), Cell(tmp_path, **other)
    first.features(dataset, [0, 1])
    assert torch.equal(second.features(dataset, [0, 1]), Cell(tmp_path, 0, **other).features(dataset, [0, 1]))
    assert second.counts[0] == 0
    assert len(sets.listed(tmp_path / "shared")) == 2


def test_another_size_of_blocks_reads_nothing(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Cell(tmp_path)
    first.features(dataset, [0])
    toys.bound_passes(monkeypatch, 11)
    second = Cell(tmp_path)
    assert torch.equal(second.features(dataset, [0]), Cell(tmp_path, 0).features(dataset, [0]))
    assert second.counts == (0, 1)


def test_a_damaged_block_is_computed_again(tmp_path: Path, dataset: Dataset) -> None:
    every = list(range(60))
    expected = Cell(tmp_path, 0).features(dataset, every)
    first = Cell(tmp_path)
    first.features(dataset, every)
    first.shared.close()
    (stored,) = sets.listed(tmp_path / "shared")
    records = stored.path / sets.RECORDS
    content = bytearray(records.read_bytes())
    content[len(content) // 2] ^= 1
    records.write_bytes(content)
    second = Cell(tmp_path)
    assert torch.equal(second.features(dataset, every), expected)
    assert second.counts == (BLOCKS - 1, 1)


def test_a_ptm_whose_weights_are_not_known_shares_nothing(tmp_path: Path) -> None:
    class Opaque:
        def embed(self, images: Tensor) -> Tensor:
            return images.flatten(1)

        def __call__(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    cell = Cell(tmp_path)
    cell.model.net = Opaque()
    assert torch.equal(cell.features(toys.dataset(), [3]), toys.dataset().images[[3]].flatten(1))
    assert not sets.listed(tmp_path / "shared")


def recipe(**choices: Any) -> Recipe:
    return make({
        "target": "digits", "source": "shapes", "regularizer": "cclom", "alpha": 1.0, "n_models": 2, "ipc": 1,
        "method": "dm", "width": 4, "iterations": 4, "batch_real": 8, "cclom_batch": 50, "ptm_train_epochs": 1,
        "ptm_epoch": 1, "ptm_batch": 512, "eval_nets": 1, "eval_epochs": 1, **choices,
    })  # fmt: skip


def computed(one: Recipe, monkeypatch: pytest.MonkeyPatch, share: str = "1GB") -> tuple[Result, int]:
    """Run a cell; return its result, and how many blocks of features its PTMs computed."""
    found = [0]
    with monkeypatch.context() as patch:
        toys.spy(patch, PretrainedModel, "_embed_real", lambda self, dataset, part: _count(found, part))
        patch.setenv("DDSWEEP_SHARE", share)
        return trial.run(one, Tracker(), "cpu", Path(f"runs-{share}")), found[0]


def _count(found: list[int], part: Tensor) -> None:
    found[0] += len(part) > 1  # the size of the features is that of the first image's


@pytest.mark.parametrize(
    "other", [{"seed": 1, "method": "dsa", "outer_loops": 1}, {"alpha": 7.0, "ipc": 2, "cclom_batch": 60}]
)
def test_cells_with_the_same_ptms_share_their_features(other: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = recipe(), recipe(**other)
    alone, every = computed(two, monkeypatch, "off")
    _, first = computed(one, monkeypatch)
    shared, second = computed(two, monkeypatch)
    assert first > 0
    assert second < every  # blocks that the first one did not need are left
    assert shared.files["synthetic.safetensors"] == alone.files["synthetic.safetensors"]


def test_cells_with_other_ptms_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    computed(recipe(), monkeypatch)
    other_cell = recipe(ptm_statistics="source")
    _, again = computed(other_cell, monkeypatch, "off")
    _, here = computed(other_cell, monkeypatch)
    assert here == again > 0
