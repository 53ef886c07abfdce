"""The loop of all methods: each step on the images minimizes the matching loss plus α times the guidance of a PTM."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.guards import Guard
from ddsweep.distill.guidance import Guiding
from ddsweep.distill.matching import Match, Preparing, make_matching, make_set
from ddsweep.distill.metrics import Diverged as Diverged
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.state import DistillationState, keeps_first_network
from ddsweep.errors import PluginError
from ddsweep.numerics import Numerics
from ddsweep.registry.methods import METHODS

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.pool import Pool
    from ddsweep.recipe import Recipe
    from ddsweep.rng import Streams
    from ddsweep.trackers import Tracker


def distill(
    recipe: Recipe,
    dataset: Dataset,
    pool: Pool | None,
    streams: Streams,
    tracker: Tracker,
    slot: Slot | None = None,
    numerics: Numerics | None = None,
    trained: Mapping[str, Any] | None = None,
) -> LearnedSet:
    """Learn a synthetic set for ``dataset`` (paper, Eq. 5 and 8).

    Every iteration draws a new random network. DM takes one step on the images with it; DC and DSA take T, and train it
    on the synthetic set in between. For the other methods see their modules in ``distill.methods``.

    Args:
        recipe: the experiment.
        dataset: the real images.
        pool: the PTMs; None: no guidance.
        streams: unused generators of the recipe's seed.
        tracker: receives metrics, pictures and progress.
        slot: stores the checkpoints from which an interrupted distillation resumes. Every step can be one, because one
            iteration of DC can take half an hour on a CPU. At the end it holds the finished set. None: no checkpoints.
        numerics: precision and compilation; default: float32, not compiled.
        trained: what the method needs besides the PTMs, by the name of the argument that takes it (``Method.trains``),
            and ``shared``, what it has in common with other cells (``Sharing``).

    Returns:
        The learned set, whose parameters no longer require a gradient.

    Raises:
        Diverged: the loss became infinite or not a number.
        Interrupted: the slot was asked to stop.
        PluginError: code of a plugin fails or breaks its contract (``guards``).
    """
    return Distillation.start(recipe, dataset, pool, streams, tracker, slot, numerics, trained).finish()


@dataclass(eq=False)
class Distillation:
    """A distillation between two of its iterations; ``lockstep`` advances several together.

    Attributes:
        recipe: the experiment.
        dataset: the real images.
        state: everything that the next step depends on.
        guiding: its guidance; None: there is none.
        guard: calls code that may be a plugin's.
        slot: stores the checkpoints.
        numerics: precision and compilation.
        seconds: the time of its steps, as far as ``lockstep`` has taken them: of a shared step, its share.
        error: what has ended it; None: nothing has.
    """

    recipe: Recipe
    dataset: Dataset
    state: DistillationState
    guiding: Guiding | None
    guard: Guard
    slot: Slot
    numerics: Numerics
    seconds: float = 0.0
    error: BaseException | None = None
    _saved: bool = False

    @classmethod
    def start(
        cls,
        recipe: Recipe,
        dataset: Dataset,
        pool: Pool | None,
        streams: Streams,
        tracker: Tracker,
        slot: Slot | None = None,
        numerics: Numerics | None = None,
        trained: Mapping[str, Any] | None = None,
    ) -> Distillation:
        """Return a distillation before its first iteration, or where its last checkpoint is; see ``distill``."""
        slot, numerics = slot or Slot(), numerics or Numerics()
        provided = {"numerics": numerics, **(trained or {})}
        guiding = None if pool is None else Guiding(recipe, pool, dataset, streams.ptm)
        guard = Guard(recipe, dataset)
        with guard.calling("start"):
            state = initial_state(recipe, dataset, streams, tracker, provided)
        with guard.calling("resume"):
            slot.resume(state.restore)
            state.announce()
        one = cls(recipe, dataset, state, guiding, guard, slot, numerics)
        one._saved = one.done
        return one

    @property
    def done(self) -> bool:
        """Whether all iterations are done."""
        return self.state.iteration == self.recipe.iterations

    def advance(self) -> None:
        """Take the steps of the next iteration, or those that are left of an interrupted one."""
        state, guard = self.state, self.guard
        if not state.step:
            with guard.calling(state.iteration, "network"):
                state.begin_iteration(self.dataset)
        for match in guard.matches(state, self.dataset):
            with guard.calling(state.iteration, state.step, "update"):
                step(match, state, self.guiding)
            if state.step > state.steps:
                break
            if state.step < state.steps:
                self.slot.offer(state.checkpoint)
        if state.step != state.steps:
            line = f"method: {self.recipe.method} does not yield {state.steps} losses per network (outer_loops)"
            raise PluginError(line, final=True)
        self.end_iteration()

    def end_iteration(self) -> None:
        """Count the iteration as done, report it, and save a checkpoint if one is due."""
        state, guard = self.state, self.guard
        guard.end_iteration()
        with guard.calling(state.iteration, "end"):
            state.end_iteration()
        if not self.done:
            self.slot.offer(state.checkpoint)

    def finish(self) -> LearnedSet:
        """Take the iterations that are left, save the finished set, and return it.

        Raises:
            BaseException: what has ended it before; and as ``distill``.
        """
        if self.error is not None:
            raise self.error
        while not self.done:
            self.advance()
        if not self._saved:
            self.slot.save(self.state.checkpoint())
        return _finished(self.state.learned)


def initial_state(
    recipe: Recipe, dataset: Dataset, streams: Streams, tracker: Tracker, provided: Mapping[str, Any]
) -> DistillationState:
    """Return the state before the first iteration."""
    shape = {"channels": dataset.channels, "classes": len(dataset.classes), "size": dataset.size, "width": recipe.width}
    net = nn.build(recipe.arch, **shape, generator=streams.network).to(dataset.images.device)
    matching = make_matching(recipe, net, provided)
    if keeps_first_network(matching) and isinstance(matching, Preparing):
        matching.prepare(dataset, streams)
    learned = make_set(recipe, dataset, net, streams, provided)
    optimizer = _optimizer(recipe, learned)
    steps = METHODS[recipe.method].steps(recipe.outer_loops, len(dataset.classes))
    metrics = MetricsLog(recipe, dataset, tracker, steps)
    return DistillationState(learned, optimizer, net, matching, streams, metrics, steps)


def _optimizer(recipe: Recipe, learned: LearnedSet) -> torch.optim.Optimizer:
    """Return the optimizer of the set.

    Raises:
        PluginError: it is none, or needs more than gradients.
    """
    made: object = learned.optimizer(recipe.lr_img)
    what = f"method {recipe.method!r}: the optimizer() of its set"
    if not isinstance(made, torch.optim.Optimizer):
        raise PluginError(f"{what} returns {type(made).__name__}, not a torch.optim.Optimizer", final=True)
    closure = list(inspect.signature(made.step).parameters.values())[:1]
    if closure and closure[0].default is closure[0].empty and closure[0].kind in (0, 1):
        raise PluginError(f"{what} returns {type(made).__name__}, whose step() needs a closure", final=True)
    return made


def _finished(learned: LearnedSet) -> LearnedSet:
    """Return what was learned, for good.

    Raises:
        Diverged: the last step has made a parameter infinite or not a number.
    """
    for name, parameter in learned.parameters().items():
        if not parameter.requires_grad_(False).isfinite().all():
            raise Diverged(f"lr_img: too large: {name} is not finite after the last step")
    return learned


def step(match: Match, state: DistillationState, guiding: Guiding | None) -> tuple[Tensor, ...]:
    """Take one step on the learned set; return the matching loss and, with guidance, its term without α."""
    loss, seen, scalars = match
    state.metrics.add_scalars(scalars)
    terms: tuple[Tensor, ...] = (loss.detach(),)
    if guiding is not None:
        term, alpha = guiding.term(seen or state.learned.decode(), state.all_steps)
        terms = (*terms, term.detach())
        loss = loss + alpha * term
    state.metrics.add(*terms)
    parameters = list(state.learned.parameters().values())
    # a set of one's own may have parameters that not every step uses; the guard checks that some step does
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        parameter.grad = gradient
    state.optimizer.step()
    state.step += 1
    return terms
