"""Colored digits (CMNIST): each image is multiplied by a color, the mean color of its attribute plus noise.

The mean colors are those of Biased-DD, which took them from Nam et al., *Learning from Failure* (2020), rounded to four
decimals; a byte can therefore differ by one from that in the authors' files.
"""

from __future__ import annotations

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

MEANS = (
    (0.9837, 0.3125, 0.1686), (0.9905, 0.9156, 0.3515), (0.6730, 0.4611, 0.5798), (0.7833, 0.8316, 0.6013),
    (0.0880, 0.7780, 0.9818), (0.3214, 0.9611, 0.4464), (0.0246, 0.2357, 0.7587), (0.5552, 0.1016, 0.7618),
    (0.2077, 0.3929, 0.0187), (0.8337, 0.2024, 0.2669),
)  # fmt: skip
"""Red, green and blue of each attribute, in [0, 1]."""
NOISE = {1: 0.05, 2: 0.02, 3: 0.01, 4: 0.005}
"""Standard deviation of the noise, by severity: the higher the severity, the purer the colors."""
CHUNK = 4096  # images per step: a float copy of all images would not fit into memory


def noise(count: int, generator: torch.Generator) -> Float32[Tensor, "count 3"]:
    """Draw one N(0, 1) triple for each image, as ``count`` calls of ``torch.randn((3, 1, 1))`` do.

    ``torch.randn((count, 3))`` would draw other numbers: torch fills large contiguous tensors in another order.
    """
    return torch.empty((count, 4))[:, :3].normal_(generator=generator)


def colored(
    gray: UInt8[Tensor, "n 1 h w"], attributes: Int64[Tensor, " n"], severity: int, triples: Float32[Tensor, "n 3"]
) -> UInt8[Tensor, "n 3 h w"]:
    """clamp(mean of the attribute + noise · its standard deviation, 0, 1) · gray, in float32, cut to a byte."""
    colors = (torch.tensor(MEANS)[attributes] + triples * NOISE[severity]).clamp(0, 1)
    out = torch.empty((len(gray), 3, *gray.shape[2:]), dtype=torch.uint8)
    for target, pixels, color in zip(out.split(CHUNK), gray.split(CHUNK), colors.split(CHUNK), strict=True):
        target.copy_(color[:, :, None, None] * pixels)
    return out
