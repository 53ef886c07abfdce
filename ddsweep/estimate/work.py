"""The kinds of work in a sweep, and the measurements of each: work of the same cost is one kind, measured once."""

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

# Fields that do not affect the cost of a step, with the value that replaces all others. Any other field, including
# those that Recipe may get in the future, distinguishes kinds.
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
    "net_images": 0, "select_every": 0, "dream_plus": False, "match_archs": "", "match_weight": 0.0,
    "dsa_strategy": "none", "outer_loops": 1, "inner_epochs": 0, "batch_train": 0, "distance": "none",
    "regularizer": "none", "guidance_options": "", "source": "", "ptm_archs": "", "ptm_statistics": "target",
    "cclom_batch": 0,
}  # fmt: skip


def _gan(recipe: Recipe) -> dict[str, Any]:
    """The fields of the GAN of DiM that do not affect the cost of its use; ``gan_epochs`` says that there is one."""
    return {"gan_epochs": 1, "gan_batch": 1, "gan_lr": 1e-4} if recipe.gan_epochs else {}


@dataclass(frozen=True)
class Loading:
    """The reading of a dataset, which every trial does."""

    name: str
    size: int

    @property
    def title(self) -> str:
        """The displayed name."""
        return f"data {short(self.name)}"


@dataclass(frozen=True)
class Training:
    """The batches and tests of the training of a PTM.

    Attributes:
        spec: the training, with a fixed seed, learning rate and weight decay; on one variant of a biased dataset.
    """

    spec: Spec

    @classmethod
    def of(cls, one: Spec) -> Training:
        """Return the kind of a training."""
        return cls(replace(one, source=alike(one.source), seed=0, lr=0.01, weight_decay=0.0))

    @property
    def title(self) -> str:
        """The displayed name."""
        return f"{'expert' if self.spec.is_expert else 'PTM'} {self.spec.arch} · {short(self.spec.source)}"


@dataclass(frozen=True)
class Distilling:
    """The steps of a distillation, guided by PTMs of at most one architecture.

    Attributes:
        recipe: a recipe in which the fields that do not affect a step are fixed. The number of iterations is kept,
            because it decides whether compilation pays off.
    """

    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, arch: str) -> Distilling:
        """Return the kind of the steps that draw a PTM of ``arch``; empty: the steps of the baseline."""
        own = {"ptm_archs": arch, "source": alike(recipe.source)}
        return cls(recipe.model_copy(update=_ANY | _TRAINING | _JUDGING | _bias(recipe) | _gan(recipe) | own))

    @property
    def title(self) -> str:
        """The displayed name."""
        one = self.recipe
        abroad = f" from {short(one.source)}" if one.source not in ("", "target") else ""
        guided = f" · {one.regularizer} {one.ptm_archs}{abroad}" if one.ptm_archs else ""
        return f"{one.method} · {short(one.dataset)} · ipc {one.ipc}{guided}"


@dataclass(frozen=True)
class Evaluating:
    """The epochs of networks on a synthetic set, and their tests.

    Attributes:
        recipe: a recipe in which the fields that do not affect an epoch are fixed.
    """

    recipe: Recipe

    @classmethod
    def of(cls, recipe: Recipe, arch: str) -> Evaluating:
        """Return the kind of the evaluation with networks of ``arch``."""
        own = {"arch": arch, "eval_archs": arch, "eval_lr": 0.01}
        return cls(recipe.model_copy(update=_ANY | _TRAINING | _METHOD | _bias(recipe) | _gan(recipe) | own))

    @property
    def title(self) -> str:
        """The displayed name."""
        return f"evaluation {self.recipe.arch} · {short(self.recipe.dataset)} · ipc {self.recipe.ipc}"


Kind = Loading | Training | Distilling | Evaluating


def of(recipe: Recipe) -> list[Kind]:
    """Return the kinds of work in one cell, in the order of the trial."""
    specs = [one for one in spec.needs([recipe]) if not one.foundation]
    sources = [Loading(one.source, one.size) for one in specs]
    guides = [Distilling.of(recipe, arch) for arch in recipe.ptm_arch_list or [""]]
    judges = [Evaluating.of(recipe, arch) for arch in recipe.eval_archs.split("+")]
    return [Loading(recipe.dataset, recipe.size), *sources, *map(Training.of, specs), *guides, *judges]


def of_all(recipes: Iterable[Recipe]) -> list[Kind]:
    """Return each kind of work in these cells once; datasets first, because the others need them."""
    found = dict.fromkeys(kind for recipe in recipes for kind in of(recipe))
    return sorted(found, key=lambda kind: not isinstance(kind, Loading))


def kind_as_json(kind: Kind) -> dict[str, Any]:
    """Return a kind as JSON values, for another process."""
    values = {"recipe": kind.recipe.model_dump()} if isinstance(kind, Distilling | Evaluating) else asdict(kind)
    return {"kind": type(kind).__name__, **values}


def kind_from_json(values: dict[str, Any]) -> Kind:
    """Return the kind of ``kind_as_json``."""
    name = values.pop("kind")
    if name == "Loading":
        return Loading(**values)
    if name == "Training":
        return Training(Spec(**values["spec"]))
    recipe = Recipe.model_construct(**values["recipe"])  # not validated: some fields have fixed values
    return Distilling(recipe) if name == "Distilling" else Evaluating(recipe)


def is_at_hand(name: str, size: int) -> bool:
    """Return whether a dataset is decoded, or bundled and therefore decoded within a second."""
    bundled = not name.startswith(FOLDER_PREFIX) and data.is_bundled(data.info(name))
    return bundled or data.is_prepared(name, size)


def alike(name: str) -> str:
    """Return the dataset that is measured in place of ``name``: of the variants of a biased dataset, the default."""
    return data.info(name.partition(":")[0]).name if data.is_biased(name) else name


def _bias(recipe: Recipe) -> dict[str, Any]:
    """The fields of the variant that is measured; none if the target is not biased."""
    how = data.info(recipe.target).bias if data.is_biased(recipe.target) else None
    return {"align": how.align, "severity": how.severity} if how else {}


def short(name: str) -> str:
    """Return the short name of a dataset or PTM source: of an image folder, the last part of its path; of a biased
    dataset, its name without the fields."""
    if name.startswith(FOLDER_PREFIX):
        return Path(name).name
    return name.partition(":")[0] if data.is_biased(name) else name


@dataclass(frozen=True)
class Read:
    """The measurement of a dataset.

    Attributes:
        seconds: seconds to read and verify it.
        images: number of training images.
        test_images: number of test images.
        size: bytes of the decoded file.
    """

    seconds: float
    images: float
    test_images: float
    size: float


@dataclass(frozen=True)
class Trained:
    """The measurement of the training of a PTM.

    Attributes:
        step: seconds per batch.
        warm_up: extra seconds of the first batches of each training, for compilation.
        cold: extra seconds of the very first batches, when the cache of compiled kernels is empty.
        test: seconds of a test on the whole test set.
        weights: bytes of its weights.
        doubt: relative uncertainty of the seconds.
    """

    step: float
    warm_up: float
    cold: float
    test: float
    weights: float
    doubt: float = 0.1


@dataclass(frozen=True)
class Distilled:
    """The measurement of a distillation.

    Attributes:
        first: seconds of the first outer loop of an iteration: one step, or one step per class (IDC, DREAM).
        step: seconds of each later outer loop, with the training of the network before it; DM: as ``first``.
        warm_up: extra seconds of the first steps of each distillation.
        cold: extra seconds of the very first steps.
        look: seconds in which a PTM computes the features of one real image (as in CCLoM).
        features: bytes of these features.
        room: bytes of features that one trial keeps at most.
        start: seconds before the first step.
        picture: seconds to render and write a picture of the set.
        first_picture: bytes of the picture of the set before the first step, or of real images.
        later_picture: bytes of a picture after some steps, which compresses less.
        selecting: extra seconds of a later outer loop that chooses real images (DREAM).
        doubt: relative uncertainty of the seconds.
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
    selecting: float = 0.0
    doubt: float = 0.1

    def iteration(self, recipe: Recipe) -> float:
        """Return the seconds of one iteration."""
        selections = -(-recipe.outer_loops // recipe.select_every) if recipe.select_every else 1
        return self.first + (recipe.outer_loops - 1) * self.step + (selections - 1) * self.selecting


@dataclass(frozen=True)
class Evaluated:
    """The measurement of an evaluation.

    Attributes:
        step: seconds of one epoch of one network on the synthetic set.
        warm_up: extra seconds of the first epochs of each evaluation.
        cold: extra seconds of the very first epochs.
        build: seconds to build a network.
        test: seconds of a test on the whole test set.
        doubt: relative uncertainty of the seconds.
    """

    step: float
    warm_up: float
    cold: float
    build: float
    test: float
    doubt: float = 0.1


Finding = Read | Trained | Distilled | Evaluated
_SECONDS = ("step", "first", "warm_up", "cold", "test", "look", "start", "picture", "selecting", "build")
GUESSED = 2.0  # doubt of a kind that was not measured: its seconds may be three times as many, or a third
_NAMES = {kind.__name__: kind for kind in (Read, Trained, Distilled, Evaluated)}


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Return a measurement as JSON values, for another process and for scripts."""
    return {"finding": type(finding).__name__, **asdict(finding)}


def finding_from_json(values: dict[str, Any]) -> Finding:
    """Return the measurement of ``finding_as_json``."""
    return _NAMES[values.pop("finding")](**values)


def mean(found: Sequence[Finding]) -> Finding:
    """Return the mean of each number over simultaneous measurements of one kind."""
    columns = [asdict(one) for one in found]
    return type(found[0])(**{name: statistics.fmean(column[name] for column in columns) for name in columns[0]})


def times(finding: Finding, factor: float) -> Finding:
    """Return a measurement with ``factor`` times the seconds; of a dataset, the same."""
    if isinstance(finding, Read):
        return finding
    values = {name: value * factor for name, value in asdict(finding).items() if name in _SECONDS}
    return replace(finding, **values)


def bounds(finding: Finding) -> tuple[Finding, Finding]:
    """Return the measurement with the fewest and with the most seconds that its doubt allows."""
    doubt = 0.0 if isinstance(finding, Read) else finding.doubt
    return times(finding, 1 / (1 + doubt)), times(finding, 1 + doubt)
