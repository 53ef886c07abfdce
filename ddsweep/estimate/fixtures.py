"""Data for measurements: the dataset if it is decoded, otherwise noise of the same shape; and untrained PTMs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddsweep import data, nn, plugins, rng
from ddsweep.checkpoints import Checkpoints
from ddsweep.data import Dataset
from ddsweep.data.dataset import on_device
from ddsweep.data.paths import decoded
from ddsweep.distill.sets.generator import sampler
from ddsweep.distill.sets.pixels import initial
from ddsweep.distill.synthetic import Synthetic
from ddsweep.estimate.work import is_at_hand
from ddsweep.nn import foundation
from ddsweep.numerics import Choice
from ddsweep.pretrained import made, spec
from ddsweep.pretrained.gan import Gan
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.pretrained.preparation import Preparation
from ddsweep.pretrained.renormalize import to_pixels, view
from ddsweep.recipe import Recipe
from ddsweep.registry import ptms
from ddsweep.registry.datasets import FOLDER_PREFIX, at_size, info
from ddsweep.registry.image_folders import folder_tree, held_out
from ddsweep.registry.methods import METHODS
from ddsweep.registry.ptms import Foundation

TESTED = 4096  # maximum number of generated test images
CHECKED = 1e9  # assumed bytes per second for reading and verifying an undecoded dataset: SHA-256 on one core
AGAIN = 3.0  # seconds: a dataset that is read faster is read twice, because the first read includes the device's start


@dataclass(frozen=True, eq=False)
class Stage:
    """A dataset for measurements, with the properties of the dataset that it represents.

    Attributes:
        dataset: the images; noise if the dataset is not decoded.
        images: number of training images of the represented dataset.
        test_images: number of its test images.
        seconds: seconds to read it.
        size: bytes of the decoded file.
    """

    dataset: Dataset
    images: int
    test_images: int
    seconds: float
    size: int

    @classmethod
    def of(cls, name: str, size: int, device: str, per_class: int) -> Stage:
        """Return the stage of a dataset at ``size`` pixels, on a device, with ``per_class`` images if generated."""
        return _real(name, size, device) if is_at_hand(name, size) else _generated(name, size, device, per_class)


def _real(name: str, size: int, device: str) -> Stage:
    for _ in range(2):
        began = time.perf_counter()
        dataset = data.load(name, size, device)
        seconds = time.perf_counter() - began
        if seconds > AGAIN:
            break
    stored = decoded(at_size(info(name), size)).stat().st_size
    return Stage(dataset, len(dataset.labels), len(dataset.test_labels), seconds, stored)


def _generated(name: str, size: int, device: str, per_class: int) -> Stage:
    row, (images, tests) = info(name), _counts(name)
    classes, generator = len(row.classes), rng.generator(0, "estimate", name)

    def noise(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.arange(count) % classes
        shape = (count, row.channels, size, size)
        return torch.randint(256, shape, generator=generator, dtype=torch.uint8), labels

    mean, std = row.mean or (0.5,) * row.channels, row.std or (0.25,) * row.channels
    train, labels = noise(classes * min(per_class, max(1, images // classes)))
    test, test_labels = noise(min(tests, TESTED))
    dataset = Dataset(
        row.name,
        row.classes,
        mean,
        std,
        on_device(train, mean, std, device),
        labels.to(device),
        on_device(test, mean, std, device),
        test_labels.to(device),
        checksum="generated",
    )
    stored = (images + tests) * (row.channels * size**2 + labels.itemsize)
    return Stage(dataset, images, tests, stored / CHECKED, stored)


def _counts(name: str) -> tuple[int, int]:
    """Return the numbers of training and test images of a dataset that is not decoded."""
    row = info(name)
    if name.startswith(FOLDER_PREFIX):
        tree = folder_tree(name)
        total = sum(map(len, tree.train.values()))
        if tree.test is not None:
            return total, sum(map(len, tree.test.values()))
        held = sum(held_out(len(images)) for images in tree.train.values())
        return total - held, held
    return row.images[0] or row.smallest_class * len(row.classes), row.images[1]


def part(dataset: Dataset, classes: int, per_class: int | None = None, tests: int | None = None) -> Dataset:
    """Return the first images per class of the first classes, and the first test images; None: all of them.

    Unless it is the whole dataset, it has no attributes.
    """
    if classes == len(dataset.classes) and per_class is tests is None:
        return dataset
    changed: dict[str, object] = {"attributes": None, "test_attributes": None}
    if classes < len(dataset.classes) or per_class is not None:
        chosen = torch.cat([dataset.per_class[label][:per_class] for label in range(classes)])
        changed |= {"images": dataset.images[chosen], "labels": dataset.labels[chosen]}
    if tests is not None:
        changed |= {"test_images": dataset.test_images[:tests], "test_labels": dataset.test_labels[:tests] % classes}
    return replace(dataset, classes=dataset.classes[:classes], checksum=f"{dataset.checksum} in part", **changed)  # type: ignore[arg-type]


def synthetic(dataset: Dataset, recipe: Recipe) -> Synthetic:
    """Return noise in place of a distilled set and, if the recipe learns a generator, an untrained one."""
    noise = initial(dataset, recipe.decoded_ipc, "noise", rng.generator(0, "estimate")).detached()
    return replace(noise, sample=sampler(gan(recipe, dataset), dataset)) if recipe.gan_epochs else noise


def gan(recipe: Recipe, dataset: Dataset) -> Gan:
    """Return an untrained GAN of DiM, which costs as much as a trained one."""
    return Gan.initial(spec.gan(recipe), dataset, rng.generator(0, "estimate"))


def guide(recipe: Recipe, target: Dataset, source: Dataset | None) -> Pool | None:
    """Return a pool with one untrained PTM of the recipe's single architecture, which costs as much as a trained one.

    Args:
        recipe: the recipe; without PTM architectures, the result is None.
        target: the dataset that is distilled.
        source: the dataset on which the PTM would have been trained; None for a foundation model.
    """
    if not recipe.ptm_archs:
        return None
    if row := ptms.find(recipe.source):
        if row.maker:
            return made.load(row, target)[0]
        return Pool(
            [[PretrainedModel(row.name, _foundation(row).to(target.labels.device), to_pixels(target), row.size)]]
        )
    assert source is not None
    net = nn.build(
        recipe.ptm_archs,
        channels=source.channels,
        classes=len(source.classes),
        size=source.size,
        width=recipe.width,
        generator=rng.generator(0, "estimate"),
    ).to(target.labels.device)
    transform = view(recipe.ptm_statistics, target, source)
    return Pool([[PretrainedModel(recipe.ptm_archs, net.requires_grad_(False).eval(), transform)]])


def trained(recipe: Recipe, dataset: Dataset) -> dict[str, object]:
    """Return what the method of a recipe needs besides PTMs, untrained; it costs as much to use."""
    found: dict[str, object] = {}
    if recipe.gan_epochs:
        found["gan"] = gan(recipe, dataset)
    if recipe.n_experts:
        found["experts"] = UntrainedExperts(recipe, dataset)
    # what a method of one's own trains has no untrained stand-in
    own = {name: source for name, source in METHODS[recipe.method].trains.items() if name not in found}
    context = _Unstored(lambda phase, done, total: None, Checkpoints(), Choice(), recipe.plugins)
    return found | {name: plugins.resolve(source)(recipe, dataset, context) for name, source in own.items()}


class _Unstored(Preparation):
    """Trains for a measurement, whose images may be noise."""

    def once(self, name: str, train: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Return what ``train`` makes."""
        return dict(train())


class UntrainedExperts:
    """Experts whose weights are drawn at random, and grow."""

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size}
        net = nn.build(recipe.arch, **shape, width=recipe.width, generator=rng.generator(0, "estimate"))
        self._count, self._weights = recipe.n_experts, dict(net.state_dict())

    def __len__(self) -> int:
        return self._count

    def weights(self, index: int, epoch: int) -> dict[str, Tensor]:
        """Return the weights after ``epoch`` epochs."""
        return {name: value * (1 + 0.01 * epoch) for name, value in self._weights.items()}


def _foundation(row: Foundation) -> foundation.FoundationModel:
    generator = rng.generator(0, "estimate")
    with torch.device("meta"):
        shapes = foundation.LOADERS[row.name].make().state_dict()
    names = [name for name in shapes if not name.endswith(foundation.COUNTERS)]
    weights = {name: 0.02 * torch.rand(shapes[name].shape, generator=generator) for name in names}
    return foundation.build(row, {**weights, **{name: torch.zeros(()) for name in shapes if name not in weights}})
