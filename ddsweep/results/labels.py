"""What the columns of a sweep's table are called, in the recipe's words."""

from __future__ import annotations

from ddsweep.recipe import Recipe
from ddsweep.sweep import Sweep

BASELINE = "baseline"


def axis(sweep: Sweep) -> str:
    """The parameters of the columns, joined by ``×``."""
    counted = _counted(sweep)
    return " × ".join("n_archs" if name == "archs" and counted else name for name in sweep.axis)


def column_label(sweep: Sweep, recipe: Recipe) -> str:
    """The values of the axis in words; the baseline of a sweep that does not vary its own axis is ``baseline``."""
    if sweep.is_baseline(recipe) and not set(sweep.axis) <= set(sweep.baseline):
        return BASELINE
    counted = _counted(sweep)
    return " × ".join(
        str(recipe.n_archs) if name == "archs" and counted else axis_value(recipe, name) for name in sweep.axis
    )


def axis_value(recipe: Recipe, name: str) -> str:
    """A field as people read it."""
    value = recipe.source_dataset if name == "source" else getattr(recipe, name)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _counted(sweep: Sweep) -> bool:
    """Beside another axis a set of architectures is written as its length, N_a, if that tells all sets apart."""
    sets = {cell.recipe.archs for cell in sweep.cells if not sweep.is_baseline(cell.recipe)}
    return len(sweep.axis) > 1 and "archs" in sweep.axis and len(sets) == len({len(one.split("+")) for one in sets})


def notes(sweep: Sweep) -> tuple[str, ...]:
    """What a label stands for, where it is an abbreviation."""
    sets = {cell.recipe.archs: cell.recipe.n_archs for cell in sweep.cells if cell.recipe.archs}
    return tuple(f"N_a {count}: {archs}" for archs, count in sets.items()) if _counted(sweep) else ()
