"""DiM: a generator whose fakes give networks the same logits as real images.

Wang et al., "DiM: Distilling dataset into generative model" (2023), stage 2. The generator and the discriminator go on
from stage 1 (``pretrained.gan``) with their optimizers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ddsweep import nn
from ddsweep.augment import combined
from ddsweep.checkpoints import Damaged, State, into_optimizer, of_optimizer, optimizer_state
from ddsweep.data.pixels import from_symmetric, standardized, to_symmetric
from ddsweep.distill.matching import Match
from ddsweep.distill.synthetic import Synthetic
from ddsweep.nn import adversarial, microbatches, optimizers
from ddsweep.nn.gan import noise
from ddsweep.nn.measure import cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.rng import Streams, copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.distill.sets.generator import GeneratorSet
    from ddsweep.pretrained.gan import Gan

# Mean and standard deviation of the networks' input as in the original, where they are rounded
ROUNDED = {"cifar10": ((0.491, 0.482, 0.447), (0.202, 0.199, 0.201))}
MOMENTUM, WEIGHT_DECAY = 0.9, 5e-4


@dataclass(frozen=True)
class Settings:
    """Settings of logit matching; the defaults are those of CIFAR-10.

    Attributes:
        batch_real: real images of all classes per batch; also the number of fakes.
        outer_loops: steps of the generator with one network; one epoch of CIFAR-10.
        net_images: real images that train the network before each of them.
        archs: the networks, of which each iteration draws one.
        weight: the weight of the matching loss.
        lr_net: learning rate of the network (SGD, momentum 0.9, weight decay 5e-4).
        strategy: operations of the augmentation that real images and fakes share, joined by ``_``, or ``none``.
    """

    batch_real: int = 64
    outer_loops: int = 781
    net_images: int = 1024
    archs: tuple[str, ...] = (
        "convnet3",
        "resnet10-narrow",
        "resnet18-narrow",
        "resnet10-narrow-ap",
        "resnet18-narrow-ap",
    )
    weight: float = 0.01
    lr_net: float = 0.01
    strategy: str = "color_crop_cutout"

    @property
    def net_strategy(self) -> str:
        """The operations that augment the images that train the network: without cutout."""
        return "_".join(name for name in self.strategy.split("_") if name != "cutout") or "none"


@dataclass
class _Episode:
    """What is kept between two steps of one iteration.

    Attributes:
        arch: the place of the network among ``Settings.archs``.
        optimizer: the optimizer of the network.
        order: the shuffled real images of the current pass.
    """

    arch: int
    optimizer: optimizers.SGD
    order: Int64[Tensor, " n"]


class LogitMatching:
    """The loss of the generator, made once per distillation.

    In contrast to other methods, the random networks are not those of the recipe's ``arch``, but drawn from a pool.

    Args:
        gan: generator and discriminator, in train mode, with their optimizers.
        settings: the settings of the protocol.
        width: the width of the networks, see ``nn.build``.
        numerics: precision and compilation.
    """

    def __init__(self, gan: Gan, settings: Settings, width: int, numerics: Numerics | None = None) -> None:
        numerics = numerics or Numerics()
        self._gan, self._settings = gan, settings
        self._generator_loss = numerics.eager.function(adversarial.generator_loss)
        self._discriminator_loss = numerics.eager.function(adversarial.discriminator_loss)
        fakes = gan.generator
        shape = {"channels": fakes.channels, "classes": fakes.classes, "size": fakes.size, "width": width}
        device = next(fakes.parameters()).device
        self._nets = [nn.build(arch, **shape, generator=torch.Generator()).to(device) for arch in settings.archs]
        self._cross_entropy = [numerics.function(partial(cross_entropy, net)) for net in self._nets]
        self._distance = [numerics.function(partial(logit_distance, net)) for net in self._nets]
        self._episode: _Episode | None = None

    def episode(self, learned: GeneratorSet, dataset: Dataset, streams: Streams, done: int = 0) -> Iterator[Match]:
        """Yield the losses of the generator with one network from the pool, one per step.

        −mean score + CE of the discriminator's logits + ``weight`` · mean over images and classes of
        (log softmax net(A(real)) − log softmax net(A(fakes)))², where the fakes have the labels of the real images, and
        A is one augmentation for all of them. Before each step, the network is trained on ``net_images`` real images;
        after each, the discriminator takes a step. Real images come from shuffled passes without a last partial batch.
        The guidance sees the fakes of the step.

        Images are in [−1, 1] for the GAN. For the networks, that range is normalized with the statistics of pixels in
        [0, 1], as in the original; only evaluation and guidance have fakes in the normalized space of the dataset.

        Args:
            learned: the set whose generator is that of the GAN.
            dataset: the real images, on the same device.
            streams: ``network`` draws and initializes the network, ``batch`` shuffles, ``augment`` draws augmentations,
                and ``images`` draws noise and what else the discriminator's step needs.
            done: steps that are done already.

        Raises:
            UserError: the strategy has an unknown operation.
        """
        for step in range(done, self._settings.outer_loops):
            if step == 0:
                self._episode = self._begun(streams)
            else:
                self._step_discriminator(step - 1, dataset, streams)
            if step % self._batches(dataset) == 0:
                self._current.order = torch.randperm(len(dataset.labels), generator=streams.batch)
            self._train(dataset, streams)
            yield self._match(step, learned, dataset, streams)
        if done < self._settings.outer_loops:
            self._step_discriminator(self._settings.outer_loops - 1, dataset, streams)
        self._episode = None

    @property
    def _current(self) -> _Episode:
        assert self._episode is not None
        return self._episode

    def _begun(self, streams: Streams) -> _Episode:
        """Draw a network from the pool, and initialize it."""
        arch = int(torch.randint(len(self._nets), (), generator=streams.network))
        nn.initialize(self._nets[arch].train(), streams.network)
        return _Episode(arch, self._sgd(arch), torch.empty(0, dtype=torch.int64))

    def _sgd(self, arch: int) -> optimizers.SGD:
        parameters = self._nets[arch].parameters()
        return optimizers.SGD(parameters, lr=self._settings.lr_net, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def _size(self, dataset: Dataset) -> int:
        """Images per batch."""
        return min(self._settings.batch_real, len(dataset.labels))

    def _batches(self, dataset: Dataset) -> int:
        """Batches of one pass over the real images."""
        return len(dataset.labels) // self._size(dataset)

    def _real(self, step: int, dataset: Dataset) -> tuple[Tensor, Tensor]:
        """Return the real images of a step, in [−1, 1], and their labels."""
        size = self._size(dataset)
        first = step % self._batches(dataset) * size
        chosen = copy_to(self._current.order[first : first + size], dataset.labels.device)
        return to_symmetric(dataset.images[chosen], dataset.mean, dataset.std), dataset.labels[chosen]

    def _train(self, dataset: Dataset, streams: Streams) -> None:
        """Train the network on the first ``net_images`` images of a new pass, each with its own augmentation."""
        arch, size = self._current.arch, self._size(dataset)
        batches = min(max(1, self._settings.net_images // size), self._batches(dataset))
        order = torch.randperm(len(dataset.labels), generator=streams.batch)[: batches * size]
        for chosen in copy_to(order, dataset.labels.device).split(size):
            images = _for_networks(to_symmetric(dataset.images[chosen], dataset.mean, dataset.std), dataset)
            images = combined.independent(images, self._settings.net_strategy, streams.augment)
            self._current.optimizer.zero_grad()
            microbatches.backward(self._nets[arch], self._cross_entropy[arch], images, dataset.labels[chosen])
            self._current.optimizer.step()

    def _match(self, step: int, learned: GeneratorSet, dataset: Dataset, streams: Streams) -> Match:
        """Return the loss of the generator for the real images of a step, and its fakes."""
        gan, settings = self._gan, self._settings
        real, labels = self._real(step, dataset)
        fakes = gan.generator(noise(labels, gan.generator.classes, streams.images))
        change = combined.draw(streams.augment, len(real), dataset.size, settings.strategy, shared=True)
        real, ours = (combined.apply(_for_networks(images, dataset), change) for images in (real, fakes))
        loss = self._generator_loss(gan.discriminator, fakes, labels)
        loss = loss + settings.weight * self._distance[self._current.arch](real, ours)
        seen = Synthetic(from_symmetric(fakes, dataset.mean, dataset.std), labels, learned.ipc)
        return Match(loss, seen)

    def _step_discriminator(self, step: int, dataset: Dataset, streams: Streams) -> None:
        """Take the discriminator's step on the real images of a step."""
        gan, batch = self._gan, self._real(step, dataset)
        adversarial.step_discriminator(
            self._discriminator_loss, gan.nets, gan.adam_discriminator, batch, streams.images
        )

    def state(self) -> State:
        """Return the discriminator with its optimizer and, inside an iteration, the network with its own."""
        tensors = _weights("discriminator", self._gan.discriminator)
        tensors |= of_optimizer(self._gan.adam_discriminator, _parameters("discriminator", self._gan.discriminator))
        if self._episode is None:
            return State(tensors, {"arch": None})
        net = self._nets[self._episode.arch]
        tensors |= _weights("net", net) | of_optimizer(self._episode.optimizer, _parameters("net", net))
        return State(tensors | {"order": self._episode.order}, {"arch": self._episode.arch})

    def restore(self, state: State) -> None:
        """Restore ``state()``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        discriminator, arch = self._gan.discriminator, state.facts.get("arch")
        if arch is not None and (not isinstance(arch, int) or not 0 <= arch < len(self._nets)):
            raise Damaged(f"it has the network {arch} of {len(self._nets)}")
        trained: list[tuple[str, torch.nn.Module, torch.optim.Optimizer]] = [
            ("discriminator", discriminator, self._gan.adam_discriminator)
        ]
        episode = None
        if arch is not None:
            episode = _Episode(arch, self._sgd(arch), _order(state))
            trained.append(("net", self._nets[arch], episode.optimizer))
        found = [
            (state.part(name, net.state_dict()), optimizer_state(state, _parameters(name, net)))
            for name, net, _ in trained
        ]
        for (name, net, optimizer), (weights, momenta) in zip(trained, found, strict=True):
            net.load_state_dict(weights)
            into_optimizer(optimizer, _parameters(name, net), momenta)
        self._episode = episode


def _order(state: State) -> Int64[Tensor, " n"]:
    found = state.tensors.get("order")
    if found is None or found.dtype != torch.int64:
        raise Damaged("it has no order of the real images")
    return found


def _weights(prefix: str, net: torch.nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in net.state_dict().items()}


def _parameters(prefix: str, net: torch.nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in net.named_parameters() if value.requires_grad}


def _for_networks(images: Float[Tensor, "n c h w"], dataset: Dataset) -> Float[Tensor, "n c h w"]:
    """Return pixels in [−1, 1] as the networks see them: (images − mean) / std."""
    return standardized(images, *ROUNDED.get(dataset.name, (dataset.mean, dataset.std)))


def logit_distance(
    net: Callable[[Tensor], Tensor], real: Float[Tensor, "n c h w"], fakes: Float[Tensor, "n c h w"]
) -> Float[Tensor, ""]:
    """Return the mean over images and classes of (log softmax net(real) − log softmax net(fakes))².

    Real images and fakes are two batches: each has its own batch statistics. No gradient flows to the real images.
    """
    with torch.no_grad():
        target = F.log_softmax(net(real), dim=1)
    return F.mse_loss(F.log_softmax(net(fakes), dim=1), target)


def make(
    net: nn.Network,
    *,
    gan: Gan,
    batch_real: int,
    outer_loops: int,
    net_images: int,
    match_archs: str,
    match_weight: float,
    lr_net: float,
    dsa_strategy: str,
    numerics: Numerics,
) -> LogitMatching:
    """Return the loss of DiM from the numbers of a recipe; of its network ``net``, it uses the width only."""
    archs = tuple(match_archs.split("+"))
    settings = Settings(batch_real, outer_loops, net_images, archs, match_weight, lr_net, dsa_strategy)
    return LogitMatching(gan, settings, net.width, numerics)
