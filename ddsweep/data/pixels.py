"""Operations on pixels: reading an image file, resizing, statistics, conversion of channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

CHUNK = 512  # images per step: a float (or int64) copy of the whole dataset would not fit into memory
DRAFT = 4  # a JPEG is decoded at this multiple of the target size or more, then resized


def resized(images: Tensor, size: int) -> UInt8[Tensor, "n c size size"]:
    """Resize to size × size: bilinear with antialiasing, in float32, rounded to the nearest of 0…255.

    Args:
        images: [n, c, h, w], uint8 or float, in 0…255. Enlarged, the filter is the plain bilinear one (pixel centers
            at ½, ``align_corners=False``).
        size: height and width in pixels.
    """
    if images.dtype == torch.uint8 and images.shape[-2:] == (size, size):
        return images.contiguous()  # a large dataset is not copied
    out = torch.empty((*images.shape[:2], size, size), dtype=torch.uint8)
    for source, target in zip(images.split(CHUNK), out.split(CHUNK), strict=True):
        part = source.to(torch.float32)
        if part.shape[-2:] != (size, size):
            part = functional.interpolate(part, (size, size), mode="bilinear", antialias=True)
        target.copy_(part.round().clamp(0, 255))
    return out


def denormalized(
    images: Float[Tensor, "n c h w"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n c h w"]:
    """images · std + mean, clamped to [0, 1] for display; ``mean`` and ``std`` per channel, in units of [0, 1]."""
    offset, scale = (images.new_tensor(values)[:, None, None] for values in (mean, std))
    return (images * scale + offset).clamp(0, 1)


def to_symmetric(
    images: Float[Tensor, "n c h w"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n c h w"]:
    """Return normalized images as pixels in [−1, 1], which a generator makes: 2 · (images · std + mean) − 1."""
    offset, scale = (images.new_tensor(values)[:, None, None] for values in (mean, std))
    return (images * scale + offset) * 2 - 1


def from_symmetric(
    images: Float[Tensor, "n c h w"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n c h w"]:
    """Return pixels in [−1, 1] as normalized images: ((images + 1) / 2 − mean) / std; gradients flow through."""
    return standardized((images + 1) / 2, mean, std)


def standardized(
    images: Float[Tensor, "n c h w"], mean: Sequence[float], std: Sequence[float]
) -> Float[Tensor, "n c h w"]:
    """Return (images − mean) / std per channel; gradients flow through."""
    offset, scale = (images.new_tensor(values)[:, None, None] for values in (mean, std))
    return (images - offset) / scale


def statistics(images: UInt8[Tensor, "n c h w"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and population standard deviation of each channel over all images and pixels, in units of [0, 1].

    Computed from the histogram of the 256 values: exact, and without a float copy of the images. A constant channel
    gets standard deviation 1, so that normalizing it gives 0 and not NaN.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in images.unbind(1):
        parts = (torch.bincount(part.flatten(), minlength=256) for part in channel.split(CHUNK))
        histogram = sum(parts, torch.zeros(256, dtype=torch.int64)).to(torch.float64)
        weights = histogram / histogram.sum()
        center = float(weights @ values)
        variance = float(weights @ (values - center) ** 2)
        constant = bool(histogram.max() == histogram.sum())
        mean.append(center)
        std.append(1.0 if constant else math.sqrt(variance))
    return tuple(mean), tuple(std)


def as_channels(images: Float[Tensor, "n c h w"], channels: int) -> Float[Tensor, "n channels h w"]:
    """Return the images with 1 or 3 channels, for a network of another domain; gradients flow through.

    Grayscale becomes RGB by repetition (a view), and RGB becomes grayscale by the mean of its channels; images that
    already have ``channels`` channels are returned unchanged.

    Raises:
        ValueError: the conversion between these numbers of channels is not defined.
    """
    have = images.shape[1]
    if have == channels:
        return images
    if have == 1:
        return images.expand(-1, channels, -1, -1)
    if channels == 1:
        return images.mean(1, keepdim=True)
    raise ValueError(f"images of {have} channels cannot become images of {channels}")


class Unreadable(Exception):
    """A file that is not an 8-bit image; the message is the reason, in one line."""


def read(file: Path | IO[bytes], size: int) -> np.ndarray:
    """Return an image of a published dataset as RGB [3, size, size] uint8, resized without keeping the aspect ratio.

    Uses Pillow's bilinear filter, which antialiases. EXIF orientation and transparency are ignored, as in the published
    code, which reads images with torchvision; a user's own images are read by ``image_files``.

    Raises:
        Unreadable: it cannot be read, or has more than 8 bits per channel.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            image.draft(None, (DRAFT * size, DRAFT * size))
            if image.mode[0] in "IF":  # converting would clip at 255
                raise ValueError(f"{image.mode} pixels; convert it to 8 bits per channel")
            rgb = image if image.mode == "RGB" else image.convert("RGB")
            return np.asarray(rgb.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    except Exception as error:  # a damaged file can raise almost anything inside Pillow
        raise Unreadable(reason(error)) from error


def reason(error: Exception) -> str:
    """Return an error in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return " ".join(text.split())
