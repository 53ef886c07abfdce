"""The table of guidance: what pre-trained models (PTMs) tell the images, without importing torch.

A row names its guide, the function that returns the term without its weight α; ``guidance`` adds a row for a plugin.
The absence of guidance, ``none``, is no row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from ddsweep.errors import UserError
from ddsweep.plugins import Registry, Source, resolve
from ddsweep.plugins.code import name_of
from ddsweep.registry import options as own_options
from ddsweep.registry.methods import LOOP, TAKEN

Maker = TypeVar("Maker", bound=Callable[..., Any])
Scalar = bool | int | float | str
Weight = float | int | Callable[[str, int], float | int | None]
"""A default α, or a function that maps the dataset's name and the ipc to one, or to None for no default."""
NONE = "none"
REAL, DATASET = "real", "dataset"
FIRST = ("ptm", "synthetic")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Guidance:
    """The properties of a guidance that are known before its guide is made.

    Attributes:
        name: the name in a recipe (``regularizer``).
        paper: the name in tables and figures.
        source: the guide ``guide(ptm, synthetic, real, **options)``, or a class that makes one from the options.
        real: whether the guide takes real images, ``cclom_batch`` of them.
        logits: whether it needs the logits of the target's classes, which only PTMs with these classes have.
        options: its own parameters (the recipe's ``guidance_options``), with their defaults.
        alpha: the default of α; None: none.
        published: whether the weights that the methods' authors published are of this guidance.
        each: the guide of several sets and one PTM, ``guide(ptm, sets, real=[…])``, which returns a term for each set;
            None: they are computed one after the other.
    """

    name: str
    paper: str
    source: Source
    real: bool = False
    logits: bool = False
    options: Mapping[str, Scalar] = field(default_factory=dict)
    alpha: Weight | None = None
    published: bool = False
    each: Source | None = None

    def default_alpha(self, target: str, ipc: int) -> float | int | None:
        """The default of α for a dataset and an ipc; None if there is none."""
        return self.alpha(target, ipc) if callable(self.alpha) else self.alpha

    def make(self, dataset: Any, options: Mapping[str, Scalar]) -> Callable[..., Any]:
        """Return the guide of one distillation, ``guide(ptm, synthetic)``, or ``guide(ptm, synthetic, real=…)``.

        Args:
            dataset: the real images, for a class that takes them.
            options: the value of every option.
        """
        maker: Callable[..., Any] = resolve(self.source)
        if not inspect.isclass(maker):
            return partial(maker, **options)
        own = {DATASET: dataset} if DATASET in inspect.signature(maker).parameters else {}
        return cast("Callable[..., Any]", maker(**own, **options))


GUIDANCE: Registry[Guidance] = Registry("guidance", has_options=True)

for _row in (
    Guidance(
        "clom", "CLoM", "ddsweep.distill.guidance.clom:guide_within", logits=True, published=True,
        each="ddsweep.distill.guidance.clom:guide_each_within",
    ),
    Guidance(
        "cclom", "CCLoM", "ddsweep.distill.guidance.clom:guide_across", real=True, alpha=1000.0,
        each="ddsweep.distill.guidance.clom:guide_each_across",
    ),
):  # fmt: skip
    GUIDANCE.add(_row.name, _row, _row.source)


def guidance(
    name: str, *, paper: str = "", alpha: Weight | None = None, logits: bool = False, files: Iterable[str] = ()
) -> Callable[[Maker], Maker]:
    """Register a guide: a function ``guide(ptm, synthetic, real, **options)`` that returns a scalar, without α.

    ``ptm.embed(images)`` are the features of a PTM and ``ptm(images)`` its logits, both with a gradient to the images;
    ``synthetic.images`` and ``synthetic.labels`` are the images that are learned. A parameter called ``real`` is a
    batch of ``cclom_batch`` real images, drawn uniformly with replacement: ``real.images``, ``real.labels``, and
    ``real.features``, which are computed once for each image. All further parameters need a default and are options:
    settings that only it has, of the type of the default, and with a name that no recipe field has.

    A class is called once for each distillation, with its options and, if it has a parameter ``dataset``, the dataset;
    the object is then called as the function is. What it keeps must follow from these alone, because a distillation
    that is resumed makes it again.

    Args:
        name: the name in a recipe.
        paper: the name in tables and figures; default: ``name``.
        alpha: the default of α, or a function of the dataset's name and the ipc; default: recipes have to set it.
        logits: whether it uses logits of the target's classes: then the PTMs must have been trained on these.
        files: files that it reads, relative to the file with its source, and ``option:NAME`` for an option whose value
            is a file: their content is part of the key, like the code's.

    Raises:
        UserError: the name is invalid or taken, or the signature does not match.
    """

    def register(guide: Maker) -> Maker:
        if name == NONE:
            raise UserError(f"plugins: guidance {name!r}: stands for no guidance; choose another name")
        real, options = signature(name, guide)
        GUIDANCE.add(name, Guidance(name, paper or name, guide, real, logits, options, alpha), guide, files)
        return guide

    return register


def signature(name: str, guide: Callable[..., Any]) -> tuple[bool, dict[str, Scalar]]:
    """Inspect the parameters of a guide, or of a class of guides.

    Returns:
        Whether it takes real images, and its options with their defaults.

    Raises:
        UserError: it does not take a PTM and a synthetic set first, or another parameter has no default, or one that is
            not a number, string or boolean.
    """
    parameters = list(inspect.signature(_called(guide)).parameters.values()) if _called(guide) else []
    taken = parameters[1:] if inspect.isclass(guide) else parameters  # without self
    if len(taken) < len(FIRST) or any(one.kind not in POSITIONAL for one in taken[: len(FIRST)]):
        raise UserError(f"plugins: guidance {name!r}: {name_of(guide)} must take {', '.join(FIRST)} first")
    real = any(one.name == REAL for one in taken[len(FIRST) :])
    rest = [one for one in taken[len(FIRST) :] if one.name != REAL]
    if inspect.isclass(guide):
        if rest:
            raise UserError(f"plugins: guidance {name!r}: takes {rest[0]} when it is called; make it one of __init__")
        rest = [one for one in inspect.signature(guide).parameters.values() if one.name != DATASET]
    return real, {one.name: _default(name, one) for one in rest}


def _called(guide: Callable[..., Any]) -> Any:
    """The function that is called at each step; None for a class whose objects cannot be called."""
    if not inspect.isclass(guide):
        return guide
    return next((vars(base)["__call__"] for base in guide.__mro__ if "__call__" in vars(base)), None)


def _default(name: str, one: inspect.Parameter) -> Scalar:
    if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) or one.default is one.empty:
        raise UserError(f"plugins: guidance {name!r}: takes {one}, which has no default; an option needs one")
    return own_options.check(f"guidance {name!r}", one.name, one.default, (*TAKEN, *LOOP))


def paper_name(name: str) -> str:
    """The name of a guidance in tables and figures; for an unknown guidance, ``name``."""
    return GUIDANCE.rows[name].paper if name in GUIDANCE.rows else name
