"""The random draws of one corrupted image, as NumPy arrays."""

from __future__ import annotations

import numpy as np
import torch

from ddsweep import rng


class Draws:
    """A generator of its own for each image, so that images can be made in any order, and at any severity from the
    same draws.

    Args:
        names: what identifies the image, see ``rng.generator``.
    """

    def __init__(self, seed: int, *names: str | int) -> None:
        self._generator = rng.generator(seed, *names)

    def normal(self, mean: float, sd: float, shape: tuple[int, ...]) -> np.ndarray:
        """N(mean, sd²) of a shape, in float64."""
        return mean + sd * torch.randn(shape, generator=self._generator, dtype=torch.float64).numpy()

    def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> np.ndarray:
        """U(low, high) of a shape, in float64."""
        return low + (high - low) * torch.rand(shape, generator=self._generator, dtype=torch.float64).numpy()

    def below(self, count: int) -> int:
        """A whole number of 0 … count − 1."""
        return int(torch.randint(count, (), generator=self._generator))
