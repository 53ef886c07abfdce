"""The guidance of pre-trained models (PTMs): CLoM within a domain, CCLoM across domains.

Both return an *unweighted* scalar, so that it can be tested, logged and plotted alone: α is applied in the loop and
nowhere else. Both see clean images (no augmentation), all classes at once, once per step of the images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


def clom(
    net: Callable[[Tensor], Tensor], images: Float[Tensor, "syn c h w"], labels: Int64[Tensor, " syn"]
) -> Float[Tensor, ""]:
    """Classification loss of a PTM on the synthetic set (paper, Eq. 5): mean over i of CE(PTM(s_i), y_i).

    The matching loss is a sum over classes and this is a mean over the set, so one image weighs α / |S|.

    Args:
        net: images to logits [syn, classes]. Its owner freezes its parameters and chooses its mode (batch-norm PTMs
            belong in eval mode); neither is touched here.
        images: the whole synthetic set, in the normalized space of its dataset.
        labels: its labels, among the PTM's classes.

    Returns:
        The loss without α, with gradient to ``images``.
    """
    return F.cross_entropy(net(images), labels)


def cclom(
    embed: Callable[[Tensor], Tensor],
    synthetic: Float[Tensor, "syn c h w"],
    synthetic_labels: Int64[Tensor, " syn"],
    real: Float[Tensor, "real c h w"],
    real_labels: Int64[Tensor, " real"],
    chunk: int = 1024,
) -> Float[Tensor, ""]:
    """Contrastive loss of the features of a PTM of another domain (paper, Eq. 6-8).

    L = Σ_ij M_ij D_ij / Σ_ij D_ij, with D_ij = 1 - cos(f(s_i), f(x_j)) and M_ij = 1 where the labels agree, else 0.
    Gradient flows to the synthetic images through numerator and denominator; the real features carry none.
    L is 0 when all images of a class point the same way, about 1 / classes when features tell nothing.

    Args:
        embed: images to features [n, d], the PTM's penultimate layer. Its owner freezes it and chooses its mode.
        synthetic: the whole synthetic set, in the normalized space of the target dataset.
        synthetic_labels: its labels.
        real: target images of all classes; the protocol draws them uniformly with replacement.
        real_labels: their labels.
        chunk: real images per forward pass. It bounds memory and does not change the result, as long as ``embed``
            treats images one by one (not so a batch norm in train mode).

    Returns:
        The loss without α; nan if every pair points exactly the same way.
    """
    with torch.no_grad():
        references = torch.cat([embed(part) for part in real.split(chunk)])
    return contrast(embed(synthetic), synthetic_labels, references, real_labels)


def contrast(
    synthetic: Float[Tensor, "syn d"],
    synthetic_labels: Int64[Tensor, " syn"],
    real: Float[Tensor, "real d"],
    real_labels: Int64[Tensor, " real"],
) -> Float[Tensor, ""]:
    """CCLoM of features that are known already: those of real images never change, so a pool computes them once."""
    distance = 1 - F.normalize(synthetic, dim=1) @ F.normalize(real, dim=1).T
    same = synthetic_labels[:, None] == real_labels[None, :]
    return (distance * same).sum() / distance.sum()
