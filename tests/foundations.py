"""Published files of foundation models as their publishers write them, with generated numbers in them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def generated(shapes: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """Numbers with which activations neither vanish nor explode: batch norms near the identity, weights by fan-in."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, value in shapes.items():
        if not value.is_floating_point():
            found[name] = torch.zeros(value.shape, dtype=value.dtype)
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if value.ndim > 1:
            found[name] = drawn / value[0].numel() ** 0.5
        else:
            found[name] = 0.1 * drawn + (0.0 if name.endswith(("bias", "mean")) else 1.0)
            if name.endswith("running_var"):
                found[name] = found[name].abs()
    return found


def empty(make: Callable[[], nn.Module]) -> nn.Module:
    """A library's module without memory."""
    with torch.device("meta"):
        return make()


def resnet18() -> dict[str, Tensor]:
    """As torchvision's file: the classifier is in it."""
    from torchvision import models

    return generated(empty(models.resnet18).state_dict())


def clip_rn50() -> dict[str, Tensor]:
    """As open_clip's file: the text encoder is in it (here one tensor of it), and half precision."""
    import open_clip

    full = empty(lambda: open_clip.CLIP(**open_clip.get_model_config("RN50"))).state_dict()
    wanted = {name: value for name, value in full.items() if name.startswith("visual.") or name == "logit_scale"}
    return {name: value.half() if value.is_floating_point() else value for name, value in generated(wanted).items()}
