"""The loop of all methods: each step on the images minimizes the matching loss plus α times the guidance of a PTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.clom import cclom, clom
from ddsweep.distill.matching import Match, Preparing, as_match, make_matching, make_set
from ddsweep.distill.metrics import Diverged as Diverged
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.sets import LearnedSet
from ddsweep.distill.state import DistillationState, keeps_first_network
from ddsweep.distill.synthetic import Synthetic
from ddsweep.errors import UserError
from ddsweep.numerics import Numerics
from ddsweep.registry.methods import METHODS
from ddsweep.rng import copy_to

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.pretrained.pool import Pool, PretrainedModel
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
    ptm_generator = streams.ptm.get_state()
    state = initial_state(recipe, dataset, streams, tracker, provided)
    alphas = recipe.ptm_alphas
    resumed = slot.resume(state.restore) is not None
    state.announce()
    if state.iteration == recipe.iterations:
        return _finished(state.learned)
    if resumed and pool is not None:
        _recompute_features(recipe, pool, dataset, ptm_generator, state.all_steps)
    while state.iteration < recipe.iterations:
        if not state.step:
            state.begin_iteration(dataset)
        for match in state.matching.episode(state.learned, dataset, streams, state.step):
            _step(recipe, alphas, match, state, pool, dataset)
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


def _step(
    recipe: Recipe,
    alphas: Mapping[str, float],
    match: Tensor | Match,
    state: DistillationState,
    pool: Pool | None,
    dataset: Dataset,
) -> None:
    """Take one step on the learned set; ``alphas`` maps each PTM architecture to its weight α."""
    loss, seen = as_match(match)
    if pool is None:
        state.metrics.add(loss)
    else:
        model, indices = _draw(recipe, pool, dataset, state.streams.ptm)
        guidance = _guidance(model, seen or state.learned.decode(), dataset, indices)
        state.metrics.add(loss, guidance)
        loss = loss + alphas[model.arch] * guidance
    parameters = state.learned.parameters().values()
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, list(parameters)), strict=True):
        parameter.grad = gradient
    state.optimizer.step()
    state.step += 1


def _draw(
    recipe: Recipe, pool: Pool, dataset: Dataset, generator: torch.Generator
) -> tuple[PretrainedModel, Int64[Tensor, " k"] | None]:
    """Draw the PTM of one image step and, for CCLoM, the indices of the real images to compare with."""
    model = pool.draw(generator)
    if recipe.regularizer == "clom":
        return model, None
    return model, torch.randint(len(dataset.labels), (recipe.cclom_batch,), generator=generator)


def _guidance(
    model: PretrainedModel, synthetic: Synthetic, dataset: Dataset, indices: Int64[Tensor, " k"] | None
) -> Float[Tensor, ""]:
    """Return CLoM or CCLoM of a PTM on clean images, without the weight α."""
    if indices is None:
        return clom(model, synthetic.images, synthetic.labels)
    real, labels = model.features(dataset, indices), dataset.labels[copy_to(indices, dataset.labels.device)]
    return cclom(model.embed(synthetic.images), synthetic.labels, real, labels)


def _recompute_features(recipe: Recipe, pool: Pool, dataset: Dataset, ptm_generator: Tensor, steps: int) -> None:
    """Compute the real features of the first ``steps`` image steps again: they are not in the checkpoint.

    They can take gigabytes, and each image is computed once. The last bits of its features depend on the other images
    of its batch, so the same batches are computed in the order of the draws, starting from the generator state
    ``ptm_generator``.
    """
    generator = torch.Generator()
    generator.set_state(ptm_generator)
    for _ in range(steps):
        model, indices = _draw(recipe, pool, dataset, generator)
        if indices is not None:
            model.cache_features(dataset, indices)
