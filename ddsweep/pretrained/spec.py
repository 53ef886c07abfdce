"""Which PTMs and experts a recipe needs, and the path of each, without importing torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ddsweep import data, files
from ddsweep.errors import UserError, closest
from ddsweep.recipe import Recipe, make, parts
from ddsweep.registry import ptms
from ddsweep.registry.networks import TABLE
from ddsweep.registry.ptms import Foundation

PREFIX = "epoch"
LATER = ("plugins", "zca", "strategy")
EXPERT_LR, EXPERT_BATCH = 0.01, 256
GAN = "dim-gan"  # the name of the GAN of DiM in place of an architecture
CHOICES = (
    "ptm_archs",
    "n_models",
    "width",
    "size",
    "ptm_train_epochs",
    "ptm_lr",
    "ptm_weight_decay",
    "ptm_batch",
    "precision",
)
EXPERT_CHOICES = (
    "arch",
    "n_experts",
    "width",
    "size",
    "dsa_strategy",
    "zca",
    "expert_train_epochs",
    "precision",
)


@dataclass(frozen=True)
class Spec:
    """One training of a PTM: everything that determines its weights at each epoch, except the images themselves.

    The seed belongs to the PTM: PTM 3 of ConvNet-3 is the same network in every recipe. A published model was trained
    by others: its numbers are zeros, and its only epoch is 0. ``plugins`` are the plugins that its architecture and its
    images come from.

    An expert (of ``method: tm``) is trained likewise, by other numbers: with augmentation, without momentum and weight
    decay, at a constant learning rate. Its number of epochs therefore is no part of it (0): a longer training continues
    a shorter one. ``strategy`` are the operations of the augmentation, or ``none``; it is empty for a PTM.
    """

    source: str
    size: int
    arch: str
    width: int
    seed: int
    epochs: int
    lr: float
    weight_decay: float
    batch: int
    precision: str = "float32"
    plugins: str = ""
    zca: bool = False
    strategy: str = ""

    @property
    def is_expert(self) -> bool:
        """Whether it is an expert, whose weights after every epoch form a trajectory."""
        return bool(self.strategy)

    @property
    def momentum(self) -> float:
        """The momentum of SGD."""
        return 0.0 if self.is_expert else 0.9

    @property
    def foundation(self) -> Foundation | None:
        """The row of a PTM of others, published or of a plugin; None for one that ddsweep trains."""
        return ptms.find(self.source)

    @property
    def is_gan(self) -> bool:
        """Whether it is the GAN of DiM, which is stored and shared like a PTM."""
        return self.arch == GAN

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as stored and hashed; without the later ones if empty, so that older PTMs keep their folders."""
        return {name: value for name, value in asdict(self).items() if value or name not in LATER}

    @property
    def title(self) -> str:
        """A readable name: ``convnet3 on cifar10, seed 0``, ``convnet3 on cifar10 (zca), expert 7``."""
        if self.foundation:
            return self.foundation.title
        return f"{self.arch} on {self.domain}, {'expert' if self.is_expert else 'seed'} {self.seed}"

    @property
    def domain(self) -> str:
        """The displayed name of its images: ``cifar10``, ``cifar10 (zca)``."""
        return f"{self.source} (zca)" if self.zca else self.source

    @property
    def folder(self) -> Path:
        """Its folder in the pool: readable names, then a hash of the settings of the training."""
        if self.foundation:
            return pool_dir() / self.source / self.arch / "published"
        settings = json.dumps(self.settings, sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
        source = re.sub(r"[^\w.-]+", "-", self.source).strip("-")
        return pool_dir() / source / self.arch / f"{'expert' if self.is_expert else 'seed'}{self.seed}-{digest}"

    def weights(self, epoch: int) -> Path:
        """Return the path of its weights after ``epoch`` epochs."""
        return self.folder / f"{PREFIX}{epoch:04d}.safetensors"

    def saved(self) -> set[int]:
        """Return the epochs whose weights are in the pool."""
        return {epoch_of(path) for path in self.folder.glob(f"{PREFIX}*.safetensors")}


def pool_dir() -> Path:
    """Return the folder of all PTMs, which all sweeps and agents share."""
    return files.cache_dir() / "pool"


def epoch_of(weights: Path) -> int:
    """Return the epoch of a file of weights, from its name."""
    return int(weights.stem.removeprefix(PREFIX))


def published(foundation: Foundation) -> Spec:
    """Return the spec of a model that was trained by others."""
    return Spec(foundation.source, foundation.size, foundation.name, 0, 0, 0, 0.0, 0.0, 0)


def of(recipe: Recipe) -> list[list[Spec]]:
    """Return the PTMs of a recipe: for each architecture, seeds 0 … N_m−1; none for the baseline."""
    return [[_spec(recipe, arch, seed) for seed in range(recipe.n_models)] for arch in recipe.ptm_arch_list]


def _spec(recipe: Recipe, arch: str, seed: int) -> Spec:
    if foundation := ptms.find(recipe.source):
        return published(foundation)
    size = recipe.size if recipe.source == "target" else data.facts(recipe.source).size
    return Spec(
        source=recipe.source_dataset,
        size=size,
        arch=arch,
        width=recipe.width,
        seed=seed,
        epochs=recipe.ptm_train_epochs,
        lr=recipe.ptm_lr,
        weight_decay=recipe.ptm_weight_decay,
        batch=recipe.ptm_batch,
        precision=recipe.precision,
        plugins=parts.pinned({"arch": arch, "source": recipe.source_dataset, "plugins": recipe.plugins}),
        zca=recipe.zca and recipe.source == "target",  # PTMs of another dataset see normalized images
    )


def experts(recipe: Recipe) -> list[Spec]:
    """Return the experts of a recipe, seeds 0 … n−1; none unless its method is TM."""
    return [_expert(recipe, seed) for seed in range(recipe.n_experts)]


def _expert(recipe: Recipe, seed: int) -> Spec:
    return Spec(
        source=recipe.dataset,
        size=recipe.size,
        arch=recipe.arch,
        width=recipe.width,
        seed=seed,
        epochs=0,
        lr=EXPERT_LR,
        weight_decay=0.0,
        batch=EXPERT_BATCH,
        precision=recipe.precision,
        plugins=parts.pinned({"arch": recipe.arch, "source": recipe.dataset, "plugins": recipe.plugins}),
        zca=recipe.zca,
        strategy=recipe.dsa_strategy,
    )


def trajectory(recipe: Recipe) -> range:
    """Return the epochs of an expert that a recipe reads: the starts, and what has to be reached from them."""
    return range(recipe.max_start_epoch + recipe.expert_epochs) if recipe.n_experts else range(0)


def gan(recipe: Recipe) -> Spec:
    """Return the GAN from which a recipe of DiM starts, trained with the seed of the recipe."""
    return Spec(
        source=recipe.dataset,
        size=recipe.size,
        arch=GAN,
        width=recipe.gan_width or recipe.width,
        seed=recipe.seed,
        epochs=recipe.gan_epochs,
        lr=recipe.gan_lr,
        weight_decay=0.0,
        batch=recipe.gan_batch,
        precision=recipe.precision,
        plugins=parts.pinned({"source": recipe.dataset, "plugins": recipe.plugins}),
    )


def needs(recipes: Iterable[Recipe]) -> dict[Spec, set[int]]:
    """Return every PTM, expert and GAN of the recipes, with the epochs they use: one training serves them all."""
    epochs: dict[Spec, set[int]] = {}
    for recipe in recipes:
        for spec in (one for seeds in of(recipe) for one in seeds):
            epochs.setdefault(spec, set()).add(recipe.ptm_epoch)
        for spec in experts(recipe):
            epochs.setdefault(spec, set()).update(trajectory(recipe))
        if recipe.gan_epochs:
            epochs.setdefault(gan(recipe), set()).add(recipe.gan_epochs)
    return epochs


def ahead(source: str, choices: Mapping[str, Any], epochs: Collection[int]) -> dict[Spec, set[int]]:
    """Return the PTMs, with their epochs, of recipes that have ``source`` as their target or their source.

    Args:
        source: a dataset.
        choices: values of the fields ``CHOICES``; the others have the defaults of a recipe.
        epochs: the epochs whose weights to keep; empty: the last.

    Raises:
        UserError: a field that does not affect the training of a PTM, or a value that a recipe does not allow.
    """
    for name in choices:
        if name not in CHOICES:
            raise UserError(f"{name}: does not affect the training of a PTM; {closest(name, CHOICES)}")
    first = str(choices.get("ptm_archs") or "convnet3").partition("+")[0]
    fixed = {"target": source, "ipc": 1, "regularizer": "clom", "arch": first if first in TABLE else "convnet3"}
    choices_of_epoch: list[dict[str, Any]] = [{"ptm_epoch": epoch} for epoch in sorted(epochs)]
    return needs(make({**fixed, **choices, **epoch}) for epoch in choices_of_epoch or [{}])


def experts_ahead(source: str, choices: Mapping[str, Any]) -> dict[Spec, range]:
    """Return the experts of recipes that distill ``source`` by TM, with all their epochs.

    Args:
        source: a dataset.
        choices: values of the fields ``EXPERT_CHOICES``; ``zca`` is false by default, the others have the defaults of a
            recipe.

    Raises:
        UserError: a field that does not affect the training of an expert, or a value that a recipe does not allow.
    """
    for name in choices:
        if name not in EXPERT_CHOICES:
            raise UserError(f"{name}: does not affect the training of an expert; {closest(name, EXPERT_CHOICES)}")
    shortest = {"expert_epochs": 1, "max_start_epoch": 1}
    fixed = {"target": source, "method": "tm", "ipc": 1, "alpha": 0, "zca": False, "batch_syn": 0, **shortest}
    recipe = make({**fixed, **choices})
    return {one: range(recipe.expert_train_epochs + 1) for one in experts(recipe)}


def datasets(recipes: Iterable[Recipe]) -> list[tuple[str, int]]:
    """Return every dataset that the recipes distill or train their PTMs on, with its size in pixels, by name."""
    recipes = list(recipes)
    targets = {(recipe.dataset, recipe.size) for recipe in recipes}
    return sorted(targets | {(spec.source, spec.size) for spec in needs(recipes) if not spec.foundation})
