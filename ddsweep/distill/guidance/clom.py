"""The guidance of pre-trained models (PTMs): CLoM within a domain, CCLoM across domains.

Both return an *unweighted* scalar, so that it can be tested, logged and plotted on its own: α is applied in the loop
and nowhere else. Both use clean images (no augmentation) of all classes at once, once per step on the images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ddsweep.nn.measure import cross_entropy

if TYPE_CHECKING:
    from ddsweep.distill.guidance.step import Real
    from ddsweep.distill.synthetic import Synthetic
    from ddsweep.pretrained.pool import PretrainedModel


def clom(
    net: Callable[[Tensor], Tensor], images: Float[Tensor, "syn c h w"], labels: Int64[Tensor, " syn"]
) -> Float[Tensor, ""]:
    """Return the classification loss of a PTM on the synthetic set (paper, Eq. 5): mean over i of CE(PTM(s_i), y_i).

    The matching loss is a sum over classes and this is a mean over the set, so one image has the weight α / |S|.

    Args:
        net: maps images to logits [syn, classes]. Its owner freezes its parameters and chooses its mode (PTMs with
            batch norm belong in eval mode); neither is changed here.
        images: the whole synthetic set, in the normalized space of its dataset.
        labels: its labels, among the PTM's classes.

    Returns:
        The loss without α, with a gradient to ``images``.
    """
    return cross_entropy(net, images, labels)


def cclom(
    synthetic: Float[Tensor, "syn d"],
    synthetic_labels: Int64[Tensor, " syn"],
    real: Float[Tensor, "real d"],
    real_labels: Int64[Tensor, " real"],
) -> Float[Tensor, ""]:
    """Return the contrastive loss of the features of a PTM of another domain (paper, Eq. 6-8).

    L = Σ_ij M_ij D_ij / Σ_ij D_ij, with D_ij = 1 - cos(f(s_i), f(x_j)) and M_ij = 1 if the labels agree, else 0.
    L is 0 if all features of a class point in one direction, and about 1 / classes if features carry no information.

    Args:
        synthetic: f(s_i), the features of the whole synthetic set: the input of the PTM's classifier.
        synthetic_labels: its labels.
        real: f(x_j), the features of real target images of all classes; the protocol draws the images uniformly with
            replacement. They never change, so that the pool computes them once (``PretrainedModel.features``).
        real_labels: their labels.

    Returns:
        The loss without α; nan if every pair points in exactly the same direction. Its gradient to ``synthetic`` comes
        from the numerator and the denominator; ``real`` is a constant.
    """
    distance = 1 - F.normalize(synthetic, dim=1) @ F.normalize(real.detach(), dim=1).T
    same = synthetic_labels[:, None] == real_labels[None, :]
    return (distance * same).sum() / distance.sum()


def guide_within(ptm: PretrainedModel, synthetic: Synthetic) -> Float[Tensor, ""]:
    """The guide of CLoM."""
    return clom(ptm, synthetic.images, synthetic.labels)


def guide_across(ptm: PretrainedModel, synthetic: Synthetic, *, real: Real) -> Float[Tensor, ""]:
    """The guide of CCLoM."""
    features = real.features
    return cclom(ptm.embed(synthetic.images), synthetic.labels, features, real.labels)


def guide_each_within(ptm: PretrainedModel, sets: Sequence[Synthetic]) -> Float[Tensor, " sets"]:
    """CLoM of several sets, whose images go through the PTM as one batch."""
    logits = ptm(torch.cat([one.images for one in sets]))
    losses = F.cross_entropy(logits, torch.cat([one.labels for one in sets]), reduction="none")
    sizes = [len(one.labels) for one in sets]
    if len(set(sizes)) == 1:
        return losses.unflatten(0, (len(sets), -1)).mean(dim=1)
    return torch.stack([part.mean() for part in losses.split(sizes)])


def guide_each_across(ptm: PretrainedModel, sets: Sequence[Synthetic], *, real: Sequence[Real]) -> list[Tensor]:
    """CCLoM of several sets, whose images go through the PTM as one batch, each with its own real images."""
    features = ptm.embed(torch.cat([one.images for one in sets])).split([len(one.labels) for one in sets])
    parts = zip(features, sets, real, strict=True)
    return [cclom(own, one.labels, drawn.features, drawn.labels) for own, one, drawn in parts]
