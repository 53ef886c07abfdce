"""What the loop checks in code of a user's own, so that a mistake is one line and not a silently wrong result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from ddsweep import rng
from ddsweep.distill.matching import Match, as_match
from ddsweep.errors import PluginError
from ddsweep.plugins import guards
from ddsweep.plugins.blame import blamed
from ddsweep.registry.methods import METHODS

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.distill.state import DistillationState
    from ddsweep.recipe import Recipe

_END = object()


class Guard:
    """Runs the code of a recipe's plugins in a distillation.

    The global generators are seeded around every call of it, by the step and not by the number of calls, so that code
    which draws from them (a network's dropout, too) draws the same in every run, and after an interruption. What it
    changes in the process is restored. Without plugins, nothing of that is done.

    Args:
        recipe: the experiment.
        dataset: the real images, which nothing may change.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        code = METHODS.code(recipe.method)
        self._seed, self._name = recipe.seed, f"method {recipe.method!r}"
        self._own, self._plugged = code is not None, bool(recipe.plugins)
        self._path = code.path if code else None
        real = {"images": dataset.images, "labels": dataset.labels}
        self._real = {name: values for name, values in real.items() if isinstance(values, Tensor)}  # others are copies
        self._versions = {name: values._version for name, values in self._real.items()}
        # parameters that no loss of the first whole iteration has reached; None: it is over, or has not begun
        self._unreached: set[str] | None = None
        self._began = False

    @contextmanager
    def calling(self, *names: str | int) -> Iterator[None]:
        """Run code that may be the user's own.

        Args:
            names: identify the call within the distillation, however often it was interrupted.

        Raises:
            PluginError: it raises an exception.
        """
        with ExitStack() as stack:
            stack.enter_context(blamed(self._name, self._path))
            if self._plugged:
                stack.enter_context(guards.calling(self._name))
                stack.enter_context(rng.seeded_globals(self._seed, "distill", *names))
            yield

    def matches(self, state: DistillationState, dataset: Dataset) -> Iterator[Match]:
        """Yield what an episode yields, from the step of ``state`` on.

        Raises:
            PluginError: the code of a plugin fails, yields something else than losses, a loss that does not depend on
                what is learned, or has changed the real images.
        """
        with self.calling(state.iteration, state.step):
            episode = state.matching.episode(state.learned, dataset, state.streams, state.step)
            if not isinstance(episode, Iterator):
                raise self._wrong(f"its episode returns {type(episode).__name__}; yield the losses")
        self._begin(state)
        while True:
            with self.calling(state.iteration, state.step):
                found = next(episode, _END)
            if found is _END:
                return
            match = self._checked(found)
            self._check_gradient(match.loss, state.learned.parameters())
            yield match

    def end_iteration(self) -> None:
        """Check that the losses of an iteration have reached all that is learned.

        Raises:
            PluginError: they have not.
        """
        missing, self._unreached = self._unreached, None
        if missing:
            raise self._wrong(f"yields losses without a gradient to {', '.join(sorted(missing))}")

    def _begin(self, state: DistillationState) -> None:
        """Check the gradients of the first whole iteration of this process."""
        if self._own and state.step == 0 and not self._began:
            self._began, self._unreached = True, set(state.learned.parameters())

    def _checked(self, found: object) -> Match:
        try:
            match = as_match(found)
        except TypeError as error:
            raise self._wrong(str(error)) from None
        for name, values in self._real.items():
            if values._version != self._versions[name]:
                raise self._wrong(f"changes the real {name} in place; change a copy (.clone())")
        return match

    def _check_gradient(self, loss: Tensor, parameters: Mapping[str, Tensor]) -> None:
        """Check that a loss depends on what is learned, which guidance alone would otherwise move."""
        if not loss.requires_grad:
            raise self._wrong(f"yields a loss without a gradient to what is learned ({', '.join(parameters)})")
        if self._unreached is not None:
            reached = _reached(loss, parameters)
            if not reached:
                raise self._wrong(f"yields a loss without a gradient to what is learned ({', '.join(parameters)})")
            self._unreached -= reached

    def _wrong(self, violation: str) -> PluginError:
        return PluginError(f"{self._name}: {violation}", final=True)


def _reached(loss: Tensor, parameters: Mapping[str, Tensor]) -> set[str]:
    """The names of the leaf tensors that a loss was computed from, found in its graph; nothing is computed."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    found, seen, left = set(), set(), [loss.grad_fn]
    if id(loss) in names:
        found.add(names[id(loss)])
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) in names:
            found.add(names[id(leaf)])
        left += [following for following, _ in node.next_functions]
    return found
