"""A generator as what is learned: images are sampled from it (DiM)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.data.pixels import from_symmetric
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import Damaged
from ddsweep.nn.gan import Generator, noise

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.nn import Network
    from ddsweep.pretrained.gan import Gan
    from ddsweep.rng import Streams

KIND = "generator"


@dataclass(frozen=True, eq=False)
class Sampler:
    """Samples images from a generator in eval mode, whatever mode it is in between (``Synthetic.sample``).

    Attributes:
        generator: maps noise to images in [−1, 1].
        mean: per-channel mean of the dataset, in units of [0, 1].
        std: per-channel standard deviation.
    """

    generator: Generator
    mean: Sequence[float]
    std: Sequence[float]

    def to(self, device: torch.device) -> Sampler:
        """Move the generator to a device, and return the sampler."""
        self.generator.to(device)
        return self

    @torch.no_grad()
    def __call__(self, labels: Int64[Tensor, " n"], drawing: torch.Generator) -> Float[Tensor, "n c h w"]:
        """Return one new image of each label, normalized; ``drawing`` draws the noise, on the CPU."""
        return self.decode(noise(labels, self.generator.classes, drawing))

    def decode(self, drawn: Float[Tensor, "n d"]) -> Float[Tensor, "n c h w"]:
        """Return the normalized images of some noise; gradients flow to the parameters of the generator."""
        training = self.generator.training
        images = self.generator.eval()(drawn)
        self.generator.train(training)
        return from_symmetric(images, self.mean, self.std)


class GeneratorSet(LearnedSet):
    """A generator, of which ``decode`` shows ``ipc`` images per class from noise that is drawn once.

    Args:
        gan: the trained GAN from which the generator starts.
        sampler: samples from its generator.
        ipc: images per class.
        drawn: the fixed noise, class by class.
    """

    kind: ClassVar[str] = KIND

    def __init__(self, gan: Gan, sampler: Sampler, ipc: int, drawn: Float[Tensor, "n d"]) -> None:
        self._gan, self.sampler, self.ipc, self._drawn = gan, sampler, ipc, drawn

    def parameters(self) -> dict[str, Tensor]:
        """The parameters of the generator."""
        return dict(self._gan.generator.named_parameters())

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """The optimizer of the generator's training, which continues at another rate; so does the discriminator's."""
        for adam in (self._gan.adam, self._gan.adam_discriminator):
            for group in adam.param_groups:
                group["lr"] = lr
        return self._gan.adam

    def decode(self) -> Synthetic:
        """The images of the fixed noise, by a generator in eval mode."""
        generator = self._gan.generator
        labels = torch.arange(generator.classes, device=self._drawn.device).repeat_interleave(self.ipc)
        return Synthetic(self.sampler.decode(self._drawn), labels, self.ipc, sample=self.sampler)

    def state(self) -> dict[str, Tensor]:
        """The parameters and running statistics of the generator, and the fixed noise."""
        return dict(self._gan.generator.state_dict()) | {"noise": self._drawn}

    def facts(self) -> dict[str, str]:
        """The width of the generator; its other numbers are those of the images."""
        return {"width": str(self._gan.generator.width)}


def sampler(gan: Gan, dataset: Dataset) -> Sampler:
    """Return what samples from the generator of a GAN in the normalized space of a dataset."""
    return Sampler(gan.generator, dataset.mean, dataset.std)


def make(dataset: Dataset, net: Network, streams: Streams, *, ipc: int, gan: Gan) -> GeneratorSet:
    """Return the set of a GAN for ``registry.methods.Method.learned``."""
    classes, device = len(dataset.classes), dataset.labels.device
    labels = torch.arange(classes, device=device).repeat_interleave(ipc)
    drawn = noise(labels, classes, streams.images)
    return GeneratorSet(gan, sampler(gan, dataset), ipc, drawn)


def sampler_of(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], mean: Sequence[float], std: Sequence[float]
) -> Sampler | None:
    """Return the sampler of a stored set (``distill.synthetic.read``), or None if it has no generator.

    Raises:
        Damaged: its generator cannot be read.
    """
    if metadata.get("kind") != KIND:
        return None
    try:
        classes = int(tensors["labels"].max()) + 1
        channels, size = tensors["images"].shape[1:3]
        generator = Generator(classes, channels, size, int(metadata["width"]))
        own = {name.removeprefix("set."): value for name, value in tensors.items() if name.startswith("set.")}
        generator.load_state_dict({name: own[name] for name in generator.state_dict()})
    except (KeyError, ValueError, RuntimeError) as error:
        raise Damaged(f"the generator of the set is damaged: {' '.join(str(error).split())}") from None
    return Sampler(generator.requires_grad_(False).eval(), mean, std)
