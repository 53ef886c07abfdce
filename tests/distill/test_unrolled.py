"""The unrolled steps of trajectory matching: values and gradients against loops, in float64."""

from __future__ import annotations

import resource
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ddsweep import augment, rng
from ddsweep.distill.methods import unrolled
from ddsweep.distill.methods.unrolled import Batch, Student
from ddsweep.nn import build
from tests import toys

STRATEGY = "color_crop_cutout_flip_scale_rotate"
CLASSES, IPC, SIZE = 3, 2, 8
LABELS = torch.arange(CLASSES).repeat_interleave(IPC)


def network(name: str = "convnet2") -> nn.Module:
    return build(name, channels=2, classes=CLASSES, size=SIZE, width=3, generator=generator(0)).double()


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def written_out(
    net: nn.Module, start: Tensor, target: Tensor, images: Tensor, rate: Tensor, batches: Sequence[Batch]
) -> Tensor:
    """‖θ_N − target‖² / ‖θ_0 − target‖² with the graph of all steps."""
    shapes = {name: value.shape for name, value in net.named_parameters()}
    theta = start.clone().requires_grad_()
    for batch in batches:
        parts, first = {}, 0
        for name, shape in shapes.items():
            parts[name] = theta[first : first + shape.numel()].reshape(shape)
            first += shape.numel()
        shown = augment.apply(images[batch.indices], batch.change)
        loss = F.cross_entropy(functional_call(net, parts, (shown,)), LABELS[batch.indices])
        theta = theta - rate * torch.autograd.grad(loss, theta, create_graph=True)[0]
    return ((theta - target) ** 2).sum() / ((start - target) ** 2).sum()


def setting(net: nn.Module, steps: int, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Batch]]:
    start = torch.cat([value.detach().flatten() for value in net.parameters()])
    target = start + 0.1 * noise(len(start), seed=1)
    images = noise(CLASSES * IPC, 2, SIZE, SIZE, seed=2).requires_grad_()
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    return start, target, images, rate, unrolled.draw(len(images), SIZE, steps, batch, STRATEGY, rng.Streams(3))


@pytest.mark.parametrize(("batch", "steps", "at_once"), [(0, 3, 100), (4, 3, 100), (5, 4, 2), (0, 1, 4)])
def test_three_steps_and_their_gradients(batch: int, steps: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    start, target, images, rate, batches = setting(net, steps, batch)
    expected = written_out(net, start, target, images, rate, batches)
    to_images, to_rate = torch.autograd.grad(expected, [images, rate])
    toys.bound_passes(monkeypatch, at_once, SIZE)
    found = Student(net).match(start, target, images, LABELS, rate, batches)
    torch.testing.assert_close(found.loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.images, to_images, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(found.rate, to_rate, rtol=1e-9, atol=1e-13)


def test_gradients_are_those_of_finite_differences() -> None:
    net = network()
    start, target, images, rate, batches = setting(net, 3, 4)
    student, step = Student(net), 1e-6
    found = student.match(start, target, images, LABELS, rate, batches)

    def loss(images: Tensor, rate: Tensor) -> float:
        return float(student.match(start, target, images, LABELS, rate, batches).loss)

    direction = noise(*images.shape, seed=5)
    along = [loss(images + sign * step * direction, rate) for sign in (1, -1)]
    assert (along[0] - along[1]) / (2 * step) == pytest.approx(float((found.images * direction).sum()), rel=1e-5)
    across = [loss(images, rate + sign * step) for sign in (1, -1)]
    assert (across[0] - across[1]) / (2 * step) == pytest.approx(float(found.rate), rel=1e-5)


def test_a_batch_norm_uses_the_statistics_of_the_batch() -> None:
    net = network("convnet3-bn")
    student = Student(net)
    start, target, images, rate, batches = setting(net, 2, 0)
    expected = written_out(net, start, target, images, rate, batches)
    to_images, to_rate = torch.autograd.grad(expected, [images, rate])
    found = student.match(start, target, images, LABELS, rate, batches)
    torch.testing.assert_close(found.images, to_images, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(found.rate, to_rate, rtol=1e-9, atol=1e-13)


def test_chunks_of_a_permutation_are_used_from_the_last() -> None:
    batches = unrolled.draw(7, SIZE, 5, 3, "none", rng.Streams(0))
    own = rng.Streams(0).batch
    first, second = (torch.randperm(7, generator=own) for _ in range(2))
    expected = [first[6:], first[3:6], first[:3], second[6:], second[3:6]]
    assert [batch.indices.tolist() for batch in batches] == [part.tolist() for part in expected]


def test_all_images_at_every_step_with_an_augmentation_of_their_own() -> None:
    batches = unrolled.draw(6, SIZE, 40, 0, STRATEGY, rng.Streams(0))
    assert all(sorted(batch.indices.tolist()) == list(range(6)) for batch in batches)
    assert {batch.change.op for batch in batches} == set(STRATEGY.split("_"))
    assert {len(batch.change.values) for batch in batches} == {6}


def test_the_same_bits_twice() -> None:
    net = network().float()
    start, target, images, rate, batches = setting(net, 3, 4)
    inputs = (start.float(), target.float(), images.detach().float(), LABELS, rate.detach().float(), batches)
    one, two = (Student(net).match(*inputs) for _ in range(2))
    assert torch.equal(one.images, two.images)
    assert torch.equal(one.rate, two.rate)


def test_memory_does_not_grow_with_the_steps() -> None:
    """The graphs of all steps would: each has at least 20 feature maps of 4 MB."""
    net = build("convnet2", channels=3, classes=CLASSES, size=32, width=8, generator=generator(0))
    student, images, labels = Student(net), torch.randn(128, 3, 32, 32), torch.arange(128) % CLASSES
    start = torch.cat([value.detach().flatten() for value in net.parameters()])
    highest = []
    for steps in (2, 10):
        batches = unrolled.draw(128, 32, steps, 0, "none", rng.Streams(0))
        student.match(start, start + 0.1, images, labels, torch.tensor(0.01), batches)
        highest.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert highest[1] - highest[0] < 100
