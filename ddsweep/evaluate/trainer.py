"""The training of networks on a synthetic set, one at a time or several as one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ddsweep import augment, nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.synthetic import Synthetic
from ddsweep.evaluate.rules import Rule
from ddsweep.evaluate.training import Score, Training
from ddsweep.nn import passes
from ddsweep.nn.measure import class_accuracy
from ddsweep.numerics import Numerics

if TYPE_CHECKING:
    from ddsweep.data import Dataset

REPORT_EVERY = 10  # epochs between two calls of progress


class Trainer:
    """Trains networks on a synthetic set and tests them, one at a time or several as one module.

    Args:
        synthetic: what they are trained on, without a graph.
        dataset: what they are tested on.
        rule: how.
        numerics: how it is computed; default: float32, nothing compiled.
    """

    def __init__(self, synthetic: Synthetic, dataset: Dataset, rule: Rule, numerics: Numerics | None = None) -> None:
        self._synthetic, self._dataset, self.rule = synthetic.detached(), dataset, rule
        self._numerics = numerics or Numerics()
        self._net: torch.nn.Module | None = None
        self._loss: Callable[[Tensor, Tensor], Tensor] | None = None

    def train(
        self,
        nets: Sequence[torch.nn.Module],
        generators: Sequence[torch.Generator],
        progress: Callable[[int], None] | None = None,
        slot: Slot | None = None,
    ) -> list[Score]:
        """Train freshly initialized networks of one architecture by the rule; of each, the test that counts.

        Args:
            nets: on the device of the images; they hold what was learned when this returns.
            generators: of each, on the CPU: it shuffles and augments.
            progress: called with the passes done, every ten or so.
            slot: where they go on from if they were cut off; every pass is a boundary. At the end it holds the scores,
                not the networks. None: nowhere.

        Raises:
            UserError: an unknown augmentation operation.
            Interrupted: the slot was asked to leave.
        """
        rule, slot = self.rule, slot or Slot()
        net, loss = self._prepared(nets)
        training = Training.of(net, generators, rule)
        slot.resume(training.restore)
        while training.done < rule.passes:
            training.begin_pass()
            for images, labels in self._batches(generators):
                training.optimizer.zero_grad()
                if len(nets) > 1:
                    loss(images, labels).backward()
                else:
                    passes.backward(net, loss, images, labels)
                training.optimizer.step()
            done = training.end_pass()
            if rule.tested(done):
                _copy(net, nets)
                training.tested([accuracy(one, self._dataset) for one in nets])
            if progress and (done % REPORT_EVERY == 0 or done == rule.passes):
                progress(done)
            slot.offer(training.state) if done < rule.passes else slot.save(training.state())
        return training.best

    def _prepared(self, nets: Sequence[torch.nn.Module]) -> tuple[torch.nn.Module, Callable[[Tensor, Tensor], Tensor]]:
        """The module that is trained, and its loss: the same ones every time, for they are compiled once."""
        if len(nets) > 1:
            net: torch.nn.Module = nn.Together(nets)
            return net, self._numerics.function(partial(_cross_entropies, net))
        if self._net is None or self._loss is None:
            self._net = nets[0]
            self._loss = self._numerics.function(partial(_cross_entropy, nets[0]))
        elif self._net is not nets[0]:
            self._net.load_state_dict(nets[0].state_dict())
        return self._net, self._loss

    def _batches(self, generators: Sequence[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: [m, c, h, w] and [m] for one network, [k, m, c, h, w] and [k, m] for k."""
        images, labels, rule = self._synthetic.images, self._synthetic.labels, self.rule
        each = [
            augment.batches(images, labels, rule.batch, one, partial(rule.change, generator=one)) for one in generators
        ]
        if len(each) == 1:
            yield from each[0]
            return
        for parts in zip(*each, strict=True):
            yield torch.stack([part[0] for part in parts]), torch.stack([part[1] for part in parts])


def _cross_entropy(net: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(net(images), labels)


def _cross_entropies(net: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The sum over the networks of each one's mean."""
    return len(images) * F.cross_entropy(net(images).flatten(0, 1), labels.flatten())


def _copy(trained: torch.nn.Module, nets: Sequence[torch.nn.Module]) -> None:
    """What was learned, into the networks."""
    if isinstance(trained, nn.Together):
        trained.write_back(nets)
    elif trained is not nets[0]:
        nets[0].load_state_dict(trained.state_dict())


def accuracy(net: torch.nn.Module, dataset: Dataset) -> Score:
    """Accuracy on the whole test set, in evaluation mode, where the network is left."""
    whole, by_class = class_accuracy(net, dataset.test_images, dataset.test_labels, len(dataset.classes))
    return Score(float(whole), by_class.tolist())
