"""The attribute of each image of a biased dataset: how it is assigned, and which attribute is that of a class."""

from __future__ import annotations

from itertools import accumulate

import torch
from jaxtyping import Int64
from torch import Tensor


def assigned(labels: Int64[Tensor, " n"], align: float, count: int) -> Int64[Tensor, " n"]:
    """Give each image one of ``count`` attributes (Biased-DD; protocols, section 8).

    In class y, attribute y gets the share ``align`` and each of the others (1 − align) / (count − 1). With cᵢ the sum
    of the shares of the attributes 0 … i, times the number of images, rounded, the k-th image of the class, in the
    order of the dataset, gets the first attribute with cᵢ > k. For 5000 images of class 0 and align = 0.95, the counts
    are 4750, 28, 28, 27, 28, 28, 28, 27, 28, 28.
    """
    found = torch.empty_like(labels)
    for label in labels.unique().tolist():
        members = torch.nonzero(labels == label).flatten()
        shares = [align if attribute == label else (1 - align) / (count - 1) for attribute in range(count)]
        ends = [round(end * len(members)) for end in accumulate(shares)]  # summed as the authors do: it decides on ties
        found[members] = torch.bucketize(torch.arange(len(members)), torch.tensor(ends), right=True)
    return found


def usual(attributes: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], classes: int) -> Int64[Tensor, " classes"]:
    """Return the most frequent attribute of each class; of several, the first."""
    pairs = torch.zeros((classes, int(attributes.max()) + 1), dtype=torch.int64)
    pairs.index_put_((labels, attributes), torch.ones_like(labels), accumulate=True)
    return pairs.argmax(1)
