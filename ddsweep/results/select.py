"""Some cells of a sweep: those of which a condition holds, and the baselines they are compared with."""

from __future__ import annotations

from typing import Any

from ddsweep.errors import UserError
from ddsweep.expression import Expression
from ddsweep.recipe import Recipe
from ddsweep.sweep import Cell, Sweep

NAMES = (*Recipe.model_fields, "n_archs")


def where(sweep: Sweep, text: str) -> tuple[Cell, ...]:
    """The cells of which the condition ``text`` (``expression``) holds, in their order.

    The baseline of a row stays while any cell of the row does, whatever the condition says of it: it has no PTMs, so
    ``n_models > 1`` is never true of it, and without it there would be nothing to compare with.

    Args:
        sweep: whose cells.
        text: about the fields of the recipe, and ``n_archs`` (N_a). ``source`` is the dataset's own name, as tables
            show it.

    Raises:
        UserError: it is no such condition, or holds of no cell.
    """
    try:
        condition = Expression.parse(text, NAMES)
        chosen = {cell.key for cell in sweep.cells if condition.holds(_choices(cell.recipe))}
    except UserError as error:
        raise UserError(f"--where: {error}") from None
    rows = {_row(sweep, cell) for cell in sweep.cells if cell.key in chosen and not sweep.is_baseline(cell.recipe)}
    kept = tuple(
        cell
        for cell in sweep.cells
        if cell.key in chosen or (sweep.is_baseline(cell.recipe) and _row(sweep, cell) in rows)
    )
    if not kept:
        raise UserError(f"--where: {text!r} holds of none of the {len(sweep.cells)} cells of {sweep.full_name}")
    return kept


def _choices(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump() | {"source": recipe.source_dataset if recipe.source else "", "n_archs": recipe.n_archs}


def _row(sweep: Sweep, cell: Cell) -> tuple[Any, ...]:
    """What a cell shares with its baseline: the setting and the seed."""
    names = [name for name in sweep.swept if name not in (*sweep.axis, *sweep.baseline)]
    return tuple(getattr(cell.recipe, name) for name in [*names, "seed"])
