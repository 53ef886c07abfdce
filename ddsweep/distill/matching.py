"""What the loop asks of a matching loss, and how one is made from a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from ddsweep.checkpoints import State
from ddsweep.distill.sets import LearnedSet
from ddsweep.errors import UserError
from ddsweep.registry.methods import METHODS
from ddsweep.shared.sharing import Sharing

if TYPE_CHECKING:
    from ddsweep import nn
    from ddsweep.data.dataset import Dataset
    from ddsweep.distill.synthetic import Synthetic
    from ddsweep.recipe import Recipe
    from ddsweep.rng import Streams


class Match(NamedTuple):
    """The matching loss of one step, and the images that the guidance of this step sees.

    Attributes:
        loss: a scalar with a gradient to the parameters of the learned set.
        synthetic: clean decoded images, with their graph; None: the whole set, decoded when it is needed.
        scalars: further numbers to log, by name, as Python numbers or tensors with one element; their means are logged
            as ``method/NAME``.
    """

    loss: Float[Tensor, ""]
    synthetic: Synthetic | None = None
    scalars: Mapping[str, float | Tensor] = MappingProxyType({})


def as_match(found: object) -> Match:
    """What an episode yields, as a ``Match``: one, a loss, or a loss and its scalars.

    Raises:
        TypeError: it is none of these, or the loss is not a scalar tensor of floating-point numbers.
    """
    if isinstance(found, tuple) and not isinstance(found, Match) and len(found) == 2 and isinstance(found[1], Mapping):
        found = Match(found[0], scalars=found[1])
    match = found if isinstance(found, Match) else Match(found)  # type: ignore[arg-type]
    loss: object = match.loss
    if not isinstance(loss, Tensor):
        raise TypeError(f"yields {_named(loss)}, not a scalar tensor")
    if loss.ndim or not loss.is_floating_point():
        raise TypeError(
            f"yields a tensor of {loss.dtype} {list(loss.shape)}, not a scalar tensor; reduce it to one loss"
        )
    for name, value in match.scalars.items():
        if not isinstance(name, str) or not name or not _is_number(value):
            raise TypeError(f"yields the scalar {name!r}: {_named(value)}; needed: a name, and a number")
    return match


def _is_number(value: object) -> bool:
    return value.numel() == 1 if isinstance(value, Tensor) else isinstance(value, int | float)


def _named(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


@runtime_checkable
class Matching(Protocol):
    """A matching loss, made once per distillation for the network of the distillation's state.

    It draws from ``streams`` only. A distillation resumes from the learned set, the network and the streams, and must
    end in the same bits: what else a matching loss keeps from one step to the next, it has to save (``Stateful``).

    If it has an attribute ``keeps_first_network`` that is true, the network that the initial set was made with is also
    that of the first iteration.
    """

    def episode(
        self, learned: Any, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""] | Match | tuple[Tensor, Mapping[str, float]]]:
        """Yield the losses of one freshly drawn network, one per step, without the first ``done``.

        With a loss, it can yield scalars to log: ``yield loss, {"lr": 0.02}``.

        There are ``outer_loops`` losses in all, or ``outer_loops`` times the classes if the method's row says
        ``per_class``. Between two of them the caller updates the parameters of ``learned`` (a ``LearnedSet``).
        """


@runtime_checkable
class Stateful(Protocol):
    """A matching loss that keeps something from one step or iteration to the next, such as momenta."""

    def state(self) -> State:
        """Return what it keeps."""

    def restore(self, state: State) -> None:
        """Restore ``state()``.

        Raises:
            Damaged: something is missing; nothing has changed.
        """


@runtime_checkable
class Preparing(Protocol):
    """A matching loss that does something with each new network before its first step, such as training it."""

    def prepare(self, dataset: Dataset, streams: Streams) -> None:
        """Called once for each freshly drawn network; of ``keeps_first_network``, before the initial set is made."""


def make_matching(recipe: Recipe, net: nn.Network, provided: Mapping[str, Any]) -> Matching:
    """Return the matching loss of the recipe's method.

    Args:
        recipe: the experiment.
        net: its network.
        provided: what is not in the recipe: ``numerics``, and what was trained before the distillation.

    Raises:
        UserError: a plugin's method returns something without an ``episode``.
    """
    made = METHODS[recipe.method].make(net, _available(recipe, provided))
    if not isinstance(made, Matching):
        raise UserError(f"method: {recipe.method} makes {type(made).__name__}, which has no episode")
    return made


def _available(recipe: Recipe, provided: Mapping[str, Any]) -> dict[str, Any]:
    """What a matching loss and a set can name: the recipe's fields, the method's options, and what is provided."""
    fields = {name: getattr(recipe, name) for name in type(recipe).model_fields}
    return fields | recipe.numbers | {"shared": Sharing.off()} | dict(provided)


def make_set(
    recipe: Recipe, dataset: Dataset, net: nn.Network, streams: Streams, provided: Mapping[str, Any]
) -> LearnedSet:
    """Return the set that the recipe's method learns, before the first step; arguments as in ``make_matching``.

    Raises:
        UserError: a plugin's method makes something else.
    """
    learned = METHODS[recipe.method].make_set(dataset, net, streams, _available(recipe, provided))
    if not isinstance(learned, LearnedSet):
        raise UserError(f"method: {recipe.method} learns {type(learned).__name__}, which is not a ddsweep.LearnedSet")
    return learned
