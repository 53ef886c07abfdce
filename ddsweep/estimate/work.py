"""The kinds of work in a sweep: what costs the same is one kind, and is measured once."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ddsweep import data
from ddsweep.pretrained import spec
from ddsweep.pretrained.spec import Spec
from ddsweep.recipe import Recipe
from ddsweep.registry.datasets import FOLDER_PREFIX

# Fields that a step's cost does not depend on, with the values that stand for all of them. Whatever is not named here
# makes a kind of its own, so that a field that Recipe gets one day is taken into account.
_TRAINING: dict[str, Any] = {
    "ptm_epoch": 1,
    "ptm_train_epochs": 1,
    "ptm_lr": 0.01,
    "ptm_weight_decay": 0.0,
    "ptm_batch": 1,
}
_ANY: dict[str, Any] = {"seed": 0, "alpha": 1.0, "alpha_by_arch": "", "lr_net": 0.01, "n_models": 1}
_JUDGING: dict[str, Any] = {
    "eval_rule": "paper", "eval_archs": "convnet3", "eval_nets": 1, "eval_epochs": 1, "eval_batch": 1, "eval_lr": 0.01,
    "eval_strategy": "none",
}  # fmt: skip
_METHOD: dict[str, Any] = {
    "method": "dm", "options": "", "lr_img": 1.0, "init": "real", "iterations": 1, "batch_real": 1,
    "dsa_strategy": "none", "outer_loops": 1, "inner_epochs": 0, "batch_train": 0, "distance": "none",
    "regularizer": "none", "source": "", "ptm_archs": "", "ptm_statistics": "target", "cclom_batch": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Loading:
    """Reading a dataset, as every trial does."""

    name: str
    size: int

    @property
    def title(self) -> str:
        """For people."""
        return f"data {short(self.name)}"


@dataclass(frozen=True)
class Training:
    """Batches in the training of a PTM, and its tests.

    Attributes:
        spec: the training, with seed and rates that stand for all.
    """

    spec: Spec

    @classmethod
    def of(cls, one: Spec) -> Training:
        """The kind of a training."""
        return cls(replace(one, seed=0, lr=0.01, weight_decay=0.0))

    @property
    def title(self) -> str:
        """For people."""
        return f"PTM {self.spec.arch} · {short(self.spec.source)}"


@dataclass(frozen=True)
class Distilling:
    """Steps of a distillation, guided by PTMs of one architecture at most.

    Attributes:
        recipe: what a step needs; the other fields have values that stand for all. The number of iterations stays: it
            may decide whether it pays to compile them.
    """

    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, arch: str) -> Distilling:
        """The kind of the steps that draw a PTM of ``arch``; empty: of the baseline."""
        return cls(recipe.model_copy(update=_ANY | _TRAINING | _JUDGING | {"ptm_archs": arch}))

    @property
    def title(self) -> str:
        """For people."""
        one = self.recipe
        abroad = f" from {short(one.source)}" if one.source not in ("", "target") else ""
        guided = f" · {one.regularizer} {one.ptm_archs}{abroad}" if one.ptm_archs else ""
        return f"{one.method} · {short(one.target)} · ipc {one.ipc}{guided}"


@dataclass(frozen=True)
class Evaluating:
    """Passes of networks over a synthetic set, and their tests.

    Attributes:
        recipe: what a pass needs; the other fields have values that stand for all.
    """

    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, arch: str) -> Evaluating:
        """The kind of the evaluation with networks of ``arch``."""
        own = {"arch": arch, "eval_archs": arch, "eval_lr": 0.01}
        return cls(recipe.model_copy(update=_ANY | _TRAINING | _METHOD | own))

    @property
    def title(self) -> str:
        """For people."""
        return f"evaluation {self.recipe.arch} · {short(self.recipe.target)} · ipc {self.recipe.ipc}"


Kind = Loading | Training | Distilling | Evaluating


def of(recipe: Recipe) -> list[Kind]:
    """Every kind of work in one cell, in the order of the cell."""
    specs = [one for seeds in spec.of(recipe) for one in seeds if not one.foundation]
    sources = [Loading(one.source, one.size) for one in specs]
    guides = [Distilling.of(recipe, arch) for arch in recipe.ptm_arch_list or [""]]
    judges = [Evaluating.of(recipe, arch) for arch in recipe.eval_archs.split("+")]
    return [Loading(recipe.target, recipe.size), *sources, *map(Training.of, specs), *guides, *judges]


def of_all(recipes: Iterable[Recipe]) -> list[Kind]:
    """Every kind of work in these cells, once; the reading of data first, because the rest needs it."""
    found = dict.fromkeys(kind for recipe in recipes for kind in of(recipe))
    return sorted(found, key=lambda kind: not isinstance(kind, Loading))


def kind_as_json(kind: Kind) -> dict[str, Any]:
    """For another process."""
    values = {"recipe": kind.recipe.model_dump()} if isinstance(kind, Distilling | Evaluating) else asdict(kind)
    return {"kind": type(kind).__name__, **values}


def kind_from_json(values: dict[str, Any]) -> Kind:
    """What ``kind_as_json`` gave."""
    name = values.pop("kind")
    if name == "Loading":
        return Loading(**values)
    if name == "Training":
        return Training(Spec(**values["spec"]))
    recipe = Recipe.model_construct(
        **values["recipe"]
    )  # no user's choice: it was valid before it was made to stand for others
    return Distilling(recipe) if name == "Distilling" else Evaluating(recipe)


def is_at_hand(name: str, size: int) -> bool:
    """Whether a dataset is decoded, or bundled and so decoded in a second."""
    bundled = not name.startswith(FOLDER_PREFIX) and not data.info(name).archives
    return bundled or data.is_prepared(name, size)


def short(name: str) -> str:
    """What a dataset or a source of PTMs is called; of an image folder the last part of its path."""
    return Path(name).name if name.startswith(FOLDER_PREFIX) else name


@dataclass(frozen=True)
class Read:
    """A dataset.

    Attributes:
        seconds: to read and check it.
        images: for training.
        test_images: for testing.
        size: bytes of the decoded file.
    """

    seconds: float
    images: float
    test_images: float
    size: float


@dataclass(frozen=True)
class Trained:
    """A PTM in training.

    Attributes:
        step: seconds of a batch.
        warm_up: seconds that the first batches of each training take beyond that: compiling.
        cold: seconds that the very first take beyond that, when there is nothing compiled that others left.
        test: seconds of a test on the whole test set.
        weights: bytes of its weights.
    """

    step: float
    warm_up: float
    cold: float
    test: float
    weights: float


@dataclass(frozen=True)
class Distilled:
    """A distillation.

    Attributes:
        first: seconds of an iteration's first image step.
        step: seconds of each later one, the training of the network before it included (DC, DSA); for DM as ``first``.
        warm_up: seconds that the first steps of each distillation take beyond that.
        cold: seconds that the very first take beyond that.
        look: seconds in which a PTM looks at one real image for the first time (CCLoM).
        features: bytes that it remembers of that image.
        room: bytes that one trial remembers at most.
        start: seconds before the first step.
        picture: seconds to draw and write a picture of the set.
        first_picture: bytes of the picture of the set before the first step, or of real images.
        later_picture: bytes of a picture after some steps, which leave less to compress.
    """

    first: float
    step: float
    warm_up: float
    cold: float
    look: float
    features: float
    room: float
    start: float
    picture: float
    first_picture: float
    later_picture: float


@dataclass(frozen=True)
class Evaluated:
    """An evaluation.

    Attributes:
        step: seconds of one network's pass over the synthetic set.
        warm_up: seconds that the first passes of each evaluation take beyond that.
        cold: seconds that the very first take beyond that.
        build: seconds to build a network.
        test: seconds of a test on the whole test set.
    """

    step: float
    warm_up: float
    cold: float
    build: float
    test: float


Finding = Read | Trained | Distilled | Evaluated
_NAMES = {kind.__name__: kind for kind in (Read, Trained, Distilled, Evaluated)}


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """For another process, and for scripts."""
    return {"finding": type(finding).__name__, **asdict(finding)}


def finding_from_json(values: dict[str, Any]) -> Finding:
    """What ``finding_as_json`` gave."""
    return _NAMES[values.pop("finding")](**values)


def mean(found: Sequence[Finding]) -> Finding:
    """Of the same kind, measured beside each other: the mean of each number."""
    columns = [asdict(one) for one in found]
    return type(found[0])(**{name: statistics.fmean(column[name] for column in columns) for name in columns[0]})
