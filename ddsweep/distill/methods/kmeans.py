"""k-means as DREAM uses it: Lloyd's algorithm, and the points that represent the clusters.

Liu et al., "DREAM: efficient dataset distillation by representative matching" (ICCV 2023).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.rng import copy_to

ITERATIONS = 100  # at most
TOLERANCE = 1e-4  # the sum of the squared movements of all centroids at which the iteration ends


def representatives(
    points: Float[Tensor, "n d"], clusters: int, generator: torch.Generator
) -> Int64[Tensor, " clusters"]:
    """Return for each cluster the index of the point nearest to its centroid, in the order of the clusters.

    Two clusters can have the same nearest point, so that an index can be repeated.

    Args:
        points: for example, the features of the images of a class.
        clusters: number of clusters.
        generator: draws the initial centroids, which are distinct points.

    Raises:
        UserError: there are more clusters than points.
    """
    return representatives_from(points, draw(len(points), clusters, generator))


def draw(count: int, clusters: int, generator: torch.Generator) -> Int64[Tensor, " clusters"]:
    """Draw the points that are the initial centroids; arguments as in ``representatives``.

    Raises:
        UserError: there are more clusters than points.
    """
    if clusters > count:
        raise UserError(f"k-means needs a point per cluster: {clusters} clusters of {count} images")
    return torch.randperm(count, generator=generator)[:clusters]


def representatives_from(points: Float[Tensor, "n d"], first: Int64[Tensor, " clusters"]) -> Int64[Tensor, " clusters"]:
    """Return ``representatives`` from initial centroids that are drawn already (indices on the CPU)."""
    return nearest(points, centroids(points, points[copy_to(first, points.device)]))


def centroids(points: Float[Tensor, "n d"], initial: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """Return the centroids after Lloyd's algorithm, with Euclidean distances.

    Each iteration assigns every point to its nearest centroid, and moves each centroid to the mean of its points. A
    centroid without points becomes the zero vector, as in the library that DREAM uses.

    Args:
        points: the points.
        initial: the initial centroids.
    """
    current, squared = initial, points.square().sum(1, keepdim=True)
    for _ in range(ITERATIONS):
        owner = _distances(points, current, squared).argmin(1)
        member = (owner[None, :] == torch.arange(len(current), device=points.device)[:, None]).to(points.dtype)
        means = member @ points / member.sum(1, keepdim=True).clamp(min=1)
        moved = (means - current).square().sum()
        current = means
        if float(moved) <= TOLERANCE:
            break
    return current


def nearest(points: Float[Tensor, "n d"], centers: Float[Tensor, "k d"]) -> Int64[Tensor, " k"]:
    """Return the index of the point nearest to each center; of equally near ones the first."""
    return _distances(points, centers, points.square().sum(1, keepdim=True)).argmin(0)


def _distances(points: Tensor, centers: Tensor, squared: Float[Tensor, "n 1"]) -> Float[Tensor, "n k"]:
    """Return the squared distances ‖x‖² - 2<x, c> + ‖c‖²."""
    return squared - 2 * points @ centers.T + centers.square().sum(1)
