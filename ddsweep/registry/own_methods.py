"""The decorator ``ddsweep.method``: a method of one's own, whose row is read from signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from ddsweep.errors import UserError, closest
from ddsweep.plugins import Source, resolve
from ddsweep.plugins.code import name_of
from ddsweep.registry import options as own_options
from ddsweep.registry import trajectories
from ddsweep.registry.methods import (
    COMMON,
    INITS,
    LOOP,
    METHODS,
    PREPARATIONS,
    PROVIDED,
    SHARED,
    TAKEN,
    Default,
    Method,
    Scalar,
)

Maker = TypeVar("Maker", bound=Callable[..., Any])
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# what a preparation reads from the recipe, so that it is taken by every method that has it
_READ: dict[str, tuple[str, ...]] = {
    "experts": ("n_experts", "expert_train_epochs", "expert_epochs", "max_start_epoch", "dsa_strategy"),
    "gan": ("gan_epochs", "gan_batch", "gan_lr", "gan_width"),
}
_FALLBACK: dict[str, Default] = {
    "n_experts": 100, "expert_train_epochs": 50,
    **{name: trajectories.DEFAULTS[name] for name in trajectories.TAKEN},
    "gan_epochs": 150, "gan_batch": 128, "gan_lr": 1e-4, "gan_width": 0,
}  # fmt: skip


def method(
    name: str,
    *,
    paper: str = "",
    passes: tuple[float | int, float | int] = (1.0, 3.0),
    learned: Source | None = None,
    about: str = "",
    learns_lr: bool = False,
    samples: bool = False,
    inits: Sequence[str] = ("noise", "real"),
    per_class: bool = False,
    mixed: bool = False,
    trains: Mapping[str, Source] | None = None,
    eval_rule: str = "paper",
    files: Iterable[str] = (),
    **defaults: Default,
) -> Callable[[Maker], Maker]:
    """Register a matching loss: a class with a method ``episode`` (``loop.Matching``), or a function that makes one.

    It is called with the network and, as keyword arguments, the parameters in its signature: recipe fields (those of
    ``TAKEN`` and ``SHARED``), ``numerics`` (how the trial computes), what ``trains`` makes, and the method's options.
    An option is any other parameter; it needs a default, whose type it has, and is set like a recipe field.

    Args:
        name: the name in a recipe.
        paper: the name in tables and figures; default: the name in capitals.
        passes: the cost of a real and of a synthetic image in one image step, in forward passes; it determines whether
            compilation pays off. (1, 3) is a forward and a backward pass on the synthetic images.
        learned: makes the set that is learned, a ``ddsweep.LearnedSet``: a subclass of it, or a function. It is called
            with the dataset, the network and the streams, and then like the matching loss, whose options it shares.
            Default: the images themselves (``ddsweep.sets.Pixels``).
        about: how the images come from what is learned, as a phrase for captions; default: ``learned.about``, if any.
        learns_lr: whether ``decode`` of the set gives a learned learning rate (``Synthetic.lr``), at which an
            evaluation rule may train its networks.
        samples: whether ``decode`` gives a function that samples new images (``Synthetic.sample``).
        inits: the initial images that the set supports.
        per_class: whether an episode yields ``outer_loops`` losses for each class, instead of ``outer_loops`` in all.
        mixed: whether ``batch_real`` counts images of all classes together, instead of each class.
        trains: what is trained or loaded before the distillation: for a name in a signature, a function of the recipe,
            the dataset and a ``ddsweep.Preparation``. A method that takes ``experts`` or ``gan`` has those of TM and
            DiM, with their recipe fields.
        eval_rule: the evaluation rule of the method's own numbers.
        files: files that it reads, such as weights, relative to the file with its source: their content is part of the
            key, like the code's; ``option:NAME`` for an option whose value is such a file.
        defaults: defaults of the recipe fields ``init``, ``iterations``, ``lr_img``, ``alpha`` (which has no common
            default) and of those in a signature; each is a value or a function of the dataset's name and the ipc.

    Raises:
        UserError: the name is invalid or taken, a signature does not match, ``episode`` is missing, or a default is
            for a field that the method does not take.
    """

    def register(maker: Maker) -> Maker:
        _has_episode(name, maker)
        own_trains = dict(trains or {})
        takes, options, own = signature(name, maker, own_trains)
        if learned is not None:
            by_set = signature(name, learned, own_trains, ("the dataset", "the network", "the streams"))
            takes, options, own = _both(name, (takes, options, own), by_set)
        for part, preparation in PREPARATIONS.items():
            if part in takes:
                own_trains = preparation | own_trains
                takes += tuple(field for field in _READ[part] if field not in takes)
        own = {field: _FALLBACK[field] for field in takes if field in _FALLBACK} | own | defaults
        row = Method(
            name,
            paper or name.upper(),
            maker,
            takes,
            options,
            _with_init(name, own, tuple(inits)),
            passes,
            trains=own_trains,
            eval_rule=eval_rule,
            inits=tuple(inits),
            per_class=per_class,
            mixed=mixed,
            samples=samples,
            learns_lr=learns_lr,
            about=about or (getattr(learned, "about", "") if inspect.isclass(learned) else ""),
            learned=Method.learned if learned is None else learned,
        )
        _check(row, defaults)
        METHODS.add(name, row, maker, files)
        return maker

    return register


Signature = tuple[tuple[str, ...], dict[str, Scalar], dict[str, Default]]


def signature(
    name: str, maker: Source, trains: Mapping[str, Source] | None = None, first: Sequence[str] = ("the network",)
) -> Signature:
    """Inspect the parameters of a matching loss or a set.

    Args:
        name: the name of the method.
        maker: what makes the loss or the set.
        trains: what is trained before the distillation, besides ``PROVIDED``.
        first: what the first parameters get, in words.

    Returns:
        The names that it takes, its options with their defaults, and its own defaults of recipe fields.

    Raises:
        UserError: as for ``method``.
    """
    takes, options, own = [], {}, {}
    what = f"plugins: method {name!r}"
    parameters = list(inspect.signature(resolve(maker)).parameters.values())
    if len(parameters) < len(first) or any(one.kind not in _POSITIONAL for one in parameters[: len(first)]):
        raise UserError(f"{what}: {name_of(maker)} must take {', '.join(first)} first")
    provided = (*PROVIDED, *(trains or {}))
    for one in parameters[len(first) :]:
        if one.name in (*TAKEN, *provided):
            takes.append(one.name)
            if one.name in TAKEN and one.default is not one.empty:
                own[one.name] = one.default
        elif one.name in SHARED:
            if one.default is not one.empty and one.name not in LOOP:
                raise UserError(f"{what}: {one.name} is a recipe field; leave out its default, or rename the option")
            if one.default is not one.empty:
                own[one.name] = one.default
        elif one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) or one.default is one.empty:
            hint = closest(one.name, [*TAKEN, *SHARED, *provided])
            raise UserError(f"{what}: takes {one}, which has no default and is not a field; {hint}")
        else:
            options[one.name] = own_options.check(f"method {name!r}", one.name, one.default, LOOP)
    return tuple(takes), options, own


def _both(name: str, loss: Signature, made_set: Signature) -> Signature:
    """The signature of a method whose set has one of its own; an option of both is one option."""
    defaults: list[tuple[str, Mapping[str, Default], Mapping[str, Default]]]
    defaults = [("option", loss[1], made_set[1]), ("recipe field", loss[2], made_set[2])]
    for kind, ours, theirs in defaults:
        for field in ours.keys() & theirs.keys():
            if ours[field] != theirs[field]:
                raise UserError(
                    f"plugins: method {name!r}: the {kind} {field} has the default {ours[field]!r} in the method and "
                    f"{theirs[field]!r} in its set"
                )
    takes = tuple(dict.fromkeys((*loss[0], *made_set[0])))
    return takes, loss[1] | made_set[1], loss[2] | made_set[2]


def _with_init(name: str, own: dict[str, Default], inits: tuple[str, ...]) -> dict[str, Default]:
    """The defaults, with an ``init`` that the set supports."""
    for one in inits:
        if one not in INITS:
            raise UserError(f"plugins: method {name!r}: inits: unknown value {one!r}; {closest(one, INITS)}")
    if "init" not in own and COMMON["init"] not in inits and inits:
        own = own | {"init": inits[0]}
    first = own.get("init", COMMON["init"])
    if not callable(first) and first not in inits:
        raise UserError(f"plugins: method {name!r}: its default init {first!r} is not in inits ({', '.join(inits)})")
    return own


def _check(row: Method, defaults: Mapping[str, Default]) -> None:
    """Check a row against itself."""
    what, known = f"plugins: method {row.name!r}", (*LOOP, *(one for one in row.takes if one in TAKEN))
    for one in defaults:
        if one not in known:
            arguments = [name for name in inspect.signature(method).parameters if name != "defaults"]
            raise UserError(f"{what}: has a default for {one}; {closest(one, known, arguments)}")
    for one in row.takes:
        if one in TAKEN and one != "dsa_strategy" and one not in (COMMON | dict(row.defaults)):
            raise UserError(f"{what}: takes {one}, a recipe field without a common default; give it one")
    for part, fields in _READ.items():
        used = [field for field in fields if field in row.takes and field != "dsa_strategy"]
        if used and part not in row.takes:
            raise UserError(f"{what}: takes {used[0]} without {part}")
    for one in row.trains:
        if one not in row.takes:
            raise UserError(f"{what}: trains {one}, which no signature takes")
        if one in (*TAKEN, *SHARED):
            raise UserError(f"{what}: trains {one}, which is a recipe field; choose another name")


def _has_episode(name: str, maker: Callable[..., Any]) -> None:
    if inspect.isclass(maker) and not callable(getattr(maker, "episode", None)):
        raise UserError(f"plugins: method {name!r}: {name_of(maker)} has no episode(synthetic, dataset, streams, done)")
    if inspect.isclass(maker):
        kept = [one for one in ("state", "restore") if callable(getattr(maker, one, None))]
        if len(kept) == 1:
            missing = "restore" if kept == ["state"] else "state"
            raise UserError(
                f"plugins: method {name!r}: {name_of(maker)} has {kept[0]}() without {missing}(); what it keeps from "
                "step to step needs both"
            )
