"""Which PTMs a recipe needs and where each lies, without importing torch."""

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
from ddsweep.registry.networks import FOUNDATIONS, TABLE, Foundation

PREFIX = "epoch"
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


@dataclass(frozen=True)
class Spec:
    """One training of a PTM: all that determines its weights at every epoch, except the images themselves.

    The seed is the PTM's own: PTM 3 of ConvNet-3 is the same network in every recipe. A published model was trained by
    others: its numbers are zeros, and so is the one epoch there is of it. ``plugins`` are those that its architecture
    and its images come from.
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

    @property
    def foundation(self) -> Foundation | None:
        """The facts of a published model; None for a PTM that is trained here."""
        return FOUNDATIONS.get(self.source)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything, as files keep it: what a PTM without plugins had before there were any keeps its place."""
        return {name: value for name, value in asdict(self).items() if value != "" or name != "plugins"}

    @property
    def title(self) -> str:
        """For people: ``convnet3 on cifar10, seed 0``, ``clip-rn50, published``."""
        return f"{self.arch}, published" if self.foundation else f"{self.arch} on {self.source}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Its place in the pool: readable names, then a hash of the settings of the training."""
        if self.foundation:
            return pool_dir() / self.source / self.arch / "published"
        settings = json.dumps(self.settings, sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
        source = re.sub(r"[^\w.-]+", "-", self.source).strip("-")
        return pool_dir() / source / self.arch / f"seed{self.seed}-{digest}"

    def weights(self, epoch: int) -> Path:
        """The file of its weights after ``epoch`` epochs."""
        return self.folder / f"{PREFIX}{epoch:04d}.safetensors"

    def saved(self) -> set[int]:
        """The epochs that are in the pool."""
        return {epoch_of(path) for path in self.folder.glob(f"{PREFIX}*.safetensors")}


def pool_dir() -> Path:
    """The folder of all PTMs, shared by all sweeps and agents."""
    return files.cache_dir() / "pool"


def epoch_of(weights: Path) -> int:
    """The epoch of a file of weights, from its name."""
    return int(weights.stem.removeprefix(PREFIX))


def published(foundation: Foundation) -> Spec:
    """A model that was trained by others."""
    return Spec(foundation.source, foundation.size, foundation.name, 0, 0, 0, 0.0, 0.0, 0)


def of(recipe: Recipe) -> list[list[Spec]]:
    """The PTMs of a recipe: for each architecture, seeds 0 … N_m−1; nothing for the baseline."""
    return [[_spec(recipe, arch, seed) for seed in range(recipe.n_models)] for arch in recipe.ptm_arch_list]


def _spec(recipe: Recipe, arch: str, seed: int) -> Spec:
    if foundation := FOUNDATIONS.get(recipe.source):
        return published(foundation)
    size = recipe.size if recipe.source == "target" else data.info(recipe.source).size
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
    )


def needs(recipes: Iterable[Recipe]) -> dict[Spec, set[int]]:
    """Every PTM that any of the recipes uses, with the epochs they ask for: one training serves them all."""
    wanted: dict[Spec, set[int]] = {}
    for recipe in recipes:
        for seeds in of(recipe):
            for spec in seeds:
                wanted.setdefault(spec, set()).add(recipe.ptm_epoch)
    return wanted


def ahead(source: str, choices: Mapping[str, Any], epochs: Collection[int]) -> dict[Spec, set[int]]:
    """The PTMs, with their epochs, that recipes will ask for that have ``source`` as their target or their source.

    Args:
        source: a dataset.
        choices: fields of such a recipe, of ``CHOICES``; what is not chosen takes the default of a recipe.
        epochs: to be kept; none: the last.

    Raises:
        UserError: a field that has no say in the training of a PTM, or a value that a recipe refuses.
    """
    for name in choices:
        if name not in CHOICES:
            raise UserError(f"{name}: has no say in the training of a PTM; {closest(name, CHOICES)}")
    first = str(choices.get("ptm_archs") or "convnet3").partition("+")[0]
    fixed = {"target": source, "ipc": 1, "regularizer": "clom", "arch": first if first in TABLE else "convnet3"}
    kept: list[dict[str, Any]] = [{"ptm_epoch": epoch} for epoch in sorted(epochs)]
    return needs(make({**fixed, **choices, **epoch}) for epoch in kept or [{}])


def datasets(recipes: Iterable[Recipe]) -> list[tuple[str, int]]:
    """Every dataset, with its size in pixels, that the recipes distill or train their PTMs on, by name."""
    recipes = list(recipes)
    targets = {(recipe.target, recipe.size) for recipe in recipes}
    return sorted(targets | {(one.source, one.size) for one in needs(recipes) if not one.foundation})
