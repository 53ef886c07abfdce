"""The dataset ``shapes``: ten shapes drawn with random colors, position, size, rotation and noise.

A shape is a signed distance field over the plane, negative inside: a formula in x (right) and y (up) whose value near
the outline is the distance to it. The outline, at distance 0, is drawn with an edge one pixel wide, so that the same
image can be drawn at any size. Square and diamond remain distinguishable under rotation because the diamond is a narrow
rhombus.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]

TURN = math.radians(20)  # rotation is uniform in ±TURN
RADIUS = (0.5, 0.8)  # in units of half the image
NOISE = 0.04  # standard deviation of the pixel noise, in [0, 1]
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.88


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.72).abs() - 0.2


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.78


def _frame(x: Tensor, y: Tensor) -> Tensor:
    return (torch.maximum(x.abs(), y.abs()) - 0.68).abs() - 0.2


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    slope = math.sqrt(3) / 2  # sides face 30°, 150° and 270°
    return torch.maximum(slope * x.abs() + y / 2, -y) - 0.5


def _diamond(x: Tensor, y: Tensor) -> Tensor:
    half_width = 0.58
    return (x.abs() + half_width * y.abs() - half_width) / math.hypot(1, half_width)


def _bar(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_bar(x, y, 0.27, 0.95), _bar(x, y, 0.95, 0.27))


def _bars(x: Tensor, y: Tensor) -> Tensor:
    nearest = 0.68 * (x / 0.68).round().clamp(-1, 1)
    return _bar(x - nearest, y, 0.19, 0.87)


def _star(x: Tensor, y: Tensor) -> Tensor:
    # reflection at five axes maps the plane to the wedge between a tip at (1, 0) and an inner corner at 36°
    wedge = math.radians(36)
    from_tip = torch.atan2(x, y)
    angle = (from_tip - 2 * wedge * (from_tip / (2 * wedge)).round()).abs()
    along, across = torch.hypot(x, y) * angle.cos(), torch.hypot(x, y) * angle.sin()
    corner = (0.42 * math.cos(wedge), 0.42 * math.sin(wedge))
    run, rise = 1 - corner[0], corner[1]
    return (rise * (along - 1) + run * across) / math.hypot(run, rise)


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 0.92, 0.74 - torch.hypot(x - 0.45, y))


FIELDS: dict[str, Field] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "frame": _frame,
    "triangle": _triangle,
    "diamond": _diamond,
    "cross": _cross,
    "bars": _bars,
    "star": _star,
    "crescent": _crescent,
}


@dataclass(frozen=True)
class Scenes:
    """The random parameters of n images, except for the shape and the noise.

    Attributes:
        radius: [n] radius of the shape, in units of half the image.
        center: [n, 2] x and y; the shape's circle stays inside the image.
        turn: [n] rotation in radians, counterclockwise.
        ink: [n, 3] color of the shape in [0, 1].
        paper: [n, 3] color of the background.
    """

    radius: Float64[Tensor, " n"]
    center: Float64[Tensor, "n 2"]
    turn: Float64[Tensor, " n"]
    ink: Float64[Tensor, "n 3"]
    paper: Float64[Tensor, "n 3"]


def scenes(count: int, generator: torch.Generator) -> Scenes:
    """Draw ``count`` scenes: ink is dark and paper light, or the reverse with probability ½; both have random hues."""
    uniform = torch.rand((count, 12), generator=generator, dtype=torch.float64)
    radius = RADIUS[0] + (RADIUS[1] - RADIUS[0]) * uniform[:, 0]
    center = (2 * uniform[:, 1:3] - 1) * (1 - radius)[:, None]
    dark = _tinted(0.10 + 0.20 * uniform[:, 4], uniform[:, 6:9])
    light = _tinted(0.70 + 0.20 * uniform[:, 5], uniform[:, 9:12])
    turn, swap = TURN * (2 * uniform[:, 3] - 1), torch.rand((count, 1), generator=generator) < 0.5
    return Scenes(radius, center, turn, torch.where(swap, light, dark), torch.where(swap, dark, light))


def _tinted(luma: Float64[Tensor, " n"], tint: Float64[Tensor, "n 3"]) -> Float64[Tensor, "n 3"]:
    """Colors with the given luma, up to clipping, and the hue of ``tint``."""
    weights = torch.tensor(LUMA, dtype=torch.float64)
    return (luma[:, None] + 0.6 * (tint - (tint @ weights)[:, None])).clamp(0, 1)


def coverage(field: Field, scene: Scenes, size: int) -> Float64[Tensor, "n size size"]:
    """The fraction of each pixel inside the shape: ½ − distance in pixels, clipped to [0, 1]."""
    pixel = 2 / size
    steps = (torch.arange(size, dtype=torch.float64) + 0.5) * pixel - 1
    x = (steps - scene.center[:, :1])[:, None, :]
    y = (-steps - scene.center[:, 1:])[:, :, None]
    cos, sin, radius = (value[:, None, None] for value in (scene.turn.cos(), scene.turn.sin(), scene.radius))
    distance = field((cos * x + sin * y) / radius, (cos * y - sin * x) / radius) * radius
    return (0.5 - distance / pixel).clamp(0, 1)


def draw(
    per_class: int, size: int, generator: torch.Generator
) -> tuple[UInt8[Tensor, "n 3 size size"], Int64[Tensor, " n"]]:
    """Draw ``per_class`` images of each shape, class by class, at size × size pixels.

    The scenes are drawn before any noise, so that the same generator state gives the same scenes at every size.
    """
    everything = [scenes(per_class, generator) for _ in FIELDS]
    images = torch.empty((len(FIELDS) * per_class, 3, size, size), dtype=torch.uint8)
    for field, scene, target in zip(FIELDS.values(), everything, images.split(per_class), strict=True):
        inside = coverage(field, scene, size)[:, None]
        ink, paper = scene.ink[:, :, None, None], scene.paper[:, :, None, None]
        noise = torch.randn(target.shape, generator=generator, dtype=torch.float64)
        target.copy_(((paper + inside * (ink - paper) + NOISE * noise).clamp(0, 1) * 255).round())
    return images, torch.arange(len(FIELDS)).repeat_interleave(per_class)
