"""Training of the network of a matching loss on real images, as in IDC and DREAM."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ddsweep.augment import combined, cutmix
from ddsweep.checkpoints import Damaged, State
from ddsweep.distill.methods.passes import Passes
from ddsweep.nn import microbatches, optimizers
from ddsweep.nn.measure import cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams, copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


class RealTraining:
    """Trains one network with SGD (momentum 0.9, weight decay 5e-4) on augmented real images.

    Batches come from endless shuffled passes over all training images, which go on from one network to the next; the
    last batch of a pass can be smaller. Every image has an augmentation of its own (``augment.combined``), and half of
    the batches are mixed (``augment.cutmix``); cutout is left out of the strategy, because CutMix takes its place.

    Args:
        net: the network.
        batch: images per step.
        lr: learning rate.
        strategy: augmentation operations joined by ``_``, or ``none``.
        numerics: precision and compilation.
    """

    def __init__(self, net: nn.Module, batch: int, lr: float, strategy: str, numerics: Numerics) -> None:
        self._net, self._lr = net, lr
        self._strategy = "_".join(name for name in strategy.split("_") if name != "cutout") or "none"
        self._loss = numerics.function(partial(cross_entropy, net))
        self._passes = Passes(batch, drop_last=False)
        self._optimizer = self._new_optimizer()

    def _new_optimizer(self) -> optimizers.SGD:
        return optimizers.SGD(self._net.parameters(), lr=self._lr, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def begin(self) -> None:
        """Forget the momentum: the parameters of the network were drawn again."""
        self._optimizer = self._new_optimizer()

    def train(self, dataset: Dataset, images: int, streams: Streams) -> None:
        """Take steps on at least so many images; the step that reaches the number is the last.

        Args:
            dataset: the real images.
            images: number of images; 0: no step.
            streams: ``batch`` shuffles, ``augment`` draws augmentations and CutMix.
        """
        self._net.train()
        for batch, targets in self._batches(dataset, images, streams):
            self._optimizer.zero_grad()
            microbatches.backward(self._net, self._loss, batch, targets)
            self._optimizer.step()

    def _batches(self, dataset: Dataset, images: int, streams: Streams) -> Iterator[tuple[Tensor, Tensor]]:
        seen, classes = 0, len(dataset.classes)
        while seen < images:
            index = copy_to(self._passes.draw(len(dataset.labels), streams.batch), dataset.labels.device)
            batch = combined.independent(dataset.images[index], self._strategy, streams.augment)
            cut = cutmix.draw(streams.augment, len(batch), dataset.size)
            yield cutmix.apply(batch, dataset.labels[index], classes, cut)
            seen += len(batch)

    def state(self) -> dict[str, Tensor]:
        """Return the position in the current pass, and the momentum if there is one, for a checkpoint."""
        tensors = {f"pass.{name}": value for name, value in self._passes.state().items()}
        for name, parameter in self._net.named_parameters():
            if parameter in self._optimizer.state:
                tensors[f"momentum.{name}"] = self._optimizer.state[parameter]["momentum_buffer"]
        return tensors

    def restore(self, state: State) -> None:
        """Restore ``state()`` from a checkpoint with these tensors.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        parameters = dict(self._net.named_parameters())
        moved = {name: value for name, value in parameters.items() if f"momentum.{name}" in state.tensors}
        momenta = state.part("momentum", moved)
        try:
            self._passes.restore({name: state.tensors[f"pass.{name}"] for name in ("order", "drawn")})
        except KeyError as missing:
            raise Damaged(f"it has no {missing}") from None
        self.begin()
        for name, momentum in momenta.items():
            self._optimizer.state[parameters[name]]["momentum_buffer"] = momentum
