"""Train and test networks on a synthetic set, one at a time or several as one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ddsweep import augment, nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.synthetic import Sample, Synthetic
from ddsweep.evaluate import groups
from ddsweep.evaluate.rules import Rule
from ddsweep.evaluate.training import Score, Training
from ddsweep.nn import microbatches
from ddsweep.nn.measure import by_class, cross_entropy, recognized
from ddsweep.numerics import Numerics
from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.data import Dataset

REPORT_EVERY = 10  # epochs between two calls of ``progress``


class Trainer:
    """Trains networks on a synthetic set and tests them, one at a time or several as one module.

    Args:
        synthetic: the training images.
        dataset: the dataset whose test images are used.
        rule: how the networks are trained and which tests count.
        numerics: precision and compilation; default: float32, not compiled.
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
        """Train freshly initialized networks of one architecture, and return for each the test that counts.

        Args:
            nets: the networks, on the device of the images; they are trained in place.
            generators: one for each network, on the CPU, which shuffles and augments.
            progress: called with the number of epochs done, after every tenth and the last.
            slot: stores the checkpoints from which an interrupted training resumes; every epoch can be one. At the end
                it holds the scores, not the networks. None: no checkpoints.

        Raises:
            UserError: the strategy has an unknown augmentation operation.
            Interrupted: the slot was asked to stop.
        """
        rule, slot = self.rule, slot or Slot()
        net, loss = self._prepared(nets)
        training = Training.initial(net, generators, rule)
        slot.resume(training.restore)
        while training.done < rule.total_epochs:
            with nn.guarded(nets[0], generators[0].initial_seed(), "epoch", training.done):
                training.begin_epoch()
                for images, labels in self._batches(generators):
                    training.optimizer.zero_grad()
                    if len(nets) > 1:
                        loss(images, labels).backward()
                    else:
                        microbatches.backward(net, loss, images, labels)
                    training.optimizer.step()
                done = training.end_epoch()
                if rule.is_tested(done):
                    _copy(net, nets)
                    training.record([accuracy(trained, self._dataset) for trained in nets])
            if progress and (done % REPORT_EVERY == 0 or done == rule.total_epochs):
                progress(done)
            slot.offer(training.checkpoint) if done < rule.total_epochs else slot.save(training.checkpoint())
        return training.best

    def _prepared(self, nets: Sequence[torch.nn.Module]) -> tuple[torch.nn.Module, Callable[[Tensor, Tensor], Tensor]]:
        """Return the module to train and its loss: the same ones every time, because they are compiled once."""
        if len(nets) > 1:
            net: torch.nn.Module = nn.StackedNetworks(nets)
            return net, self._numerics.function(partial(_stacked_cross_entropy, net))
        if self._net is None or self._loss is None:
            self._net = nets[0]
            self._loss = self._numerics.function(partial(cross_entropy, nets[0]))
        elif self._net is not nets[0]:
            self._net.load_state_dict(nets[0].state_dict())
        return self._net, self._loss

    def _batches(self, generators: Sequence[torch.Generator]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch: [m, c, h, w] and [m] for one network, [k, m, c, h, w] and [k, m] for k.

        With CutMix, the labels are class weights: [m, classes] and [k, m, classes].
        """
        epochs = [self._epoch(generator) for generator in generators]
        if len(epochs) == 1:
            yield from epochs[0]
            return
        for batches in zip(*epochs, strict=True):
            yield torch.stack([batch[0] for batch in batches]), torch.stack([batch[1] for batch in batches])

    def _epoch(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch of one network."""
        synthetic, rule, classes = self._synthetic, self.rule, len(self._dataset.classes)
        if rule.fresh and synthetic.sample:
            yield from self._sampled(synthetic.sample, generator)
            return
        change = partial(rule.augment, generator=generator)
        for images, labels in augment.batches(synthetic.images, synthetic.labels, rule.batch, generator, change):
            yield rule.mix(images, labels, classes, generator)

    def _sampled(self, sample: Sample, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of an epoch of one network, each a new sample with uniformly random labels."""
        size, classes, device = self.rule.batch, len(self._dataset.classes), self._synthetic.labels.device
        for _ in range(len(self._synthetic.labels) // size + 1):
            labels = copy_to(torch.randint(classes, (size,), generator=generator), device)
            images = self.rule.augment(sample(labels, generator), generator)
            yield self.rule.mix(images, labels, classes, generator)


def _stacked_cross_entropy(net: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over the networks of each network's mean."""
    return len(images) * F.cross_entropy(net(images).flatten(0, 1), labels.flatten(0, 1))


def _copy(trained: torch.nn.Module, nets: Sequence[torch.nn.Module]) -> None:
    """Copy the trained weights into the networks."""
    if isinstance(trained, nn.StackedNetworks):
        trained.write_back(nets)
    elif trained is not nets[0]:
        nets[0].load_state_dict(trained.state_dict())


def accuracy(net: torch.nn.Module, dataset: Dataset) -> Score:
    """Return the accuracy on the whole test set; the network is put into eval mode and left in it."""
    correct = recognized(net, dataset.test_images, dataset.test_labels)
    overall, each = by_class(correct, dataset.test_labels, len(dataset.classes))
    return Score(float(overall), each.tolist(), groups.accuracy(correct, dataset))
