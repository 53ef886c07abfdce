"""TM against a slow program: trajectories of five iterations, alone and guided; resuming; rates that diverge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from ddsweep import augment, nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.data import Dataset
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.sets.pixels_with_rate import PixelsWithRate
from ddsweep.numerics import Numerics
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys

CLASSES, SIZE, WIDTH, STEPS = 3, 8, 3, 5


def recipe(**choices: Any) -> Recipe:
    base = {
        "target": "shapes", "method": "tm", "size": SIZE, "ipc": 2, "arch": "convnet1", "width": WIDTH, "seed": 1,
        "lr_img": 20.0, "lr_lr": 0.002, "lr_teacher": 0.1, "syn_steps": 3, "batch_syn": 4, "expert_epochs": 2,
        "max_start_epoch": 3, "n_experts": 2, "expert_train_epochs": 4, "zca": False, "iterations": STEPS,
        "cclom_batch": 7, "alpha": 0.3, "n_models": 1,
    }  # fmt: skip
    return make(base | choices)


class Walk:
    """Two experts that move at random."""

    def __len__(self) -> int:
        return 2

    def weights(self, index: int, epoch: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        net = nn.build("convnet1", channels=3, classes=CLASSES, size=SIZE, width=WIDTH, generator=generator)
        state = dict(net.state_dict())
        for _ in range(epoch):
            state = {
                name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in state.items()
            }
        return state


@pytest.fixture
def data() -> Dataset:
    return toys.dataset(dtype=torch.float32)


@pytest.fixture
def ptm() -> nn.Network:
    generator = rng.generator(9, "ptm")
    net = nn.build("convnet1", channels=3, classes=CLASSES, size=SIZE, width=WIDTH, generator=generator)
    return net.requires_grad_(False).eval()


def distilled(
    one: Recipe, data: Dataset, ptm: nn.Network | None = None, slot: FileSlot | None = None
) -> PixelsWithRate:
    pool = None if ptm is None else Pool([[PretrainedModel("convnet1", ptm, InputTransform(3))]])
    learned = distill(one, data, pool, Streams(one.seed), Tracker(), slot, Numerics(), {"experts": Walk()})
    assert isinstance(learned, PixelsWithRate)
    return learned


def guidance(one: Recipe, ptm: nn.Network, images: Tensor, labels: Tensor, data: Dataset, streams: Streams) -> Tensor:
    """CLoM, or CCLoM pair by pair."""
    for _ in range(2):  # one architecture, one PTM
        torch.randint(1, (), generator=streams.ptm)
    if one.regularizer == "clom":
        rows = [
            toys.cross_entropy(ptm(image[None])[0], int(label)) for image, label in zip(images, labels, strict=True)
        ]
        return torch.stack(rows).mean()
    chosen = torch.randint(len(data.labels), (one.cclom_batch,), generator=streams.ptm)
    same, every = torch.zeros(()), torch.zeros(())
    for image, label in zip(images, labels, strict=True):
        for index in chosen:
            ours, theirs = ptm.embed(image[None])[0], ptm.embed(data.images[index][None])[0]
            distance = 1 - (ours @ theirs) / (ours.norm() * theirs.norm())
            every = every + distance
            same = same + distance * (int(label) == int(data.labels[index]))
    return same / every


def oracle(one: Recipe, data: Dataset, ptm: nn.Network) -> tuple[Tensor, float]:
    """Five iterations of TM with the graph of all steps, and SGD with momentum by hand."""
    streams, net = Streams(one.seed), nn.build("convnet1", channels=3, classes=CLASSES, size=SIZE, width=WIDTH)
    images = torch.cat([data.sample(label, one.ipc, streams.images) for label in range(CLASSES)])
    labels = torch.arange(CLASSES).repeat_interleave(one.ipc)
    rate, names = torch.tensor(one.lr_teacher), [name for name, _ in net.named_parameters()]
    speeds = torch.zeros_like(images), torch.zeros(())
    for _ in range(STEPS):
        images, rate = images.detach().requires_grad_(), rate.detach().requires_grad_()
        expert = int(torch.randint(2, (), generator=streams.batch))
        start = int(torch.randint(one.max_start_epoch, (), generator=streams.batch))
        first, target = (Walk().weights(expert, epoch) for epoch in (start, start + one.expert_epochs))
        weights = {name: first[name].requires_grad_() for name in names}
        chunks: list[Tensor] = []
        for _ in range(one.syn_steps):
            if not chunks:
                order = torch.randperm(len(images), generator=streams.batch)
                chunks = [order[:4], order[4:]]
            chosen = chunks.pop()
            change = augment.draw(streams.augment, len(chosen), SIZE, one.dsa_strategy, shared=False)
            logits = functional_call(net, weights, (augment.apply(images[chosen], change),))
            rows = zip(logits, labels[chosen], strict=True)
            loss = torch.stack([toys.cross_entropy(row, int(label)) for row, label in rows]).mean()
            slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights = {name: weights[name] - rate * slope for name, slope in zip(names, slopes, strict=True)}
        apart = torch.stack([((weights[name] - target[name]) ** 2).sum() for name in names]).sum()
        total = apart / torch.stack([((first[name].detach() - target[name]) ** 2).sum() for name in names]).sum()
        if one.regularizer != "none":
            total = total + one.alpha * guidance(one, ptm, images, labels, data, streams)
        found = torch.autograd.grad(total, [images, rate])
        speeds = 0.5 * speeds[0] + found[0], 0.5 * speeds[1] + found[1]
        images, rate = images.detach() - one.lr_img * speeds[0], rate.detach() - one.lr_lr * speeds[1]
    return images, float(rate)


@pytest.mark.parametrize(
    "choices", [{"alpha": 0}, {}, {"source": "digits", "alpha": 5.0}, {"alpha": 0, "dsa_strategy": "none"}]
)
def test_five_iterations(choices: dict[str, Any], data: Dataset, ptm: nn.Network) -> None:
    one = recipe(**choices)
    images, rate = oracle(one, data, ptm)
    found = distilled(one, data, None if one.regularizer == "none" else ptm)
    torch.testing.assert_close(found.images, images, rtol=2e-3, atol=2e-4)
    assert found.lr == pytest.approx(rate, rel=1e-3)
    assert found.decode().lr == found.lr != one.lr_teacher
    assert found.facts() == {"lr": repr(found.lr)}


@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_distillation_that_was_stopped_ends_in_the_same_bits(
    after: int, data: Dataset, ptm: nn.Network, tmp_path: Path
) -> None:
    one, seen = recipe(), 0
    whole = distilled(one, data, ptm)

    def leave() -> bool:
        nonlocal seen
        seen += 1
        return seen == after

    path = tmp_path / "distill.safetensors"
    with pytest.raises(Interrupted):
        distilled(one, data, ptm, FileSlot(path, {}, Checkpoints(leave=leave)))
    resumed = distilled(one, data, ptm, FileSlot(path, {}, Checkpoints()))
    assert torch.equal(resumed.images, whole.images)
    assert torch.equal(resumed.rate, whole.rate)


def test_a_rate_below_zero_names_the_fields(data: Dataset) -> None:
    with pytest.raises(Diverged, match=r"^syn_lr, the learned rate of the student, .* -.*; a smaller lr_lr"):
        distilled(recipe(alpha=0, lr_lr=50.0), data)


def test_a_loss_that_is_no_number_is_a_result(data: Dataset) -> None:
    with pytest.raises(Diverged, match="the loss is nan"):
        distilled(recipe(alpha=0, lr_img=1e38, lr_lr=1e-12), data)


def test_the_rate_has_a_learning_rate_of_its_own(data: Dataset) -> None:
    learned = PixelsWithRate(torch.ones(3, 1, 2, 2, requires_grad=True), torch.arange(3), 1, 0.1, 0.01)
    optimizer = learned.optimizer(2.0)
    for _ in range(2):
        for parameter in learned.parameters().values():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    torch.testing.assert_close(learned.images.detach(), torch.full((3, 1, 2, 2), 1 - 2.0 - 2.0 * 1.5))
    assert learned.lr == pytest.approx(0.1 - 0.01 - 0.01 * 1.5)
