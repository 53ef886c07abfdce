"""The fields of a recipe and their types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from ddsweep.recipe import by_name
from ddsweep.recipe.checks import check
from ddsweep.recipe.defaults import NEUTRAL, resolve
from ddsweep.registry import options
from ddsweep.registry.datasets import full_name
from ddsweep.registry.guidance import GUIDANCE, NONE
from ddsweep.registry.methods import METHODS, TAKEN
from ddsweep.registry.options import Declared

SCHEMA = 1  # part of every key: increase it when the meaning of a field changes
AUTO: Any = None  # a default that depends on other fields
LATER = (
    "options", "guidance_options", "plugins", "factor", "net_images", "select_every", "dream_plus", "syn_steps",
    "batch_syn", "lr_lr", "lr_teacher", "n_experts", "expert_train_epochs", "expert_epochs", "max_start_epoch", "zca",
    "match_archs", "match_weight", "gan_epochs", "gan_batch", "gan_lr", "gan_width", "align", "severity",
)  # fmt: skip
"""Fields that are not in the key if they are empty, 0 or false, which keeps the keys from before they existed."""

AS_WRITTEN = "as written"  # the context of a recipe that is read: nothing is resolved

Count = Annotated[int, Field(ge=1)]
CountOrNone = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]


class Recipe(BaseModel):
    """One experiment: what is distilled, how, guided by which PTMs, and how it is evaluated (paper, Sec. 3.2)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    # what is distilled
    target: str = "cifar10"
    """Dataset to distill: a name in ``data.names()``, or ``imagefolder:PATH`` (``imagefolder:allow-skipped:PATH``
    leaves out the files that cannot be read). ``cmnist:align=0.95,severity=2`` sets the fields of a biased dataset."""
    size: Annotated[int, Field(ge=4)] = AUTO
    """Height and width of the images in pixels; default: the dataset's own."""
    ipc: Count = 50
    """Synthetic images per class."""
    align: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of a class's training images that have the attribute of the class; only of biased datasets, where the
    default is 0.95."""
    severity: CountOrNone = 0
    """How pure the colors or how strong the corruptions are, 1 to 4; only of biased datasets, where the default
    is 2."""
    seed: CountOrNone = 0
    """Seed of all random generators of the trial (``rng.Streams``)."""

    precision: Literal["float32", "tf32", "bf16"] = "float32"
    """Precision of convolutions and matrix products, also of PTMs and the evaluation (``numerics.Numerics``);
    ``float32`` is the reference, ``tf32`` needs an NVIDIA GPU."""

    # the method
    method: str = "dm"
    """Matching loss: gradients (``dc``), gradients under augmentation (``dsa``), feature means (``dm``), gradients of
    images decoded from smaller ones (``idc``), the same with representative real images (``dream``), training
    trajectories (``tm``), a generator (``dim``), or the loss of a plugin."""
    options: str = ""
    """Options that only this method has, ``steps:5+temperature:0.5``; default: the method's own."""
    arch: str = "convnet3"
    """Network of the matching loss."""
    width: Count = 128
    """Channels of a ConvNet; other networks scale all their channels by width/128."""
    init: Literal["noise", "real", "first", "mix", "kmeans"] = AUTO
    """Initial synthetic images: random noise, random real images, the first real images of each class, several small
    ones in each image (IDC), or the most representative ones (DREAM); default: by method."""
    iterations: Count = AUTO
    """Outer iterations K, each with a new random network (TM: an expert; DiM: a network of ``match_archs``); default:
    by method, 1000 for DC and DSA, 20000 for DM."""
    lr_img: Rate = AUTO
    """Learning rate of the images (SGD, momentum 0.5), for DiM of generator and discriminator (Adam); default: by
    method, 0.1 for DC and DSA, 1.0 for DM (10.0 above 125 images per class)."""
    batch_real: Count = 256
    """Distinct real images per class and step (DiM: of all classes together); default: 256, for IDC and DiM 64, for
    DREAM 128."""
    dsa_strategy: str = AUTO
    """Operations of the siamese augmentation, joined by ``_``; ``none`` for DC; default: the dataset's;
    ``color_crop_cutout`` for IDC, DREAM and DiM."""
    outer_loops: Count = AUTO
    """Image steps T per iteration (DC, DSA; default: by ipc), rounds of one step per class (IDC, DREAM; default: 100),
    or steps of the generator (DiM; default: those of an epoch)."""
    inner_epochs: CountOrNone = AUTO
    """Epochs of the network on the synthetic set between two image steps (DC, DSA); default: by ipc."""
    batch_train: CountOrNone = AUTO
    """Batch size of these epochs; default: 256."""
    lr_net: Weight = AUTO
    """Learning rate of these epochs (plain SGD), and of the training on real images of IDC, DREAM and DiM; default:
    0.01."""
    distance: Literal["rows", "mse", "l1", "cos", "none"] = AUTO
    """Distance between gradients (DC, DSA, IDC, DREAM); ``rows``, DC's, is one minus the cosine of each output row;
    IDC and DREAM compare convolutions only, with ``mse`` (the default), ``l1`` or ``cos``."""
    factor: CountOrNone = AUTO
    """Each learned image is decoded to factor² images, enlarged (IDC, DREAM); 1: to itself (IDC-I); default: 2."""
    net_images: CountOrNone = AUTO
    """Real images that train the network of the matching loss per loop: after it (IDC, DREAM; default: 2000), or before
    a step of the generator (DiM; default: 1024)."""
    select_every: CountOrNone = AUTO
    """Loops between two choices of representative real images (DREAM); default: 10."""
    dream_plus: bool = AUTO
    """Whether DREAM also matches mean features, and trains each network for an epoch first (DREAM+); default: false."""

    # trajectory matching (TM)
    syn_steps: CountOrNone = AUTO
    """Steps of the student on the synthetic set that are differentiated (TM); default: by dataset and ipc."""
    batch_syn: CountOrNone = AUTO
    """Synthetic images per such step (TM); 0: all of them; default: by dataset and ipc."""
    lr_lr: Weight = AUTO
    """Learning rate of the student's learning rate (TM); default: by dataset and ipc."""
    lr_teacher: Weight = AUTO
    """Initial value of the student's learning rate (TM); default: by dataset and ipc."""
    n_experts: CountOrNone = AUTO
    """Expert trajectories, with seeds 0 … n−1 (TM); default: 100."""
    expert_train_epochs: CountOrNone = AUTO
    """Epochs of each expert, each of which is a point of its trajectory (TM); default: 50."""
    expert_epochs: CountOrNone = AUTO
    """Epochs of an expert that the student has to reach (TM); default: by dataset and ipc."""
    max_start_epoch: CountOrNone = AUTO
    """The student starts from an epoch of an expert below this one (TM); default: by dataset and ipc."""
    zca: bool = AUTO
    """Whether all networks see whitened images (TM); default: by dataset and ipc."""

    # distillation into a generative model (DiM)
    match_archs: str = AUTO
    """Networks of the matching loss, joined by ``+``, of which each epoch draws one (DiM)."""
    match_weight: Weight = AUTO
    """Weight of the matching loss in the generator's loss (DiM); default: 0.01."""
    gan_epochs: CountOrNone = AUTO
    """Epochs of the generator and discriminator before the matching (DiM); default: 150."""
    gan_batch: CountOrNone = AUTO
    """Batch size of these epochs (DiM); default: 128."""
    gan_lr: Weight = AUTO
    """Learning rate of these epochs (DiM; Adam with β = 0, 0.9); default: 1e-4."""
    gan_width: CountOrNone = AUTO
    """Width of generator and discriminator, which have 196 feature maps if it is 128 (DiM); 0: ``width``."""

    # the guidance of pre-trained models
    regularizer: str = AUTO
    """Guidance by the PTMs: ``none``, CLoM (``clom``), CCLoM (``cclom``), or that of a plugin; default: CLoM if they
    were trained on the target, CCLoM if on another dataset."""
    guidance_options: str = ""
    """Options that only this guidance has, ``power:2+scale:0.5``; default: the guidance's own."""
    alpha: Weight = AUTO
    """Weight α of the guidance; default: by method, ipc and dataset."""
    alpha_by_arch: str = ""
    """α for single architectures, ``alexnet:100+convnet3:5000``, instead of ``alpha`` in steps with such a PTM;
    default: none, unless several architectures guide DC or DSA on CIFAR-10 with more than 10 images per class and
    ``alpha`` is not set: then AlexNet has the weight published for it, 100 or 2000."""
    source: str = AUTO
    """Training data of the PTMs: ``target`` (the default), the dataset being distilled; another dataset; or
    ``imagenet`` or ``internet``: torchvision's ResNet-18 or CLIP's RN50, as published (paper, Table 3)."""
    ptm_archs: str = AUTO
    """Architectures of the PTMs, joined by ``+``; default: that of the distillation, or of the published model."""
    n_models: CountOrNone = AUTO
    """PTMs per architecture (N_m), with seeds 0 … N_m−1; default: 1."""
    ptm_epoch: CountOrNone = AUTO
    """Training epoch whose weights the PTMs use; default: the last."""
    ptm_train_epochs: CountOrNone = AUTO
    """Training epochs of the PTMs; the learning rate drops tenfold after one third and two thirds; default: 150."""
    ptm_lr: Weight = AUTO
    """Learning rate of the PTMs' training (SGD, momentum 0.9); default: 0.01."""
    ptm_weight_decay: Weight = AUTO
    """Weight decay of the PTMs' training; default: 0.005."""
    ptm_batch: CountOrNone = AUTO
    """Batch size of the PTMs' training; default: 256."""
    ptm_statistics: Literal["target", "source"] = "target"
    """Mean and std of the images that PTMs of another dataset see: ``target`` (the paper's: unchanged, as normalized
    for the target) or ``source`` (renormalized, as in the PTM's training). A published model has its own."""
    cclom_batch: CountOrNone = AUTO
    """Real images per term of CCLoM, or of another guidance that takes some, drawn with replacement; default: 8196
    (sic)."""

    # the evaluation
    eval_rule: str = AUTO
    """How networks are trained, and which test accuracy counts (``evaluate.named``): ``paper``, ``best``,
    ``evaluate_synset``, ``plain300``, ``dc``, ``idc``, ``dream``, ``tm``, ``dim``, or a plugin's; the fields below
    override it.
    Default: that of the method's published numbers, which is ``paper`` for DC, DSA and DM."""
    eval_archs: str = AUTO
    """Architectures to train on the synthetic set, joined by ``+``; default: that of the distillation."""
    eval_nets: Count = 5
    """Networks to train per architecture; the result is the mean ± std (ddof 0) of their accuracies."""
    eval_epochs: CountOrNone = AUTO
    """Epochs on the synthetic set, over which the rule lowers the learning rate. Default: the rule's: 1000, or 300
    without augmentation under ``evaluate_synset`` and ``plain300``; 0 under ``dc``, where it depends on the network."""
    eval_batch: Count = AUTO
    """Batch size of the evaluation; default: the rule's: 64 under ``idc``, ``dream`` and ``dim``, else 256."""
    eval_lr: Weight = AUTO
    """Learning rate of the evaluation (SGD, momentum 0.9, weight decay 5e-4); 0: the one that was learned with the set
    (TM), as under ``tm``; default under the other rules: 0.01."""
    eval_strategy: str = AUTO
    """Augmentation of the evaluation, or ``none``, as always under ``plain300`` and ``dc``; default: the dataset's.
    ``idc`` and ``dream`` use it without cutout, and ``dim`` only color and crop."""

    plugins: str = ""
    """Plugins that parts of the recipe come from, each with the digest of its source, ``my_method@3f2a9c01d47e``;
    default: the versions on this host."""

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.context == AS_WRITTEN:
            return given
        chosen = {name: value for name, value in given.items() if value is not None}
        return resolve(by_name.folded(chosen, cls.model_fields))

    @model_validator(mode="after")
    def _agree(self, info: ValidationInfo) -> Self:
        if info.context != AS_WRITTEN:
            check(self)
        return self

    @classmethod
    def stored(cls, fields: Mapping[str, Any]) -> Self:
        """A recipe as it was written to a file or a storage: its key is that of the fields, whatever has changed since.

        No default is resolved and no table is looked up, so that results stay readable after a plugin has changed, or
        without it. Fields that did not exist then are empty.

        Args:
            fields: what ``written`` or ``model_dump`` returned.

        Raises:
            ValidationError: a field is missing or unknown, or has the wrong type (``recipe.stored`` says so in a line).
        """
        return cls.model_validate(_empty() | dict(fields), context=AS_WRITTEN)

    def written(self) -> dict[str, Any]:
        """The fields without those in ``LATER`` that are empty, from which ``stored`` makes the same recipe."""
        return {name: value for name, value in self.model_dump().items() if value or name not in LATER}

    def value(self, name: str) -> bool | int | float | str | None:
        """The value of a field, or of an option by its name; None: its method has no such option."""
        if name in type(self).model_fields or name == "n_archs":
            found: bool | int | float | str = getattr(self, name)
            return found
        part, _, option = name.rpartition(".")
        for field, owner, declared in self._options():
            if part in ("", owner) and option in (texts := options.written(getattr(self, field))):
                return options.value_of(texts[option], declared.get(option))
        return None

    @property
    def option_names(self) -> list[str]:
        """The names of the options that it has."""
        return [name for field, _, _ in self._options() for name in options.written(getattr(self, field))]

    def _options(self) -> list[tuple[str, str, Declared]]:
        """The fields with options, each with the part whose options they are and, if it is known here, these."""
        method, guidance = METHODS.rows.get(self.method), GUIDANCE.rows.get(self.regularizer)
        return [
            ("options", self.method, method.options if method else {}),
            ("guidance_options", self.regularizer, guidance.options if guidance else {}),
        ]

    @property
    def ptm_arch_list(self) -> list[str]:
        """The architectures of the PTMs; empty for the baseline."""
        return self.ptm_archs.split("+") if self.ptm_archs else []

    @property
    def n_archs(self) -> int:
        """N_a in the paper."""
        return len(self.ptm_arch_list)

    @property
    def dataset(self) -> str:
        """The full name of the dataset being distilled: ``target``, with the fields of a biased dataset."""
        return full_name(self.target, {"align": self.align, "severity": self.severity})

    @property
    def source_dataset(self) -> str:
        """The name of the dataset that the PTMs were trained on."""
        return self.dataset if self.source == "target" else self.source

    @property
    def ptm_alphas(self) -> dict[str, float]:
        """α for each architecture of the PTMs."""
        by_arch = dict(part.split(":") for part in self.alpha_by_arch.split("+") if part)
        return {arch: float(by_arch.get(arch, self.alpha)) for arch in self.ptm_arch_list}

    @property
    def decoded_ipc(self) -> int:
        """The images per class that networks see: more than ``ipc`` if several are decoded from each."""
        return self.ipc * max(1, self.factor) ** 2

    @property
    def about_images(self) -> str:
        """How the images that are shown and evaluated come from what is learned; empty if they are what is learned."""
        return self.described()

    def described(self, recorded: str = "") -> str:
        """``about_images``, with the phrase that the file of a set has recorded in place of the method's."""
        parts = []
        if self.factor > 1:
            parts.append(f"{self.decoded_ipc} images per class, decoded from {self.ipc} (factor {self.factor})")
        method = METHODS.rows.get(self.method)  # None: of a plugin that is not here
        if about := recorded or (method.about if method else ""):
            parts.append(about)
        elif method and method.samples:
            parts.append("images sampled from the learned generator")
        if self.zca:
            parts.append("learned in whitened space (ZCA), shown as pixels")
        return "; ".join(parts)

    @property
    def numbers(self) -> dict[str, Any]:
        """The arguments of the matching loss: fields of this recipe, and the method's own options."""
        method = METHODS[self.method]
        fields = {name: getattr(self, name) for name in method.takes if name in TAKEN}
        return fields | options.parse(self.options, method.options)

    @property
    def guidance_numbers(self) -> dict[str, Any]:
        """The options of the guidance; empty for the baseline."""
        if self.regularizer == NONE:
            return {}
        return options.parse(self.guidance_options, GUIDANCE[self.regularizer].options, "guidance_options")

    def key(self) -> str:
        """The hash of the fields as 16 hex digits, which identifies the experiment: same key, same experiment."""
        text = json.dumps({"schema": SCHEMA, **self.written()}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def title(self, fields: Iterable[str] = (), baseline: bool = False) -> str:
        """A short description: ``dm · ipc 50 · α 1000 · convnet3 · N_m 10 · epoch 4 · seed 0``.

        Args:
            fields: further fields to name, as the ones that a sweep varies: ``lr_img 0.1``.
            baseline: say that it is the baseline of its sweep.
        """
        fields = list(fields)
        parts = [self.method, *_spaced_options(self.options), f"ipc {self.ipc}"]
        silent = TITLED
        if self.regularizer == "none":
            parts += [] if baseline else ["α 0"]
            silent = TITLED | NEUTRAL.keys()
        else:
            own = self.regularizer not in PAPERS and "regularizer" not in fields
            guided = [self.regularizer] if own else []
            guided += _spaced_options(self.guidance_options)
            by_arch = f" ({_spaced(self.alpha_by_arch)})" if self.alpha_by_arch else ""
            parts += [*guided, f"α {_exact(self.alpha)}{by_arch}", self.ptm_archs]
            parts += [f"N_m {self.n_models}", f"epoch {self.ptm_epoch}"] if self.ptm_epoch else []
        if self.source not in ("target", "", self.ptm_archs):  # a PTM of one's own has one name
            parts.append(f"from {self.source}")
        known = (name for name in fields if name in type(self).model_fields)  # options are named in any case
        parts += [f"{name} {_exact(getattr(self, name))}" for name in known if name not in silent]
        parts += ["baseline"] if baseline else []
        return " · ".join([*parts, f"seed {self.seed}"])


PAPERS = ("clom", "cclom")
"""The guidance of the paper, which PTMs of the target and of another dataset tell apart."""
TITLED = frozenset(
    {
        "method", "options", "ipc", "guidance_options", "alpha", "alpha_by_arch", "ptm_archs", "n_models", "ptm_epoch",
        "source", "seed",
    }
)  # fmt: skip
"""The fields that every title names, if they have an effect."""


@cache
def _empty() -> dict[str, Any]:
    """The value in a recipe of each field in ``LATER``, from before it existed."""
    kinds = {name: field.annotation for name, field in Recipe.model_fields.items() if name in LATER}
    return {name: kind() if isinstance(kind, type) else "" for name, kind in kinds.items()}


def _exact(value: object) -> str:
    """A value with the fewest digits that identify it: ``1000``, ``0.1``, ``1234567.5``; ``none`` for nothing."""
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value) or "none"


def _spaced_options(text: str) -> list[str]:
    """``steps:5+width:2`` as ``steps 5, width 2``; nothing if there are none."""
    own = ", ".join(f"{name} {value}" for name, value in options.written(text).items())
    return [own] if own else []


def _spaced(entries: str) -> str:
    """``steps:5+width:2`` as ``steps 5, width 2``."""
    return entries.replace(":", " ").replace("+", ", ")
