"""IDC and DREAM: match the gradients of a network that learns from real images, one class per step.

IDC: Kim et al., "Dataset condensation via efficient synthetic-data parameterization" (ICML 2022). DREAM: Liu et al.,
"DREAM: efficient dataset distillation by representative matching" (ICCV 2023), which is IDC with other real images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ddsweep.augment import combined
from ddsweep.checkpoints import State
from ddsweep.distill.matching import Match
from ddsweep.distill.methods import running_statistics
from ddsweep.distill.methods.gradients import ClassGradients, Metric
from ddsweep.distill.methods.real_batches import ClassPasses, RealBatches
from ddsweep.distill.methods.real_training import RealTraining
from ddsweep.distill.methods.representatives import Representatives
from ddsweep.nn import microbatches, statistics
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams, copy_to
from ddsweep.shared.sharing import Sharing

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.distill.sets.multi_formation import MultiFormation
    from ddsweep.nn import Network

MOST = 128  # decoded images of a class that are compared in one step; of more, so many are drawn


@dataclass(frozen=True)
class Settings:
    """Settings of IDC and DREAM; the defaults are those of IDC.

    Attributes:
        batch_real: real images of a class per step, and images per step of the network.
        strategy: operations of the augmentation joined by ``_`` (``augment.combined``).
        outer_loops: steps of every class with one network.
        net_images: real images on which the network is trained between two steps of a class.
        lr_net: its learning rate.
        metric: distance of gradients, see ``gradients.distance``.
        plus: DREAM+: mean features are compared too, and every network is first trained for one epoch.
    """

    batch_real: int = 64
    strategy: str = "color_crop_cutout"
    outer_loops: int = 100
    net_images: int = 2000
    lr_net: float = 0.01
    metric: Metric = "mse"
    plus: bool = False


class Condensation:
    """The matching loss of one network architecture, made once per distillation and used with all its random networks.

    Args:
        net: the network; its owner draws its parameters again before each episode.
        settings: the settings of the protocol.
        numerics: precision and compilation.
        batches: chooses the real images; default: those of IDC.

    Raises:
        UserError: an unknown metric.
    """

    def __init__(
        self, net: Network, settings: Settings, numerics: Numerics | None = None, batches: RealBatches | None = None
    ) -> None:
        numerics = numerics or Numerics()
        self._net, self._settings = net, settings
        self._batches = batches or ClassPasses(settings.batch_real)
        self._gradients = ClassGradients(net, settings.metric, numerics, convolutions=True)
        self._embed = numerics.function(net.embed)
        self._training = RealTraining(net, settings.batch_real, settings.lr_net, settings.strategy, numerics)

    @property
    def keeps_first_network(self) -> bool:
        """Whether the network that chose the initial images of DREAM is that of the first iteration."""
        return isinstance(self._batches, Representatives)

    def prepare(self, dataset: Dataset, streams: Streams) -> None:
        """Begin with a freshly drawn network; DREAM+ trains it for one epoch."""
        self._training.begin()
        if self._settings.plus:
            self._training.train(dataset, len(dataset.labels), streams)

    def episode(self, learned: MultiFormation, dataset: Dataset, streams: Streams, done: int = 0) -> Iterator[Match]:
        """Yield the matching losses of one network: ``outer_loops`` rounds, each with one step per class.

        The loss of class c is distance(∇θ CE(net(A(S_c)), c), ∇θ CE(net(A(T_c)), c)), where S_c are its decoded
        images (128 of them drawn at random, if there are more), T_c real images of it, A one augmentation for both, and
        θ the weights of the convolutions. Between two rounds, not after the last, the network is trained on real
        images.

        Args:
            learned: the set being learned.
            dataset: the real images, on the same device.
            streams: ``batch`` draws images and shuffles, ``augment`` draws augmentations.
            done: image steps that are done already; the network, the set, the streams and this object are in their
                state then.

        Raises:
            UserError: the strategy has an unknown operation, or a class has too few images.
        """
        classes = len(dataset.classes)
        for step in range(done, self._settings.outer_loops * classes):
            loop, label = divmod(step, classes)
            if loop and not label:
                self._training.train(dataset, self._settings.net_images, streams)
            self._net.train()
            if not label:
                running_statistics.settle(self._net, dataset, streams.batch)
            statistics.hold(self._net)
            real = self._batches.draw(dataset, label, loop, streams.batch)
            yield self._match(learned, dataset, label, real, streams)

    def _match(self, learned: MultiFormation, dataset: Dataset, label: int, real: Tensor, streams: Streams) -> Match:
        """Return the loss of one class, and its clean images."""
        clean = learned.decode_class(label)
        images = clean.images
        if len(images) > MOST:
            chosen = torch.randperm(len(images), generator=streams.batch)[:MOST]
            images = images[copy_to(chosen, images.device)]
        changes = combined.draw(streams.augment, 1, dataset.size, self._settings.strategy, shared=True)
        theirs = combined.apply(dataset.images[copy_to(real, images.device)], changes)
        ours = combined.apply(images, changes)
        target = self._gradients.target(theirs, clean.labels[0])
        loss = self._gradients.loss(ours, target, clean.labels[0])
        if self._settings.plus:
            loss = loss + self._feature_distance(ours, theirs)
        return Match(loss, clean)

    def _feature_distance(self, ours: Float[Tensor, "m c h w"], theirs: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
        """Return the distance of the mean features of both batches: Σ of the squared differences, in DREAM+."""
        with torch.no_grad():
            target = microbatches.apply(self._embed, theirs).to(theirs.dtype).mean(0)
        return (microbatches.apply(self._embed, ours).to(ours.dtype).mean(0) - target).square().sum()

    def state(self) -> State:
        """Return what the next step depends on beside the set, the network and the streams."""
        parts = {"batches": self._batches.state(), "training": self._training.state()}
        return State({f"{part}.{name}": value for part, all in parts.items() for name, value in all.items()}, {})

    def restore(self, state: State) -> None:
        """Restore ``state()``.

        Raises:
            Damaged: something is missing.
        """
        self._training.restore(state.under("training"))
        self._batches.restore(state.under("batches"))


def make(
    net: Network,
    *,
    batch_real: int,
    dsa_strategy: str,
    outer_loops: int,
    lr_net: float,
    distance: Metric,
    net_images: int,
    numerics: Numerics,
    shared: Sharing | None = None,
    select_every: int = 0,
    dream_plus: bool = False,
) -> Condensation:
    """Return the matching loss of IDC or, with ``select_every``, of DREAM and DREAM+, from the numbers of a recipe."""
    settings = Settings(batch_real, dsa_strategy, outer_loops, net_images, lr_net, distance, dream_plus)
    batches = Representatives(net, batch_real, select_every, numerics, shared) if select_every else None
    return Condensation(net, settings, numerics, batches)
