"""A trial of a search whose points W&B draws, as this machine follows it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep.backends import Point, ledger
from ddsweep.backends.folders import FolderStore
from ddsweep.pruning import Looks

if TYPE_CHECKING:
    from ddsweep.recipe import Recipe
    from ddsweep.sweep import Sweep


class Watched:
    """A trial of a search that W&B deals: noted in the runs folder, and looked at for ``early_terminate``.

    W&B counts the accuracies that a run logs from 0 and compares the one that has the number of the band. So all up to
    there are told, and it is W&B that stops the run.

    Args:
        recipe: the experiment.
        name: ``NAME@PROFILE``.
        runs: the folder of all runs.
        sweep: what this machine knows of the sweep; None: nothing, and then nothing is looked at.
    """

    def __init__(self, recipe: Recipe, name: str, runs: Path, sweep: Sweep | None) -> None:
        self.last: tuple[int, float] | None = None
        self._store, self._name, self._point = FolderStore(runs), name, None
        early = None
        if sweep is not None and sweep.search is not None:
            params = {name: getattr(recipe, name) for name in sweep.swept}
            self._point = Point(recipe.key(), params, recipe.key(), recipe.title())
            self._store.note(self._name, self._point)
            early = sweep.search.early
        counted = range(1, max(early.bands) + 2) if early else ()
        steps = (early.step(one, recipe.iterations) for one in counted) if early else ()
        self._steps = tuple(step for step in steps if step < recipe.iterations)

    @property
    def looks(self) -> Looks | None:
        """For the trial; None where W&B stops nothing."""
        return Looks(self._steps, self._tell) if self._steps else None

    def _tell(self, step: int, accuracy: float) -> bool:
        self.last = step, accuracy
        return True

    def prune(self) -> str:
        """Note that W&B has stopped it; the reason."""
        assert self.last is not None and self._point is not None
        reason = ledger.pruned(*self.last)
        self._store.note(self._name, self._point, reason)
        return reason
