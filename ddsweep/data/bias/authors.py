"""The files that the authors of Biased-DD published: ``MNIST_align0.95_severity_2.pth``.

A file is a dict with images [n, 3, h, w] (bytes divided by 255), labels and attributes of the training and of the test
set. No test image is aligned: its attribute is one of the other nine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ddsweep.data import torch_files
from ddsweep.data.raw import Raw
from ddsweep.errors import UserError
from ddsweep.registry.bias import ATTRIBUTES
from ddsweep.registry.datasets import DatasetInfo, info

CHUNK = 4096  # images per step
NEAR = 0.01  # of a byte: float32 holds a byte divided by 255 more exactly
ROUNDING = 0.001  # of the share of aligned images: each class is rounded to whole images


def read(row: DatasetInfo, path: Path) -> Raw:
    """Return the images, labels and attributes of a file.

    Raises:
        UserError: it is not such a file, or the share of aligned images is another one.
    """
    content, row = torch_files.read(path), info(row.name)  # at its own size
    parts = []
    for part in ("training", "testing"):
        images = _images(row, path, _tensor(content, f"{part}_imgs", path))
        numbers = []
        for kind, most in (("labs", len(row.classes)), ("attrs", ATTRIBUTES)):
            name = f"{part}_{kind}"
            numbers.append(_numbers(name, path, _tensor(content, name, path), len(images), most))
        parts += [images, *numbers]
    images, labels, attributes, test_images, test_labels, test_attributes = parts
    found, wanted = float((attributes == labels).float().mean()), row.bias.align if row.bias else 0.0
    if abs(found - wanted) > ROUNDING:
        raise UserError(f"{row.name}: in {path}, {found:.4g} of the training images are aligned, not {wanted:g}")
    return Raw(row.classes, images, labels, test_images, test_labels, attributes, test_attributes)


def _tensor(content: Any, name: str, path: Path) -> Tensor:
    values = content.get(name) if isinstance(content, Mapping) else None
    if isinstance(values, list):
        values = torch.tensor(values)
    if not isinstance(values, Tensor):
        raise UserError(f"{path}: is not a file of the authors of Biased-DD: it has no {name}")
    return values


def _images(row: DatasetInfo, path: Path, values: Tensor) -> UInt8[Tensor, "n 3 h w"]:
    shape = (row.channels, row.size, row.size)
    if values.ndim != 4 or tuple(values.shape[1:]) != shape or not values.is_floating_point():
        raise UserError(
            f"{path}: its images are {'x'.join(map(str, values.shape))} {str(values.dtype).removeprefix('torch.')}; "
            f"{row.name} has n x {' x '.join(map(str, shape))} floats"
        )
    out = torch.empty(values.shape, dtype=torch.uint8)
    for target, part in zip(out.split(CHUNK), values.split(CHUNK), strict=True):
        scaled = part.float() * 255
        whole = scaled.round()
        if not bool(((scaled - whole).abs() < NEAR).all() and (whole >= 0).all() and (whole <= 255).all()):
            raise UserError(f"{path}: its images are not bytes divided by 255, from 0 to 1")
        target.copy_(whole)
    return out


def _numbers(name: str, path: Path, values: Tensor, count: int, most: int) -> Int64[Tensor, " n"]:
    whole = values.to(torch.int64).flatten()
    if len(whole) != count or count == 0 or not torch.equal(whole.to(values.dtype), values.flatten()):
        raise UserError(f"{path}: {name} are not {count} whole numbers, one for each image")
    if whole.min() < 0 or whole.max() >= most:
        raise UserError(f"{path}: {name} are from {int(whole.min())} to {int(whole.max())}, not from 0 to {most - 1}")
    return whole
