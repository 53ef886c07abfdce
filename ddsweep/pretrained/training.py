"""Train a PTM or an expert once for all runs: SGD and cross-entropy.

PTMs (paper, Sec. 3.2) have momentum 0.9, a schedule of the learning rate, and no augmentation. Experts (Cazenavette et
al. 2022, Sec. 3.1) have neither momentum nor weight decay, a constant rate, and DSA: one operation per batch, with
parameters of its own for each image.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddsweep import augment, checked_files, errors, files, nn, rng
from ddsweep.checkpoints import Checkpoints, FileSlot, Slot, State, into_training, of_training
from ddsweep.data.dataset import Dataset
from ddsweep.nn import microbatches, optimizers
from ddsweep.nn.measure import class_accuracy, cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.pretrained import epochs as epochs_of
from ddsweep.pretrained.epochs import Progress
from ddsweep.pretrained.spec import Spec

logger = logging.getLogger(__name__)


def learning_rate(spec: Spec, epoch: int) -> float:
    """Return the learning rate of ``epoch`` (from 1): it decays to a tenth after one third and after two thirds.

    With 150 epochs: after 50 and after 100. That of an expert is constant.
    """
    if spec.is_expert:
        return spec.lr
    return spec.lr * 0.1 ** sum(epoch > part * spec.epochs // 3 for part in (1, 2))


def ensure(
    spec: Spec,
    epochs: Collection[int],
    dataset: Dataset,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    numerics: Numerics | None = None,
) -> None:
    """Train ``spec`` unless the weights of all ``epochs`` are in the pool, and put them there.

    One agent trains while the others wait. An interrupted training resumes from its last checkpoint, in any agent, and
    ends in the same weights, because the checkpoint holds weights, momenta and the generator.

    Args:
        spec: the training.
        epochs: the epochs whose weights to keep; 0: the initial weights.
        dataset: the images of ``spec.source``, on the device that trains.
        progress: called with (epochs done, total epochs).
        checkpoints: when to save; every batch can be a checkpoint, because an epoch of ResNet-18 takes half an hour on
            a CPU.
        numerics: precision and compilation; default: float32, not compiled.

    Raises:
        Interrupted: asked to stop; the state is saved.
    """

    def train(missing: Collection[int], slot: Slot) -> None:
        work = Training.initial(spec, dataset, max(missing), numerics or Numerics())
        epochs_of.run(work, missing, progress, slot)

    ensure_by(train, spec, epochs, dataset, checkpoints)


def ensure_by(
    train: Callable[[Collection[int], Slot], None],
    spec: Spec,
    epochs: Collection[int],
    dataset: Dataset,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Call ``train`` with the epochs whose weights are missing in the pool, if any; arguments as in ``ensure``.

    Weights that are damaged, or of other images than those of ``dataset``, are set aside before.
    """
    if files.is_read_only(spec.folder) and _is_complete(spec, epochs, dataset):
        return
    with files.lock(spec.folder / ".lock"):
        files.clear_temporaries(spec.folder)
        _set_aside_other_data(spec, dataset)
        _set_aside_damaged(spec, epochs)
        owner = {"settings": json.dumps(spec.settings, sort_keys=True), "data": dataset.checksum}
        slot = FileSlot(spec.folder / "training.safetensors", owner, checkpoints or Checkpoints())
        if missing := set(epochs) - spec.saved():
            train(missing, slot)
        slot.trim()  # training for more epochs resumes from the last checkpoint; the weights are in the pool


def free_first(specs: Iterable[Spec]) -> Iterator[Spec]:
    """Yield every training once, those first that no other process is at: several agents train different networks."""
    waiting = list(specs)
    while waiting:
        free = (index for index, one in enumerate(waiting) if not files.is_locked(one.folder / ".lock"))
        yield waiting.pop(next(free, 0))


@dataclass
class Training:
    """A training in progress (``epochs.Work``).

    Attributes:
        spec: its settings.
        dataset: its images.
        last: the last epoch; of an expert, only the weights of this one are tested.
        net: the network.
        loss: its loss on a batch.
        optimizer: its optimizer.
        generator: shuffles the images, and draws the augmentation of an expert.
        epoch: epochs that are done.
        batches: batches of the next epoch that are done.
        before_shuffle: the generator in its state before the next epoch was shuffled.
    """

    spec: Spec
    dataset: Dataset
    last: int
    net: torch.nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: optimizers.SGD
    generator: torch.Generator
    epoch: int = 0
    batches: int = 0
    before_shuffle: torch.Generator = field(default_factory=torch.Generator)

    @classmethod
    def initial(cls, spec: Spec, dataset: Dataset, last: int, numerics: Numerics) -> Training:
        """Return the state before the first epoch."""
        generator = torch.Generator().manual_seed(_seed(spec))
        shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size}
        net = nn.build(spec.arch, **shape, width=spec.width, generator=generator).to(dataset.images.device)
        optimizer = optimizers.SGD(net.parameters(), lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)
        loss = numerics.function(partial(cross_entropy, net))
        return cls(spec, dataset, last, net, loss, optimizer, generator)

    @property
    def seed(self) -> int:
        """The seed of everything that the training draws."""
        return _seed(self.spec)

    def train_epoch(self, slot: Slot) -> None:
        """See ``epochs.Work``."""
        data = self.dataset
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.spec, self.epoch + 1)
        self.net.train()
        self.before_shuffle = self.generator.clone_state()
        order = torch.randperm(len(data.labels), generator=self.generator).to(data.labels.device).split(self.spec.batch)
        batches = list(zip(order, self._augmentations(), strict=True))
        for indices, change in batches[self.batches :]:
            self.optimizer.zero_grad()
            images = augment.apply(data.images[indices], change)
            with nn.guarded(self.net, self.seed, "epoch", self.epoch, "batch", self.batches):
                microbatches.backward(self.net, self.loss, images, data.labels[indices])
            self.optimizer.step()
            self.batches += 1
            if self.batches < len(batches):
                slot.offer(self.checkpoint)
        self.epoch, self.batches = self.epoch + 1, 0

    def _augmentations(self) -> list[augment.Params]:
        """Draw the augmentation of each batch of an epoch, also of those that were done before it resumed."""
        strategy, batch, images = self.spec.strategy or "none", self.spec.batch, len(self.dataset.labels)
        counts = (min(batch, images - first) for first in range(0, images, batch))
        return [augment.draw(self.generator, count, self.dataset.size, strategy, shared=False) for count in counts]

    def store(self) -> None:
        """See ``epochs.Work``."""
        data, said = self.dataset, metadata(self.spec, self.epoch, self.dataset)
        if not self.spec.is_expert or self.epoch == self.last:
            accuracy = class_accuracy(self.net, data.test_images, data.test_labels, len(data.classes))[0]
            said["accuracy"] = f"{float(accuracy):.4f}"
        checked_files.write_tensors(self.spec.weights(self.epoch), dict(self.net.state_dict()), said)

    def checkpoint(self) -> State:
        """See ``epochs.Work``."""
        generator = self.before_shuffle if self.batches else self.generator
        facts = {"epoch": self.epoch, "batches": self.batches}
        return State(of_training(self.net, self.optimizer, generator), facts)

    def restore(self, state: State, before: int) -> Training | None:
        """See ``epochs.Work``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        epoch, batches = state.progress("epoch", "batches")
        if epoch >= before:
            return None
        into_training(state, self.net, self.optimizer, self.generator)
        self.epoch, self.batches = epoch, batches
        return self


def _seed(spec: Spec) -> int:
    return rng.derive(spec.seed, "expert" if spec.is_expert else "ptm", spec.source, spec.arch)


def metadata(spec: Spec, epoch: int, dataset: Dataset) -> dict[str, str]:
    """Return what is stored with the weights after an epoch."""
    settings = json.dumps(spec.settings)
    return {"spec": spec.title, "settings": settings, "epoch": str(epoch), "data": dataset.checksum}


def _set_aside_damaged(spec: Spec, epochs: Collection[int]) -> None:
    """Rename weights that do not match their checksum: the training is repeated, and ends in the same weights."""
    for epoch in spec.saved() & set(epochs):
        path = spec.weights(epoch)
        try:
            checked_files.verify_tensors(path)
        except errors.Damaged as reason:
            logger.warning("%s; it is kept as %s, and trained again", reason, path.with_suffix(".damaged").name)
            path.replace(path.with_suffix(".damaged"))


def _is_complete(spec: Spec, epochs: Collection[int], dataset: Dataset) -> bool:
    """Whether the pool has the weights of all epochs, intact and of these images."""
    try:
        found = [checked_files.read_tensors(spec.weights(epoch))[1].get("data") for epoch in epochs]
    except errors.UserError:
        return False
    return all(checksum == dataset.checksum for checksum in found)


def _set_aside_other_data(spec: Spec, dataset: Dataset) -> None:
    """Rename weights of other images: an image folder can have changed since its PTMs were trained."""
    for epoch in spec.saved():
        path = spec.weights(epoch)
        try:
            with safe_open(path, "pt") as file:
                checksum = file.metadata()["data"]
        except (SafetensorError, KeyError, TypeError):
            checksum = "unreadable"
        if checksum != dataset.checksum:
            logger.warning(
                "%s was trained on other images of %s (%s); it is trained again", path, spec.source, checksum[:8]
            )
            path.replace(path.with_suffix(".other"))
