"""Make ddsweep's own matching losses from the numbers of a recipe (``registry.methods.Method.source``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.distill import distribution_matching, gradient_matching
from ddsweep.distill.distribution_matching import DistributionMatching
from ddsweep.distill.gradient_matching import GradientMatching
from ddsweep.distill.gradients import Metric

if TYPE_CHECKING:
    from ddsweep.nn import Network
    from ddsweep.numerics import Numerics


def features(net: Network, *, batch_real: int, dsa_strategy: str, numerics: Numerics) -> DistributionMatching:
    """Return the matching loss of DM."""
    return DistributionMatching(net, distribution_matching.Settings(batch_real, dsa_strategy), numerics)


def gradients(
    net: Network,
    *,
    batch_real: int,
    outer_loops: int,
    inner_epochs: int,
    batch_train: int,
    lr_net: float,
    distance: Metric,
    numerics: Numerics,
    dsa_strategy: str = "none",
) -> GradientMatching:
    """Return the matching loss of DSA, or of DC, which is the same without augmentation."""
    settings = gradient_matching.Settings(
        batch_real, dsa_strategy, outer_loops, inner_epochs, batch_train, lr_net, distance
    )
    return GradientMatching(net, settings, numerics)
