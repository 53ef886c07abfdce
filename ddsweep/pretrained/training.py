"""Train one PTM, once, whoever asks (paper, Sec. 3.2): SGD with momentum 0.9, cross-entropy, no augmentation."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn.functional import cross_entropy

from ddsweep import files, nn, rng
from ddsweep.data.dataset import Dataset
from ddsweep.nn.measure import class_accuracy
from ddsweep.pretrained.spec import Spec

logger = logging.getLogger(__name__)
CHECKPOINT_EVERY = 60.0  # seconds; an epoch of the demo takes a tenth of one, of ResNet-18 on a CPU many minutes

Progress = Callable[[int, int], None]


def learning_rate(spec: Spec, epoch: int) -> float:
    """The rate during ``epoch`` (from 1): tenfold down after one and two thirds; of 150 epochs: after 50 and 100."""
    return spec.lr * 0.1 ** sum(epoch > part * spec.epochs // 3 for part in (1, 2))


def ensure(spec: Spec, epochs: Collection[int], dataset: Dataset, progress: Progress) -> None:
    """Put the weights of ``spec`` after each of ``epochs`` epochs into the pool, training what is missing.

    One agent trains while the others wait. A training that was cut off goes on from its last checkpoint; the result
    is the same, because the checkpoint holds weights, momenta and the generator.

    Args:
        spec: the training.
        epochs: the epochs to keep.
        dataset: the images of ``spec.source``, on the device to train on.
        progress: told (epochs done, epochs wanted).
    """
    with files.lock(spec.folder / ".lock"):
        _set_aside_other_data(spec, dataset)
        missing = set(epochs) - spec.saved()
        if missing:
            _train(spec, missing, dataset, progress)


def _train(spec: Spec, missing: set[int], dataset: Dataset, progress: Progress) -> None:
    state = _State.resume(spec, dataset, before=min(missing)) or _State.fresh(spec, dataset)
    saved_at = time.monotonic()
    for epoch in range(state.epoch + 1, max(missing) + 1):
        progress(epoch - 1, max(missing))
        _train_epoch(state, learning_rate(spec, epoch), dataset, spec.batch)
        state.epoch = epoch
        if epoch in missing:
            _save_weights(spec, state, dataset)
        if time.monotonic() - saved_at > CHECKPOINT_EVERY or epoch == max(missing):
            state.save(spec, dataset)
            saved_at = time.monotonic()
    progress(max(missing), max(missing))


@dataclass
class _State:
    """A training in flight."""

    net: torch.nn.Module
    optimizer: torch.optim.SGD
    generator: torch.Generator
    epoch: int = 0

    @classmethod
    def fresh(cls, spec: Spec, dataset: Dataset) -> _State:
        generator = rng.generator(spec.seed, "ptm", spec.source, spec.arch)
        net = nn.build(
            spec.arch, channels=dataset.channels, classes=len(dataset.classes), size=dataset.size, width=spec.width,
            generator=generator,
        ).to(dataset.images.device)  # fmt: skip
        optimizer = torch.optim.SGD(net.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay)
        return cls(net, optimizer, generator)

    @classmethod
    def resume(cls, spec: Spec, dataset: Dataset, before: int) -> _State | None:
        """The last checkpoint, if it is whole, of this data, and not already past the first epoch that is wanted."""
        path = spec.folder / "training.safetensors"
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                epoch, checksum = int(file.metadata()["epoch"]), file.metadata()["data"]
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            if checksum != dataset.checksum or epoch >= before:
                return None
            state = cls.fresh(spec, dataset)
            state._restore(tensors)
        except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
            logger.warning("%s: the checkpoint of %s is set aside (%s)", path, spec.title, error)
            path.replace(path.with_suffix(".damaged"))
            return None
        state.epoch = epoch
        return state

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.net.load_state_dict(_part(tensors, "net."))
        for name, parameter in self.net.named_parameters():
            self.optimizer.state[parameter]["momentum_buffer"] = tensors[f"momentum.{name}"].to(parameter.device)
        self.generator.set_state(tensors["generator"])

    def save(self, spec: Spec, dataset: Dataset) -> None:
        momenta = {
            f"momentum.{name}": self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.net.named_parameters()
        }
        weights = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors = weights | momenta | {"generator": self.generator.get_state()}
        files.write_tensors(
            spec.folder / "training.safetensors", tensors, {"epoch": str(self.epoch), "data": dataset.checksum}
        )


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _train_epoch(state: _State, rate: float, dataset: Dataset, batch: int) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.net.train()
    order = torch.randperm(len(dataset.labels), generator=state.generator).to(dataset.labels.device)
    for chosen in order.split(batch):
        state.optimizer.zero_grad()
        cross_entropy(state.net(dataset.images[chosen]), dataset.labels[chosen]).backward()
        state.optimizer.step()


def _save_weights(spec: Spec, state: _State, dataset: Dataset) -> None:
    accuracy = float(class_accuracy(state.net, dataset.test_images, dataset.test_labels, len(dataset.classes))[0])
    metadata = {
        "spec": spec.title, "settings": json.dumps(asdict(spec)), "epoch": str(state.epoch),
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
