"""Distillations in lockstep end as each of them would alone, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.data import Dataset
from ddsweep.distill.lockstep import SharedStepFailed, advance_until_one_ends
from ddsweep.distill.loop import Distillation, Diverged, distill
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys

BASE: dict[str, Any] = {
    "method": "dm", "target": "shapes", "size": 8, "ipc": 2, "arch": "convnet1", "width": 3, "batch_real": 5, "seed": 1,
    "lr_img": 0.5, "iterations": 4, "n_models": 2, "cclom_batch": 7, "dsa_strategy": "color_crop_flip",
}  # fmt: skip
CELLS: list[dict[str, Any]] = [
    {"alpha": 0.0}, {"alpha": 3.0}, {"alpha": 30.0}, {"alpha": 3.0, "n_models": 1}, {"alpha": 2.0, "ipc": 3},
    {"alpha": 5.0, "regularizer": "cclom"}, {"alpha": 3.0, "iterations": 2}, {"alpha": 1.0, "init": "noise"},
    {"alpha": 9.0, "regularizer": "cclom", "ipc": 1, "lr_img": 0.1},
]  # fmt: skip


@pytest.fixture
def data() -> Dataset:
    return toys.dataset(dtype=torch.float32)


def pool(recipe: Recipe) -> Pool | None:
    """PTMs of the recipe's own, which only their identity connects with those of the others."""
    if not recipe.alpha:
        return None
    shape: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 3}
    nets = [nn.build("convnet1", **shape, generator=rng.generator(9, "ptm", one)) for one in range(recipe.n_models)]
    frozen = [net.requires_grad_(False).eval() for net in nets]
    return Pool([[PretrainedModel("convnet1", net, InputTransform(3), identity=i) for i, net in enumerate(frozen)]])


def begun(recipe: Recipe, data: Dataset, slot: Slot | None = None, **numerics: Any) -> Distillation:
    streams = Streams(recipe.seed)
    return Distillation.start(recipe, data, pool(recipe), streams, Tracker(), slot, Numerics(**numerics))


def alone(recipe: Recipe, data: Dataset) -> Tensor:
    return distill(recipe, data, pool(recipe), Streams(recipe.seed), Tracker()).decode().images


def together(cells: list[Distillation]) -> dict[int, Tensor | BaseException]:
    """Where each has ended, in the order in which they did."""
    ended: dict[int, Tensor | BaseException] = {}
    while going := [one for one in cells if cells.index(one) not in ended]:
        advance_until_one_ends(going)
        for one in [one for one in going if one.done or one.error]:
            ended[cells.index(one)] = one.error or one.finish().decode().images
    return ended


def recipes(some: list[dict[str, Any]] = CELLS) -> list[Recipe]:
    return [make(BASE | one) for one in some]


def test_on_a_cpu_each_ends_in_the_bits_of_a_distillation_alone(data: Dataset) -> None:
    ended = together([begun(recipe, data) for recipe in recipes()])
    assert next(iter(ended)) == 6, "the one with the fewest iterations is done first"
    for index, recipe in enumerate(recipes()):
        found = ended[index]
        assert isinstance(found, Tensor)
        assert torch.equal(found, alone(recipe, data)), recipe


def test_as_one_batch_each_ends_where_it_would_alone_up_to_rounding(data: Dataset) -> None:
    ended = together([begun(recipe, data, vectorize=True) for recipe in recipes()])
    for index, recipe in enumerate(recipes()):
        found = ended[index]
        assert isinstance(found, Tensor)
        torch.testing.assert_close(found, alone(recipe, data), rtol=1e-4, atol=1e-4)


def test_one_batch_starts_fewer_operations(data: Dataset) -> None:
    counts: dict[bool, int] = {}
    for vectorize in (False, True):
        cells = [begun(recipe, data, vectorize=vectorize) for recipe in recipes(CELLS[1:3] * 3)]
        with toys.Kernels() as kernels:
            advance_until_one_ends(cells)
        counts[vectorize] = kernels.number
    assert counts[True] < 0.5 * counts[False]


@pytest.mark.parametrize("vectorize", [False, True])
def test_one_that_diverges_leaves_and_the_others_go_on(data: Dataset, vectorize: bool) -> None:
    some = recipes([{"alpha": 1.0}, {"alpha": 1.0, "lr_img": 1e30}, {"alpha": 2.0}])
    ended = together([begun(recipe, data, vectorize=vectorize) for recipe in some])
    assert isinstance(ended[1], Diverged)
    for index in (0, 2):
        found = ended[index]
        assert isinstance(found, Tensor)
        torch.testing.assert_close(found, alone(some[index], data), rtol=1e-4, atol=1e-4)


def asked(at: int) -> Callable[[], bool]:
    """Asked to leave at the boundary with this number, and not again."""
    asks = iter(range(1, 1000))
    return lambda: next(asks) == at


@pytest.mark.parametrize("boundaries", [(1, 1, 1), (1, 3, 2), (2, 0, 0), (3, 2, 0)])
@pytest.mark.parametrize("again", ["together", "alone"])
def test_interrupted_each_resumes_alone_or_with_others_that_are_elsewhere(
    data: Dataset, tmp_path: Path, boundaries: tuple[int, ...], again: str
) -> None:
    some = recipes([{"alpha": 0.0}, {"alpha": 5.0, "regularizer": "cclom"}, {"alpha": 4.0, "ipc": 3}])

    def slot(index: int, checkpoints: Checkpoints) -> FileSlot:
        return FileSlot(tmp_path / f"{index}.safetensors", {}, checkpoints)

    first = [
        begun(recipe, data, slot(index, Checkpoints(leave=asked(at))))
        for index, (recipe, at) in enumerate(zip(some, boundaries, strict=True))
    ]
    ended = together(first)
    for index, at in enumerate(boundaries):
        assert isinstance(ended[index], Interrupted if at else Tensor)
    resumed = [begun(recipe, data, slot(index, Checkpoints())) for index, recipe in enumerate(some)]
    assert [one.state.iteration for one in resumed] == [at or 4 for at in boundaries]
    if again == "together":
        ended = together(resumed)
    else:
        ended = {index: together([one])[0] for index, one in enumerate(resumed)}
    for index, recipe in enumerate(some):
        found = ended[index]
        assert isinstance(found, Tensor)
        assert torch.equal(found, alone(recipe, data))


def test_a_failing_tracker_of_one_costs_only_that_one(data: Dataset, tmp_path: Path) -> None:
    class Full(Tracker):
        def progress(self, phase: str, done: int, total: int) -> None:
            if done == 2:
                raise OSError("No space left on device")

    some = recipes([{"alpha": 0.0}, {"alpha": 5.0}])
    cells = [begun(some[0], data)]
    cells.append(Distillation.start(some[1], data, pool(some[1]), Streams(1), Full()))
    ended = together(cells)
    assert "No space left on device" in str(ended[1])
    found = ended[0]
    assert isinstance(found, Tensor)
    assert torch.equal(found, alone(some[0], data))


def test_a_failure_of_the_common_step_is_told_apart(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [begun(recipe, data) for recipe in recipes(CELLS[:2])]

    def fail(*given: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(cells[0].state.matching, "episodes", fail)
    with pytest.raises(SharedStepFailed) as failure:
        advance_until_one_ends(cells)
    assert isinstance(failure.value.__cause__, torch.cuda.OutOfMemoryError)


DC = {"method": "dc", "outer_loops": 2, "inner_epochs": 1, "dsa_strategy": "none"}


@pytest.mark.parametrize("other", [{"seed": 2}, {"batch_real": 6}, {"dsa_strategy": "color"}, DC])
def test_those_that_would_draw_otherwise_do_not_share_steps(data: Dataset, other: dict[str, Any]) -> None:
    """The caller chooses the group; a wrong choice must not change a result."""
    some = recipes([{"alpha": 0.0}, {"alpha": 2.0, **other}])
    ended = together([begun(recipe, data) for recipe in some])
    for index, recipe in enumerate(some):
        found = ended[index]
        assert isinstance(found, Tensor)
        assert torch.equal(found, alone(recipe, data)), recipe
