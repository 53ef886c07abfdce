"""Distillations in lockstep: each step's network, draws and real images are computed once for all of them.

A GPU computes the small steps of a ConvNet faster than the host can start their kernels. Where the numerics are
vectorized, the synthetic images of all sets therefore go through the network as one batch, and through each PTM that
several of them have drawn; elsewhere, and always on a CPU, they go one set after the other, to the same bits as alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from ddsweep.checkpoints import Interrupted
from ddsweep.distill.loop import Distillation, step
from ddsweep.distill.matching import Match
from ddsweep.errors import SharedStepFailed as SharedStepFailed
from ddsweep.plugins import resolve
from ddsweep.recipe.grouping import group_key

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset
    from ddsweep.distill.guidance.step import Drawn
    from ddsweep.distill.synthetic import Synthetic
    from ddsweep.rng import Streams

SHARED = ("batch", "augment", "network")  # the generators that make the same draws in each of them
Losses = Tensor | Sequence[Tensor]  # a loss for each set


@runtime_checkable
class ForSeveral(Protocol):
    """A matching loss with one step per network that can be computed for several sets at once.

    Attributes:
        batches_sets: whether it puts the images of all sets into one batch.
    """

    batches_sets: bool

    def episodes(self, sets: Sequence[Synthetic], dataset: Dataset, streams: Streams) -> Iterator[Losses]:
        """Yield, for each step, the losses that ``episode`` yields for each of ``sets``."""


def advance_until_one_ends(cells: Sequence[Distillation]) -> None:
    """Advance distillations until one of them is done or has failed (``error``).

    Those that have done the fewest steps go first, so that distillations which resume from different checkpoints meet.
    What fails in one of them between two steps (its tracker, its checkpoint, its loss) ends that one only.

    Args:
        cells: the distillations; those with one ``group_key`` share steps.

    Raises:
        SharedStepFailed: a step of several failed.
    """
    while not any(one.done or one.error for one in cells):
        some, began = _least_advanced(cells), time.monotonic()
        advance(some)
        for one in some:
            one.seconds += (time.monotonic() - began) / len(some)


def advance(cells: Sequence[Distillation]) -> None:
    """Take one iteration of distillations that are equally far and share it.

    Raises:
        SharedStepFailed: it failed, and they are several.
    """
    if len(cells) == 1:
        _each(cells, Distillation.advance)
        return
    try:
        _steps(cells)
    except Exception as error:
        raise SharedStepFailed.of(error) from error
    _each(cells, Distillation.end_iteration)


def advance_together(cells: Sequence[Distillation]) -> None:
    """Take one iteration of all of them, in lockstep as far as they can share it; raise what ends one of them."""
    left = list(cells)
    while left:
        some = _least_advanced(left)
        advance(some)
        left = [one for one in left if one not in some]
    for one in cells:
        if one.error is not None:
            raise one.error


def _each(cells: Sequence[Distillation], action: Callable[[Distillation], None]) -> None:
    for one in cells:
        try:
            action(one)
        except (Exception, Interrupted) as error:
            one.error = error


def _least_advanced(cells: Sequence[Distillation]) -> list[Distillation]:
    """The first of those with the fewest steps, and those of the others that can share its next step."""
    fewest = min(one.state.all_steps for one in cells)
    lead, *others = (one for one in cells if one.state.all_steps == fewest)
    return [lead, *(one for one in others if _joined(lead, one))]


def _joined(lead: Distillation, other: Distillation) -> bool:
    """Let ``other`` use the generators of ``lead``, and so its networks and real images; False if they would differ."""
    mine, theirs = lead.state.streams, other.state.streams
    if all(getattr(mine, name) is getattr(theirs, name) for name in SHARED):
        return True
    common = group_key(lead.recipe)
    alike = common is not None and group_key(other.recipe) == common and lead.numerics == other.numerics
    if not alike or lead.state.steps != 1 or not isinstance(lead.state.matching, ForSeveral):
        return False
    drawn, expected = theirs.states(), mine.states()
    if not all(torch.equal(drawn[name], expected[name]) for name in SHARED):
        return False
    for name in SHARED:
        setattr(theirs, name, getattr(mine, name))
    return True


def _steps(cells: Sequence[Distillation]) -> None:
    """Take the one step of an iteration."""
    lead, dataset = cells[0].state, cells[0].dataset
    lead.begin_iteration(dataset)
    for one in cells[1:]:
        one.state.learned.begin_iteration()
    assert isinstance(lead.matching, ForSeveral)
    sets = [one.state.learned.decode() for one in cells]
    for losses in lead.matching.episodes(sets, dataset, lead.streams):
        if lead.matching.batches_sets:
            _batched_step(cells, sets, losses)
        else:
            for one, loss in zip(cells, losses, strict=True):
                step(Match(loss), one.state, one.guiding)


def _batched_step(cells: Sequence[Distillation], sets: Sequence[Synthetic], losses: Losses) -> None:
    """Take one step on every set, with one backward pass for all: no set depends on another."""
    matching = losses if isinstance(losses, Tensor) else torch.stack(list(losses))
    terms = _terms(cells, sets)
    loss, single = matching.sum(), matching.detach().unbind()
    rows: dict[int, tuple[Tensor, ...]] = {index: (single[index],) for index in range(len(cells))}
    if terms:
        guided = torch.stack([term for term, _ in terms.values()])
        weights = _weights(tuple(alpha for _, alpha in terms.values()), guided.device, guided.dtype)
        loss = loss + (weights * guided).sum()
        rows |= {index: (single[index], term) for index, term in zip(terms, guided.detach().unbind(), strict=True)}
    parameters = [parameter for one in cells for parameter in one.state.learned.parameters().values()]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    for index, one in enumerate(cells):
        one.state.metrics.add(*rows[index])
        one.state.optimizer.step()
        one.state.step += 1


def _terms(cells: Sequence[Distillation], sets: Sequence[Synthetic]) -> dict[int, tuple[Tensor, float]]:
    """Draw the PTM of every set with guidance; return the term and its weight α by the set's index.

    Sets that have drawn the same PTM go through it as one batch.
    """
    drawn = {index: one.guiding.draw() for index, one in enumerate(cells) if one.guiding is not None}
    alike: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, one in drawn.items():
        model = id(one.model) if one.model.identity is None else one.model.identity
        alike[index if one.each is None else (one.each, model)].append(index)
    found: dict[int, Tensor] = {}
    for some in alike.values():
        found |= zip(some, _guide([drawn[index] for index in some], [sets[index] for index in some]), strict=True)
    return {index: (found[index], one.alpha) for index, one in drawn.items()}


def _guide(drawn: Sequence[Drawn], sets: Sequence[Synthetic]) -> Losses:
    """Return the terms of sets that have drawn the same PTM."""
    first = drawn[0]
    if len(sets) == 1 or first.each is None:
        return [first.guide(first.model, sets[0], **first.further)]
    further = {name: [one.further[name] for one in drawn] for name in first.further}
    terms: Losses = resolve(first.each)(first.model, sets, **further)
    return terms


@lru_cache(maxsize=64)  # copied to the device once, not at every step
def _weights(alphas: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(alphas, device=device, dtype=dtype)
