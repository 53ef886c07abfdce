"""Recipe: every choice that can change an outcome, flat and frozen; and nothing else.

The test for membership: would changing it change the number? Device, folders, backend and trackers would not, so they
are arguments. Defaults that depend on other fields (learning rate by method, loops by IPC, α by both) are resolved
when the recipe is made and are visible in it. A choice that has no effect in this recipe (the epoch of the PTMs when
there are none) is set to its neutral value, so that equal experiments have equal keys however they were written.

================  =================================================================
paper             field
================  =================================================================
α                 ``alpha``; 0 removes the term (then ``regularizer`` is ``none``)
N_m               ``n_models``: seeds 0 … N_m−1 of each architecture
N_a               the length of ``archs`` (``"convnet3+vgg11"``)
training epoch    ``ptm_epoch``
source domain     ``source``; ``target`` is the dataset being distilled
================  =================================================================
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ddsweep import data, nn
from ddsweep.errors import UserError, closest
from ddsweep.nn.table import NAMES, join

SCHEMA = 1  # part of every key: raised when the same fields come to mean something else
AUTO: Any = None  # a default that depends on other fields

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]

# protocols: (outer loops T, inner epochs) of DC and DSA by images per class
LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}

# α by method and IPC (10, 50), from the weights that the paper's authors published beside their code
ALPHA = {
    "cifar10": {"dc": (1000.0, 5000.0), "dsa": (5000.0, 1000.0), "dm": (2000.0, 1000.0)},
    "cifar100": {"dc": (10000.0, 1000.0), "dsa": (10000.0, 10.0), "dm": (500.0, 1.0)},
}
CCLOM_ALPHA = 1000.0

PTM_FIELDS = ("source", "archs", "n_models", "ptm_epoch", "ptm_epochs", "ptm_lr", "ptm_weight_decay", "ptm_batch")
NEUTRAL: dict[str, Any] = {"regularizer": "none", "alpha": 0.0, "cclom_batch": 0} | {
    field: "" if field in ("source", "archs") else 0 for field in PTM_FIELDS
}


class Recipe(BaseModel):
    """One cell of a study: what is distilled, how, guided by which PTMs, and how it is judged (paper, Sec. 3.2)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    # what is distilled
    target: str = "cifar10"
    """Dataset that is distilled: a name of ``data.names()`` or ``imagefolder:PATH``."""
    size: Annotated[int, Field(ge=4)] = AUTO
    """Height and width of its images in pixels; default: the dataset's own."""
    ipc: Count = 50
    """Synthetic images per class."""
    seed: CountOrNone = 0
    """The one seed from which every generator of the trial is derived (``rng.Streams``)."""

    # the method
    method: Literal["dc", "dsa", "dm"] = "dm"
    """Matching loss: gradients (DC), gradients under augmentation (DSA), feature means (DM)."""
    arch: str = "convnet3"
    """Network of the matching loss."""
    width: Count = 128
    """Channels of a ConvNet; other networks scale all their channels by width/128."""
    init: Literal["noise", "real"] = AUTO
    """Initial synthetic images; default: noise for DC, real for DSA and DM."""
    iterations: Count = AUTO
    """Outer iterations K, a new random network each; default: 1000 for DC and DSA, 20000 for DM."""
    lr_img: Rate = AUTO
    """Learning rate of the images (SGD, momentum 0.5); default: 0.1, for DM 1.0 (10.0 above 125 images a class)."""
    batch_real: Count = 256
    """Distinct real images per class and step."""
    dsa_strategy: str = AUTO
    """Operations of the siamese augmentation, joined by ``_``; ``none`` for DC; default: the dataset's."""
    outer_loops: Count = AUTO
    """Image steps T per iteration (DC, DSA); default by IPC."""
    inner_epochs: CountOrNone = AUTO
    """Epochs on the synthetic set between two image steps (DC, DSA); default by IPC."""
    batch_train: CountOrNone = AUTO
    """Batch of those epochs; default 256."""
    lr_net: Weight = AUTO
    """Their learning rate, plain SGD; default 0.01."""
    distance: Literal["rows", "mse", "cos", "none"] = AUTO
    """Distance of gradients (DC, DSA): ``rows`` is the paper's, one minus cosine per output row."""

    # the guidance of pre-trained models
    regularizer: Literal["none", "clom", "cclom"] = AUTO
    """Default: CLoM when the PTMs were trained on the target, CCLoM across domains."""
    alpha: Weight = AUTO
    """Weight α of the regulariser; default by method, IPC and dataset."""
    source: str = AUTO
    """Dataset that the PTMs were trained on; default ``target``, the dataset being distilled."""
    archs: str = AUTO
    """Architectures of the PTMs joined by ``+``; default: the distillation network's."""
    n_models: CountOrNone = AUTO
    """PTMs of each architecture (N_m), seeds 0 … N_m−1; default 1."""
    ptm_epoch: CountOrNone = AUTO
    """Epoch at which the PTMs are taken; default: the last."""
    ptm_epochs: CountOrNone = AUTO
    """Length of their training; the learning rate falls tenfold after one and two thirds of it; default 150."""
    ptm_lr: Weight = AUTO
    """Learning rate of their training (SGD, momentum 0.9); default 0.01."""
    ptm_weight_decay: Weight = AUTO
    """Weight decay of their training; default 0.005."""
    ptm_batch: CountOrNone = AUTO
    """Batch of their training; default 256."""
    cclom_batch: CountOrNone = AUTO
    """Real images that one CCLoM term sees, drawn with replacement; default 8196 (sic)."""

    # the evaluation
    eval_archs: str = AUTO
    """Architectures trained on the synthetic set, joined by ``+``; default: the distillation network."""
    eval_nets: Count = 5
    """Networks trained per architecture; the result is their mean ± std (ddof 0)."""
    eval_epochs: Count = 1000
    """Epochs on the synthetic set; the learning rate falls tenfold at half of them."""
    eval_batch: Count = 256
    """Batch of the evaluation."""
    eval_lr: Rate = 0.01
    """Learning rate of the evaluation (SGD, momentum 0.9, weight decay 5e-4)."""
    eval_strategy: str = AUTO
    """Augmentation of the evaluation; ``none`` for none; default: the dataset's."""

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, given: dict[str, Any]) -> dict[str, Any]:
        return resolve({name: value for name, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check(self)
        return self

    @property
    def ptm_archs(self) -> list[str]:
        """The architectures of the PTMs; empty for the baseline."""
        return self.archs.split("+") if self.archs else []

    @property
    def n_archs(self) -> int:
        """N_a of the paper."""
        return len(self.ptm_archs)

    @property
    def source_dataset(self) -> str:
        """The dataset that the PTMs were trained on, by its own name."""
        return self.target if self.source == "target" else self.source

    def key(self) -> str:
        """The identity of the cell: 16 hex digits of the hash of its fields. Same key, same experiment."""
        text = json.dumps({"schema": SCHEMA, **self.model_dump()}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def title(self) -> str:
        """The cell in a few words: ``dm · ipc 50 · α 1000 · epoch 4 · seed 0``."""
        parts = [self.method, f"ipc {self.ipc}"]
        if self.regularizer == "none":
            parts.append("baseline")
        else:
            parts += [f"α {self.alpha:g}", self.archs, f"N_m {self.n_models}", f"epoch {self.ptm_epoch}"]
        if self.source not in ("target", ""):
            parts.append(f"from {self.source}")
        return " · ".join([*parts, f"seed {self.seed}"])


def make(choices: dict[str, Any]) -> Recipe:
    """A recipe from choices of any origin; what is not chosen takes its default.

    Raises:
        UserError: an unknown field, a value of the wrong type or out of range, or choices that contradict each other.
    """
    for field in choices:
        if field not in Recipe.model_fields:
            raise UserError(f"{field}: no such parameter; {closest(field, Recipe.model_fields)}")
    try:
        return Recipe(**choices)
    except ValidationError as error:
        raise UserError(_one_line(error)) from None


def resolve(given: dict[str, Any]) -> dict[str, Any]:
    """Fill the defaults that depend on other fields and neutralise the choices that have no effect.

    Values of a wrong type are left for the type check that follows; only what the defaults need is looked at here.
    """
    chosen = {"target": "cifar10", "method": "dm", "arch": "convnet3", "ipc": 50, **given}
    if not (isinstance(chosen["target"], str) and isinstance(chosen["ipc"], int)):
        return chosen
    row = data.info(chosen["target"])
    chosen["target"] = row.name
    method, ipc = chosen["method"], chosen["ipc"]
    defaults: dict[str, Any] = {
        "size": row.size,
        "init": "noise" if method == "dc" else "real",
        "iterations": 20000 if method == "dm" else 1000,
        "lr_img": (10.0 if ipc > 125 else 1.0) if method == "dm" else 0.1,
        "dsa_strategy": row.strategy,
        "eval_archs": chosen["arch"],
        "eval_strategy": row.strategy,
        "batch_train": 256,
        "lr_net": 0.01,
        "distance": "rows",
    }
    if ipc in LOOPS:
        defaults |= dict(zip(("outer_loops", "inner_epochs"), LOOPS[ipc], strict=True))
    chosen = defaults | chosen
    if method == "dc":
        chosen["dsa_strategy"] = "none"
    if method == "dm":
        chosen |= {"outer_loops": 1, "inner_epochs": 0, "batch_train": 0, "lr_net": 0.0, "distance": "none"}
    for field in ("archs", "eval_archs"):
        chosen[field] = _canonical_archs(chosen.get(field))
    return {name: value for name, value in _resolve_guidance(chosen).items() if value is not None}


def _canonical_archs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = value.split("+")
    return join(parts) if all(part in NAMES for part in parts) else value


def _resolve_guidance(chosen: dict[str, Any]) -> dict[str, Any]:
    source = chosen.get("source") or "target"
    if isinstance(source, str) and source != "target":
        source = data.info(source).name
    if source == chosen["target"]:
        source = "target"
    # α = 0 and regularizer = none say the same thing: the baseline
    if chosen.get("regularizer") == "none" or (chosen.get("alpha") == 0 and not isinstance(chosen["alpha"], bool)):
        return chosen | NEUTRAL
    regularizer = chosen.get("regularizer") or ("clom" if source == "target" else "cclom")
    epochs = chosen.get("ptm_epochs") or 150
    defaults = {
        "regularizer": regularizer,
        "alpha": CCLOM_ALPHA if regularizer == "cclom" else _clom_alpha(chosen),
        "archs": chosen["arch"],
        "n_models": 1,
        "ptm_epochs": epochs,
        "ptm_epoch": epochs,
        "ptm_lr": 0.01,
        "ptm_weight_decay": 0.005,
        "ptm_batch": 256,
        "cclom_batch": 8196,
    }
    chosen = defaults | {name: value for name, value in chosen.items() if value is not None} | {"source": source}
    return chosen | {"cclom_batch": 0} if regularizer == "clom" else chosen


def _clom_alpha(chosen: dict[str, Any]) -> float | None:
    """The published α for this method and IPC; a dataset without its own takes CIFAR-10's."""
    pair = ALPHA.get(chosen["target"], ALPHA["cifar10"]).get(chosen["method"])
    return None if pair is None else pair[0] if chosen["ipc"] <= 10 else pair[1]


def check(recipe: Recipe) -> None:
    """What no single field can say.

    Raises:
        UserError: fields that contradict each other, or the dataset.
    """
    for field in ("arch", "archs", "eval_archs"):
        for name in str(getattr(recipe, field)).split("+"):
            if name not in NAMES and not (field == "archs" and recipe.regularizer == "none"):
                raise UserError(f"{field}: no network {name!r}; {closest(name, NAMES)}")
    for field in ("dsa_strategy", "eval_strategy"):
        _check_strategy(field, getattr(recipe, field))
    _check_sizes(recipe)
    row = data.info(recipe.target)
    if recipe.ipc > row.smallest_class:
        raise UserError(f"ipc: {recipe.ipc} is more than the {row.smallest_class} images of a class of {recipe.target}")
    if recipe.regularizer == "none":
        return
    if recipe.regularizer == "clom" and recipe.source != "target":
        raise UserError(
            f"regularizer: clom needs PTMs with the labels of {recipe.target}, but source is {recipe.source}; "
            "use cclom, or source: target"
        )
    for field in ("n_models", "ptm_epochs", "ptm_epoch", "ptm_batch"):
        if getattr(recipe, field) < 1:
            raise UserError(
                f"{field}: {getattr(recipe, field)} is out of range; at least 1 (for the baseline, alpha: 0)"
            )
    if recipe.ptm_epoch > recipe.ptm_epochs:
        raise UserError(f"ptm_epoch: {recipe.ptm_epoch} is after the last epoch (allowed: 1 to {recipe.ptm_epochs})")


def _check_sizes(recipe: Recipe) -> None:
    """Every network must be able to see the images that it will be shown; PTMs also those of their own."""
    own = {recipe.size} if recipe.source in ("", "target") else {recipe.size, data.info(recipe.source).size}
    for field, sizes in (("arch", {recipe.size}), ("eval_archs", {recipe.size}), ("archs", own)):
        for name in filter(None, getattr(recipe, field).split("+")):
            for size in sizes:
                nn.info(name).canvas(size)


def _check_strategy(field: str, strategy: str) -> None:
    operations = ("color", "crop", "cutout", "flip", "scale", "rotate")
    for operation in strategy.split("_"):
        if strategy != "none" and operation not in operations:
            raise UserError(
                f"{field}: no operation {operation!r}; {closest(operation, operations)}, joined by _, or none"
            )


def _one_line(error: ValidationError) -> str:
    """The first complaint of pydantic, in our words: the field, what it got, what is allowed."""
    complaints = error.errors(include_url=False)
    # a wrong ipc or target also leaves the defaults that depend on it unset: name the cause
    first = next((one for one in complaints if one["input"] is not None), complaints[0])
    field, got, kind = ".".join(str(part) for part in first["loc"]), first["input"], first["type"]
    if got is None and field in ("outer_loops", "inner_epochs"):
        known = ", ".join(map(str, LOOPS))
        return f"{field}: has no published default for this ipc (known: {known}); set outer_loops and inner_epochs"
    if kind in ("float_type", "int_type") and isinstance(got, str):
        number = "a whole number" if kind == "int_type" else "a number"
        return f"{field}: {got!r} is text, not {number}{_spelling(got)}"
    return f"{field}: {got!r} is not allowed; {first['msg'][0].lower()}{first['msg'][1:]}"


def _spelling(got: str) -> str:
    """YAML reads 1e-3 as text: say how to write it."""
    try:
        value = float(got)
    except ValueError:
        return ""
    return f"; write {value!r}" if "e" not in repr(value) else f"; write {value:.1e}"
