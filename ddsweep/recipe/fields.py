"""The fields of a recipe and their types."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ddsweep.recipe import spelling
from ddsweep.recipe.checks import check
from ddsweep.recipe.defaults import resolve
from ddsweep.registry.methods import METHODS, TAKEN

SCHEMA = 1  # part of every key: raised when the same fields come to mean something else
AUTO: Any = None  # a default that depends on other fields
LATER = ("options", "plugins")  # left out of a key where they are empty: keys from before they existed stay

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


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

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """How convolutions and products are computed, PTMs and evaluation included (``numerics.Numerics``); ``float32`` is
    the reference, ``tf32`` needs an NVIDIA GPU."""

    # the method
    method: str = "dm"
    """Matching loss: gradients (``dc``), gradients under augmentation (``dsa``), feature means (``dm``), or that of a
    plugin."""
    options: str = ""
    """Numbers and texts that only this method has, ``steps:5+temperature:0.5``; default: the method's own."""
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
    alpha_by_arch: str = ""
    """α of single architectures, ``alexnet:100+convnet3:5000``, instead of ``alpha`` when such a PTM is drawn."""
    source: str = AUTO
    """What the PTMs were trained on: ``target`` (the default), the dataset being distilled; another dataset; or
    ``imagenet`` or ``internet``: torchvision's ResNet-18 or CLIP's RN50, as published (paper, Table 3)."""
    ptm_archs: str = AUTO
    """Architectures of the PTMs joined by ``+``; default: the distillation network's, or the published one."""
    n_models: CountOrNone = AUTO
    """PTMs of each architecture (N_m), seeds 0 … N_m−1; default 1."""
    ptm_epoch: CountOrNone = AUTO
    """Epoch at which the PTMs are taken; default: the last."""
    ptm_train_epochs: CountOrNone = AUTO
    """Length of their training; the learning rate falls tenfold after one and two thirds of it; default 150."""
    ptm_lr: Weight = AUTO
    """Learning rate of their training (SGD, momentum 0.9); default 0.01."""
    ptm_weight_decay: Weight = AUTO
    """Weight decay of their training; default 0.005."""
    ptm_batch: CountOrNone = AUTO
    """Batch of their training; default 256."""
    ptm_statistics: Literal["target", "source"] = "target"
    """Mean and std with which images reach PTMs of another dataset: ``target`` (the paper's: as they are, normalised
    for the target) or ``source`` (normalised anew, as in the PTM's training). A published model has its own."""
    cclom_batch: CountOrNone = AUTO
    """Real images that one CCLoM term sees, drawn with replacement; default 8196 (sic)."""

    # the evaluation
    eval_rule: Literal["paper", "best", "evaluate_synset", "plain300", "dc"] = "paper"
    """How networks are trained and which test counts (``evaluate.named``); the next numbers replace the rule's own."""
    eval_archs: str = AUTO
    """Architectures trained on the synthetic set, joined by ``+``; default: the distillation network."""
    eval_nets: Count = 5
    """Networks trained per architecture; the result is their mean ± std (ddof 0)."""
    eval_epochs: CountOrNone = AUTO
    """Epochs on the synthetic set; the learning rate falls tenfold at half of them. Default: the rule's: 1000, or 300
    without augmentation under ``evaluate_synset`` and ``plain300``; 0 under ``dc``, where it depends on the network."""
    eval_batch: Count = 256
    """Batch of the evaluation."""
    eval_lr: Rate = 0.01
    """Learning rate of the evaluation (SGD, momentum 0.9, weight decay 5e-4)."""
    eval_strategy: str = AUTO
    """Augmentation of the evaluation; ``none`` for none, and under ``plain300`` and ``dc``; default: the dataset's."""

    plugins: str = ""
    """The plugins that its parts come from, each with the digest of its source, ``my_method@3f2a9c01d47e``; default:
    as they are on this host."""

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, given: dict[str, Any]) -> dict[str, Any]:
        return resolve({name: value for name, value in given.items() if value is not None})

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check(self)
        return self

    @property
    def ptm_arch_list(self) -> list[str]:
        """The architectures of the PTMs; empty for the baseline."""
        return self.ptm_archs.split("+") if self.ptm_archs else []

    @property
    def n_archs(self) -> int:
        """N_a of the paper."""
        return len(self.ptm_arch_list)

    @property
    def source_dataset(self) -> str:
        """What the PTMs were trained on, by its own name."""
        return self.target if self.source == "target" else self.source

    @property
    def ptm_alphas(self) -> dict[str, float]:
        """α of each architecture of the PTMs."""
        own = spelling.parse_alphas(self.alpha_by_arch) or {}
        return {arch: own.get(arch, self.alpha) for arch in self.ptm_arch_list}

    @property
    def numbers(self) -> dict[str, Any]:
        """What the matching loss takes: fields of this recipe, and the method's own options."""
        method = METHODS[self.method]
        fields = {name: getattr(self, name) for name in method.takes if name in TAKEN}
        return fields | spelling.parse_options(self.options, method.options)

    def key(self) -> str:
        """The identity of the cell: 16 hex digits of the hash of its fields. Same key, same experiment."""
        fields = {name: value for name, value in self.model_dump().items() if value or name not in LATER}
        text = json.dumps({"schema": SCHEMA, **fields}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def title(self) -> str:
        """The cell in a few words: ``dm · ipc 50 · α 1000 · epoch 4 · seed 0``."""
        parts = [self.method, *([_spaced(self.options)] if self.options else []), f"ipc {self.ipc}"]
        if self.regularizer == "none":
            parts.append("baseline")
        else:
            own = f" ({_spaced(self.alpha_by_arch)})" if self.alpha_by_arch else ""
            parts += [f"α {self.alpha:g}{own}", self.ptm_archs]
            parts += [f"N_m {self.n_models}", f"epoch {self.ptm_epoch}"] if self.ptm_epoch else []
        if self.source not in ("target", ""):
            parts.append(f"from {self.source}")
        return " · ".join([*parts, f"seed {self.seed}"])


def _spaced(entries: str) -> str:
    """``steps:5+width:2`` for people: ``steps 5, width 2``."""
    return entries.replace(":", " ").replace("+", ", ")
