"""Stage 1 of DiM: train a conditional GAN once for all runs of a dataset, seed and settings (Wang et al., 2023).

Adam with β = (0, 0.9) at a constant rate, on pixels in [−1, 1] without augmentation; for every batch one step of the
generator, then one of the discriminator (``nn.adversarial``). An epoch leaves out the images that fill no whole batch,
as in the original. The weights of the last epoch count; in the original, a person chooses among the epochs by the test
accuracy of networks trained on the fakes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddsweep import checked_files, rng
from ddsweep.checkpoints import (
    Checkpoints,
    Slot,
    State,
    into_optimizer,
    of_optimizer,
    optimizer_state,
)
from ddsweep.data.pixels import to_symmetric
from ddsweep.errors import Diverged
from ddsweep.nn import adversarial, optimizers
from ddsweep.nn.gan import Discriminator, Generator, build
from ddsweep.numerics import Numerics
from ddsweep.pretrained import epochs, spec, training
from ddsweep.pretrained.epochs import Progress

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.preparation import Preparation
    from ddsweep.pretrained.spec import Spec
    from ddsweep.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Gan:
    """A generator and a discriminator in train mode, with their optimizers.

    Attributes:
        generator: maps noise to images in [−1, 1].
        discriminator: maps images to scores and logits.
        adam: the optimizer of the generator.
        adam_discriminator: the optimizer of the discriminator.
    """

    generator: Generator
    discriminator: Discriminator
    adam: optimizers.Adam
    adam_discriminator: optimizers.Adam

    @classmethod
    def initial(cls, spec: Spec, dataset: Dataset, generator: torch.Generator) -> Gan:
        """Return untrained networks on the device of the dataset."""
        ours, theirs = build(len(dataset.classes), dataset.channels, dataset.size, spec.width, generator)
        ours, theirs = ours.to(dataset.labels.device), theirs.to(dataset.labels.device)
        return cls(ours, theirs, adversarial.optimizer(ours, spec.lr), adversarial.optimizer(theirs, spec.lr))

    @property
    def nets(self) -> tuple[Generator, Discriminator]:
        """Both networks."""
        return self.generator, self.discriminator

    @property
    def _parts(self) -> list[tuple[str, torch.nn.Module, optimizers.Adam]]:
        ours, theirs = self.nets
        return [("generator", ours, self.adam), ("discriminator", theirs, self.adam_discriminator)]

    def _weights(self) -> dict[str, Tensor]:
        return {f"{name}.{key}": value for name, net, _ in self._parts for key, value in net.state_dict().items()}

    def _optimized(self) -> list[tuple[optimizers.Adam, dict[str, Tensor]]]:
        """Each optimizer with its parameters by name."""
        return [
            (adam, {f"{name}.{key}": value for key, value in net.named_parameters()}) for name, net, adam in self._parts
        ]

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights, running statistics and momenta, after at least one step."""
        momenta = [of_optimizer(adam, parameters) for adam, parameters in self._optimized()]
        return self._weights() | momenta[0] | momenta[1]

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore ``tensors()``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        state, weights = State(tensors, {}), self._weights()
        found = {name: state.tensor(name, value) for name, value in weights.items()}
        momenta = [optimizer_state(state, parameters) for _, parameters in self._optimized()]
        with torch.no_grad():
            for name, value in weights.items():
                value.copy_(found[name])
        for (adam, parameters), own in zip(self._optimized(), momenta, strict=True):
            into_optimizer(adam, parameters, own)


def prepare(recipe: Recipe, dataset: Dataset, context: Preparation) -> Gan:
    """Return the GAN of a recipe, trained now if it is not in the pool (``registry.methods.Method.trains``).

    Raises:
        Diverged: its loss is infinite or not a number.
        Interrupted: asked to stop; the state is saved.
    """
    one = spec.gan(recipe)

    def progress(done: int, total: int) -> None:
        context.progress(f"pretrain GAN {one.seed}", done, total)

    progress(0, one.epochs)
    ensure(one, {one.epochs}, dataset, progress, context.checkpoints, context.choice.of(0))
    return load(one, dataset)


def ensure(
    one: Spec,
    wanted: Collection[int],
    dataset: Dataset,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    numerics: Numerics | None = None,
) -> None:
    """Train the GAN unless the weights of all epochs are in the pool, and put them there; see ``training.ensure``.

    Raises:
        Diverged: its loss is infinite or not a number; what was trained before is kept.
        Interrupted: asked to stop; the state is saved.
    """

    def train(missing: Collection[int], slot: Slot) -> None:
        epochs.run(Training.initial(one, dataset, numerics or Numerics()), missing, progress, slot)

    training.ensure_by(train, one, wanted, dataset, checkpoints)


def stored_bytes(one: Spec, dataset: Dataset) -> int:
    """Return the bytes of the tensors of a GAN in the pool: its weights and two momenta of each parameter."""
    nets = Gan.initial(one, dataset, torch.Generator()).nets
    weights = sum(value.nbytes for net in nets for value in net.state_dict().values())
    return weights + 2 * sum(value.nbytes for net in nets for value in net.parameters())


def load(one: Spec, dataset: Dataset) -> Gan:
    """Return a GAN that is in the pool."""
    gan = Gan.initial(one, dataset, torch.Generator())
    gan.restore(checked_files.read_tensors(one.weights(one.epochs))[0])
    return gan


@dataclass
class Training:
    """The training of a GAN (``epochs.Work``).

    Attributes:
        spec: its settings.
        gan: the networks.
        dataset: the real images.
        generator_loss: ``adversarial.generator_loss`` in the precision of the training.
        discriminator_loss: ``adversarial.discriminator_loss`` likewise.
        drawing: shuffles the images, and draws everything else.
        epoch: epochs that are done.
        batches: batches of the next epoch that are done.
        order: the shuffled images of the next epoch, if it has begun.
    """

    spec: Spec
    gan: Gan
    dataset: Dataset
    generator_loss: adversarial.Loss
    discriminator_loss: adversarial.Loss
    drawing: torch.Generator
    epoch: int = 0
    batches: int = 0
    order: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    @classmethod
    def initial(cls, one: Spec, dataset: Dataset, numerics: Numerics) -> Training:
        """Return the state before the first epoch."""
        drawing = rng.generator(one.seed, "gan", one.source)
        losses = (adversarial.generator_loss, adversarial.discriminator_loss)
        run = tuple(numerics.eager.function(loss) for loss in losses)
        return cls(one, Gan.initial(one, dataset, drawing), dataset, run[0], run[1], drawing)

    def train_epoch(self, slot: Slot) -> None:
        """See ``epochs.Work``.

        Raises:
            Diverged: the loss is infinite or not a number.
        """
        images = len(self.dataset.labels)
        if not self.batches:
            self.order = torch.randperm(images, generator=self.drawing)
        size = min(self.spec.batch, images)
        found = torch.zeros(())
        while self.batches < images // size:
            chosen = self.order[self.batches * size : (self.batches + 1) * size].to(self.dataset.labels.device)
            found = self._step(chosen)
            self.batches += 1
            if self.batches < images // size:
                slot.offer(self.checkpoint)
        self.epoch, self.batches = self.epoch + 1, 0
        if not found.isfinite():  # once per epoch, because reading it makes the host wait for the device
            raise Diverged(
                f"gan_lr: {self.spec.lr} is too large: the loss of the GAN is {float(found)} "
                f"after epoch {self.epoch} of {self.spec.epochs}"
            )

    def _step(self, chosen: Tensor) -> Tensor:
        """Take one step of both networks, and return the sum of their losses."""
        gan, data = self.gan, self.dataset
        images, labels = to_symmetric(data.images[chosen], data.mean, data.std), data.labels[chosen]
        ours = adversarial.step_generator(self.generator_loss, gan.nets, gan.adam, labels, self.drawing)
        adam = gan.adam_discriminator
        return ours + adversarial.step_discriminator(
            self.discriminator_loss, gan.nets, adam, (images, labels), self.drawing
        )

    def store(self) -> None:
        """See ``epochs.Work``."""
        metadata = training.metadata(self.spec, self.epoch, self.dataset)
        checked_files.write_tensors(self.spec.weights(self.epoch), self.gan.tensors(), metadata)

    def checkpoint(self) -> State:
        """See ``epochs.Work``."""
        tensors = self.gan.tensors() | {"drawing": self.drawing.get_state()}
        if self.batches:
            tensors["order"] = self.order
        return State(tensors, {"epoch": self.epoch, "batches": self.batches})

    def restore(self, state: State, before: int) -> Training | None:
        """See ``epochs.Work``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        epoch, batches = state.progress("epoch", "batches")
        if epoch >= before:
            return None
        drawn = state.tensor("drawing", self.drawing.get_state())
        order = state.tensor("order", torch.arange(len(self.dataset.labels))) if batches else self.order
        self.gan.restore(state.tensors)
        self.drawing.set_state(drawn)
        self.epoch, self.batches, self.order = epoch, batches, order
        return self
