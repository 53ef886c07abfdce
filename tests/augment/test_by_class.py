"""Several classes augmented at once: the numbers, the gradients, and how many kernels that takes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ddsweep import augment
from ddsweep.augment import OPERATIONS, Params
from ddsweep.registry.datasets import FULL_STRATEGY
from tests import toys

KINDS = [*OPERATIONS, "none"]


def one_by_one(images: Tensor, counts: list[int], changes: list[Params]) -> Tensor:
    parts = zip(images.split(counts), changes, strict=True)
    return torch.cat([augment.apply(part, change) for part, change in parts])


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(KINDS)), min_size=1, max_size=8), st.booleans())
def test_every_class_gets_its_own(classes: list[tuple[int, str]], graph: bool) -> None:
    counts = [count for count, _ in classes]
    generator = torch.Generator().manual_seed(len(classes))
    changes = [augment.draw(generator, 1, 9, op, shared=True) for _, op in classes]
    images = toys.noise(sum(counts), 3, 9, 9).requires_grad_(graph)
    found, expected = (how(images, counts, changes) for how in (augment.apply_by_class, one_by_one))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    if graph:
        probe = toys.noise(*images.shape, seed=1)
        slopes = [torch.autograd.grad(one, [images], probe)[0] for one in (found, expected)]
        torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-12)


def test_what_does_not_fit_is_refused() -> None:
    images, one = toys.noise(4, 3, 8, 8), Params.of("flip", mirror=1)
    with pytest.raises(ValueError, match="2 classes with"):
        augment.apply_by_class(images, [2, 2], [one])
    with pytest.raises(ValueError, match=r"1 classes with \[2\] rows"):
        augment.apply_by_class(images, [4], [Params.of("flip", mirror=[1, 0])])


@pytest.mark.parametrize("graph", [False, True])
def test_kernels_do_not_grow_with_the_classes(graph: bool) -> None:
    """But for the crops of images that are learned, one or two a class."""

    def kernels(classes: int) -> int:
        generator = torch.Generator().manual_seed(1)
        changes = [augment.draw(generator, 1, 8, FULL_STRATEGY, shared=True) for _ in range(classes)]
        assert {change.op for change in changes} == set(OPERATIONS)
        images = toys.noise(2 * classes, 3, 8, 8).requires_grad_(graph)
        with toys.Kernels() as counted:
            augment.apply_by_class(images, [2] * classes, changes)
        return counted.number - graph * sum(change.op == "crop" for change in changes)

    assert kernels(100) == kernels(40)
