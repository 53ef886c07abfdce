"""k-means against scikit-learn from the same centroids, and against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from ddsweep.distill.methods import kmeans
from ddsweep.errors import UserError
from tests import toys


def blobs(n: int = 300, dimensions: int = 6, seed: int = 0) -> Tensor:
    centers = 3 * toys.noise(12, dimensions, seed=seed)
    return centers[torch.arange(n) % 12] + toys.noise(n, dimensions, seed=seed + 1)


@pytest.mark.parametrize("clusters", [1, 5, 12, 40])
def test_centroids_are_those_of_scikit_learn(clusters: int) -> None:
    points = blobs()
    initial = points[:clusters]
    theirs = KMeans(clusters, init=initial.numpy(), n_init=1, max_iter=100, tol=0, algorithm="lloyd").fit(
        points.numpy()
    )
    found = kmeans.centroids(points, initial)
    np.testing.assert_allclose(found.numpy(), theirs.cluster_centers_, rtol=0, atol=1e-2)


def nearest_by_hand(points: list[list[float]], centers: list[list[float]]) -> Tensor:
    def distance(x: list[float], c: list[float]) -> float:
        return sum((a - b) ** 2 for a, b in zip(x, c, strict=True))

    return torch.tensor([min(range(len(points)), key=lambda i: distance(points[i], center)) for center in centers])


def lloyd_by_hand(points: list[list[float]], centers: list[list[float]]) -> list[list[float]]:
    """One point and one coordinate at a time."""
    for _ in range(100):
        owners = [int(nearest_by_hand(centers, [point])[0]) for point in points]
        means = []
        for k in range(len(centers)):
            own = [point for point, owner in zip(points, owners, strict=True) if owner == k]
            means.append(
                [sum(column) / len(own) for column in zip(*own, strict=True)] if own else [0.0] * len(points[0])
            )
        moved = sum(
            (a - b) ** 2 for old, new in zip(centers, means, strict=True) for a, b in zip(old, new, strict=True)
        )
        centers = means
        if moved <= 1e-4:
            break
    return centers


def test_a_cluster_without_points_is_at_zero_and_picks_the_smallest_point() -> None:
    points = blobs(40, 3, seed=7) + 10
    initial = torch.cat([points[:3], torch.full((1, 3), 1000.0, dtype=torch.float64)])
    found = kmeans.centroids(points, initial)
    assert found[3].tolist() == [0, 0, 0]
    torch.testing.assert_close(
        found, torch.tensor(lloyd_by_hand(points.tolist(), initial.tolist()), dtype=torch.float64)
    )
    assert int(kmeans.nearest(points, found)[3]) == int(points.norm(dim=1).argmin())


def test_two_clusters_may_choose_the_same_point() -> None:
    points = torch.tensor([[0.0], [10.0], [11.0]])
    assert kmeans.nearest(points, torch.tensor([[10.2], [9.0], [1.0]])).tolist() == [1, 1, 0]


def test_the_iteration_ends_when_the_centroids_hardly_move_or_after_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    points = blobs()
    rounds = toys.spy(monkeypatch, kmeans, "_distances", lambda *_: 1)
    kmeans.centroids(points, points[:12])
    assert 2 <= len(rounds) < 60
    rounds.clear()
    monkeypatch.setattr(kmeans, "TOLERANCE", -1.0)
    kmeans.centroids(points, points[:12])
    assert len(rounds) == 100


def test_representatives_start_from_distinct_points_of_the_generator() -> None:
    points = blobs()
    first = torch.randperm(300, generator=torch.Generator().manual_seed(5))[:7]
    expected = nearest_by_hand(points.tolist(), lloyd_by_hand(points.tolist(), points[first].tolist()))
    assert torch.equal(kmeans.representatives(points, 7, torch.Generator().manual_seed(5)), expected)
    every = kmeans.representatives(points, 300, torch.Generator().manual_seed(5))
    assert sorted(every.tolist()) == list(range(300))


def test_more_clusters_than_points_are_refused() -> None:
    with pytest.raises(UserError, match="k-means needs a point per cluster: 4 clusters of 3 images"):
        kmeans.representatives(torch.eye(3), 4, torch.Generator())
