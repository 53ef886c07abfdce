"""DC's augmentation (Zhao et al. 2021), used only in the evaluation of DC: one operation per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.augment.siamese import operations, take
from ddsweep.rng import copy_to

DC_OPERATIONS = ("crop", "scale", "rotate", "noise")
DC_CROP, DC_SCALE, DC_DEGREES, DC_NOISE = 4, 0.2, 45, 0.001


def dc(images: Float[Tensor, "n c h w"], strategy: str, generator: torch.Generator) -> Float[Tensor, "n c h w"]:
    """Apply DC's augmentation: one operation per *image*, drawn from the strategy.

    ``crop``: pad by 4 pixels with the batch mean of each channel, crop at an offset of 0 … 7. ``scale``: resize by
    U(0.8, 1.2) per axis with nearest-neighbor interpolation, then pad with zeros or crop at the center. ``rotate``: by
    integer degrees in [-45, 44] with a cubic spline, filled with the mean of the batch. ``noise``: + 0.001·N(0, 1). Not
    differentiable; rotate runs on the CPU.

    Raises:
        UserError: unknown operation.
    """
    chosen = operations(strategy, DC_OPERATIONS)
    if not chosen:
        return images
    images = images.detach()
    mean = images.mean(dim=(0, 2, 3), keepdim=True)
    which, changed = torch.randint(len(chosen), (len(images),), generator=generator), images.clone()
    for number, name in enumerate(chosen):
        index = (which == number).nonzero()[:, 0]
        if len(index):
            place = copy_to(index, images.device)
            changed[place] = _DC[name](images[place], mean, generator)
    return changed


def _dc_crop(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    offset = copy_to(torch.randint(2 * DC_CROP, (len(images), 2), generator=generator), images.device)
    rows, columns = (torch.arange(side, device=images.device) - DC_CROP for side in images.shape[2:])
    return take(images, rows + offset[:, :1], columns + offset[:, 1:], mean)


def _dc_scale(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    side = images.shape[-1]
    sides = (torch.empty(len(images), 2).uniform_(1 - DC_SCALE, 1 + DC_SCALE, generator=generator) * side).long()
    canvas = sides.amax(dim=1, keepdim=True).clamp(min=side)  # contains original and resized image, both centered
    pixel = torch.arange(side) + ((canvas - side) // 2 - (canvas - sides) // 2)[:, :, None]
    ratio = side / sides[:, :, None].float()  # computed in float32, as F.interpolate does for nearest pixels
    source = (pixel * ratio).floor().long().clamp(max=side - 1)
    source = copy_to(torch.where((pixel >= 0) & (pixel < sides[:, :, None]), source, -1), images.device)
    return take(images, source[:, 0], source[:, 1], torch.zeros_like(mean))


def _dc_rotate(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    from scipy import ndimage  # type: ignore[import-untyped]

    side, fill = images.shape[-1], float(mean.mean())
    turned = []
    for image, degrees in zip(images.cpu().numpy(), _dc_degrees(len(images), generator), strict=True):
        whole = ndimage.rotate(image, degrees, axes=(-2, -1), mode="constant", cval=fill)  # enlarged to fit the corners
        top, left = (whole.shape[1] - side) // 2, (whole.shape[2] - side) // 2
        turned.append(torch.from_numpy(whole[:, top : top + side, left : left + side]))
    return torch.stack(turned).to(images)


def _dc_degrees(n: int, generator: torch.Generator) -> list[int]:
    return torch.randint(-DC_DEGREES, DC_DEGREES, (n,), generator=generator).tolist()


def _dc_noise(images: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    return images + DC_NOISE * copy_to(torch.randn(images.shape, generator=generator), images.device)


_DC: dict[str, Callable[[Tensor, Tensor, torch.Generator], Tensor]] = {
    "crop": _dc_crop,
    "scale": _dc_scale,
    "rotate": _dc_rotate,
    "noise": _dc_noise,
}
