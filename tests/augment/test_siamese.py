import math
import pydoc
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ddsweep import augment
from ddsweep.augment import Params
from ddsweep.errors import UserError
from ddsweep.registry.datasets import FULL_STRATEGY
from tests import toys


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draws(op: str, n: int = 4000, size: int = 32) -> Tensor:
    return augment.draw(seeded(), n, size, op, shared=False).values


# ---- the operations, pixel by pixel


def color(x: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    y = x + brightness
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            gray = sum(y[:, i, j]) / len(x)
            y[:, i, j] = (y[:, i, j] - gray) * saturation + gray
    mean = y.sum() / y.numel()
    return (y - mean) * contrast + mean


def crop(x: Tensor, rows: float, columns: float) -> Tensor:
    y = torch.zeros_like(x)
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            a, b = i + int(rows), j + int(columns)
            if 0 <= a < x.shape[1] and 0 <= b < x.shape[2]:
                y[:, i, j] = x[:, a, b]
    return y


def cutout(x: Tensor, row: float, column: float, side: float) -> Tensor:
    y, half = x.clone(), int(side) // 2
    for i in range(int(row) - half, int(row) - half + int(side)):
        for j in range(int(column) - half, int(column) - half + int(side)):
            if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                y[:, i, j] = 0
    return y


def flip(x: Tensor, mirror: float) -> Tensor:
    return x[:, :, list(reversed(range(x.shape[2])))] if mirror else x


def resample(x: Tensor, theta: list[list[float]], align_corners: bool) -> Tensor:
    """Bilinear, zero outside; the grid runs from -1 to 1 over pixel centers (aligned) or pixel edges."""
    size, y = x.shape[1], torch.zeros_like(x)

    def unit(pixel: int) -> float:
        return 2 * pixel / (size - 1) - 1 if align_corners else (2 * pixel + 1) / size - 1

    def pixel(unit: float) -> float:
        return (unit + 1) / 2 * (size - 1) if align_corners else ((unit + 1) * size - 1) / 2

    for i in range(size):
        for j in range(size):
            column = pixel(theta[0][0] * unit(j) + theta[0][1] * unit(i))
            row = pixel(theta[1][0] * unit(j) + theta[1][1] * unit(i))
            for a in (math.floor(row), math.floor(row) + 1):
                for b in (math.floor(column), math.floor(column) + 1):
                    if 0 <= a < size and 0 <= b < size:
                        y[:, i, j] += (1 - abs(row - a)) * (1 - abs(column - b)) * x[:, a, b]
    return y


def scale(x: Tensor, sx: float, sy: float, align_corners: bool = False) -> Tensor:
    return resample(x, [[sx, 0], [0, sy]], align_corners)


def rotate(x: Tensor, degrees: float, align_corners: bool = False) -> Tensor:
    t = math.radians(degrees)
    return resample(x, [[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]], align_corners)


ORACLES: dict[str, Callable[..., Tensor]] = {
    "color": color,
    "crop": crop,
    "cutout": cutout,
    "flip": flip,
    "scale": scale,
    "rotate": rotate,
}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("op", augment.OPERATIONS)
def test_an_operation_is_its_formula_pixel_by_pixel(op, shared):
    images = toys.noise(5, 3, 8, 8)
    for seed in range(3):
        params = augment.draw(seeded(seed), 5, 8, op, shared)
        rows = params.values.double().expand(5, -1).tolist()
        expected = torch.stack([ORACLES[op](x.clone(), *row) for x, row in zip(images, rows, strict=True)])
        torch.testing.assert_close(augment.apply(images, params), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("op", "oracle"), [("scale", scale), ("rotate", rotate)])
def test_aligned_corners_read_the_same_places(op, oracle):
    images, params = toys.noise(2, 3, 8, 8), augment.draw(seeded(), 2, 8, op, shared=True)
    aligned = torch.stack([oracle(x, *params.values[0].tolist(), align_corners=True) for x in images])
    torch.testing.assert_close(augment.apply(images, params), aligned, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("shift", [(9, 0), (0, -8), (-20, 20)])
def test_a_shift_beyond_the_image_leaves_nothing(shift):
    images = toys.noise(2, 3, 8, 8)
    for params in (Params("crop", torch.tensor([shift]).float()), Params("crop", torch.tensor([shift] * 2).float())):
        assert torch.equal(augment.apply(images, params), torch.zeros_like(images))


@pytest.mark.parametrize("op", augment.OPERATIONS)
def test_neutral_numbers_change_nothing(op):
    images = toys.noise(4, 3, 32, 32)
    torch.testing.assert_close(augment.apply(images, Params.of(op)), images, atol=1e-12, rtol=0)


def test_flipping_twice_changes_nothing():
    images, params = toys.noise(3, 3, 32, 32), Params.of("flip", mirror=[1, 0, 1])
    once = augment.apply(images, params)
    assert not torch.equal(once[0], images[0])
    assert torch.equal(once[1], images[1])
    assert torch.equal(augment.apply(once, params), images)


def test_cutout_zeroes_between_a_quarter_of_the_hole_and_all_of_it():
    holes = (augment.apply(torch.ones(4000, 1, 32, 32), Params("cutout", draws("cutout"))) == 0).sum(dim=(1, 2, 3))
    assert (holes.min(), holes.max()) == (64, 256)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("op", augment.OPERATIONS)
def test_the_gradient_is_that_of_the_formula(op, shared):
    images = toys.noise(2, 3, 6, 6).requires_grad_()
    params = augment.draw(seeded(1), 2, 6, op, shared)
    weights = toys.noise(2, 3, 6, 6, seed=9)
    (gradient,) = torch.autograd.grad((augment.apply(images, params) * weights).sum(), images)
    # every operation is affine in the image: a difference of two values is the derivative
    probe = toys.noise(2, 3, 6, 6, seed=10)
    moved = augment.apply(images + probe, params) - augment.apply(images, params)
    torch.testing.assert_close((gradient * probe).sum(), (moved * weights).sum())


# ---- drawing


def test_each_operation_is_drawn_one_time_in_six():
    generator = seeded()
    counts = Counter(augment.draw(generator, 1, 32, FULL_STRATEGY, shared=True).op for _ in range(900))
    assert set(counts) == set(augment.OPERATIONS)
    deviation = math.sqrt(900 * (1 / 6) * (5 / 6))
    assert all(abs(count - 150) < 4 * deviation for count in counts.values())


@pytest.mark.parametrize(
    ("op", "column", "low", "high"),
    [
        ("color", 0, -0.5, 0.5),
        ("color", 1, 0.0, 2.0),
        ("color", 2, 0.5, 1.5),
        ("scale", 0, 1 / 1.2, 1.2),
        ("scale", 1, 1 / 1.2, 1.2),
        ("rotate", 0, -15.0, 15.0),
    ],
)
def test_continuous_numbers_are_uniform_over_their_range(op, column, low, high):
    values = ((draws(op)[:, column] - low) / (high - low)).sort().values
    assert values[0] >= 0
    assert values[-1] <= 1
    # Kolmogorov-Smirnov: the largest gap to the uniform distribution exceeds 2/√n once in 1500 samples
    assert (values - torch.linspace(0, 1, len(values))).abs().max() < 2 / math.sqrt(len(values))


@pytest.mark.parametrize(("size", "largest"), [(32, 4), (28, 4), (8, 1), (224, 28)])
def test_crop_shifts_by_whole_pixels_up_to_an_eighth(size, largest):
    for column in draws("crop", size=size).T.tolist():
        assert set(column) == set(range(-largest, largest + 1))


@pytest.mark.parametrize(("size", "side", "last"), [(32, 16, 32), (30, 15, 29), (8, 4, 8)])
def test_cutout_is_centred_anywhere(size, side, last):
    row, column, sides = draws("cutout", size=size).T.tolist()
    assert set(row) == set(column) == set(range(last + 1))
    assert set(sides) == {side}


def test_half_of_the_images_are_mirrored():
    mirror = draws("flip")
    assert set(mirror.flatten().tolist()) == {0.0, 1.0}
    assert abs(mirror.mean() - 0.5) < 4 * 0.5 / math.sqrt(len(mirror))


@pytest.mark.parametrize("op", augment.OPERATIONS)
def test_shared_numbers_do_not_depend_on_the_size_of_the_batch(op):
    images, few = toys.noise(256, 3, 32, 32), augment.draw(seeded(3), 3, 32, op, shared=True)
    many = augment.draw(seeded(3), 256, 32, op, shared=True)
    assert torch.equal(few.values, many.values)
    torch.testing.assert_close(augment.apply(images, few)[:3], augment.apply(images[:3], few), atol=1e-12, rtol=0)


@pytest.mark.parametrize("op", ["color", "crop", "cutout", "scale", "rotate"])
def test_independent_numbers_differ_between_images(op):
    assert len(draws(op, n=16).unique(dim=0)) > 8


def test_one_batch_is_changed_by_one_operation_only():
    images = torch.ones(64, 1, 32, 32)
    for seed in range(12):  # of ones, flip changes nothing, cutout leaves ones and zeros, color moves all of an image
        changed = augment.independent(images, "cutout_color", seeded(seed))
        constant = (changed == changed[:, :, :1, :1]).flatten(1).all(dim=1)
        assert constant.all() or not constant.any()


def test_no_strategy_draws_nothing():
    generator, images = seeded(), toys.noise(2, 3, 8, 8)
    before = generator.get_state()
    assert augment.apply(images, augment.draw(generator, 2, 8, "none", shared=False)) is images
    assert augment.independent(images, "none", generator) is images
    assert torch.equal(before, generator.get_state())


# ---- by hand, and mistakes


def test_numbers_are_given_by_name():
    params = Params.of("crop", rows=[1, 2], columns=-1)
    assert params.values.tolist() == [[1, -1], [2, -1]]


def test_a_gray_image_has_equal_channels():
    gray = augment.apply(toys.noise(2, 3, 8, 8), Params.of("color", saturation=0))
    torch.testing.assert_close(gray[:, 0], gray[:, 2])


def test_unknown_operations_are_named():
    for misspelt in (
        lambda: augment.draw(seeded(), 1, 8, "color_cuotut", shared=True),
        lambda: Params.of("cuotut"),
    ):
        with pytest.raises(UserError, match="strategy: unknown operation 'cuotut'; did you mean cutout"):
            misspelt()


def test_unknown_numbers_are_named():
    with pytest.raises(UserError, match="crop: unknown parameter 'row'; did you mean rows"):
        Params.of("crop", row=1)


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="crop: values of shape"):
        Params("crop", torch.zeros(1, 3))
    with pytest.raises(ValueError, match="parameters of 2 images applied to 3"):
        augment.apply(toys.noise(3, 3, 8, 8), Params.of("flip", mirror=[0, 1]))


# ---- an epoch


def test_an_epoch_shows_every_image_once_with_its_label():
    images, labels = toys.noise(10, 1, 2, 2), torch.arange(10)
    seen = list(augment.batches(images, labels, 4, seeded(), lambda batch: -batch))
    assert [len(part) for part, _ in seen] == [4, 4, 2]
    order = torch.cat([part for _, part in seen])
    assert sorted(order.tolist()) == list(range(10)) != order.tolist()
    assert torch.equal(torch.cat([part for part, _ in seen]), -images[order])


def test_help_says_how_an_augmentation_is_drawn_and_applied() -> None:
    text = pydoc.plain(pydoc.render_doc(augment))
    functions = text.partition("\nFUNCTIONS")[2]
    for name in ("draw", "apply"):
        assert f"\n    {name}(" in functions
        assert f"ddsweep.augment.{name}(" in text
