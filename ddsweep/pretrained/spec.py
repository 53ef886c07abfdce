"""Which PTMs a recipe needs and where each lies, without importing torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ddsweep import data, files
from ddsweep.recipe import Recipe

PREFIX = "epoch"


@dataclass(frozen=True)
class Spec:
    """One training of a PTM: all that determines its weights at every epoch, except the images themselves.

    The seed is the PTM's own: PTM 3 of ConvNet-3 is the same network in every recipe.
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

    @property
    def title(self) -> str:
        """For people: ``convnet3 on cifar10, seed 0``."""
        return f"{self.arch} on {self.source}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Its place in the pool: readable names, then a hash of the settings of the training."""
        settings = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.blake2b(settings.encode(), digest_size=4).hexdigest()
        source = re.sub(r"[^\w.-]+", "-", self.source).strip("-")
        return files.cache_dir() / "pool" / source / self.arch / f"seed{self.seed}-{digest}"

    def weights(self, epoch: int) -> Path:
        """The file of its weights after ``epoch`` epochs."""
        return self.folder / f"{PREFIX}{epoch:04d}.safetensors"

    def saved(self) -> set[int]:
        """The epochs that are in the pool."""
        return {int(path.stem.removeprefix(PREFIX)) for path in self.folder.glob(f"{PREFIX}*.safetensors")}


def of(recipe: Recipe) -> list[list[Spec]]:
    """The PTMs of a recipe: for each architecture, seeds 0 … N_m−1; nothing for the baseline."""
    return [[_spec(recipe, arch, seed) for seed in range(recipe.n_models)] for arch in recipe.ptm_archs]


def _spec(recipe: Recipe, arch: str, seed: int) -> Spec:
    size = recipe.size if recipe.source == "target" else data.info(recipe.source).size
    return Spec(
        source=recipe.source_dataset, size=size, arch=arch, width=recipe.width, seed=seed, epochs=recipe.ptm_epochs,
        lr=recipe.ptm_lr, weight_decay=recipe.ptm_weight_decay, batch=recipe.ptm_batch,
    )  # fmt: skip


def needs(recipes: Iterable[Recipe]) -> dict[Spec, set[int]]:
    """Every PTM that any of the recipes uses, with the epochs they ask for: one training serves them all."""
    wanted: dict[Spec, set[int]] = {}
    for recipe in recipes:
        for seeds in of(recipe):
            for spec in seeds:
                wanted.setdefault(spec, set()).add(recipe.ptm_epoch)
    return wanted
