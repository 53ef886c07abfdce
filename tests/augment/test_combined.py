"""The augmentation of IDC: the order of its operations, what is drawn, and the pixels."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from ddsweep.augment import combined
from ddsweep.errors import UserError
from ddsweep.registry.datasets import FULL_STRATEGY
from tests import toys
from tests.augment.test_siamese import ORACLES, seeded


def names(strategy: str, seed: int, shared: bool = True) -> list[str]:
    return [change.op for change in combined.draw(seeded(seed), 4, 8, strategy, shared)]


def test_every_listed_operation_is_applied_but_one_of_crop_scale_and_rotate() -> None:
    seen = Counter(tuple(names(FULL_STRATEGY, seed)) for seed in range(300))
    assert set(seen) == {("flip", "color", one, "cutout") for one in ("crop", "scale", "rotate")}
    assert all(count == pytest.approx(100, abs=33) for count in seen.values())


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("color_crop_cutout", ["color", "crop", "cutout"]),  # matching
        ("cutout_crop_color", ["color", "crop", "cutout"]),
        ("color_crop", ["color", "crop"]),  # training of the network
        ("cutout_flip", ["flip", "cutout"]),
        ("none", []),
    ],
)
def test_the_order_is_fixed(strategy: str, expected: list[str]) -> None:
    assert names(strategy, 0) == expected


@pytest.mark.parametrize("shared", [True, False])
def test_the_pixels_are_those_of_one_formula_after_the_other(shared: bool) -> None:
    images = toys.noise(3, 3, 8, 8)
    for seed in range(6):
        changes = combined.draw(seeded(seed), 3, 8, FULL_STRATEGY, shared)
        assert all(len(change.values) == (1 if shared else 3) for change in changes)
        expected = images.clone()
        for change in changes:
            rows = change.values.double().expand(3, -1).tolist()
            expected = torch.stack([ORACLES[change.op](x, *row) for x, row in zip(expected, rows, strict=True)])
        torch.testing.assert_close(combined.apply(images, changes), expected, atol=1e-6, rtol=1e-6)


def test_real_and_synthetic_images_change_alike() -> None:
    """One draw for both: a batch of any size is changed like each of its images alone."""
    both = toys.noise(7, 3, 8, 8).requires_grad_()
    changes = combined.draw(seeded(2), 1, 8, FULL_STRATEGY, shared=True)
    apart = torch.cat([combined.apply(part, changes) for part in both.split([5, 2])])
    together = combined.apply(both, changes)
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-12)
    probe = toys.noise(*both.shape, seed=1)
    slopes: list[Tensor] = [torch.autograd.grad(one, [both], probe)[0] for one in (apart, together)]
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)


def test_in_training_every_image_has_its_own_parameters() -> None:
    images = toys.noise(1, 3, 8, 8).expand(50, -1, -1, -1)
    changed = combined.independent(images, "color_crop", seeded(1))
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 50


def test_an_unknown_operation_is_named() -> None:
    with pytest.raises(UserError, match="strategy: unknown operation 'blur'"):
        combined.draw(seeded(), 4, 8, "color_blur", shared=True)
