"""``ddsweep launch NAME --confirm N``: the best trial of a launched search, to be evaluated with new seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from ddsweep.sweep import Sweep


def confirming(name: str, profile: str | None, runs: Path, storage: str | None, seeds: int) -> Sweep:
    """The sweep ``NAME-confirm``: the best trial of a search and its baseline, with this number of new seeds.

    With several objectives, it has all trials of the Pareto front.

    Raises:
        UserError: the sweep was not launched, is no search, or has no finished trial yet; or ``seeds`` is out of range.
    """
    from ddsweep import again, launches
    from ddsweep.results import stored
    from ddsweep.results.tables import ranking
    from ddsweep.sweep.confirming import confirming as sweep_of

    search = launches.finished(name, profile, runs, storage)
    if search.search is None:
        raise UserError(f"confirm: {search.full_name} is a grid; only the best trial of a search can be confirmed")
    ranked = ranking.build(search, stored.collect(search, runs), runs)
    done = [one for one in ranked.trials if one.values and not one.baseline]
    if not done:
        progress = again.other("status", search.full_name)
        raise UserError(f"confirm: {search.full_name} has no finished trial yet; its progress: {progress}")
    best = [one for one in done if one.front] if len(ranked.objectives) > 1 else done[:1]
    if not best:
        raise UserError(f"confirm: no trial of {search.full_name} is on the Pareto front; its baseline is better")
    return sweep_of(search, [one.cell for one in best], seeds)
