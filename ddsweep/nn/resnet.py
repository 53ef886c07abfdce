"""ResNet-18 with a stem for small images (He et al., 2016), and its average-pooling variant, as in the code of DC."""

from __future__ import annotations

from math import ceil
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from ddsweep.nn.layers import AveragePool, Body, Norm, norm_layers, scaled

Downsample = Literal["stride", "pool"]

# (channels of both blocks of a stage, factor by which the first block shrinks the maps)
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class BasicBlock(nn.Module):
    """ReLU(norm(conv(ReLU(norm(conv(x))))) + shortcut(x)), 3×3 convolutions without bias.

    The shortcut is the identity if the shape does not change, otherwise a 1×1 convolution and a norm.

    Args:
        channels: input channels.
        maps: output channels.
        shrink: 1, or 2 to halve height and width.
        downsample: how the block shrinks if ``shrink`` is 2: ``stride`` in the first convolution and in the shortcut's;
            ``pool``, 2×2 average pooling after the first ReLU and between the shortcut's convolution and norm.
        norm: the norm after each convolution.
        convolution: the class of the convolutions.
    """

    def __init__(
        self,
        channels: int,
        maps: int,
        shrink: int,
        *,
        downsample: Downsample,
        norm: Norm,
        convolution: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        super().__init__()
        stride = shrink if downsample == "stride" else 1
        pool = [AveragePool(shrink)] if shrink != stride else []
        self.residual = nn.Sequential(
            convolution(channels, maps, 3, stride, padding=1, bias=False),
            *norm_layers(norm, maps),
            nn.ReLU(),
            *pool,
            convolution(maps, maps, 3, padding=1, bias=False),
            *norm_layers(norm, maps),
        )
        # a block that shrinks has its own shortcut even if a small width leaves the channels unchanged
        self.shortcut = nn.Sequential()
        if shrink != 1 or channels != maps:
            one_by_one = convolution(channels, maps, 1, stride, bias=False)
            self.shortcut = nn.Sequential(one_by_one, *pool, *norm_layers(norm, maps))

    def forward(self, x: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n maps h_out w_out"]:
        """Return feature maps of half the height and width if the block shrinks, otherwise of the same size."""
        return nn.functional.relu(self.residual(x) + self.shortcut(x))


def body(channels: int, size: int, width: int, *, norm: Norm = "instance", downsample: Downsample = "stride") -> Body:
    """Return a 3×3 stem without pooling, then four stages of two basic blocks.

    With ``stride``, a 4×4 average pooling follows, as in the reference code: 28 and 32 pixels give 512 features, and s
    pixels 512·⌊⌈s/8⌉/4⌋². With ``pool``, none follows: 512·⌊s/8⌋² features.

    Args:
        channels: channels of the images.
        size: height and width of the images in pixels, at least 28.
        width: 128 as in the reference code; every channel count is multiplied by width/128.
        norm: the norm after each convolution.
        downsample: how feature maps shrink, see :class:`BasicBlock`.
    """
    maps = scaled(STAGES[0][0], width)
    layers: list[nn.Module] = [
        nn.Conv2d(channels, maps, 3, padding=1, bias=False),
        *norm_layers(norm, maps),
        nn.ReLU(),
    ]
    for reference, shrink in STAGES:
        channels, maps = maps, scaled(reference, width)
        layers += [
            BasicBlock(channels, maps, shrink, downsample=downsample, norm=norm),
            BasicBlock(maps, maps, 1, downsample=downsample, norm=norm),
        ]
    if downsample == "pool":
        return Body(nn.Sequential(*layers), maps * (size // 8) ** 2)
    return Body(nn.Sequential(*layers, AveragePool(4)), maps * (ceil(size / 8) // 4) ** 2)
