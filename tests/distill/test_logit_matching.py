"""DiM in float64: the logit distance written out, golden steps alone and guided, and the same bits after any stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ddsweep import nn, rng
from ddsweep.augment import combined
from ddsweep.checkpoints import Checkpoints, FileSlot, Interrupted
from ddsweep.data import Dataset
from ddsweep.distill.loop import Diverged, distill
from ddsweep.distill.methods import logit_matching
from ddsweep.distill.sets.generator import GeneratorSet
from ddsweep.errors import UserError
from ddsweep.pretrained import gan, spec
from ddsweep.pretrained.gan import Gan
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.renormalize import InputTransform
from ddsweep.recipe import Recipe, make
from ddsweep.rng import Streams
from ddsweep.trackers import Tracker
from tests import toys
from tests.slow_gan import SlowGan, cross_entropy

ARCHS = ["convnet1", "resnet10-narrow-ap"]
SHAPE: dict[str, Any] = {"channels": 3, "classes": 3, "size": 8, "width": 4}
MEAN, STD = (0.5, 0.4, 0.6), (0.2, 0.1, 0.3)


@pytest.fixture(autouse=True)
def float64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DDSWEEP_CACHE", str(tmp_path / "cache"))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def data() -> Dataset:
    """60 images: three batches of 17 in a pass, fewer than the steps of an iteration."""
    return replace(toys.dataset(), mean=MEAN, std=STD)


def recipe(**choices: Any) -> Recipe:
    base = {
        "method": "dim", "target": "shapes", "size": 8, "ipc": 2, "arch": "convnet1", "width": 4, "seed": 1,
        "iterations": 2, "outer_loops": 4, "batch_real": 17, "net_images": 40, "lr_img": 0.002, "lr_net": 0.05,
        "match_archs": "+".join(ARCHS), "match_weight": 0.7, "gan_width": 8, "gan_epochs": 1, "gan_batch": 20,
        "gan_lr": 0.003, "alpha": 0, "n_models": 2, "cclom_batch": 7,
    }  # fmt: skip
    return make(base | choices)


@pytest.fixture
def pool() -> Pool:
    nets = [nn.build("convnet1", **SHAPE, generator=rng.generator(9, "ptm", index)) for index in range(2)]
    return Pool([[PretrainedModel("convnet1", net.requires_grad_(False).eval(), InputTransform(3)) for net in nets]])


def trained(one: Recipe, data: Dataset) -> Gan:
    training = spec.gan(one)
    gan.ensure(training, {training.epochs}, data, lambda *_: None)
    return gan.load(training, data)


def learn(one: Recipe, data: Dataset, pool: Pool | None = None, slot: FileSlot | None = None) -> GeneratorSet:
    found = distill(one, data, pool, Streams(one.seed), Tracker(), slot, trained={"gan": trained(one, data)})
    assert isinstance(found, GeneratorSet)
    return found


def pixels(images: Tensor) -> Tensor:
    """Normalized images in [−1, 1]."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images * std + mean) * 2 - 1


def normalized(images: Tensor, shift: float = 0.0, factor: float = 1.0) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((images + shift) * factor - mean) / std


class Sgd:
    """v ← 0.9 v + g + 5e-4 w, w ← w − lr v."""

    def __init__(self, net: torch.nn.Module, lr: float) -> None:
        self.values, self.lr = list(net.parameters()), lr
        self.velocities = [torch.zeros_like(value) for value in self.values]

    def step(self, loss: Tensor) -> None:
        slopes = torch.autograd.grad(loss, self.values)
        with torch.no_grad():
            for value, velocity, slope in zip(self.values, self.velocities, slopes, strict=True):
                velocity.mul_(0.9).add_(slope + 5e-4 * value)
                value.sub_(self.lr * velocity)


def logit_distance(net: torch.nn.Module, real: Tensor, fakes: Tensor) -> Tensor:
    """Image by image and class by class; the two halves are batches of their own."""
    total = torch.zeros(())
    ours, theirs = net(fakes), net(real).detach()
    for a, b in zip(ours, theirs, strict=True):
        for k in range(len(a)):
            total = total + ((a[k] - a.exp().sum().log()) - (b[k] - b.exp().sum().log())) ** 2
    return total / ours.numel()


def stage_one(one: Recipe, data: Dataset) -> SlowGan:
    slow = SlowGan(3, 3, 8, 8, rng.generator(one.seed, "gan", "shapes"))
    for chosen in torch.randperm(60, generator=slow.drawing).split(20):
        labels = data.labels[chosen].tolist()
        slow.step_generator(labels, one.gan_lr)
        slow.step_discriminator(pixels(data.images[chosen]), labels, one.gan_lr)
    return slow


def guidance(one: Recipe, pool: Pool, images: Tensor, labels: list[int], data: Dataset, streams: Streams) -> Tensor:
    torch.randint(1, (), generator=streams.ptm)  # one architecture
    model = pool.models[0][int(torch.randint(2, (), generator=streams.ptm))]
    if one.regularizer == "clom":
        return cross_entropy(model.net(images), labels)
    chosen = torch.randint(60, (one.cclom_batch,), generator=streams.ptm)
    ours, theirs = model.net.embed(images), model.net.embed(data.images[chosen]).detach()
    same, every = torch.zeros(()), torch.zeros(())
    for a, label in zip(ours, labels, strict=True):
        for b, other in zip(theirs, data.labels[chosen].tolist(), strict=True):
            distance = 1 - (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()
            same, every = same + distance * (label == other), every + distance
    return same / every


def slowly(one: Recipe, data: Dataset, pool: Pool | None) -> tuple[SlowGan, Tensor]:
    """Return the GAN after stage 2, and the images of the fixed noise."""
    slow, streams = stage_one(one, data), Streams(one.seed)
    nn.build("convnet1", **SHAPE, generator=streams.network)  # the loop's own network, of which DiM makes no use
    slow.drawing = streams.images
    noise = torch.randn(6, 93, generator=slow.drawing)
    for row in range(6):
        noise[row, :3] = torch.eye(3)[row // 2]
    for _ in range(one.iterations):
        nn.build("convnet1", **SHAPE, generator=streams.network)
        arch = ARCHS[int(torch.randint(2, (), generator=streams.network))]
        net = nn.build(arch, **SHAPE, generator=streams.network)
        sgd = Sgd(net, one.lr_net)
        for step in range(one.outer_loops):
            if step % 3 == 0:  # a pass has three batches of 17
                order = torch.randperm(60, generator=streams.batch)
            for chosen in torch.randperm(60, generator=streams.batch)[:34].split(17):  # 40 images: two whole batches
                images = normalized(pixels(data.images[chosen]))
                images = combined.independent(images, "color_crop", streams.augment)
                sgd.step(cross_entropy(net(images), data.labels[chosen].tolist()))
            chosen = order[step % 3 * 17 : step % 3 * 17 + 17]
            real, labels = pixels(data.images[chosen]), data.labels[chosen].tolist()
            fakes = slow.fakes(labels)
            change = combined.draw(streams.augment, 17, 8, "color_crop_cutout", shared=True)
            pair = [combined.apply(normalized(images), change) for images in (real, fakes)]
            loss = slow.generator_loss(fakes, labels) + one.match_weight * logit_distance(net, *pair)
            if pool is not None:
                loss = loss + one.alpha * guidance(one, pool, normalized(fakes, 1, 0.5), labels, data, streams)
            slow.adam.step(loss, one.lr_img)
            slow.step_discriminator(real, labels, one.lr_img)
    return slow, normalized(slow.generator.eval()(noise), 1, 0.5)


@pytest.mark.parametrize("guided", ["alone", "clom", "cclom"])
def test_golden_steps(guided: str, data: Dataset, pool: Pool) -> None:
    source: dict[str, dict[str, Any]] = {
        "alone": {},
        "clom": {"alpha": 3.0},
        "cclom": {"alpha": 50.0, "source": "digits"},
    }
    one, used = recipe(**source[guided]), None if guided == "alone" else pool
    found = learn(one, data, used)
    slow, images = slowly(one, data, used)
    for name, value in slow.generator.state_dict().items():
        torch.testing.assert_close(found.state()[name], value, rtol=1e-6, atol=1e-8, msg=name)
    decoded = found.decode()
    torch.testing.assert_close(decoded.images, images, rtol=1e-6, atol=1e-7)
    assert decoded.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.parameters().keys() == dict(slow.generator.named_parameters()).keys()


def test_guidance_changes_the_generator(data: Dataset, pool: Pool) -> None:
    alone, guided = learn(recipe(), data), learn(recipe(alpha=3.0), data, pool)
    assert not torch.equal(alone.decode().images, guided.decode().images)


@pytest.mark.parametrize("boundary", [1, 3, 4, 6])  # inside both iterations, and between them
def test_a_distillation_that_was_stopped_ends_in_the_same_bits(
    boundary: int, data: Dataset, pool: Pool, tmp_path: Path
) -> None:
    one = recipe(alpha=3.0)
    whole = learn(one, data, pool)
    asked = iter([False] * (boundary - 1) + [True])
    path = tmp_path / "distill.safetensors"
    with pytest.raises(Interrupted):
        learn(one, data, pool, FileSlot(path, {}, Checkpoints(leave=partial(next, asked))))
    resumed = learn(one, data, pool, FileSlot(path, {}, Checkpoints()))
    for name, value in whole.state().items():
        assert torch.equal(resumed.state()[name], value), name


def test_a_finished_distillation_is_read_from_its_checkpoint(data: Dataset, tmp_path: Path) -> None:
    slot = FileSlot(tmp_path / "distill.safetensors", {}, Checkpoints())
    whole, again = learn(recipe(), data, None, slot), learn(recipe(), data, None, slot)
    assert torch.equal(whole.decode().images, again.decode().images)


def test_the_logit_distance_has_two_batches(data: Dataset) -> None:
    net = nn.build("resnet10-narrow-ap", **SHAPE, generator=rng.generator(1, "net"))
    real, fakes = data.images[:9], data.images[20:29].clone().requires_grad_()
    found, expected = logit_matching.logit_distance(net, real, fakes), logit_distance(net, real, fakes)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    slopes = [torch.autograd.grad(loss, [fakes])[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-12)


def test_cifar10_has_the_rounded_statistics_of_the_original() -> None:
    images = torch.rand(2, 3, 4, 4) * 2 - 1
    one = replace(toys.dataset(size=4), name="cifar10", mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.201))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.491, 0.482, 0.447), (0.202, 0.199, 0.201)))
    torch.testing.assert_close(logit_matching._for_networks(images, one), (images - mean) / std)


def test_a_loss_that_diverges_names_the_rate(data: Dataset) -> None:
    with pytest.raises(Diverged, match=r"^lr_img: too large: the loss is .* at step 1 of 2$"):
        learn(recipe(lr_img=1e200), data)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"gan_epochs": 0}, "gan_epochs: 0 is out of range; at least 1"),
        ({"gan_batch": 1}, "gan_batch: 1 is out of range; at least 2"),
        ({"batch_real": 1}, "batch_real: 1 is out of range; at least 2"),
        ({"net_images": 0}, "net_images: 0 is out of range; at least 1"),
        ({"gan_lr": 0}, "gan_lr: 0 is out of range; the GAN would not be trained"),
        ({"match_archs": "convnet3+resnet"}, "match_archs: unknown network 'resnet'"),
        ({"match_archs": "convnet4", "size": 8}, "match_archs: convnet4 needs images of at least 16 pixels, not 8"),
        ({"init": "real"}, "init: real is not supported by dim (allowed: noise)"),
    ],
)
def test_a_mistake_is_one_line(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        recipe(**choices)
    assert str(error.value).startswith(message)


def test_the_defaults_are_those_of_the_original() -> None:
    one = make({"method": "dim", "target": "cifar10", "ipc": 10, "alpha": 0})
    assert one.match_archs == "convnet3+resnet10-narrow+resnet18-narrow+resnet10-narrow-ap+resnet18-narrow-ap"
    found = (one.iterations, one.outer_loops, one.batch_real, one.net_images, one.lr_img, one.lr_net, one.match_weight)
    assert found == (100, 781, 64, 1024, 5e-6, 0.01, 0.01)
    assert (one.gan_epochs, one.gan_batch, one.gan_lr) == (150, 128, 1e-4)
    assert (one.dsa_strategy, one.eval_rule, one.init) == ("color_crop_cutout", "dim", "noise")
    assert make({"method": "dm", "match_archs": "convnet3", "gan_epochs": 9, "alpha": 0}).gan_epochs == 0
