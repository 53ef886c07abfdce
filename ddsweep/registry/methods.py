"""The table of methods: the properties that a recipe needs, without importing torch.

A row has a matching loss (``loop.Matching``), the recipe fields that it uses, its own options, and their defaults. A
recipe field that the method does not use gets its value in ``TAKEN``. ``own_methods.method`` registers the method of a
plugin.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ddsweep.plugins import Registry, Source, resolve
from ddsweep.registry import trajectories
from ddsweep.registry.datasets import TABLE as DATASETS

Scalar = bool | int | float | str
Default = Scalar | Callable[[str, int], Any]
"""A default value, or a function that maps the dataset's name and the ipc to a default, or to None for no default."""

TAKEN: dict[str, Scalar] = {
    "batch_real": 1, "dsa_strategy": "none", "outer_loops": 1, "inner_epochs": 0, "batch_train": 0, "lr_net": 0.0,
    "distance": "none",
    # of IDC and DREAM, and DiM
    "factor": 0, "net_images": 0, "select_every": 0, "dream_plus": False,
    # of TM
    "syn_steps": 0, "batch_syn": 0, "lr_lr": 0.0, "lr_teacher": 0.0, "n_experts": 0, "expert_train_epochs": 0,
    "expert_epochs": 0, "max_start_epoch": 0, "zca": False,
    # of DiM
    "match_archs": "", "match_weight": 0.0, "gan_epochs": 0, "gan_batch": 0, "gan_lr": 0.0,
    "gan_width": 0,
}  # fmt: skip
"""The recipe fields that a method may take, each with its value in recipes of methods that do not take it."""
PROVIDED = ("numerics", "shared", "experts", "gan")
"""What a method may take that is not in the recipe: how to compute, what cells share, what was trained before."""
LOOP = ("init", "iterations", "lr_img", "alpha")
"""The recipe fields that the distillation loop needs for every method, with defaults set by the method."""
SHARED = (*LOOP, "target", "size", "ipc", "seed", "arch", "width", "precision")
"""The recipe fields of every method, which a matching loss and a set may name, too."""
INITS = ("noise", "real", "first", "mix", "kmeans")
"""The initial images that a recipe can name."""

# protocols: (outer loops T, inner epochs) of DC and DSA by images per class
LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}


def _loops(which: int) -> Callable[[str, int], int | None]:
    return lambda target, ipc: LOOPS[ipc][which] if ipc in LOOPS else None


COMMON: dict[str, Default] = {
    "init": "real", "iterations": 1000, "lr_img": 0.1, "batch_real": 256, "outer_loops": _loops(0),
    "inner_epochs": _loops(1), "batch_train": 256, "lr_net": 0.01, "distance": "rows",
}  # fmt: skip
"""Defaults of fields for which a method sets none. α has no common default, because it would be a guess."""


@dataclass(frozen=True)
class Method:
    """The properties of a method that are known before its matching loss is made.

    Attributes:
        name: the name in a recipe.
        paper: the name in tables and figures.
        source: makes its matching loss from a network and those of ``takes`` and ``options`` that its signature names.
        takes: what it and its set need: names from ``TAKEN`` and ``PROVIDED``.
        options: the method's own parameters (the recipe's ``options``), with their defaults.
        defaults: defaults of recipe fields that differ from ``COMMON``.
        passes: the cost of a real and of a synthetic image in one image step, in forward passes of the network.
        learned: makes the set that is learned from the dataset, the network, the streams and the recipe fields (and
            names of ``PROVIDED``) that its signature names.
        per_class: whether each of the ``outer_loops`` is one step per class, instead of one step for all classes.
        trains: what is trained once, and shared by cells, before the distillation: for a name of ``PROVIDED`` the
            function that trains or loads it (``trial.Preparation``).
        eval_rule: the evaluation rule of its published numbers.
        inits: the initial images that it supports.
        samples: whether the images are sampled from what is learned, a generator.
        learns_lr: whether a learning rate for networks on the set is learned with it (``Synthetic.lr``).
        about: how the images come from what is learned, as a phrase; empty if they are what is learned.
        lr_by_size: whether the default ``lr_img`` is that of images of 32×32 pixels, and scales with their number.
        mixed: whether ``batch_real`` counts images of all classes together, instead of each class.
        grouped: whether recipes with the same real images and networks can be distilled in lockstep (``group_key``).
    """

    name: str
    paper: str
    source: Source
    takes: tuple[str, ...]
    options: Mapping[str, Scalar] = field(default_factory=dict)
    defaults: Mapping[str, Default] = field(default_factory=dict)
    passes: tuple[float | int, float | int] = (1.0, 3.0)
    learned: Source = "ddsweep.distill.sets.pixels:make"
    per_class: bool = False
    trains: Mapping[str, Source] = field(default_factory=dict)
    eval_rule: str = "paper"
    inits: tuple[str, ...] = ("noise", "real")
    samples: bool = False
    learns_lr: bool = False
    about: str = ""
    lr_by_size: bool = False
    mixed: bool = False
    grouped: bool = False

    @property
    def neutral(self) -> dict[str, Scalar]:
        """The recipe fields that have no effect on this method, with the values that mark them as unused."""
        return {name: value for name, value in TAKEN.items() if name not in self.takes}

    def default(self, name: str, target: str, ipc: int) -> Any:
        """The default of a recipe field for a dataset and an ipc; None if the method has none."""
        found = (COMMON | dict(self.defaults)).get(name)
        return found(target, ipc) if callable(found) else found

    def steps(self, outer_loops: int, classes: int) -> int:
        """The optimizer steps of one iteration."""
        return outer_loops * (classes if self.per_class else 1)

    def make(self, net: Any, available: Mapping[str, Any]) -> Any:
        """Make the matching loss for a network.

        Args:
            net: the network.
            available: the values of the recipe's fields, of the method's options and of what is trained before.
        """
        maker = resolve(self.source)
        return maker(net, **_named(maker, 1, available))

    def make_set(self, dataset: Any, net: Any, streams: Any, available: Mapping[str, Any]) -> Any:
        """Make the set that is learned; ``available`` as in ``make``."""
        maker = resolve(self.learned)
        return maker(dataset, net, streams, **_named(maker, 3, available))


def _named(maker: Callable[..., Any], skipped: int, available: Mapping[str, Any]) -> dict[str, Any]:
    """The values of those that the signature names after the first ``skipped`` parameters."""
    names = list(inspect.signature(maker).parameters)[skipped:]
    return {name: available[name] for name in names if name in available}


METHODS: Registry[Method] = Registry("method", has_options=True)
PREPARATIONS: dict[str, dict[str, Source]] = {
    "experts": {"experts": "ddsweep.pretrained.experts:prepare"},
    "gan": {"gan": "ddsweep.pretrained.gan:prepare"},
}
"""Who trains what ddsweep can train before a distillation."""


def _alpha(**pairs: tuple[float, float]) -> Callable[[str, int], float]:
    """α by dataset for (ipc ≤ 10, ipc > 10), from the values for ipc 10 and 50 published with the paper's code.

    A dataset without published values uses those of CIFAR-10.
    """
    return lambda target, ipc: pairs.get(target, pairs["cifar10"])[ipc > 10]


def _pooled(alphas: str) -> Callable[[str, int], str | None]:
    """α of single architectures when PTMs of several guide together, published for CIFAR-10 with ipc 50 only."""
    return lambda target, ipc: alphas if target == "cifar10" and ipc > 10 else None


def _loops_per_epoch(target: str, ipc: int) -> int:
    """The generator's steps with one network in DiM: the batches of 64 in an epoch; if unknown, those of CIFAR-10."""
    images = DATASETS.rows[target].images[0] if target in DATASETS.rows else 0
    return max(1, images // 64) if images else 781


_TAKEN_BY_DC = ("batch_real", "outer_loops", "inner_epochs", "batch_train", "lr_net", "distance", "numerics", "shared")
_GRADIENTS = "ddsweep.distill.methods.gradient_matching:make"
_FEATURES = "ddsweep.distill.methods.distribution_matching:make"
_CONDENSATION = "ddsweep.distill.methods.condensation:make"
_GRIDS = "ddsweep.distill.sets.multi_formation:make"
_TAKEN_BY_IDC = (
    "batch_real", "dsa_strategy", "outer_loops", "lr_net", "distance", "factor", "net_images", "numerics", "shared",
)  # fmt: skip
_INITS_OF_IDC = ("noise", "real", "first", "mix", "kmeans")
# No α was published for IDC, DREAM, TM and DiM. This one is ddsweep's, from short searches (docs/measurements.md).
_OUR_ALPHA = 1.0
_DEFAULTS_OF_IDC: dict[str, Default] = {
    "alpha": _OUR_ALPHA,
    "iterations": 2000, "outer_loops": 100, "factor": 2, "net_images": 2000, "distance": "mse",
    "dsa_strategy": "color_crop_cutout", "lr_img": lambda target, ipc: 5e-3 * ipc / 10,
}  # fmt: skip
_SECOND_ORDER = (3.0, 6.0)  # the weight gradient on synthetic images is differentiated again: twice a training step
_UNROLLED = (0.0, 12.0)  # per step: a training step, and in reverse another one that is differentiated again
_TAKEN_BY_DIM = (
    "batch_real", "outer_loops", "net_images", "lr_net", "dsa_strategy", "match_archs", "match_weight", "gan_epochs",
    "gan_batch", "gan_lr", "gan_width", "gan", "numerics",
)  # fmt: skip
_MATCH_ARCHS = ("convnet3", *(f"resnet{depth}-narrow{ap}" for ap in ("", "-ap") for depth in (10, 18)))

for _row in (
    Method(
        "dc", "DC", _GRADIENTS, _TAKEN_BY_DC, passes=_SECOND_ORDER,
        defaults={
            "init": "noise", "alpha_by_arch": _pooled("alexnet:100"),
            "alpha": _alpha(cifar10=(1000.0, 5000.0), cifar100=(10000.0, 1000.0), fashionmnist=(100.0, 100.0)),
        },
    ),
    Method(
        "dsa", "DSA", _GRADIENTS, ("dsa_strategy", *_TAKEN_BY_DC), passes=_SECOND_ORDER,
        defaults={
            "alpha_by_arch": _pooled("alexnet:2000"),
            "alpha": _alpha(cifar10=(5000.0, 1000.0), cifar100=(10000.0, 10.0), fashionmnist=(100.0, 100.0)),
        },
    ),
    Method(
        "dm", "DM", _FEATURES, ("batch_real", "dsa_strategy", "numerics", "shared"), grouped=True,
        defaults={
            "iterations": 20000, "lr_img": lambda target, ipc: 10.0 if ipc > 125 else 1.0,
            "alpha": _alpha(cifar10=(2000.0, 1000.0), cifar100=(500.0, 1.0), fashionmnist=(100.0, 100.0)),
        },
    ),
    Method(
        "idc", "IDC", _CONDENSATION, _TAKEN_BY_IDC, passes=_SECOND_ORDER, learned=_GRIDS, per_class=True,
        lr_by_size=True, eval_rule="idc", inits=_INITS_OF_IDC,
        defaults={**_DEFAULTS_OF_IDC, "init": "mix", "batch_real": 64},
    ),
    Method(
        "dream", "DREAM", _CONDENSATION, (*_TAKEN_BY_IDC, "select_every", "dream_plus"),
        passes=_SECOND_ORDER, learned=_GRIDS, per_class=True, lr_by_size=True, eval_rule="dream", inits=_INITS_OF_IDC,
        defaults={**_DEFAULTS_OF_IDC, "init": "kmeans", "batch_real": 128, "select_every": 10, "dream_plus": False},
    ),
    Method(
        "tm", "TM", "ddsweep.distill.methods.trajectory_matching:make",
        (*trajectories.TAKEN, "n_experts", "expert_train_epochs", "dsa_strategy", "experts", "numerics"),
        learned="ddsweep.distill.sets.pixels_with_rate:make",
        trains=PREPARATIONS["experts"], eval_rule="tm", passes=_UNROLLED, learns_lr=True,
        defaults={
            "iterations": 5000, "n_experts": 100, "expert_train_epochs": 50, "alpha": _OUR_ALPHA,
            **trajectories.DEFAULTS,
        },
    ),
    Method(
        "dim", "DiM", "ddsweep.distill.methods.logit_matching:make", _TAKEN_BY_DIM,
        learned="ddsweep.distill.sets.generator:make", trains=PREPARATIONS["gan"],
        eval_rule="dim", inits=("noise",), mixed=True, samples=True,
        defaults={
            "init": "noise", "iterations": 100, "lr_img": 5e-6, "batch_real": 64, "outer_loops": _loops_per_epoch,
            "net_images": 1024, "dsa_strategy": "color_crop_cutout", "match_archs": "+".join(_MATCH_ARCHS),
            "match_weight": 0.01, "gan_epochs": 150, "gan_batch": 128, "gan_lr": 1e-4, "gan_width": 0,
            "alpha": _OUR_ALPHA,
        },
    ),
):  # fmt: skip
    METHODS.add(_row.name, _row, _row.source)
