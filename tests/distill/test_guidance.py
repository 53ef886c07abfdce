"""Guides of a user's own in the loop: against a slow program, resumed to the same bits, and mistakes in one line."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted, Slot
from ddsweep.data import Dataset
from ddsweep.distill.guidance import Guiding, Real
from ddsweep.distill.loop import distill
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import PluginError
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]
STEPS = 4
HEAD = "import random\nimport ddsweep, numpy, torch\n@ddsweep.guidance('mine', alpha=2.0{more})\n"
MEANS = (
    HEAD.format(more="")
    + '''
def guide(ptm, synthetic, real, *, power=1.0):
    """The distance of the mean features of each class."""
    ours, total = ptm.embed(synthetic.images), 0
    for label in synthetic.labels.unique():
        if (real.labels == label).any():
            apart = ours[synthetic.labels == label].mean(0) - real.features[real.labels == label].mean(0)
            total = total + apart.norm() ** power
    return total
'''
)
SELDOM = (
    HEAD.format(more="")
    + '''
def guide(ptm, synthetic, real):
    """Reads the features of real images at some steps only."""
    apart = ptm.embed(synthetic.images).mean(0)
    if real.labels.sum() % 2:
        apart = apart - real.features.mean(0)
    return apart.square().sum()
'''
)
DRAWS = (
    HEAD.format(more="")
    + """
def guide(ptm, synthetic):
    noise = torch.randn_like(synthetic.images) * random.random() + float(numpy.random.rand())
    return ptm(synthetic.images + 0.1 * noise).square().mean()
"""
)


def recipe(**choices: Any) -> Recipe:
    base = {
        "target": "shapes", "size": 8, "ipc": 2, "arch": "convnet1", "width": 3, "batch_real": 5, "seed": 1,
        "method": "dm", "lr_img": 0.5, "init": "real", "iterations": STEPS, "cclom_batch": 7, "n_models": 2,
        "regularizer": "mine",
    }  # fmt: skip
    return make(base | choices)


@pytest.fixture
def data() -> Dataset:
    return toys.dataset(dtype=torch.float32)


def pool(budget: int = 1 << 30) -> Pool:
    shape: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 3}
    nets = [nn.build("convnet1", **shape, generator=rng.generator(9, "ptm", index)) for index in range(2)]
    models = [PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3)) for net in nets]
    return Pool([models], budget)


def run(one: Recipe, data: Dataset, slot: Slot | None = None, budget: int = 1 << 30) -> Tensor:
    ptms = pool(budget) if one.alpha else None
    return distill(one, data, ptms, Streams(one.seed), Tracker(), slot).decode().images


def means_by_hand(one: Recipe, ptm: Any, images: Tensor, data: Dataset, drawn: list[int], power: float) -> Tensor:
    total = torch.zeros(())
    for label in range(3):
        theirs = [ptm.net.embed(data.images[i][None])[0] for i in drawn if int(data.labels[i]) == label]
        ours = [ptm.net.embed(images[i][None])[0] for i in range(len(images)) if i // one.ipc == label]
        if theirs:
            apart = sum(ours) / len(ours) - (sum(theirs) / len(theirs)).detach()
            total = total + apart.square().sum().sqrt() ** power
    return total


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_guide_of_ones_own_gives_the_terms_of_a_slow_program(plug: Plug, data: Dataset, power: float) -> None:
    """With the PTM and the real images that each step draws; before multiplication by α."""
    plug(mine=MEANS)
    one, synthetic = recipe(guidance_options=f"power:{power}"), toys.synthetic(dtype=torch.float32)
    models, stream = pool(), rng.generator(3, "ptm")
    guiding = Guiding(one, models, data, rng.generator(3, "ptm"))
    for step in range(STEPS):
        term, alpha = guiding.term(synthetic, step)
        torch.randint(1, (), generator=stream)
        model = models.models[0][int(torch.randint(2, (), generator=stream))]
        drawn = torch.randint(len(data.labels), (7,), generator=stream).tolist()
        expected = means_by_hand(one, model, synthetic.images, data, drawn, power)
        torch.testing.assert_close(term, expected, rtol=1e-4, atol=1e-6)
        slopes = [torch.autograd.grad(one, [synthetic.images])[0] for one in (term, expected)]
        torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-6)
        assert alpha == 2.0


def test_alpha_is_applied_once(plug: Plug, data: Dataset) -> None:
    """One step: the difference to the step without guidance is −lr·α·∇term."""
    plug(mine=MEANS)
    plain, once, twice = (run(recipe(alpha=alpha, iterations=1), data) for alpha in (0, 1.0, 2.0))
    torch.testing.assert_close(twice - plain, 2 * (once - plain), rtol=1e-3, atol=1e-5)
    assert (once - plain).abs().max() > 1e-3


@pytest.mark.parametrize("budget", [1 << 30, 0], ids=["kept", "no budget"])
@pytest.mark.parametrize("source", [MEANS, SELDOM, DRAWS], ids=["means", "seldom", "draws"])
def test_a_resumed_distillation_ends_in_the_same_bits(plug: Plug, data: Dataset, source: str, budget: int) -> None:
    plug(mine=source)
    one = recipe()
    whole = run(one, data, budget=budget)
    torch.rand(1)  # whatever is drawn in between
    assert torch.equal(run(one, data, budget=budget), whole)
    for boundary in range(1, STEPS):
        asks, path = itertools.count(1), Path(str(boundary), "distill.safetensors")
        with pytest.raises(Interrupted):
            run(one, data, FileSlot(path, {}, Checkpoints(leave=lambda: next(asks) == boundary)), budget)  # noqa: B023
        assert torch.equal(run(one, data, FileSlot(path, {}, Checkpoints()), budget), whole), boundary


@pytest.mark.parametrize("read", [range(4), [3], [2, 3]], ids=["always", "last", "late"])
def test_features_do_not_depend_on_which_steps_read_them(
    plug: Plug, data: Dataset, monkeypatch: pytest.MonkeyPatch, read: Collection[int]
) -> None:
    """A guide that reads them at some steps only, as one that is resumed does, gets the bits of one that always did."""
    plug(mine=MEANS)
    toys.bound_passes(monkeypatch, 7)
    found: list[tuple[PretrainedModel, Tensor, Tensor]] = []
    guiding = Guiding(recipe(), pool(), data, rng.generator(1, "ptm"))

    def guide(ptm: PretrainedModel, synthetic: Synthetic, real: Real) -> Tensor:
        if step in read:
            found.append((ptm, real._indices, real.features))
        return synthetic.images.sum()

    guiding._guide = guide
    for step in range(4):
        guiding.term(toys.synthetic(dtype=torch.float32), step)
    for ptm, indices, features in found:
        for index, feature in zip(indices.tolist(), features, strict=True):
            block = ptm.embed(data.images[index // 7 * 7 : index // 7 * 7 + 7])
            assert torch.equal(feature, block[index % 7])


def test_the_same_seed_draws_the_same_and_another_does_not(plug: Plug, data: Dataset) -> None:
    plug(mine=DRAWS)
    assert not torch.equal(run(recipe(), data), run(recipe(seed=2), data))


def test_a_class_takes_the_dataset_and_its_options(plug: Plug, data: Dataset) -> None:
    plug(
        mine=HEAD.format(more="") + "class Guide:\n"
        "    def __init__(self, dataset, *, shift=1.0):\n"
        "        self.mean = dataset.images[:].mean(0) + shift\n"
        "    def __call__(self, ptm, synthetic):\n"
        "        return (synthetic.images - self.mean).square().sum()\n"
    )
    one = recipe(guidance_options="shift:0.25")
    synthetic = toys.synthetic(dtype=torch.float32)
    term, alpha = Guiding(one, pool(), data, rng.generator(0, "x")).term(synthetic, 0)
    expected = (synthetic.images - data.images[:].mean(0) - 0.25).square().sum()
    torch.testing.assert_close(term, expected)
    assert (alpha, one.cclom_batch) == (2.0, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1.0", "guidance 'mine': returns float, not a scalar tensor"),
        ("return None", "guidance 'mine': returns NoneType, not a scalar tensor"),
        ("return ptm(synthetic.images)", "guidance 'mine': returns a tensor of shape [6, 3], not a scalar tensor"),
        (
            "return ptm(synthetic.images.detach()).sum()",
            "guidance 'mine': returns a term without a gradient to the synthetic images",
        ),
        ("return ptm.embedding(synthetic.images)", "(mine.py line 5)"),
        ("raise KeyError('weights')", "guidance 'mine': KeyError: 'weights' (mine.py line 5)"),
    ],
)
def test_a_mistake_is_one_line(plug: Plug, data: Dataset, body: str, said: str) -> None:
    plug(mine=HEAD.format(more="") + f"def guide(ptm, synthetic):\n    {body}\n")
    with pytest.raises(PluginError) as error:
        run(recipe(), data)
    assert str(error.value).startswith("guidance 'mine': ")
    assert said in str(error.value)
