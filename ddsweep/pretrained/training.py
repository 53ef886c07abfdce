"""Train one PTM, once, whoever asks (paper, Sec. 3.2): SGD with momentum 0.9, cross-entropy, no augmentation."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddsweep import files, nn, rng
from ddsweep.checkpoints import Checkpoints, Damaged, FileSlot, Slot, State, into_training, of_training
from ddsweep.data.dataset import Dataset
from ddsweep.nn import passes
from ddsweep.nn.measure import class_accuracy
from ddsweep.numerics import Numerics
from ddsweep.pretrained.spec import Spec

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


def learning_rate(spec: Spec, epoch: int) -> float:
    """The rate during ``epoch`` (from 1): tenfold down after one and two thirds; of 150 epochs: after 50 and 100."""
    return spec.lr * 0.1 ** sum(epoch > part * spec.epochs // 3 for part in (1, 2))


def ensure(
    spec: Spec,
    epochs: Collection[int],
    dataset: Dataset,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    numerics: Numerics | None = None,
) -> None:
    """Put the weights of ``spec`` after each of ``epochs`` epochs into the pool, training what is missing.

    One agent trains while the others wait. A training that was cut off goes on from its last checkpoint, whoever made
    it; the result is the same, because the checkpoint holds weights, momenta and the generator.

    Args:
        spec: the training.
        epochs: the epochs to keep.
        dataset: the images of ``spec.source``, on the device to train on.
        progress: told (epochs done, epochs wanted).
        checkpoints: when to save; every batch is a boundary, because an epoch of ResNet-18 takes a CPU half an hour.
        numerics: how it is computed; default: float32, nothing compiled.

    Raises:
        Interrupted: asked to leave.
    """
    with files.lock(spec.folder / ".lock"):
        files.clear_temporaries(spec.folder)
        _set_aside_other_data(spec, dataset)
        owner = {"settings": json.dumps(spec.settings, sort_keys=True), "data": dataset.checksum}
        slot = FileSlot(spec.folder / "training.safetensors", owner, checkpoints or Checkpoints())
        if missing := set(epochs) - spec.saved():
            _train(spec, missing, dataset, progress, slot, numerics or Numerics())
        slot.trim()  # a later epoch goes on from the last; the weights lie in the pool


def _train(spec: Spec, missing: set[int], dataset: Dataset, progress: Progress, slot: Slot, numerics: Numerics) -> None:
    last = max(missing)
    state = _State.fresh(spec, dataset)
    loss = numerics.function(partial(_loss, state.net))
    slot.resume(partial(state.restore, before=min(missing)))
    while state.epoch < last:
        progress(state.epoch, last)
        _train_epoch(state, learning_rate(spec, state.epoch + 1), dataset, spec.batch, slot, loss)
        if state.epoch in missing:
            _save_weights(spec, state, dataset)
        if state.epoch < last:
            slot.offer(state.saved)
    slot.save(state.saved())
    progress(last, last)


@dataclass
class _State:
    """A training in flight.

    Attributes:
        net: the network.
        optimizer: its own.
        generator: shuffles.
        epoch: epochs that are done.
        batches: batches of the next one that are done.
        shuffled: the generator as it was before the next one was shuffled.
    """

    net: torch.nn.Module
    optimizer: torch.optim.SGD
    generator: torch.Generator
    epoch: int = 0
    batches: int = 0
    shuffled: torch.Generator = field(default_factory=torch.Generator)

    @classmethod
    def fresh(cls, spec: Spec, dataset: Dataset) -> _State:
        generator = rng.generator(spec.seed, "ptm", spec.source, spec.arch)
        net = nn.build(
            spec.arch, channels=dataset.channels, classes=len(dataset.classes), size=dataset.size, width=spec.width,
            generator=generator,
        ).to(dataset.images.device)  # fmt: skip
        optimizer = torch.optim.SGD(net.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay)
        return cls(net, optimizer, generator)

    def saved(self) -> State:
        """For a checkpoint."""
        generator = self.shuffled if self.batches else self.generator
        facts = {"epoch": self.epoch, "batches": self.batches}
        return State(of_training(self.net, self.optimizer, generator), facts)

    def restore(self, state: State, before: int) -> _State | None:
        """Go on from there; None when it is already past the first epoch that is wanted.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        epoch, batches = state.facts.get("epoch"), state.facts.get("batches")
        if not isinstance(epoch, int) or not isinstance(batches, int):
            raise Damaged("it does not say how far it is")
        if epoch >= before:
            return None
        into_training(state, self.net, self.optimizer, self.generator)
        self.epoch, self.batches = epoch, batches
        return self


def _train_epoch(
    state: _State, rate: float, dataset: Dataset, batch: int, slot: Slot, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.net.train()
    state.shuffled = state.generator.clone_state()
    order = torch.randperm(len(dataset.labels), generator=state.generator).to(dataset.labels.device)
    batches = order.split(batch)
    for chosen in batches[state.batches :]:
        state.optimizer.zero_grad()
        passes.backward(state.net, loss, dataset.images[chosen], dataset.labels[chosen])
        state.optimizer.step()
        state.batches += 1
        if state.batches < len(batches):
            slot.offer(state.saved)
    state.epoch, state.batches = state.epoch + 1, 0


def _loss(net: torch.nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(net(images), labels)


def _save_weights(spec: Spec, state: _State, dataset: Dataset) -> None:
    accuracy = float(class_accuracy(state.net, dataset.test_images, dataset.test_labels, len(dataset.classes))[0])
    metadata = {
        "spec": spec.title, "settings": json.dumps(spec.settings), "epoch": str(state.epoch),
        "accuracy": f"{accuracy:.4f}", "data": dataset.checksum,
    }  # fmt: skip
    files.write_tensors(spec.weights(state.epoch), dict(state.net.state_dict()), metadata)


def _set_aside_other_data(spec: Spec, dataset: Dataset) -> None:
    """A folder of images may have changed since its PTMs were trained: those are no longer the PTMs of this data."""
    for epoch in spec.saved():
        path = spec.weights(epoch)
        try:
            with safe_open(path, "pt") as file:
                checksum = file.metadata()["data"]
        except (SafetensorError, KeyError, TypeError):
            checksum = "unreadable"
        if checksum != dataset.checksum:
            logger.warning(
                "%s was trained on other images of %s (%s); it is trained anew", path, spec.source, checksum[:8]
            )
            path.replace(path.with_suffix(".other"))
