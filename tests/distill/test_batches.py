"""The batches of a step, and the number of kernels it starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ddsweep import augment
from ddsweep.distill.matching import Matching, as_match
from ddsweep.distill.methods import distribution_matching, gradient_matching
from ddsweep.distill.methods.batches import draw
from ddsweep.distill.methods.distribution_matching import DistributionMatching
from ddsweep.distill.methods.gradient_matching import GradientMatching
from ddsweep.numerics import Numerics
from ddsweep.registry.datasets import FULL_STRATEGY
from ddsweep.rng import Streams
from tests import toys


def test_each_class_draws_real_images_and_a_change_for_both_sides() -> None:
    data, synthetic, streams = toys.dataset(), toys.synthetic(), Streams(7)
    drawn = draw(data, range(3), 5, FULL_STRATEGY, Streams(7))
    assert drawn.counts == [5, 5, 5]
    real, ours = drawn.real(data).split(5), drawn.synthetic(synthetic).split(synthetic.ipc)
    for label in range(3):
        images = data.sample(label, 5, streams.batch)
        change = augment.draw(streams.augment, 1, data.size, FULL_STRATEGY, shared=True)
        torch.testing.assert_close(real[label], augment.apply(images, change), rtol=1e-12, atol=1e-12)
        expected = augment.apply(synthetic.images[2 * label : 2 * label + 2], change)
        torch.testing.assert_close(ours[label], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("images", "expected"), [(1, [[0], [1], [2]]), (5, [[0], [1], [2]]), (6, [[0, 1], [2]]), (99, [[0, 1, 2]])]
)
def test_a_split_keeps_classes_consecutive(images: int, expected: list[list[int]]) -> None:
    data, synthetic = toys.dataset(), toys.synthetic()
    drawn = draw(data, range(3), 5, FULL_STRATEGY, Streams(7))
    split = list(drawn.split(images))
    assert [part.labels for part in split] == expected
    for whole, parts in [
        (drawn.real(data), [part.real(data) for part in split]),
        (drawn.synthetic(synthetic), [part.synthetic(synthetic) for part in split]),
    ]:
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=1e-12)


def matching(method: str, net: Any) -> Matching:
    numerics = Numerics(vectorize=True)
    if method == "dm":
        return DistributionMatching(net, distribution_matching.Settings(4, FULL_STRATEGY), numerics)
    return GradientMatching(net, gradient_matching.Settings(4, FULL_STRATEGY, outer_loops=1), numerics)


@pytest.mark.parametrize("method", ["dm", "dsa"])
def test_a_step_of_a_gpu_starts_few_kernels_for_each_further_class(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A class more is a crop more, a draw on the CPU, and for gradient matching its entry in some lists."""

    def kernels(classes: int) -> int:
        toys.bound_passes(monkeypatch, 10**6)
        net, data = toys.Net(classes=classes), toys.dataset(classes, per_class=5)
        synthetic = toys.synthetic(classes=classes)
        with toys.Kernels() as counted:
            for match in matching(method, net).episode(synthetic, data, Streams(0)):
                torch.autograd.grad(as_match(match).loss, [synthetic.images])
        return counted.number

    few, many = kernels(20), kernels(60)
    print(few, many)
    assert (many - few) / 40 < 3
