"""DC and DSA: match the gradients of a network on synthetic and on real images, class by class.

DC: Zhao, Mopuri & Bilen, "Dataset condensation with gradient matching" (ICLR 2021). DSA: Zhao & Bilen, "Dataset
condensation with differentiable siamese augmentation" (ICML 2021). DC is DSA with the strategy ``none``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ddsweep import augment
from ddsweep.distill.methods import running_statistics
from ddsweep.distill.methods.batches import draw
from ddsweep.distill.methods.following import DRAWN, following_networks, lent
from ddsweep.distill.methods.gradients import ClassGradients, Metric
from ddsweep.distill.methods.real_gradients import Group, SharedGradients, grouped, key_of, target
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import can_be_stacked, microbatches, optimizers, statistics
from ddsweep.nn.measure import cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams
from ddsweep.shared.records import Following
from ddsweep.shared.sharing import Sharing

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset

# A synthetic image is differentiated twice and takes the memory of about so many real images (measured: 2.5 to 4.6).
SECOND_ORDER = 4


@dataclass(frozen=True)
class Settings:
    """Settings of gradient matching; the defaults are those of IPC 10.

    Attributes:
        batch_real: distinct real images per class and step.
        strategy: operations of the siamese augmentation joined by ``_``; ``none`` is DC.
        outer_loops: T, the image steps with one network.
        inner_epochs: epochs of the network on the synthetic set between two image steps.
        batch_train: batch size of those epochs.
        lr_net: learning rate of those epochs (plain SGD: no momentum, no weight decay).
        metric: distance of gradients, see ``gradients.distance``.
    """

    batch_real: int = 256
    strategy: str = "none"
    outer_loops: int = 10
    inner_epochs: int = 50
    batch_train: int = 256
    lr_net: float = 0.01
    metric: Metric = "rows"


class GradientMatching:
    """The matching loss of one network architecture, made once per distillation and used with all its random networks.

    Args:
        net: the network; its owner draws its parameters again before each episode.
        settings: the settings of the protocol.
        numerics: precision, compilation, and whether classes are vectorized.
        shared: where the real gradients of a network that was not trained yet are read and kept: those of its first
            step, which do not depend on the synthetic set. Default: nowhere.

    Raises:
        UserError: an unknown metric.
    """

    def __init__(
        self, net: nn.Module, settings: Settings, numerics: Numerics | None = None, shared: Sharing | None = None
    ) -> None:
        numerics = numerics or Numerics()
        self._net, self._settings = net, settings
        self._vectorized = numerics.vectorized and can_be_stacked(net)
        self._gradients = ClassGradients(net, settings.metric, numerics)
        drawn = {"batch_real": settings.batch_real, "strategy": settings.strategy}
        self._shared = SharedGradients(
            self._gradients, (shared or Sharing.off()).records("first-gradients", net, **drawn)
        )
        self._cross_entropy = numerics.function(partial(cross_entropy, net))

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """Yield the T matching losses of a freshly drawn network, one per image step.

        Between two losses the caller updates the images, and then the network is trained on them for ``inner_epochs``
        epochs; not after the last. Each loss is Σ over classes c of
        distance(∇θ CE(net(A(S_c)), c), ∇θ CE(net(A(T_c)), c)), where S_c are the synthetic images of class c, T_c
        ``batch_real`` real images of it, and A one augmentation, drawn per class and applied to both. The loss is
        computed together with its gradient to the augmented images, and its graph reaches no further back: the
        second-order graph of one class is in memory at a time (on a GPU, of as many classes as fit).

        Args:
            synthetic: the set being learned; ``images`` is a leaf that requires a gradient.
            dataset: the real images, on the same device.
            streams: ``batch`` draws real images and shuffles, ``augment`` draws augmentations.
            done: image steps that are done already; the network, the images and the streams are in their state then.

        Raises:
            UserError: the strategy has an unknown operation.
        """
        optimizer = optimizers.SGD(self._net.parameters(), lr=self._settings.lr_net)
        self._net.train()
        for loop in range(done, self._settings.outer_loops):
            if loop:
                self._train(optimizer, synthetic.detached(), streams)
            key = streams.digest(*DRAWN) if loop == 0 else b""
            running_statistics.settle(self._net, dataset, streams.batch)
            yield self._loss(synthetic, dataset, streams, key)

    def _loss(self, synthetic: Synthetic, dataset: Dataset, streams: Streams, key: bytes) -> Float[Tensor, ""]:
        """Return the loss of one step; ``key`` identifies a network that is not trained and its draws, else empty."""
        at_once, device = self._classes_at_once(synthetic, dataset), dataset.labels.device
        groups = self._draw(dataset, streams, at_once)
        targets: Iterable[list[Tensor]] = (target(self._gradients, dataset, group) for group in groups)
        if key:
            following = partial(self._following, dataset, streams, at_once)
            targets = self._shared.get(key, groups, dataset, following if self._can_look_ahead else None)
        find = self._gradients.loss if at_once == 1 else self._gradients.losses
        sides = ((group.synthetic(synthetic), group.labels(device)) for group in groups)
        return torch.stack([find(ours, one, label) for one, (ours, label) in zip(targets, sides, strict=True)]).sum()

    def _draw(self, dataset: Dataset, streams: Streams, at_once: int) -> list[Group]:
        number = self._settings.batch_real
        batches = draw(dataset, range(len(dataset.classes)), number, self._settings.strategy, streams)
        return grouped(batches, at_once, number)

    @property
    def _can_look_ahead(self) -> bool:
        """Whether the draws of the next network follow at once: no step trains this one, and no norm is settled."""
        return self._settings.outer_loops == 1 and not statistics.has_batch_norm(self._net)

    def _following(self, dataset: Dataset, streams: Streams, at_once: int) -> Following:
        """Yield the real gradients of the next networks (``Records.get``)."""
        streams = streams.copy()
        for net in following_networks(self._net, streams):
            key = streams.digest(*DRAWN)
            groups = self._draw(dataset, streams, at_once)
            yield key_of(key, groups), partial(self._gradients_of, net, groups, dataset)

    def _gradients_of(self, net: nn.Module, groups: list[Group], dataset: Dataset) -> Tensor:
        with lent(self._net, net):
            return self._shared.flat(groups, dataset)

    def _classes_at_once(self, synthetic: Synthetic, dataset: Dataset) -> int:
        """Return the number of classes per batch: as many as fit in memory, in groups of equal size."""
        if not self._vectorized:
            return 1
        most = microbatches.max_images_with_graph(dataset.size, synthetic.images.device)
        most = max(1, most // (self._settings.batch_real + SECOND_ORDER * synthetic.ipc))
        return microbatches.group_size(synthetic.classes, most)

    def _train(self, optimizer: torch.optim.Optimizer, synthetic: Synthetic, streams: Streams) -> None:
        settings = self._settings
        change = partial(augment.independent, strategy=settings.strategy, generator=streams.augment)
        self._net.train()
        for _ in range(settings.inner_epochs):
            for images, labels in augment.batches(
                synthetic.images, synthetic.labels, settings.batch_train, streams.batch, change
            ):
                optimizer.zero_grad()
                microbatches.backward(self._net, self._cross_entropy, images, labels)
                optimizer.step()


def make(
    net: nn.Module,
    *,
    batch_real: int,
    outer_loops: int,
    inner_epochs: int,
    batch_train: int,
    lr_net: float,
    distance: Metric,
    numerics: Numerics,
    shared: Sharing | None = None,
    dsa_strategy: str = "none",
) -> GradientMatching:
    """Return the matching loss of DSA, or of DC (the same without augmentation), from the numbers of a recipe."""
    settings = Settings(batch_real, dsa_strategy, outer_loops, inner_epochs, batch_train, lr_net, distance)
    return GradientMatching(net, settings, numerics, shared)
