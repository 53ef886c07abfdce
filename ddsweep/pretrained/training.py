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
from ddsweep.checkpoints import Checkpoints, Damaged, FileSlot, Slot, State, into_training, of_training
from ddsweep.data.dataset import Dataset
from ddsweep.nn import microbatches
from ddsweep.nn.measure import class_accuracy, cross_entropy
from ddsweep.numerics import Numerics
from ddsweep.pretrained.spec import Spec

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


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
        _train(spec, missing, dataset, progress, slot, numerics or Numerics())

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


def _train(
    spec: Spec, missing: Collection[int], dataset: Dataset, progress: Progress, slot: Slot, numerics: Numerics
) -> None:
    last = max(missing)
    state = _State.initial(spec, dataset)
    loss = numerics.function(partial(cross_entropy, state.net))
    slot.resume(partial(state.restore, before=min(missing)))
    if 0 in missing:
        _save_weights(spec, state, dataset, tested=last == 0)
    while state.epoch < last:
        progress(state.epoch, last)
        _train_epoch(state, spec, dataset, slot, loss)
        if state.epoch in missing:
            _save_weights(spec, state, dataset, tested=not spec.is_expert or state.epoch == last)
        if state.epoch < last:
            slot.offer(state.checkpoint)
    slot.save(state.checkpoint())
    progress(last, last)


@dataclass
class _State:
    """The state of a training.

    Attributes:
        net: the network.
        optimizer: its optimizer.
        generator: shuffles the images, and draws the augmentation of an expert.
        epoch: epochs that are done.
        batches: batches of the next epoch that are done.
        before_shuffle: the generator in its state before the next epoch was shuffled.
    """

    net: torch.nn.Module
    optimizer: torch.optim.SGD
    generator: torch.Generator
    epoch: int = 0
    batches: int = 0
    before_shuffle: torch.Generator = field(default_factory=torch.Generator)

    @classmethod
    def initial(cls, spec: Spec, dataset: Dataset) -> _State:
        generator = rng.generator(spec.seed, "expert" if spec.is_expert else "ptm", spec.source, spec.arch)
        net = nn.build(
            spec.arch,
            channels=dataset.channels,
            classes=len(dataset.classes),
            size=dataset.size,
            width=spec.width,
            generator=generator,
        ).to(dataset.images.device)
        optimizer = torch.optim.SGD(
            net.parameters(), lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay
        )
        return cls(net, optimizer, generator)

    def checkpoint(self) -> State:
        """Return a checkpoint."""
        generator = self.before_shuffle if self.batches else self.generator
        facts = {"epoch": self.epoch, "batches": self.batches}
        return State(of_training(self.net, self.optimizer, generator), facts)

    def restore(self, state: State, before: int) -> _State | None:
        """Resume from a checkpoint; return None if it is past ``before``, the first epoch whose weights are missing.

        Raises:
            Damaged: something is missing; nothing has changed.
        """
        epoch, batches = state.facts.get("epoch"), state.facts.get("batches")
        if not isinstance(epoch, int) or not isinstance(batches, int):
            raise Damaged("it does not record its progress")
        if epoch >= before:
            return None
        into_training(state, self.net, self.optimizer, self.generator)
        self.epoch, self.batches = epoch, batches
        return self


def _train_epoch(
    state: _State, spec: Spec, dataset: Dataset, slot: Slot, loss: Callable[[Tensor, Tensor], Tensor]
) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(spec, state.epoch + 1)
    state.net.train()
    state.before_shuffle = state.generator.clone_state()
    order = torch.randperm(len(dataset.labels), generator=state.generator).to(dataset.labels.device).split(spec.batch)
    batches = list(zip(order, _augmentations(state, spec, dataset), strict=True))
    for indices, change in batches[state.batches :]:
        state.optimizer.zero_grad()
        images = augment.apply(dataset.images[indices], change)
        microbatches.backward(state.net, loss, images, dataset.labels[indices])
        state.optimizer.step()
        state.batches += 1
        if state.batches < len(batches):
            slot.offer(state.checkpoint)
    state.epoch, state.batches = state.epoch + 1, 0


def _augmentations(state: _State, spec: Spec, dataset: Dataset) -> list[augment.Params]:
    """Draw the augmentation of each batch of an epoch, also of those that were done before it resumed."""
    strategy, size = spec.strategy or "none", dataset.size
    counts = (min(spec.batch, len(dataset.labels) - first) for first in range(0, len(dataset.labels), spec.batch))
    return [augment.draw(state.generator, count, size, strategy, shared=False) for count in counts]


def _save_weights(spec: Spec, state: _State, dataset: Dataset, tested: bool) -> None:
    said = metadata(spec, state.epoch, dataset)
    if tested:
        accuracy = float(class_accuracy(state.net, dataset.test_images, dataset.test_labels, len(dataset.classes))[0])
        said["accuracy"] = f"{accuracy:.4f}"
    checked_files.write_tensors(spec.weights(state.epoch), dict(state.net.state_dict()), said)


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
