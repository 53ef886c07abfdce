"""Accuracy by group, for datasets whose images have an attribute besides their class: a color, a background.

A test image is *aligned* if it has the attribute of its class (``Dataset.test_aligned``), and *conflicting* if it has
another one. A network that learned the attribute instead of the class is good at the former and bad at the latter.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool
from torch import Tensor

if TYPE_CHECKING:
    from ddsweep.data import Dataset

GROUPS = ("aligned", "conflicting", "worst_group")


def accuracy(correct: Bool[Tensor, " m"], dataset: Dataset) -> dict[str, float | None]:
    """Return the accuracy of one network on the aligned, on the conflicting, and on the worst group of test images.

    Args:
        correct: for each test image, whether it was classified correctly.
        dataset: the dataset.

    Returns:
        ``aligned`` and ``conflicting``: fractions of the test images of this kind; None if there is none.
        ``worst_group``: with a_cg the accuracy on the images of class c with attribute g, the minimum of a_cg over the
        pairs (c, g) that have a test image. Empty for a dataset without attributes.
    """
    aligned, attributes = dataset.test_aligned, dataset.test_attributes
    if aligned is None or attributes is None:
        return {}
    correct, aligned, labels, attributes = (one.cpu() for one in (correct, aligned, dataset.test_labels, attributes))
    group = labels * (int(attributes.max()) + 1) + attributes
    total = torch.bincount(group).double()
    hits = torch.bincount(group[correct], minlength=len(total)).double()
    return {
        "aligned": _share(correct[aligned]),
        "conflicting": _share(correct[~aligned]),
        "worst_group": float((hits / total)[total > 0].min()),
    }


def mean(networks: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Return the mean over the networks of each accuracy: for ``worst_group``, of the worst group of each network."""
    return {name: _mean([network[name] for network in networks]) for name in networks[0]}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _share(correct: Bool[Tensor, " k"]) -> float | None:
    return float(correct.double().mean()) if len(correct) else None
