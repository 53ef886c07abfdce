"""The table of evaluation rules: the numbers that a recipe needs, without importing torch (``evaluate.named``).

``evaluation`` adds a row, for a plugin: a function that trains a network, or one that returns a ``Rule``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ddsweep.errors import UserError, closest
from ddsweep.plugins import Registry, Source
from ddsweep.plugins.code import name_of

Function = TypeVar("Function", bound=Callable[..., Any])

NUMBERS = ("epochs", "batch", "lr", "strategy")
"""What a recipe sets for every rule, as ``eval_epochs``, ``eval_batch``, ``eval_lr`` and ``eval_strategy``."""
GIVEN = ("net", "synthetic", "dataset", *NUMBERS, "generator", "progress")
"""What a function that trains a network may take."""
ASKED = ("dataset", "arch")
"""What a function that returns a ``Rule`` may take: the name of the dataset, and that of the network."""
OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")
"""What an augmentation strategy may name, joined by ``_``."""


@dataclass(frozen=True)
class RuleInfo:
    """The defaults of an evaluation rule.

    Attributes:
        epochs: epochs on the synthetic set; 0: they depend on the network.
        batch: images per step.
        lr: initial learning rate; 0: the learned rate of the synthetic set.
        without: the operations of a strategy that the rule leaves out.
        counts: which test accuracy counts, as a phrase.
        paper: the name in tables; empty: that in a recipe.
        source: the function of a plugin's rule, else ``evaluate.rules.named``.
        takes: what that function takes.
    """

    epochs: int = 1000
    batch: int = 256
    lr: float = 0.01
    without: tuple[str, ...] = ()
    counts: str = "last epoch"
    paper: str = ""
    source: Source = "ddsweep.evaluate.rules:named"
    takes: tuple[str, ...] = NUMBERS

    @property
    def trains(self) -> bool:
        """Whether its own function trains the networks."""
        return "net" in self.takes

    @property
    def unused(self) -> dict[str, Any]:
        """The numbers of a recipe that have no effect on this rule, with the values that they have then."""
        values = {"epochs": self.epochs, "batch": self.batch, "lr": self.lr, "strategy": "none"}
        return {f"eval_{name}": value for name, value in values.items() if self.trains and name not in self.takes}

    def strategy(self, strategy: str) -> str:
        """The operations of a strategy that the rule uses, or ``none``."""
        return "_".join(name for name in strategy.split("_") if name not in self.without) or "none"


RULES: Registry[RuleInfo] = Registry("evaluation")
_IDC = RuleInfo(batch=64, without=("cutout",), counts="best of 4 tests")  # CutMix takes the place of cutout
for _name, _row in {
    "paper": RuleInfo(),
    "best": RuleInfo(counts="best of 20 tests"),
    "evaluate_synset": RuleInfo(),
    "plain300": RuleInfo(epochs=300, without=OPERATIONS),
    "dc": RuleInfo(epochs=0, without=OPERATIONS),
    "idc": _IDC,
    "dream": _IDC,
    "tm": RuleInfo(lr=0.0),
    "dim": RuleInfo(batch=64, without=("cutout", "flip", "scale", "rotate"), counts="best of 5 tests"),
}.items():
    RULES.add(_name, _row, _row.source)


def evaluation(
    name: str,
    *,
    paper: str = "",
    epochs: int = 1000,
    batch: int = 256,
    lr: float = 0.01,
    without: Iterable[str] = (),
    counts: str = "last epoch",
    files: Iterable[str] = (),
) -> Callable[[Function], Function]:
    """Register an evaluation rule: a function that trains a network on a synthetic set, or one that returns a ``Rule``.

    A function with a parameter ``net`` trains this network in place and returns nothing. ddsweep draws each network
    before, and tests it after, on the whole test set. It takes what its signature names:

    - ``net``: a freshly initialized ``nn.Network``, on the device of the images;
    - ``synthetic``: the set (``ddsweep.distill.synthetic.Synthetic``), a copy;
    - ``dataset``: the dataset (``ddsweep.data.Dataset``), with its real images;
    - ``epochs``, ``batch``, ``lr``, ``strategy``: the recipe's ``eval_epochs``, ``eval_batch``, ``eval_lr`` and
      ``eval_strategy``; a number that the function does not take has no effect, and is not in the key;
    - ``generator``: the random generator of this network, on the CPU; the global ones are seeded, too;
    - ``progress``: to be called with the number of epochs done after each.

    A function without ``net`` returns a ``Rule`` (``ddsweep.evaluate.Rule``), whose epochs, batch, lr and strategy are
    replaced by the recipe's; it may take the names of the ``dataset`` and of the network, ``arch``.

    Args:
        name: the name in a recipe (``eval_rule``).
        paper: the name in tables; default: ``name``.
        epochs: default of ``eval_epochs``.
        batch: default of ``eval_batch``.
        lr: default of ``eval_lr``; 0: the learning rate that was learned with the set.
        without: augmentation operations that the rule leaves out.
        counts: which test accuracy counts, as a phrase, for tables.
        files: files that the function reads, relative to the file with its source: their content is part of the key.

    Raises:
        UserError: the name is invalid or taken, a default is out of range, or the function takes something else.
    """

    def register(function: Function) -> Function:
        row = RuleInfo(epochs, batch, lr, tuple(without), counts, paper, function, _taken(name, function))
        for field, value, valid in (
            ("epochs", epochs, _is_count(epochs)),
            ("batch", batch, _is_count(batch)),
            ("lr", lr, isinstance(lr, int | float) and not isinstance(lr, bool) and 0 <= lr < float("inf")),
        ):
            if not valid:
                raise UserError(f"plugins: evaluation {name!r}: {field}: {value!r} is out of range")
        for one in row.without:
            if one not in OPERATIONS:
                raise UserError(f"plugins: evaluation {name!r}: without: {one!r}; {closest(one, OPERATIONS)}")
        RULES.add(name, row, function, files)
        return function

    return register


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _taken(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters of a rule's function."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise UserError(f"plugins: evaluation {name!r}: {function!r} is not a function") from None
    known = GIVEN if "net" in parameters else ASKED
    for one in parameters.values():
        if one.name not in known or one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            hint = closest(one.name, GIVEN if "net" in parameters else {*GIVEN, *ASKED})
            raise UserError(
                f"plugins: evaluation {name!r}: {name_of(function)} takes {one.name}, which ddsweep does not "
                f"give; {hint}"
            )
    if "net" in parameters and "synthetic" not in parameters:
        raise UserError(f"plugins: evaluation {name!r}: {name_of(function)} trains net, but not on synthetic")
    return tuple(parameters)


def paper_name(name: str) -> str:
    """The name of a rule in tables; if unknown, the name itself."""
    row = RULES.rows.get(name)
    return (row and row.paper) or name


def title(name: str, shown: str = "") -> str:
    """A rule as tables explain it, with the test that counts, if that is known: ``idc (best of 4 tests)``.

    Args:
        name: the rule.
        shown: its name in tables; default: ``paper_name``.
    """
    row = RULES.rows.get(name)
    return (shown or paper_name(name)) + (f" ({row.counts})" if row else "")
