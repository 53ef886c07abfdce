"""A batch in passes: as many images as the device likes, and the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ddsweep import device as devices
from ddsweep.nn import microbatches
from tests import toys

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("size", "device", "at_most", "expected"),
    [
        (32, CPU, None, 32), (32, GPU, None, 4096), (16, CPU, None, 128), (224, CPU, None, 1), (224, GPU, None, 83),
        (32, CPU, 2**20, 32), (32, GPU, 2**20, 1024), (32, torch.device("mps"), None, 4096),
    ],
)  # fmt: skip
def test_images_per_pass(size: int, device: torch.device, at_most: int | None, expected: int) -> None:
    assert microbatches.microbatch_size(size, device, at_most) == expected


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        (256, 32, 32), (100, 32, 25), (500, 32, 25), (10000, 32, 25), (10, 32, 10), (32, 32, 32), (33, 32, 32),
        (34, 32, 17), (244, 32, 32), (7, 1, 1), (0, 32, 1),
    ],
)  # fmt: skip
def test_passes_are_alike_where_that_costs_little(count: int, most: int, expected: int) -> None:
    assert microbatches.equal_size(count, most) == expected


@pytest.mark.parametrize(("count", "most", "expected"), [(10, 7, 5), (10, 10, 10), (100, 27, 25), (5, 0, 1), (7, 3, 3)])
def test_equal_groups(count: int, most: int, expected: int) -> None:
    assert microbatches.group_size(count, most) == expected


def test_a_graph_has_a_share_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "memory", lambda where: 16 * 2**30)
    assert microbatches.max_images_with_graph(32, CPU) == 838
    assert microbatches.max_images_with_graph(224, CPU) == 17


@pytest.mark.parametrize(
    ("room", "at_once", "seen"),
    [(99, 4, [4, 4, 3]), (99, 99, [11]), (5, 4, [4, 4, 3] * 2), (3, 4, [3, 3, 3, 2] * 2), (6, 99, [6, 5] * 2)],
)
def test_a_graph_without_room_is_made_twice(
    monkeypatch: pytest.MonkeyPatch, room: int, at_once: int, seen: list[int]
) -> None:
    net, images = toys.Net(), toys.noise(11, 3, 8, 8).requires_grad_()
    expected = net.embed(images)
    (slope,) = torch.autograd.grad(expected.square().sum(), [images])
    toys.bound_passes(monkeypatch, at_once)
    toys.bound_memory(monkeypatch, room)
    sizes: list[int] = []
    net.conv.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    found = microbatches.apply(net.embed, images)
    (again,) = torch.autograd.grad(found.square().sum(), [images])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again, slope, rtol=1e-12, atol=1e-12)
    assert sorted(sizes) == sorted(seen)
    with torch.no_grad():
        microbatches.apply(net.embed, images)
    assert sum(sizes) == sum(seen) + 11


def test_a_view_that_resizes_takes_as_many_as_its_own_size_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    toys.bound_passes(monkeypatch, 8)
    seen: list[int] = []

    def view(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images.flatten(1)

    images = toys.noise(8, 3, 8, 8)
    assert torch.equal(microbatches.apply(view, images, size=16), images.flatten(1))
    microbatches.apply(view, images)
    microbatches.apply(view, images, size=64, whole=True)
    assert seen == [2, 2, 2, 2, 8, 8]


def mean_loss(net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, labels: cross_entropy(net(images), labels)


@pytest.mark.parametrize("at_once", [1, 4, 5, 60])
def test_passes_add_up_to_the_gradient_of_the_batch(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    toys.bound_passes(monkeypatch, at_once)
    net, data = toys.Net(), toys.dataset(per_class=4)
    images, labels = data.images[:11], data.labels[:11]
    expected = torch.autograd.grad(mean_loss(net)(images, labels), list(net.parameters()))
    seen: list[int] = []
    net.conv.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    microbatches.backward(net, mean_loss(net), images, labels)
    assert seen == {1: [1] * 11, 4: [4, 4, 3], 5: [5, 5, 1], 60: [11]}[at_once]
    for parameter, slope in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, slope, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("norm", "training", "seen"), [("batch", True, [60]), ("batch", False, [4] * 15), ("group", True, [4] * 15)]
)
def test_batch_norm_takes_the_whole_batch_while_it_trains(
    monkeypatch: pytest.MonkeyPatch, norm: str, training: bool, seen: list[int]
) -> None:
    toys.bound_passes(monkeypatch, 4)
    net, data = toys.Net(norm=norm).train(training), toys.dataset()
    sizes: list[int] = []
    net.conv.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    microbatches.backward(net, mean_loss(net), data.images[:], data.labels)
    assert sizes == seen
