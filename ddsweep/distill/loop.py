"""The loop that all methods share: matching loss plus α times the guidance of a PTM, one step on the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep import nn
from ddsweep.checkpoints import Slot
from ddsweep.distill.clom import clom, contrast
from ddsweep.distill.metrics import Diverged as Diverged
from ddsweep.distill.metrics import Journal
from ddsweep.distill.state import Flight
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
    """A matching loss, made once per distillation for the network of ``Flight``.

    It keeps nothing from one episode to the next, and draws from ``streams`` alone: a distillation that is cut off goes
    on from the images, the network and the streams, and has to end in the same bits.
    """

    def episode(
        self, synthetic: Synthetic, dataset: Dataset, streams: Streams, done: int = 0
    ) -> Iterator[Float[Tensor, ""]]:
        """The losses of one freshly drawn network, one per image step, without the first ``done``.

        There are ``outer_loops`` of them in all, each a scalar with a gradient to ``synthetic.images``. The caller
        steps the images between two of them.
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

    Every iteration draws a new random network; DM takes one image step with it, DC and DSA take T and train it on the
    synthetic set in between.

    Args:
        recipe: what, and how.
        dataset: the real images.
        pool: the PTMs; None: no guidance.
        streams: fresh, of the recipe's seed.
        tracker: is told what happens.
        slot: where it goes on from if it was cut off; every image step is a boundary, because one iteration of DC can
            take a CPU half an hour. At the end it holds the finished set. None: nothing is kept.
        numerics: how it is computed; default: float32, nothing compiled.

    Raises:
        Diverged: the loss became infinite or not a number.
        Interrupted: the slot was asked to leave.
    """
    slot = slot or Slot()
    drawn = streams.ptm.get_state()
    flight = Flight.start(recipe, dataset, streams, Journal(recipe, dataset, tracker))
    alphas = recipe.ptm_alphas
    matching = make_matching(recipe, flight.net, numerics or Numerics())
    resumed = slot.resume(flight.restore) is not None
    flight.begin()
    if flight.step == recipe.iterations:
        return flight.synthetic.detached()
    if resumed and pool is not None:
        _recall(recipe, pool, dataset, drawn, flight.image_steps)
    while flight.step < recipe.iterations:
        if not flight.inside:
            nn.initialize(flight.net, streams.network)
        for match in matching.episode(flight.synthetic, dataset, streams, flight.inside):
            _step(recipe, alphas, match, flight, pool, dataset)
            if flight.inside > flight.loops:
                break
            if flight.inside < flight.loops:
                slot.offer(flight.state)
        if flight.inside != flight.loops:
            raise UserError(f"method: {recipe.method} does not yield {flight.loops} losses per network (outer_loops)")
        flight.land()
        if flight.step < recipe.iterations:
            slot.offer(flight.state)
    slot.save(flight.state())
    return flight.synthetic.detached()


def _step(
    recipe: Recipe, alphas: Mapping[str, float], match: Tensor, flight: Flight, pool: Pool | None, dataset: Dataset
) -> None:
    """One step on the images; ``alphas`` has the weight α of each PTM architecture."""
    if pool is None:
        loss = match
        flight.journal.add(match)
    else:
        model, chosen = _draw(recipe, pool, dataset, flight.streams.ptm)
        term = _guidance(model, flight.synthetic, dataset, chosen)
        loss = match + alphas[model.arch] * term
        flight.journal.add(match, term)
    (flight.synthetic.images.grad,) = torch.autograd.grad(loss, [flight.synthetic.images])
    flight.optimizer.step()
    flight.inside += 1


def make_matching(recipe: Recipe, net: nn.Network, numerics: Numerics) -> Matching:
    """The matching loss of the recipe's method."""
    made = METHODS[recipe.method].make(net, numerics, recipe.numbers)
    if not isinstance(made, Matching):
        raise UserError(f"method: {recipe.method} makes {type(made).__name__}, which has no episode")
    return made


def _draw(
    recipe: Recipe, pool: Pool, dataset: Dataset, generator: torch.Generator
) -> tuple[PretrainedModel, Int64[Tensor, " k"] | None]:
    """The PTM of one image step, and for CCLoM the real images it compares with."""
    model = pool.draw(generator)
    if recipe.regularizer == "clom":
        return model, None
    return model, torch.randint(len(dataset.labels), (recipe.cclom_batch,), generator=generator)


def _guidance(
    model: PretrainedModel, synthetic: Synthetic, dataset: Dataset, chosen: Int64[Tensor, " k"] | None
) -> Float[Tensor, ""]:
    """CLoM or CCLoM of a PTM on the clean images of all classes: unweighted, so that it can be read alone."""
    if chosen is None:
        return clom(model, synthetic.images, synthetic.labels)
    real, labels = model.features(dataset, chosen), dataset.labels[copy_to(chosen, dataset.labels.device)]
    return contrast(model.embed(synthetic.images), synthetic.labels, real, labels)


def _recall(recipe: Recipe, pool: Pool, dataset: Dataset, drawn: Tensor, steps: int) -> None:
    """Look again at the real images of the first ``steps`` image steps: the PTMs' features are not in the checkpoint.

    They may take gigabytes, and each is computed once; but to the last bit only among the same others, hence in the
    order of the draws, which begin at the generator state ``drawn``.
    """
    generator = torch.Generator()
    generator.set_state(drawn)
    for _ in range(steps):
        model, chosen = _draw(recipe, pool, dataset, generator)
        if chosen is not None:
            model.remember(dataset, chosen)
