"""Evaluation of a synthetic set: train fresh networks on it, and test them on the original test set.

For users, ``ddsweep.evaluate(...)`` is also a function: see ``ddsweep.api.evaluate``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch

from ddsweep import nn, rng
from ddsweep.checkpoints import Slot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate import groups
from ddsweep.evaluate.own import OwnTrainer
from ddsweep.evaluate.rules import RULES as RULES
from ddsweep.evaluate.rules import Rule as Rule
from ddsweep.evaluate.rules import at_rate as at_rate
from ddsweep.evaluate.rules import named as named
from ddsweep.evaluate.trainer import Trainer
from ddsweep.evaluate.training import MOMENTUM as MOMENTUM
from ddsweep.evaluate.training import WEIGHT_DECAY as WEIGHT_DECAY
from ddsweep.evaluate.training import Score as Score
from ddsweep.nn import microbatches
from ddsweep.numerics import Numerics

if TYPE_CHECKING:
    from ddsweep.data import Dataset


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation, as fractions.

    Attributes:
        accuracies: test accuracy of each network.
        class_accuracy: test accuracy on each class, mean over the networks.
        group_accuracy: for a dataset whose images have attributes, test accuracy on the ``aligned`` images, which have
            the attribute of their class, on the ``conflicting`` ones (None if there is none), and on the
            ``worst_group`` of a class and an attribute, mean over the networks (``groups``). Otherwise empty.
    """

    accuracies: list[float]
    class_accuracy: list[float]
    group_accuracy: dict[str, float | None] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean accuracy over the networks."""
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float:
        """Standard deviation over the networks, with ddof 0 as in the published tables of the field."""
        return statistics.pstdev(self.accuracies)


def evaluate(
    synthetic: Synthetic,
    dataset: Dataset,
    arch: str,
    n: int,
    generator: torch.Generator,
    rule: Rule | str = "paper",
    *,
    width: int = 128,
    progress: Callable[[int, int], None] | None = None,
    slots: Callable[[int], Slot] | None = None,
    numerics: Numerics | None = None,
) -> Evaluation:
    """Train ``n`` fresh networks on a synthetic set, and test each on the whole test set.

    One number is drawn from ``generator``, from which network i derives a generator of its own, so that network i does
    not depend on ``n``.

    Args:
        synthetic: the set, in the normalized space of ``dataset``; the networks are trained on its device.
        dataset: the dataset whose test images are used.
        arch: a name of ``nn.names()``.
        n: number of networks.
        generator: the random generator of the evaluation, on the CPU.
        rule: how to train: one of ``RULES`` by name, with the augmentation of the dataset, or a ``Rule`` with other
            numbers. Networks of a rule that trains them itself are trained one after the other.
        width: channels of a ConvNet, see ``nn.build``.
        progress: called with (epochs done, total epochs) over all networks, at the start and about every ten epochs.
        slots: maps i to the slot of network i (or of the group that begins with it), which stores the checkpoints from
            which an interrupted training resumes, and finally the scores. None: no checkpoints.
        numerics: precision, compilation, and whether networks are vectorized; default: float32, not compiled.

    Raises:
        UserError: unknown operation, network or rule; the learned rate of a set that has none.
        Interrupted: a slot was asked to stop.
    """
    if isinstance(rule, str):
        rule = named(rule, dataset.strategy, dataset.name, arch)
    rule = at_rate(rule, synthetic.lr)
    seed, numerics = int(torch.randint(2**62, (), generator=generator)), numerics or Numerics()
    shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size, "width": width}
    images = synthetic.images
    batch = min(rule.batch, len(images))
    group = 1 if rule.own else networks_at_once(n, batch, images.shape[-1], images.device, numerics)
    if group > 1 and nn.info(arch).plugin:
        group = group if nn.can_be_stacked(nn.build(arch, **shape, generator=torch.Generator()).to(images)) else 1
    trainer = (OwnTrainer if rule.own else Trainer)(synthetic, dataset, rule, numerics)
    scores: list[Score] = []
    if progress:
        progress(0, n * rule.total_epochs)
    for first in range(0, n, group):
        own = [rng.generator(seed, "net", index) for index in range(first, min(first + group, n))]
        nets = [nn.build(arch, **shape, generator=own_generator).to(images.device) for own_generator in own]
        report = (
            partial(_report, progress, first * rule.total_epochs, n * rule.total_epochs, len(own)) if progress else None
        )
        scores += trainer.train(nets, own, report, slots(first) if slots else None)
    by_class = torch.tensor([score.by_class for score in scores], dtype=torch.float64).mean(dim=0)
    by_group = groups.mean([score.by_group for score in scores])
    return Evaluation([score.accuracy for score in scores], by_class.tolist(), by_group)


def networks_at_once(n: int, batch: int, size: int, device: torch.device, numerics: Numerics) -> int:
    """Return how many of ``n`` networks are trained as one module: as many as fit in memory, in groups of equal size.

    Args:
        n: number of networks.
        batch: images per batch.
        size: height and width of the images in pixels.
        device: the device that trains.
        numerics: whether networks are vectorized at all; if not, the result is 1.
    """
    if not numerics.vectorized:
        return 1
    return microbatches.group_size(n, microbatches.max_images_with_graph(size, device) // batch)


def _report(progress: Callable[[int, int], None], before: int, total: int, networks: int, done: int) -> None:
    progress(before + networks * done, total)
