"""PTMs that a plugin's function makes, with weights of their own (``registry.ptms``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ddsweep.errors import PluginError
from ddsweep.nn.foundation import FoundationModel
from ddsweep.plugins import resolve
from ddsweep.plugins.blame import blamed
from ddsweep.plugins.failure import describe
from ddsweep.pretrained import renormalize
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.registry.ptms import PTMS
from ddsweep.rng import seeded_globals

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.registry.ptms import Foundation

TRIED = 2  # images


def build(row: Foundation) -> FoundationModel:
    """Return the model, frozen and in eval mode, on the CPU and in float32.

    Its function is called with seeded global random generators, so that weights that it draws are always the same.

    Raises:
        PluginError: the function fails, or returns no module, or one without what the row says.
    """
    assert row.maker is not None
    code, what = PTMS.code(row.source), f"PTM {row.source!r}"
    with seeded_globals(0, "ptm", row.source), blamed(what, code.path if code else None):
        made = resolve(row.maker)()
    if not isinstance(made, nn.Module):
        raise PluginError(f"{what}: its function returns {type(made).__name__}, not a torch.nn.Module", final=True)
    if row.classes and not callable(getattr(made, "embed", None)):
        raise PluginError(f"{what}: has classes, but no method embed(images), which returns features", final=True)
    return FoundationModel(row, made).to(device="cpu", dtype=torch.float32).requires_grad_(False).eval()


def load(row: Foundation, target: Dataset) -> tuple[Pool, FoundationModel]:
    """Return a pool of this one model, on the device of ``target``, whose images it gets in [0, 1]; and the model.

    Raises:
        PluginError: as for ``build``, or the model cannot take images of the target.
    """
    net = build(row).to(target.labels.device)
    model = PretrainedModel(row.name, net, renormalize.to_pixels(target, row.channels), canvas=row.size)
    check(row, model, target.images[:TRIED])
    return Pool([[model]]), net


@torch.no_grad()
def check(row: Foundation, model: PretrainedModel, images: Tensor) -> None:
    """Let the model see a few images of the target.

    Raises:
        PluginError: it fails, or does not return features of each image and, with classes, logits [n, classes].
    """
    code, what, count = PTMS.code(row.source), f"PTM {row.source!r}", len(images)
    try:
        features, logits = model.embed(images), model(images)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of a library's module, there is no line of the user's own
        fails = describe(error, code.path if code else None)
        raise PluginError(f"{what}: fails on images of {images.shape[-1]} pixels: {fails}", final=True) from error
    if len(features) != count:
        raise PluginError(f"{what}: returns features of {len(features)} images for {count}", final=True)
    if row.classes and list(logits.shape) != (wanted := [count, len(row.class_names())]):
        raise PluginError(f"{what}: returns logits of shape {list(logits.shape)}, not {wanted}", final=True)
