"""What cells share, as counted from their recipes: the same as what they then read."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
import torch

from ddsweep.data import Dataset
from ddsweep.distill.loop import distill
from ddsweep.numerics import Numerics
from ddsweep.recipe import Recipe, make
from ddsweep.recipe.real_branch import FREE, Common, common, iterations_read, real_branch
from ddsweep.rng import Streams
from ddsweep.shared.sharing import Sharing
from ddsweep.trackers import Tracker
from tests import toys

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "alpha": ({}, {"alpha": 3.0}, 3),
    "ipc": ({}, {"ipc": 2, "lr_img": 0.3}, 3),
    "init": ({}, {"init": "noise"}, 3),
    "evaluation": ({}, {"eval_nets": 2, "eval_archs": "convnet1+convnet2"}, 3),
    "fewer": ({}, {"iterations": 2}, 2),
    "more": ({}, {"iterations": 5}, 3),
    "seed": ({}, {"seed": 2}, 0),
    "width": ({}, {"width": 4}, 0),
    "batch": ({}, {"batch_real": 6}, 0),
    "augmentation": ({}, {"dsa_strategy": "flip"}, 0),
    "method": ({}, {"method": "dc", "outer_loops": 1}, 0),
    "dc": ({"method": "dc", "outer_loops": 1}, {"method": "dc", "outer_loops": 1, "alpha": 2.0, "ipc": 2}, 3),
    "dc, two loops": ({"method": "dc"}, {"method": "dc", "alpha": 2.0}, 3),
    "dc, two loops, ipc": ({"method": "dc"}, {"method": "dc", "ipc": 2}, 0),
    "dc, loops": ({"method": "dc"}, {"method": "dc", "outer_loops": 3}, 0),
    "dc, epochs": ({"method": "dc"}, {"method": "dc", "inner_epochs": 2}, 0),
    "dsa": ({"method": "dsa"}, {"method": "dsa", "alpha": 2.0}, 3),
    "idc": ({"method": "idc", "net_images": 8}, {"method": "idc", "net_images": 8, "alpha": 2.0}, 0),
}


def recipe(**choices: Any) -> Recipe:
    loops = {"outer_loops": 2, "inner_epochs": 1} if choices.get("method", "dm") != "dm" else {}
    base = {
        "target": "shapes", "size": 8, "ipc": 1, "arch": "convnet1", "width": 3, "batch_real": 5, "seed": 1,
        "method": "dm", "lr_img": 0.5, "init": "real", "iterations": 3, "alpha": 0.0, "n_models": 1, **loops,
    }  # fmt: skip
    return make(base | choices)


def reads(one: Recipe, data: Dataset) -> int:
    """Distill without guidance, whose PTMs would have to be trained; return how many records were read."""
    with closing(Sharing.of(data, Numerics(), real_branch(one))) as shared:
        distill(one, data, None, Streams(one.seed), Tracker(), trained={"shared": shared})
        return sum(kind["read"] for kind in shared.counts().values())


@pytest.mark.parametrize("case", CASES)
def test_a_second_cell_reads_what_was_counted_from_its_recipe(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ddsweep.shared.records.PROBES", 10**9)  # steps this small take less time than reading
    data = toys.dataset(dtype=torch.float32)
    first, second, expected = (recipe(**CASES[case][0]), recipe(**CASES[case][1]), CASES[case][2])
    assert iterations_read([first, second]) == [0, expected]
    assert (reads(first, data), reads(second, data)) == (0, expected)


def test_every_field_is_either_free_or_tells_cells_apart() -> None:
    """A new field tells cells apart until somebody knows better; a free one that was removed is noticed."""
    assert set(FREE) < set(Recipe.model_fields)
    assert set(real_branch(recipe())) == set(Recipe.model_fields) - set(FREE)
    assert real_branch(recipe(method="dc"))["ipc"] == 1


def test_the_longest_cell_before_counts() -> None:
    cells = [recipe(iterations=count, alpha=float(alpha)) for alpha, count in enumerate([2, 7, 3, 9, 9])]
    assert iterations_read(cells) == [0, 2, 3, 7, 9]
    assert iterations_read(cells[::-1]) == [0, 9, 3, 7, 2]


def test_lines() -> None:
    assert Common(9, 0, False).line() == ""
    alphas = [recipe(alpha=float(alpha)) for alpha in range(9)]
    said = "8 of 9 cells read what another one computes of the real images"
    assert common(alphas).line() == said
    loops = [recipe(alpha=float(alpha), method="dc") for alpha in range(9)]
    assert common(loops).line() == f"{said} (DC, DSA: first loops)"
    assert common([recipe(alpha=float(alpha), method="dc", outer_loops=1) for alpha in range(9)]).line() == said
    assert common([recipe(seed=seed) for seed in range(9)]).line() == ""
