"""The loop of all methods: each step on the images minimizes the matching loss plus α times the guidance of a PTM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.clom import cclom, clom
from ddsweep.distill.metrics import Diverged as Diverged
from ddsweep.distill.metrics import MetricsLog
from ddsweep.distill.state import DistillationState
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


@runtime_checkable
class Matching(Protocol):
    """A matching loss, made once per distillation for the network of the distillation's state.

    It keeps nothing from one episode to the next, and draws from ``streams`` only: a distillation resumes from the
    images, the network and the streams, and must end in the same bits.
    """

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """Yield the losses of one freshly drawn network, one per image step, without the first ``done``.

        There are ``outer_loops`` losses in all, each a scalar with a gradient to ``synthetic.images``. Between two of
        them the caller updates the images.
        """


def distill(
    recipe: Recipe,
    dataset: Dataset,
    pool: Pool | None,
    streams: Streams,
    tracker: Tracker,
    slot: Slot | None = None,
    numerics: Numerics | None = None,
) -> Synthetic:
    """Learn a synthetic set for ``dataset`` (paper, Eq. 5 and 8).

    Every iteration draws a new random network. DM takes one image step with it; DC and DSA take T, and train it on the
    synthetic set in between.

    Args:
        recipe: the experiment.
        dataset: the real images.
        pool: the PTMs; None: no guidance.
        streams: unused generators of the recipe's seed.
        tracker: receives metrics, pictures and progress.
        slot: stores the checkpoints from which an interrupted distillation resumes. Every image step can be one,
            because one iteration of DC can take half an hour on a CPU. At the end it holds the finished set. None: no
            checkpoints.
        numerics: precision and compilation; default: float32, not compiled.

    Raises:
        Diverged: the loss became infinite or not a number.
        Interrupted: the slot was asked to stop.
    """
    slot = slot or Slot()
    ptm_generator = streams.ptm.get_state()
    state = DistillationState.initial(recipe, dataset, streams, MetricsLog(recipe, dataset, tracker))
    alphas = recipe.ptm_alphas
    matching = make_matching(recipe, state.net, numerics or Numerics())
    resumed = slot.resume(state.restore) is not None
    state.announce()
    if state.iteration == recipe.iterations:
        return state.synthetic.detached()
    if resumed and pool is not None:
        _recompute_features(recipe, pool, dataset, ptm_generator, state.image_steps)
    while state.iteration < recipe.iterations:
        if not state.image_step:
            nn.initialize(state.net, streams.network)
        for match in matching.episode(state.synthetic, dataset, streams, state.image_step):
            _step(recipe, alphas, match, state, pool, dataset)
            if state.image_step > state.outer_loops:
                break
            if state.image_step < state.outer_loops:
                slot.offer(state.checkpoint)
        if state.image_step != state.outer_loops:
            raise UserError(
                f"method: {recipe.method} does not yield {state.outer_loops} losses per network (outer_loops)"
            )
        state.end_iteration()
        if state.iteration < recipe.iterations:
            slot.offer(state.checkpoint)
    slot.save(state.checkpoint())
    return state.synthetic.detached()


def _step(
    recipe: Recipe,
    alphas: Mapping[str, float],
    match: Tensor,
    state: DistillationState,
    pool: Pool | None,
    dataset: Dataset,
) -> None:
    """Take one step on the images; ``alphas`` maps each PTM architecture to its weight α."""
    if pool is None:
        loss = match
        state.metrics.add(match)
    else:
        model, indices = _draw(recipe, pool, dataset, state.streams.ptm)
        guidance = _guidance(model, state.synthetic, dataset, indices)
        loss = match + alphas[model.arch] * guidance
        state.metrics.add(match, guidance)
    (state.synthetic.images.grad,) = torch.autograd.grad(loss, [state.synthetic.images])
    state.optimizer.step()
    state.image_step += 1


def make_matching(recipe: Recipe, net: nn.Network, numerics: Numerics) -> Matching:
    """Return the matching loss of the recipe's method.

    Raises:
        UserError: a plugin's method returns something without an ``episode``.
    """
    made = METHODS[recipe.method].make(net, numerics, recipe.numbers)
    if not isinstance(made, Matching):
        raise UserError(f"method: {recipe.method} makes {type(made).__name__}, which has no episode")
    return made


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
    """Return CLoM or CCLoM of a PTM on the clean images of all classes, without the weight α."""
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
