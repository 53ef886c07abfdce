"""Golden trajectories: five image steps and more of every method, alone and guided, against a slow program.

The oracle goes class by class and pair by pair, and takes from the package only the networks, the augmentation (which
has tests of its own) and the named streams.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import augment, nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.data import Dataset
from ddsweep.distill.loop import Diverged, distill
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys

STEPS = 5
SHAPE: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 3}


def recipe(**choices: Any) -> Recipe:
    base = {
        "target": "shapes", "size": 8, "ipc": 2, "arch": "convnet1", "width": 3, "batch_real": 5, "seed": 1,
        "lr_img": 0.5,
        "init": "real", "iterations": STEPS, "outer_loops": 2, "inner_epochs": 2, "batch_train": 4, "lr_net": 0.05,
        "cclom_batch": 7, "alpha": 3.0, "n_models": 2,
    }  # fmt: skip
    if choices.get("method") in ("dc", "dsa"):
        base["iterations"] = 3  # of two image steps each
    return make(base | choices)


@pytest.fixture
def data() -> Dataset:
    return toys.dataset(dtype=torch.float32)


@pytest.fixture
def pool() -> Pool:
    nets = [nn.build("convnet1", **SHAPE, generator=rng.generator(9, "ptm", index)) for index in range(2)]
    return Pool([[PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3)) for net in nets]])


def networks(pool: Pool) -> list[torch.nn.Module]:
    nets = [model.net for model in pool.models[0]]
    return [net for net in nets if isinstance(net, torch.nn.Module)]


def cosine(a: Tensor, b: Tensor, epsilon: float = 0.0) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt() + epsilon)


def guidance(one: Recipe, pool: Pool, images: Tensor, data: Dataset, stream: torch.Generator) -> Tensor:
    """CLoM: mean of −log p(label). CCLoM: same-label cosine distances over all of them, pair by pair."""
    torch.randint(1, (), generator=stream)  # one architecture
    model = pool.models[0][int(torch.randint(2, (), generator=stream))]
    labels = [index // one.ipc for index in range(len(images))]
    if one.regularizer == "clom":
        logits = [model.net(image[None])[0] for image in images]
        losses = [toys.cross_entropy(row, label) for row, label in zip(logits, labels, strict=True)]
        return torch.stack(losses).mean()
    chosen = torch.randint(len(data.labels), (one.cclom_batch,), generator=stream).tolist()
    same, every = torch.zeros(()), torch.zeros(())
    for image, label in zip(images, labels, strict=True):
        feature = model.net.embed(image[None])[0]
        for index in chosen:
            distance = 1 - cosine(feature, model.net.embed(data.images[index][None])[0].detach())
            every = every + distance
            if int(data.labels[index]) == label:
                same = same + distance
    return same / every


def changed(images: Tensor, one: Recipe, streams: Streams) -> Any:
    change = augment.draw(streams.augment, 1, 8, one.dsa_strategy, shared=True)
    return lambda batch: torch.cat([augment.apply(image[None], change) for image in batch])


def dm_match(net: Any, images: Tensor, data: Dataset, one: Recipe, streams: Streams) -> Tensor:
    total = torch.zeros(())
    for label in range(3):
        real = data.sample(label, one.batch_real, streams.batch)
        change = changed(images, one, streams)
        means = [
            torch.stack([net.embed(image[None])[0] for image in change(batch)]).mean(0)
            for batch in (real, images[2 * label : 2 * label + 2])
        ]
        total = total + ((means[0].detach() - means[1]) ** 2).sum()
    return total


def dc_match(net: Any, images: Tensor, data: Dataset, one: Recipe, streams: Streams) -> Tensor:
    total = torch.zeros(())
    for label in range(3):
        real = data.sample(label, one.batch_real, streams.batch)
        change = changed(images, one, streams)
        gradients = []
        for batch in (real, images[2 * label : 2 * label + 2]):
            losses = [toys.cross_entropy(net(image[None])[0], label) for image in change(batch)]
            gradients.append(torch.autograd.grad(torch.stack(losses).mean(), list(net.parameters()), create_graph=True))
        for theirs, ours in zip(*gradients, strict=True):
            if theirs.ndim > 1:
                for row, other in zip(theirs.flatten(1).detach(), ours.flatten(1), strict=True):
                    total = total + 1 - cosine(row, other, 1e-6)
    return total


def train(net: Any, images: Tensor, one: Recipe, streams: Streams) -> None:
    for _ in range(one.inner_epochs):
        for chunk in torch.randperm(6, generator=streams.batch).split(one.batch_train):
            batch = augment.independent(images[chunk].detach(), one.dsa_strategy, streams.augment)
            losses = [toys.cross_entropy(net(x[None])[0], int(i) // 2) for x, i in zip(batch, chunk, strict=True)]
            slopes = torch.autograd.grad(torch.stack(losses).mean(), list(net.parameters()))
            with torch.no_grad():
                for parameter, slope in zip(net.parameters(), slopes, strict=True):
                    parameter.sub_(one.lr_net * slope)


def by_hand(one: Recipe, data: Dataset, pool: Pool | None) -> Tensor:
    streams = Streams(one.seed)
    images = torch.cat([data.sample(label, 2, streams.images) for label in range(3)]).requires_grad_()
    velocity = torch.zeros_like(images)
    nn.build("convnet1", **SHAPE, generator=streams.network)  # the loop builds its network before the first iteration
    for _ in range(one.iterations):
        net = nn.build("convnet1", **SHAPE, generator=streams.network)
        for loop in range(one.outer_loops):
            if loop:
                train(net, images, one, streams)
            match = dm_match if one.method == "dm" else dc_match
            loss = match(net, images, data, one, streams)
            if pool is not None:
                loss = loss + one.alpha * guidance(one, pool, images, data, streams.ptm)
            (slope,) = torch.autograd.grad(loss, [images])
            velocity = 0.5 * velocity + slope
            images = (images - one.lr_img * velocity).detach().requires_grad_()
    return images.detach()


@pytest.mark.parametrize("regularizer", ["none", "clom", "cclom"])
@pytest.mark.parametrize("method", ["dc", "dsa", "dm"])
def test_a_trajectory_is_the_one_written_out(method: str, regularizer: str, data: Dataset, pool: Pool) -> None:
    one = recipe(method=method, regularizer=regularizer)
    guided = pool if one.alpha else None
    ours = distill(one, data, guided, Streams(one.seed), Tracker()).decode().images
    expected = by_hand(one, data, guided)
    start = by_hand(one.model_copy(update={"iterations": 0}), data, guided)
    assert (expected - start).abs().max() > 0.05  # it went somewhere
    torch.testing.assert_close(ours, expected, rtol=2e-3, atol=2e-3 * float((expected - start).abs().max()))


def test_alpha_scales_the_guidance_linearly(data: Dataset, pool: Pool) -> None:
    """After one step from the same images: S(α) − S(0) is proportional to α."""

    def after(alpha: float) -> Tensor:
        one = recipe(method="dm", alpha=alpha, iterations=1)
        return distill(one, data, pool if alpha else None, Streams(1), Tracker()).decode().images

    base = after(0.0)
    torch.testing.assert_close(after(8.0) - base, 4 * (after(2.0) - base), rtol=1e-3, atol=1e-5)


def test_ptms_are_left_as_they_were(data: Dataset, pool: Pool) -> None:
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in networks(pool)]
    distill(recipe(method="dm"), data, pool, Streams(1), Tracker())
    assert len(before) == 2
    for net, state in zip(networks(pool), before, strict=True):
        assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
        assert all(parameter.grad is None for parameter in net.parameters())


def test_divergence_is_reported_with_the_step(data: Dataset) -> None:
    with pytest.raises(Diverged, match=r"the loss is (nan|inf) at step \d+ of 5"):
        distill(recipe(method="dm", alpha=0.0, lr_img=1e30), data, None, Streams(1), Tracker())


class BatchDependent:
    """A network whose answer to one image depends on those it sees with it, as the last bits of any network do."""

    def __init__(self, net: nn.Network) -> None:
        self.net = net

    def embed(self, images: Tensor) -> Tensor:
        return self.net.embed(images) * (1 + images.mean())

    def __call__(self, images: Tensor) -> Tensor:
        return self.net(images)


@pytest.mark.parametrize("budget", [10**6, 12_000, 0])
@pytest.mark.parametrize("boundary", [1, 2, 3, 4])
def test_a_resumed_distillation_computes_real_features_in_the_same_batches(
    data: Dataset, monkeypatch: pytest.MonkeyPatch, boundary: int, budget: int
) -> None:
    """With a budget for the features of both PTMs, of the first, and of none; in several blocks."""
    toys.bound_passes(monkeypatch, 16)
    one = recipe(method="dm", regularizer="cclom", alpha=50.0, n_models=2, seed=3)

    def run(checkpoints: Checkpoints) -> Tensor:
        nets = [nn.build("convnet1", **SHAPE, generator=rng.generator(9, "ptm", index)) for index in range(2)]
        frozen = [BatchDependent(net.requires_grad_(False).eval()) for net in nets]
        pool = Pool([[PretrainedModel("convnet1", net, InputTransform(3)) for net in frozen]], budget)
        slot = FileSlot(Path("distill.safetensors"), {}, checkpoints)
        return distill(one, data, pool, Streams(one.seed), Tracker(), slot).decode().images

    whole = run(Checkpoints())
    Path("distill.safetensors").unlink()
    asks = iter(range(1, boundary + 1))
    with pytest.raises(Interrupted):
        run(Checkpoints(leave=lambda: next(asks) == boundary))
    assert torch.equal(run(Checkpoints()), whole)
