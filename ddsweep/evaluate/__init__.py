"""How good is a synthetic set? Train fresh networks on it and test them on the original test set."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from ddsweep import nn, rng
from ddsweep.callable_package import make_callable
from ddsweep.checkpoints import Slot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate.rules import RULES as RULES
from ddsweep.evaluate.rules import Rule as Rule
from ddsweep.evaluate.rules import named as named
from ddsweep.evaluate.trainer import Trainer
from ddsweep.evaluate.training import DECAY as DECAY
from ddsweep.evaluate.training import MOMENTUM as MOMENTUM
from ddsweep.evaluate.training import WEIGHT_DECAY as WEIGHT_DECAY
from ddsweep.evaluate.training import Score as Score
from ddsweep.nn import passes
from ddsweep.numerics import Numerics

if TYPE_CHECKING:
    from ddsweep.data import Dataset


@dataclass(frozen=True)
class Evaluation:
    """What came of it, as fractions.

    Attributes:
        accuracies: test accuracy of each network.
        class_accuracy: accuracy on each class, mean over the networks.
    """

    accuracies: list[float]
    class_accuracy: list[float]

    @property
    def mean(self) -> float:
        """Mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def std(self) -> float:
        """Standard deviation over the networks with ddof 0, as every published table of the field has it."""
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
    """Train ``n`` fresh networks on a synthetic set; test each on the whole test set.

    ``generator`` is moved by one draw, from which network i derives a generator of its own: network i is the same
    whatever ``n`` is.

    Args:
        synthetic: the set, in the normalized space of ``dataset``; the networks live on its device.
        dataset: whose test images count.
        arch: a name of ``nn.names()``.
        n: networks.
        generator: randomness of the evaluation, on the CPU.
        rule: how to train: one of ``RULES`` by name, with the augmentation that suits the dataset, or numbers of one's
            own as a ``Rule``.
        width: channels of a ConvNet, see ``nn.build``.
        progress: called with (epochs done, epochs in all) over all networks, every ten epochs or so.
        slots: where network i, or those from i on, go on from if cut off, and the scores are kept. None: nowhere.
        numerics: how it is computed, and whether the networks are trained one by one; default: float32, nothing
            compiled.

    Raises:
        UserError: an unknown operation, network or rule.
        Interrupted: a slot was asked to leave.
    """
    if isinstance(rule, str):
        rule = named(rule, dataset.strategy, dataset.name, arch)
    seed, numerics = int(torch.randint(2**62, (), generator=generator)), numerics or Numerics()
    shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size, "width": width}
    images = synthetic.images
    together = at_once(n, min(rule.batch, len(images)), images.shape[-1], images.device, numerics)
    trainer, scores = Trainer(synthetic, dataset, rule, numerics), []
    for first in range(0, n, together):
        own = [rng.generator(seed, "net", index) for index in range(first, min(first + together, n))]
        nets = [nn.build(arch, **shape, generator=one).to(synthetic.images.device) for one in own]
        report = partial(_report, progress, first * rule.passes, n * rule.passes, len(own)) if progress else None
        scores += trainer.train(nets, own, report, slots(first) if slots else None)
    by_class = torch.tensor([score.by_class for score in scores], dtype=torch.float64).mean(dim=0)
    return Evaluation([score.accuracy for score in scores], by_class.tolist())


def at_once(n: int, batch: int, size: int, device: torch.device, numerics: Numerics) -> int:
    """How many of ``n`` networks are trained as one module: as many as the memory has room for, in equal groups.

    Args:
        n: networks.
        batch: images of a batch.
        size: their height and width.
        device: where they lie.
        numerics: whether networks go together at all.
    """
    if not numerics.batched:
        return 1
    return passes.in_equal_groups(n, passes.images_with_graph(size, device) // batch)


def _report(progress: Callable[[int, int], None], before: int, total: int, networks: int, done: int) -> None:
    progress(before + networks * done, total)


make_callable(__name__)  # ``ddsweep.evaluate(...)`` is a function for users: see ``ddsweep.api.evaluate``
