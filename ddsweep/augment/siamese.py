"""The differentiable siamese augmentation (DSA; Zhao & Bilen 2021), shared by distillation and evaluation.

A strategy names operations, joined by ``_``: ``color_crop_cutout_flip_scale_rotate``. ``draw`` chooses one of them
and its parameters, and ``apply`` applies it to any batch. Real and synthetic images are augmented alike (siamese)
because both get the same ``Params``, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ddsweep.errors import UserError, closest
from ddsweep.rng import copy_to

# every operation, with its parameters in the order of their columns and the values that change nothing
NEUTRAL: dict[str, dict[str, float]] = {
    "none": {},
    "color": {"brightness": 0.0, "saturation": 1.0, "contrast": 1.0},
    "crop": {"rows": 0.0, "columns": 0.0},
    "cutout": {"row": 0.0, "column": 0.0, "side": 0.0},
    "flip": {"mirror": 0.0},
    "scale": {"x": 1.0, "y": 1.0},
    "rotate": {"degrees": 0.0},
}
OPERATIONS = tuple(name for name in NEUTRAL if name != "none")

CROP = 0.125  # largest shift, as a fraction of the side
CUTOUT = 0.5  # side of the hole, as a fraction of the side
SCALE = 1.2
DEGREES = 15.0


@dataclass(frozen=True, eq=False)
class Params:
    """One operation and its parameters, on the CPU: one row for all images, or one row per image.

    ==========  ==========================  ==================================================================
    ``op``      columns of ``values``       x becomes
    ==========  ==========================  ==================================================================
    ``color``   brightness b, saturation s, x + b; then (x - m)·s + m with m the mean of a pixel's channels;
                contrast k                  then (x - m)·k + m with m the mean of the image
    ``crop``    rows r, columns c           y[i, j] = x[i + r, j + c], zero outside; whole pixels
    ``cutout``  row, column, side h         zero where row - h//2 <= i < row - h//2 + h; likewise for columns
    ``flip``    mirror                      left and right exchanged where mirror is not 0
    ``scale``   x, y                        read at (x·column, y·row) from the center, bilinear, zero outside:
                                            above 1 the picture shrinks
    ``rotate``  degrees t                   read at [[cos t, -sin t], [sin t, cos t]], bilinear, zero outside
    ``none``    –                           x
    ==========  ==========================  ==================================================================

    ``Params.of("crop", rows=2)`` creates them by name.

    Raises:
        UserError: unknown operation.
        ValueError: ``values`` has not one column per parameter of the operation.
    """

    op: str
    values: Float[Tensor, "sets numbers"]

    def __post_init__(self) -> None:
        if self.op not in NEUTRAL:
            raise UserError(f"strategy: unknown operation {self.op!r}; {closest(self.op, NEUTRAL)}")
        names = list(NEUTRAL[self.op])
        if self.values.ndim != 2 or self.values.shape[1] != len(names):
            raise ValueError(
                f"{self.op}: values of shape {tuple(self.values.shape)}, expected [sets, {len(names)}]: {names}"
            )

    @classmethod
    def of(cls, op: str, **numbers: int | float | Sequence[int | float]) -> Params:
        """Return parameters by name, each one number for all images or one number per image; the others are neutral.

        ``Params.of("color", saturation=0)`` grays every image, ``Params.of("flip", mirror=[1, 0])`` mirrors the first
        of two.

        Raises:
            UserError: unknown operation, or unknown parameter of it.
        """
        neutral = NEUTRAL.get(op, {})
        for name in numbers:
            if op in NEUTRAL and name not in neutral:
                raise UserError(f"{op}: unknown parameter {name!r}; {closest(name, neutral)}")
        if not neutral:
            return cls(op, torch.zeros(1, 0))
        given = [torch.as_tensor(numbers.get(name, value), dtype=torch.float32) for name, value in neutral.items()]
        return cls(op, torch.stack(torch.broadcast_tensors(*(column.reshape(-1) for column in given)), dim=1))


def operations(strategy: str, known: Sequence[str] = OPERATIONS) -> list[str]:
    """Return the operations of a strategy; an empty list for ``none``.

    Raises:
        UserError: unknown operation.
    """
    chosen = [] if strategy == "none" else strategy.split("_")
    for name in chosen:
        if name not in known:
            raise UserError(f"strategy: unknown operation {name!r}; {closest(name, known)}, joined by _, or none")
    return chosen


def draw(generator: torch.Generator, n: int, size: int, strategy: str, shared: bool) -> Params:
    """Draw one operation of the strategy, each with the same probability, and its parameters.

    With u ~ U[0, 1) and s the side of the image: brightness u - 0.5, saturation 2u, contrast u + 0.5; crop in
    [-p, p] with p = int(s/8 + 0.5); cutout of side h = int(s/2 + 0.5) centered in [0, s - (h odd)]; flip with
    probability 0.5; scale u·(1.2 - 1/1.2) + 1/1.2 per axis; rotate (u - 0.5)·30 degrees.

    Args:
        generator: draws the operation, then the parameters.
        n: number of images in the batch.
        size: height and width of the images in pixels.
        strategy: operations joined by ``_``, or ``none``, which draws nothing.
        shared: one set of parameters for all images (siamese, in distillation) or one per image (in training).

    Raises:
        UserError: unknown operation.
    """
    chosen = operations(strategy)
    if not chosen:
        return Params.of("none")
    op = chosen[int(torch.randint(len(chosen), (), generator=generator))]
    return Params(op, _numbers(op, 1 if shared else n, size, generator))


def _numbers(op: str, sets: int, size: int, generator: torch.Generator) -> Float[Tensor, "sets numbers"]:
    def uniform(columns: int) -> Tensor:
        return torch.rand(sets, columns, generator=generator, dtype=torch.float32)

    def whole(low: int, high: int) -> Tensor:  # both ends included
        return torch.randint(low, high + 1, (sets, 2), generator=generator).float()

    if op == "color":
        return uniform(3) * torch.tensor([1.0, 2.0, 1.0]) + torch.tensor([-0.5, 0.0, 0.5])
    if op == "crop":
        largest = int(size * CROP + 0.5)
        return whole(-largest, largest)
    if op == "cutout":
        side = int(size * CUTOUT + 0.5)
        return torch.cat([whole(0, size - side % 2), torch.full((sets, 1), float(side))], dim=1)
    if op == "flip":
        return (uniform(1) < 0.5).float()
    if op == "scale":
        return uniform(2) * (SCALE - 1 / SCALE) + 1 / SCALE
    return (uniform(1) - 0.5) * 2 * DEGREES


def apply(images: Float[Tensor, "n c h w"], params: Params, align_corners: bool = False) -> Float[Tensor, "n c h w"]:
    """Apply an operation (see the table in ``Params``); gradients flow to ``images``.

    Args:
        images: any batch if the parameters are shared, otherwise the batch they were drawn for.
        params: from ``draw`` or ``Params.of``.
        align_corners: the pixel grid of scale and rotate: False in the code of DSA, True in that of MTT and DD-Ranking.
            Relative to the center of a square image, both sample the same places up to rounding.

    Raises:
        ValueError: there is one row per image, but another number of images.
    """
    if params.op == "none":
        return images
    if len(params.values) not in (1, len(images)):
        raise ValueError(f"{params.op}: parameters of {len(params.values)} images applied to {len(images)}")
    if params.op in ("scale", "rotate"):
        return _affine(images, _theta(params.op, params.values.to(images.dtype)), align_corners)
    return _PIXELWISE[params.op](images, params.values)


def independent(
    images: Float[Tensor, "n c h w"], strategy: str, generator: torch.Generator
) -> Float[Tensor, "n c h w"]:
    """Apply one operation to the batch, with separate parameters for every image, as in training."""
    return apply(images, draw(generator, len(images), images.shape[-1], strategy, shared=False))


def batches(
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    size: int,
    generator: torch.Generator,
    change: Callable[[Tensor], Tensor],
) -> Iterator[tuple[Float[Tensor, "m c h w"], Int64[Tensor, " m"]]]:
    """Yield the batches of one epoch: each image once, in random order, ``size`` at a time, after ``change``."""
    order = copy_to(torch.randperm(len(images), generator=generator), images.device)
    for index in order.split(size):
        yield change(images[index]), labels[index]


def _color(images: Tensor, values: Tensor) -> Tensor:
    brightness, saturation, contrast = copy_to(values.to(images.dtype), images.device).T[:, :, None, None, None]
    images = images + brightness
    gray = images.mean(dim=1, keepdim=True)
    images = (images - gray) * saturation + gray
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * contrast + mean


def _crop(images: Tensor, values: Tensor) -> Tensor:
    if len(values) == 1:  # this case is differentiated: padding is one kernel, and its backward is deterministic
        down, right = (max(-side, min(int(x), side)) for x, side in zip(values[0], images.shape[2:], strict=True))
        return F.pad(images, (-right, right, -down, down))
    shifts = copy_to(values.long(), images.device)
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    return take(images, rows + shifts[:, :1], columns + shifts[:, 1:], torch.zeros_like(images[:1, :, :1, :1]))


def _cutout(images: Tensor, values: Tensor) -> Tensor:
    row, column, side = copy_to(values.long(), images.device).T

    def inside(length: int, center: Tensor) -> Bool[Tensor, "sets length"]:
        distance = torch.arange(length, device=images.device) - (center - side // 2)[:, None]
        return (distance >= 0) & (distance < side[:, None])

    hole = inside(images.shape[2], row)[:, None, :, None] & inside(images.shape[3], column)[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def _flip(images: Tensor, values: Tensor) -> Tensor:
    mirror = copy_to(values.bool(), images.device)[:, :, None, None]
    return torch.where(mirror, images.flip(3), images)


_PIXELWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": _color,
    "crop": _crop,
    "cutout": _cutout,
    "flip": _flip,
}


def _theta(op: str, values: Tensor) -> Float[Tensor, "sets 2 3"]:
    zero = torch.zeros(len(values), dtype=values.dtype)
    if op == "scale":
        rows = values[:, 0], zero, zero, zero, values[:, 1], zero
    else:
        cos, sin = torch.cos(values[:, 0] * math.pi / 180), torch.sin(values[:, 0] * math.pi / 180)
        rows = cos, -sin, zero, sin, cos, zero
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _affine(images: Tensor, theta: Float[Tensor, "sets 2 3"], align_corners: bool) -> Tensor:
    shape = [len(theta), *images.shape[1:]]
    grid = F.affine_grid(copy_to(theta, images.device), shape, align_corners=align_corners)
    return F.grid_sample(images, grid.expand(len(images), -1, -1, -1), align_corners=align_corners)


def take(images: Tensor, rows: Int64[Tensor, "n h"], columns: Int64[Tensor, "n w"], fill: Tensor) -> Tensor:
    """Return y[k, :, i, j] = x[k, :, rows[k, i], columns[k, j]], and ``fill`` outside of the image."""
    n, c, h, w = images.shape
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[:, None, None, :]
    image = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(c, device=images.device)[:, None, None]
    taken = images[image, channel, rows.clamp(0, h - 1)[:, None, :, None], columns.clamp(0, w - 1)[:, None, None, :]]
    return torch.where(inside, taken, fill)
