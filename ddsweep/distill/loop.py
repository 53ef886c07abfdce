"""The loop of all methods: each step on the images minimizes the matching loss plus α times the guidance of a PTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.guidance import Guiding
from ddsweep.distill.matching import Match, Preparing, as_match, make_matching, make_set
from ddsweep.distill.metrics import Diverged as Diverged
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.state import DistillationState, keeps_first_network
from ddsweep.errors import UserError
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
        trained: what the method needs besides the PTMs, by the name of the argument that takes it (``Method.trains``).

    Returns:
        The learned set, whose parameters no longer require a gradient.

    Raises:
        Diverged: the loss became infinite or not a number.
        Interrupted: the slot was asked to stop.
    """
    slot, provided = slot or Slot(), {"numerics": numerics or Numerics(), **(trained or {})}
    guiding = None if pool is None else Guiding(recipe, pool, dataset, streams.ptm)
    state = initial_state(recipe, dataset, streams, tracker, provided)
    resumed = slot.resume(state.restore) is not None
    state.announce()
    if state.iteration == recipe.iterations:
        return _finished(state.learned)
    if resumed and guiding is not None:
        guiding.resume(state.all_steps)
    while state.iteration < recipe.iterations:
        if not state.step:
            state.begin_iteration(dataset)
        for match in state.matching.episode(state.learned, dataset, streams, state.step):
            _step(match, state, guiding)
            if state.step > state.steps:
                break
            if state.step < state.steps:
                slot.offer(state.checkpoint)
        if state.step != state.steps:
            raise UserError(f"method: {recipe.method} does not yield {state.steps} losses per network (outer_loops)")
        state.end_iteration()
        if state.iteration < recipe.iterations:
            slot.offer(state.checkpoint)
    slot.save(state.checkpoint())
    return _finished(state.learned)


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
    optimizer = learned.optimizer(recipe.lr_img)
    steps = METHODS[recipe.method].steps(recipe.outer_loops, len(dataset.classes))
    metrics = MetricsLog(recipe, dataset, tracker, steps)
    return DistillationState(learned, optimizer, net, matching, streams, metrics, steps)


def _finished(learned: LearnedSet) -> LearnedSet:
    for parameter in learned.parameters().values():
        parameter.requires_grad_(False)
    return learned


def _step(match: Tensor | Match, state: DistillationState, guiding: Guiding | None) -> None:
    """Take one step on the learned set."""
    loss, seen = as_match(match)
    if guiding is None:
        state.metrics.add(loss)
    else:
        term, alpha = guiding.term(seen or state.learned.decode(), state.all_steps)
        state.metrics.add(loss, term)
        loss = loss + alpha * term
    parameters = state.learned.parameters().values()
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, list(parameters)), strict=True):
        parameter.grad = gradient
    state.optimizer.step()
    state.step += 1
