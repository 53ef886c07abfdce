"""How far apart two gradients are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.errors import UserError, closest

Metric = Literal["rows", "mse", "cos"]
EPSILON = 1e-6


def distance(synthetic: Sequence[Tensor], real: Sequence[Tensor], metric: str = "rows") -> Float[Tensor, ""]:
    """Distance between two gradients, given as one tensor per parameter.

    ``rows`` (DC's layer-wise distance): Σ over rows a of 1 - <a, b> / (|a|·|b| + 1e-6). A parameter of two or more
    dimensions has one row per output, the rest flattened; biases and norm weights (one dimension) contribute 0, a row
    of zeros 1. ``mse``: squared L2 norm of the difference of all parameters. ``cos``: 1 - <a, b> / (|a|·|b| + 1e-6)
    of all parameters as one vector.

    Args:
        synthetic: gradient of the loss on synthetic images; the result is differentiable in it.
        real: gradient of the loss on real images, same shapes.
        metric: as above.

    Raises:
        UserError: no such metric.
    """
    if metric == "rows":
        pairs = [(a.flatten(1), b.flatten(1)) for a, b in zip(synthetic, real, strict=True) if a.ndim > 1]
        return torch.stack([_cosine_distance(a, b).sum() for a, b in pairs]).sum()
    if metric not in get_args(Metric):
        raise UserError(f"metric: no distance {metric!r}; {closest(metric, get_args(Metric))}")
    ours, theirs = (torch.cat([part.flatten() for part in parts]) for parts in (synthetic, real))
    return (ours - theirs).square().sum() if metric == "mse" else _cosine_distance(ours, theirs)


def _cosine_distance(a: Float[Tensor, "*rows d"], b: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows"]:
    return 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + EPSILON)
