"""The sweep that evaluates chosen trials of a search again, with seeds on which they were not chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ddsweep.errors import UserError
from ddsweep.sweep.grid import Cell, Sweep

SUFFIX = "-confirm"
MOST = 100  # new seeds


def confirming(search: Sweep, trials: Sequence[Cell], count: int) -> Sweep:
    """A grid of these trials and their baselines, with seeds that no cell of the search has used.

    Its cells are no product of values, so that all but the first trial are given one by one (``Sweep.kept``).

    Args:
        search: the search.
        trials: a cell of each trial, at least one.
        count: the number of seeds, from 1 to ``MOST``.

    Raises:
        UserError: ``count`` is out of range.
    """
    if not 1 <= count <= MOST:
        raise UserError(f"confirm: {count} is not allowed; give the number of new seeds, from 1 to {MOST}")
    by_key = {cell.key: cell for cell in search.cells}
    keys = [cell.key for cell in trials]
    baselines = [search.baselines[key] for key in keys if key in search.baselines]
    first, *others = [_choices(search, by_key[key]) for key in dict.fromkeys((*keys, *baselines))]
    used = {cell.recipe.seed for cell in search.cells}
    seeds = tuple(range(max(used) + 1, max(used) + 1 + count))
    return replace(
        search,
        name=search.name + SUFFIX,
        title=f"{search.title or 'Confirmation'} (the choice of the search, with new seeds)",
        paper="",
        exclude=(),
        parameters={**{name: (value,) for name, value in first.items()}, "seed": seeds},
        search=None,
        sampled=(),
        kept=tuple({**choices, "seed": seed} for choices in others for seed in seeds),
        data={},
        progress={},
    )


def _choices(search: Sweep, cell: Cell) -> dict[str, Any]:
    choices = search.choices_of(cell.point, cell.key)
    assert choices is not None  # a cell of this search
    return choices
