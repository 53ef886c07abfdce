"""Experiment-tracking sweeps for dataset distillation guided by pre-trained models (CLoM and CCLoM).

From a notebook or a script::

    import ddsweep

    ddsweep.launch("ablation-alpha", profile="demo")        # run a sweep with agents, and return its table
    ddsweep.results("ablation-alpha@demo")                  # the table as a pandas DataFrame
    ddsweep.load_set("ablation-alpha@demo:alpha=100")       # the distilled images: tensors, and a picture in a notebook
    ddsweep.evaluate("images_best.pt", dataset="cifar10")   # train new networks on a set, made here or elsewhere
    ddsweep.run("ablation-alpha@demo", alpha=100, seed=0)   # one trial in this process
    ddsweep.run(ddsweep.Recipe(target="digits", ipc=1))     # one trial without a sweep
    ddsweep.load_dataset("digits")                          # a dataset as tensors
    ddsweep.nn.build("convnet3", channels=3, classes=10, size=32, generator=torch.Generator())

Each function's ``help`` has its arguments, an example, and the errors it raises; user mistakes are a
``ddsweep.UserError`` with a one-line message. The command line, ``ddsweep --help``, does the same and more.

Plugins register their own parts with ``ddsweep.method``, ``ddsweep.dataset`` and ``ddsweep.network``
(docs/extending/index.md) and test them with ``ddsweep.testing``.

Importing ddsweep loads neither torch nor pandas.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddsweep import augment as augment
    from ddsweep import nn as nn
    from ddsweep import sets as sets
    from ddsweep import testing as testing
    from ddsweep.api import evaluate as evaluate
    from ddsweep.api import launch as launch
    from ddsweep.api import load_dataset as load_dataset
    from ddsweep.api import load_set as load_set
    from ddsweep.api import results as results
    from ddsweep.api import run as run
    from ddsweep.checkpoints import State as State
    from ddsweep.debugging import debug as debug
    from ddsweep.distill.matching import Match as Match
    from ddsweep.distill.sets import LearnedSet as LearnedSet
    from ddsweep.distill.synthetic import Synthetic as Synthetic
    from ddsweep.errors import Diverged as Diverged
    from ddsweep.errors import UserError as UserError
    from ddsweep.evaluate import Evaluation as Evaluation
    from ddsweep.exchange.synthetic_set import SyntheticSet as SyntheticSet
    from ddsweep.pretrained.preparation import Preparation as Preparation
    from ddsweep.recipe import Recipe as Recipe
    from ddsweep.registry.guidance import guidance as guidance
    from ddsweep.registry.networks import network as network
    from ddsweep.registry.own_datasets import dataset as dataset
    from ddsweep.registry.own_methods import method as method
    from ddsweep.registry.ptms import ptm as ptm
    from ddsweep.registry.rules import evaluation as evaluation
    from ddsweep.results.result import Result as Result
    from ddsweep.rng import Streams as Streams
    from ddsweep.trackers import Tracker as Tracker
    from ddsweep.trackers.register import tracker as tracker

__version__ = "0.1.0"
_HOMES = {
    "run": "ddsweep.api",
    "launch": "ddsweep.api",
    "results": "ddsweep.api",
    "load_set": "ddsweep.api",
    "load_dataset": "ddsweep.api",
    "evaluate": "ddsweep.api",
    "debug": "ddsweep.debugging",
    "Recipe": "ddsweep.recipe",
    "Result": "ddsweep.results.result",
    "SyntheticSet": "ddsweep.exchange.synthetic_set",
    "Evaluation": "ddsweep.evaluate",
    "UserError": "ddsweep.errors",
    "Diverged": "ddsweep.errors",
    "method": "ddsweep.registry.own_methods",
    "dataset": "ddsweep.registry.own_datasets",
    "network": "ddsweep.registry.networks",
    "guidance": "ddsweep.registry.guidance",
    "ptm": "ddsweep.registry.ptms",
    "Match": "ddsweep.distill.matching",
    "LearnedSet": "ddsweep.distill.sets",
    "Synthetic": "ddsweep.distill.synthetic",
    "Streams": "ddsweep.rng",
    "State": "ddsweep.checkpoints",
    "Preparation": "ddsweep.pretrained.preparation",
    "evaluation": "ddsweep.registry.rules",
    "tracker": "ddsweep.trackers.register",
    "Tracker": "ddsweep.trackers",
}
"""Public names and the modules that define them, imported when a name is first used."""
_MODULES = ("augment", "nn", "sets", "testing")
__all__ = [*_HOMES, *_MODULES]


class _Callable(ModuleType):
    """A subpackage with the name of a function, ``results`` or ``evaluate``, that is called like the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return __getattr__(self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    """This package. The import system binds a subpackage to its name here, in place of the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOMES:
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"ddsweep.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
