"""ZCA whitening of a dataset, with which trajectory matching distills some datasets (Cazenavette et al. 2022).

With pixels in [0, 1] as vectors x of d = c·h·w values, mean μ and unbiased covariance U diag(S) Uᵀ of the training
images, an image becomes T (x − μ) with T = U diag(1 / √(S + 0.1)) Uᵀ. The covariance of whitened training images has
the eigenvalues S / (S + 0.1). T is symmetric, and T⁻¹ = U diag(√(S + 0.1)) Uᵀ.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ddsweep import checked_files, files
from ddsweep.data import paths
from ddsweep.data.cache import Stored
from ddsweep.errors import Damaged
from ddsweep.registry.datasets import DatasetInfo

log = logging.getLogger(__name__)

REGULARIZATION = 0.1
CHUNK = 4096  # images at a time: a second copy of all images would not always fit into memory


@dataclass(frozen=True, eq=False)
class Whitening:
    """The transformation of one dataset at one size; gradients flow through both directions.

    Attributes:
        mean: μ, of pixels in [0, 1].
        matrix: T.
        inverse: T⁻¹.
    """

    mean: Float[Tensor, " d"]
    matrix: Float[Tensor, "d d"]
    inverse: Float[Tensor, "d d"]

    def __call__(self, pixels: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Return T (x − μ) of pixels in [0, 1]."""
        return ((pixels.flatten(-3) - self.mean) @ self.matrix).reshape(pixels.shape)

    def invert(self, images: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Return the pixels T⁻¹ y + μ of whitened images, in [0, 1] if they were; nothing is clamped."""
        return (images.flatten(-3) @ self.inverse + self.mean).reshape(images.shape)

    def in_place(self, pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Whiten a tensor without a second copy of it, and return it."""
        for part in pixels.split(CHUNK):
            part.copy_(self(part))
        return pixels

    def to(self, device: str | torch.device) -> Whitening:
        """Return the transformation on another device."""
        return Whitening(self.mean.to(device), self.matrix.to(device), self.inverse.to(device))


def fit(pixels: UInt8[Tensor, "n c h w"], regularization: float = REGULARIZATION) -> Whitening:
    """Return the transformation of training images; the eigenvalues are computed in float64.

    Args:
        pixels: the training images in 0 … 255, at least two.
        regularization: what is added to every eigenvalue.
    """
    vectors = pixels.flatten(1)
    count, values = vectors.shape
    total = torch.zeros(values, dtype=torch.float64)
    for part in vectors.split(CHUNK):
        total += part.to(torch.float64).sum(0)
    mean = total / (255 * count)
    covariance = torch.zeros(values, values, dtype=torch.float64)
    for part in vectors.split(CHUNK):
        centered = (part.to(torch.float64) / 255 - mean).float()
        covariance += (centered.T @ centered).double()
    eigenvalues, vectors_of = torch.linalg.eigh(covariance / (count - 1))
    scale = (eigenvalues.clamp(min=0) + regularization).sqrt()
    matrix, inverse = (vectors_of * factor @ vectors_of.T for factor in (1 / scale, scale))
    return Whitening(mean.float(), matrix.float(), inverse.float())


def of(row: DatasetInfo, decoded: Stored) -> Whitening:
    """Return the transformation of a dataset, on the CPU.

    It is computed once and kept beside the decoded images: 3072 values need tens of seconds on a CPU core, and their
    two matrices 75 MB.

    Args:
        row: the dataset.
        decoded: its images.

    Raises:
        UserError: the file cannot be read or written.
    """
    path = paths.whitening(row)
    if files.is_read_only(path.parent) and (kept := _read(path, decoded)):
        return kept
    with files.lock(path.with_suffix(".lock")):
        files.clear_temporaries(path.parent, path.name)
        if kept := _read(path, decoded):
            return kept
        found = fit(decoded.raw.images)
        tensors = {name: getattr(found, name) for name in ("mean", "matrix", "inverse")}
        checked_files.write_tensors(path, tensors, {"data": decoded.checksum})
        return found


def _read(path: Path, decoded: Stored) -> Whitening | None:
    """Return what is kept for these images; None if there is nothing, or it is damaged.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        tensors, metadata = checked_files.read_tensors(path) if path.is_file() else ({}, {})
    except Damaged as reason:
        log.warning("%s; it is computed again", reason)
        return None
    return Whitening(**tensors) if metadata.get("data") == decoded.checksum else None
