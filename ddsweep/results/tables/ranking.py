"""The trials of a search, best first, each with its parameters; those of the Pareto front are marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddsweep.errors import NO_REASON
from ddsweep.results.result import Result
from ddsweep.results.tables import layout, naming
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.naming import axis_value
from ddsweep.sweep import Cell, Sweep

FRONT = "front"
LOOKS = Path("checkpoint") / "looks.json"  # in a run folder, until the run has finished (``ddsweep.pruning``)


@dataclass(frozen=True)
class Ranked:
    """One trial.

    Attributes:
        cell: the experiment.
        baseline: whether the others are compared with it.
        result: None while the trial has not ended, or if it was pruned.
        looked: the step and the accuracy of its last intermediate evaluation; None: it had none.
        values: of the objectives, in their order; empty without a result.
        difference: accuracy minus the accuracy of its baseline.
        front: whether no other trial is at least as good in every objective, and better in one.
        failed: why it failed; empty if it did not.
    """

    cell: Cell
    baseline: bool
    result: Result | None
    looked: tuple[int, float] | None
    values: tuple[float, ...] = ()
    difference: float | None = None
    front: bool = False
    failed: str = ""


@dataclass(frozen=True)
class Ranking:
    """All trials of a search so far, ordered by the first objective; those without a result come last.

    Attributes:
        sweep: the search.
        trials: its trials.
        objectives: the metrics that are maximized.
    """

    sweep: Sweep
    trials: list[Ranked]
    objectives: tuple[str, ...]

    @property
    def best(self) -> list[Ranked]:
        """The best trial, or with several objectives the trials of the Pareto front."""
        done = [one for one in self.trials if one.values]
        return [one for one in done if one.front] if len(self.objectives) > 1 else done[:1]


def build(sweep: Sweep, found: Mapping[str, Result], runs: Path, cells: Sequence[Cell] | None = None) -> Ranking:
    """Rank the trials of a search.

    Args:
        sweep: a search, with its points.
        found: its finished runs, by key.
        runs: the folder of all runs, for the intermediate evaluations of unfinished trials.
        cells: those to show; default: all.
    """
    assert sweep.search is not None
    names = sweep.search.objectives
    chosen = sweep.cells if cells is None else cells
    values = {cell.key: _values(found.get(cell.key), names) for cell in chosen}
    front = _front(values)
    trials = [
        Ranked(
            cell, sweep.is_baseline(cell.recipe), found.get(cell.key), _looked(runs / cell.key), values[cell.key],
            _difference(sweep, cell, chosen, found), cell.key in front, _failure(sweep, cell, found.get(cell.key)),
        )
        for cell in chosen
    ]  # fmt: skip
    return Ranking(sweep, sorted(trials, key=_rank), names)


def _failure(sweep: Sweep, cell: Cell, result: Result | None) -> str:
    if result is None:
        progress = sweep.progress.get(cell.key)
        return progress.reason if progress and progress.state == "failed" else ""
    return (result.reason or NO_REASON) if result.state == "failed" else ""


def _rank(one: Ranked) -> tuple[bool, float]:
    """Trials with a result first, best first; then by the last intermediate accuracy."""
    return not one.values, -(one.values[0] if one.values else one.looked[1] if one.looked else -1.0)


def _values(result: Result | None, names: Sequence[str]) -> tuple[float, ...]:
    summary = result.summary() if result else {}
    return tuple(summary[name] for name in names) if all(name in summary for name in names) else ()


def _front(values: Mapping[str, tuple[float, ...]]) -> set[str]:
    """The keys of the trials that no other trial dominates."""
    done = {key: own for key, own in values.items() if own}
    return {key for key, own in done.items() if not any(_dominates(other, own) for other in done.values())}


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def _difference(sweep: Sweep, cell: Cell, cells: Sequence[Cell], found: Mapping[str, Result]) -> float | None:
    """The difference to the baseline with the same values of all categorical parameters that it does not set itself."""
    ranges = sweep.search.ranges if sweep.search else {}
    setting = [name for name in sweep.swept if name not in (*sweep.baseline, *ranges)]
    own = found.get(cell.key)
    for other in cells:
        if not sweep.is_baseline(other.recipe) or other.key == cell.key:
            continue
        if any(getattr(other.recipe, name) != getattr(cell.recipe, name) for name in setting):
            continue
        there = found.get(other.key)
        if own and there and own.accuracy is not None and there.accuracy is not None:
            return own.accuracy - there.accuracy
    return None


def _looked(folder: Path) -> tuple[int, float] | None:
    """The last intermediate evaluation of an unfinished trial; another process may be writing the file."""
    try:
        seen = json.loads((folder / LOOKS).read_text(encoding="utf-8"))
        return max((int(step), float(accuracy)) for step, accuracy in seen.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def grid(ranking: Ranking) -> Grid:
    """A line per trial: parameters, accuracy, difference to the baseline, and the last intermediate accuracy.

    The best trials are bold.
    """
    several = len(ranking.objectives) > 1
    axes = list(ranking.sweep.swept)
    measured = [_head(name) for name in ranking.objectives] if several else ["accuracy"]
    heads = [*map(naming.field, axes), *measured, "vs baseline", *([FRONT] if several else []), "intermediate"]
    best, lines = {one.cell.key for one in ranking.best}, []
    for one in ranking.trials:
        texts = [*_place(one, axes), *_measured(one, several, len(measured)), layout.points(one.difference)]
        lines.append([*texts, *([FRONT if one.front else ""] if several else []), _intermediate(one)])
    found = Grid(heads, len(axes), lines)
    empty = {index for index in range(len(axes), len(heads)) if not any(line[index] for line in lines)}
    kept = [index for index in range(len(heads)) if index not in empty or index < len(axes) + len(measured)]
    bold = frozenset(index for index, one in enumerate(ranking.trials) if one.cell.key in best)
    return Grid([found.heads[i] for i in kept], len(axes), [[line[i] for i in kept] for line in lines], bold)


def _head(objective: str) -> str:
    arch = objective.partition("/")[2]
    return naming.network(arch) if arch else "accuracy"


def _place(one: Ranked, axes: Sequence[str]) -> list[str]:
    texts = [naming.value(name, axis_value(one.cell.recipe, name)) for name in axes]
    return [f"{texts[0]} (baseline)", *texts[1:]] if one.baseline else texts


def _measured(one: Ranked, several: bool, columns: int) -> list[str]:
    if several:
        return [f"{100 * value:.1f}" for value in one.values] or ["failed" if one.failed else "–"] * columns
    result = one.result
    if result is None:
        return ["failed" if one.failed else "–"]
    return [layout.mean_std(result.accuracy, result.accuracy_std, result.state == "failed")]


def _intermediate(one: Ranked) -> str:
    if one.result is not None or one.looked is None:
        return ""
    step, accuracy = one.looked
    return f"{100 * accuracy:.1f} at step {step} of {one.cell.recipe.iterations}"


def records(ranking: Ranking) -> list[dict[str, Any]]:
    """A flat record per trial; accuracies are fractions."""
    found = []
    for one in ranking.trials:
        result, looked = one.result, one.looked if one.result is None else None
        record: dict[str, Any] = {name: getattr(one.cell.recipe, name) for name in ranking.sweep.swept}
        record |= {
            "accuracy": result.accuracy if result else None, "accuracy_std": result.accuracy_std if result else None,
            "n": len(result.headline) if result else 0, "baseline": one.baseline, "difference": one.difference,
        }  # fmt: skip
        if len(ranking.objectives) > 1:
            values = one.values or (None,) * len(ranking.objectives)
            record |= dict(zip(ranking.objectives, values, strict=True)) | {FRONT: one.front}
        record |= {"looked_at_step": looked and looked[0], "accuracy_so_far": looked and looked[1]}
        found.append(record | {"failed": one.failed, "key": one.cell.key})
    return found


def failures(ranking: Ranking) -> list[str]:
    """A line per failed trial, and why it failed."""
    return [f"failed: {one.cell.recipe.title()}: {one.failed}" for one in ranking.trials if one.failed]


def caption(ranking: Ranking) -> str:
    """The footer: what the numbers are."""
    counts = sorted({len(one.result.headline) for one in ranking.trials if one.result and one.result.headline})
    networks = "–".join(str(count) for count in dict.fromkeys((counts[0], counts[-1]))) if counts else "no"
    ended = sum(one.result is not None or bool(one.failed) for one in ranking.trials)
    several = len(ranking.objectives) > 1
    order = f"by {ranking.objectives[0]}; bold: the Pareto front" if several else "best first"
    spread = f"{'mean' if several else 'mean ± std'} over {networks} networks"
    rest = f"; {len(ranking.trials) - ended} without a result" if ended < len(ranking.trials) else ""
    return f"test accuracy in percent, {spread}, {order}{rest} · {ranking.sweep.full_name}"
