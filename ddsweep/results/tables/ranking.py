"""The trials of a search, best first, each with its parameters; those of the Pareto front are marked.

A trial is an entry of a table (``entries``): one sampled point with all its seeds.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddsweep import again, percent
from ddsweep.recipe import Recipe
from ddsweep.results.states import State
from ddsweep.results.stored import Stored
from ddsweep.results.tables import by_group, entries, formats, layout, naming, significance
from ddsweep.results.tables.entries import Entry, Group
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.naming import Labels
from ddsweep.sweep import Cell, Sweep
from ddsweep.text import plural

FRONT = "front"
LOOKS = Path("checkpoint") / "looks.json"  # in a run folder, until the run has finished (``ddsweep.pruning``)
CONFIRMING = significance.FEWEST  # new seeds that are offered: enough to test


@dataclass(frozen=True)
class Ranked:
    """One trial.

    Attributes:
        entry: its cells, their accuracies, and the comparison with its baseline.
        looked: the step and the accuracy of the last intermediate evaluation of its unfinished cells; None: none.
        values: of the objectives, in their order; empty without a result.
        front: whether no other trial is at least as good in every objective, and better in one.
    """

    entry: Entry
    looked: tuple[int, float] | None
    values: tuple[float, ...] = ()
    front: bool = False

    @property
    def cell(self) -> Cell:
        """The cell with the first seed."""
        return self.entry.cells[0]

    @property
    def baseline(self) -> bool:
        """Whether others are compared with it."""
        return self.entry.baseline

    @property
    def difference(self) -> float | None:
        """Its difference from its baseline (``significance.compare``)."""
        return self.entry.difference


@dataclass(frozen=True)
class Ranking:
    """All trials of a search so far, ordered by the first objective; those without a result come last.

    Attributes:
        sweep: the search.
        trials: its trials.
        objectives: the metrics that are maximized.
        fields: the parameters that tell the trials apart.
        labels: the texts of their values.
    """

    sweep: Sweep
    trials: list[Ranked]
    objectives: tuple[str, ...]
    fields: tuple[str, ...]
    labels: Labels

    @property
    def best(self) -> list[Ranked]:
        """The best trial, or with several objectives the trials of the Pareto front."""
        done = [one for one in self.trials if one.values]
        return [one for one in done if one.front] if len(self.objectives) > 1 else done[:1]


def build(sweep: Sweep, stored: Stored, runs: Path, cells: Sequence[Cell] | None = None) -> Ranking:
    """Rank the trials of a search.

    Args:
        sweep: a search, with its points.
        stored: its results in the runs folder.
        runs: the folder of all runs, for the intermediate evaluations of unfinished trials.
        cells: those to show; default: all.
    """
    assert sweep.search is not None
    names = sweep.search.objectives
    found = entries.groups(sweep.cells if cells is None else cells)
    evaluated = [(group, arch) for group in found for arch in group[0].recipe.eval_archs.split("+")]
    each = entries.compared((entries.entry(group, arch, sweep, stored) for group, arch in evaluated), sweep)
    judged = [one for one in each if one.eval_arch == _reported(one.cells)]
    values = [_values(one, names, stored) for one in judged]
    front = _front(values)
    trials = [
        Ranked(entry, _looked(entry, runs), own, own in front)
        for entry, own in zip(judged, values, strict=True)
    ]  # fmt: skip
    fields = entries.identifying(sweep, found)
    labels = Labels.of((group[0].recipe for group in found), fields)
    trials.sort(key=lambda one: (*_rank(one), *_point(one, fields)))
    return Ranking(sweep, trials, names, fields, labels)


def _reported(group: Group) -> str:
    """The architecture whose accuracies are reported: that of the distillation, or else the first."""
    recipe: Recipe = group[0].recipe
    evaluated = recipe.eval_archs.split("+")
    return recipe.arch if recipe.arch in evaluated else evaluated[0]


def _rank(one: Ranked) -> tuple[bool, float]:
    """Trials with a result first, best first; then by the last intermediate accuracy."""
    return not one.values, -(one.values[0] if one.values else one.looked[1] if one.looked else -1.0)


def _point(one: Ranked, fields: Sequence[str]) -> list[tuple[bool, float, str]]:
    """What decides a tie, whatever the order in which the trials ran: the smaller number, or the word."""
    values = [naming.shown(one.cell.recipe, name) for name in fields]
    return [(False, float(one), "") if isinstance(one, int | float) else (True, 0.0, str(one)) for one in values]


def _values(entry: Entry, names: Sequence[str], stored: Stored) -> tuple[float, ...]:
    """The objectives: means over all networks of the finished cells; empty unless all are known."""
    results = [stored.results[cell.key] for cell in entry.cells if cell.key in stored.results]
    found = []
    for name in names:
        arch = name.partition("/")[2] or entry.eval_arch
        found.append([value for result in results for value in result.accuracies.get(arch, ())])
    return tuple(map(statistics.fmean, found)) if all(found) else ()


def _front(values: Sequence[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """The values that no other trial's dominate."""
    done = {own for own in values if own}
    return {own for own in done if not any(_dominates(other, own) for other in done)}


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def _looked(entry: Entry, runs: Path) -> tuple[int, float] | None:
    """The last intermediate evaluation of the cells that have none other, averaged over those at the last step."""
    unfinished = [key for key, one in entry.states.items() if one.state is not State.DONE]
    looks = [look for key in unfinished if (look := _last_look(runs / key))]
    last = max((step for step, _ in looks), default=0)
    return (last, statistics.fmean(accuracy for step, accuracy in looks if step == last)) if looks else None


def _last_look(folder: Path) -> tuple[int, float] | None:
    """The last intermediate evaluation of an unfinished cell; another process may be writing the file."""
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
    axes = list(ranking.fields)
    measured = [_head(name) for name in ranking.objectives] if several else ["accuracy"]
    groups = [by_group.title(name) for name in by_group.NAMES]
    front = [FRONT] if several else []
    heads = [*map(naming.field, axes), *measured, "vs baseline", *groups, *front, "intermediate"]
    best, lines = {one.cell.key for one in ranking.best}, []
    for one in ranking.trials:
        difference = layout.points(one.difference) + (significance.UNPAIRED if _unpaired(one.entry) else "")
        texts = [*_place(one, ranking), *_measured(one, several, len(measured)), difference, *_by_group(one)]
        lines.append([*texts, *([FRONT if one.front else ""] if several else []), intermediate(one)])
    found = Grid(heads, len(axes), lines)
    empty = {index for index in range(len(axes), len(heads)) if not any(line[index] for line in lines)}
    kept = [index for index in range(len(heads)) if index not in empty or index < len(axes) + len(measured)]
    bold = frozenset(index for index, one in enumerate(ranking.trials) if one.cell.key in best)
    return Grid([found.heads[i] for i in kept], len(axes), [[line[i] for i in kept] for line in lines], bold)


def _by_group(one: Ranked) -> list[str]:
    means = (by_group.mean(one.entry, name) for name in by_group.NAMES)
    return ["" if mean is None else percent.percent(mean) for mean in means]


def _unpaired(entry: Entry) -> bool:
    return entry.verdict is not None and entry.verdict.unit == "none"


def _head(objective: str) -> str:
    arch = objective.partition("/")[2]
    return naming.network(arch) if arch else "accuracy"


def _place(one: Ranked, ranking: Ranking) -> list[str]:
    recipe = one.cell.recipe
    texts = [ranking.labels.paper(name, naming.shown(recipe, name)) for name in ranking.fields]
    return [f"{texts[0]} (baseline)", *texts[1:]] if one.baseline else texts


def _measured(one: Ranked, several: bool, columns: int) -> list[str]:
    if not one.values:
        return [layout.absent(one.entry)] * columns
    if not several:
        return [layout.number(one.entry)]
    return [" ".join(filter(None, [percent.percent(value), layout.share(one.entry)])) for value in one.values]


def intermediate(one: Ranked) -> str:
    """``75.5 at step 25 of 100``: the last intermediate evaluation; empty without one."""
    if one.looked is None:
        return ""
    step, accuracy = one.looked
    return f"{percent.percent(accuracy)} at step {step} of {one.cell.recipe.iterations}"


def records(ranking: Ranking) -> list[dict[str, Any]]:
    """A flat record per trial; accuracies are fractions."""
    found = []
    groups = [name for name in by_group.NAMES if any(by_group.mean(one.entry, name) for one in ranking.trials)]
    for one in ranking.trials:
        entry, recipe = one.entry, one.cell.recipe
        record = {name: formats.plain(naming.shown(recipe, name)) for name in ranking.fields}
        record |= {"accuracy": entry.mean, "accuracy_std": entry.std, "n": entry.n, "seeds": len(entry.samples)}
        record["rule"] = recipe.eval_rule
        record |= {name: by_group.mean(entry, name) for name in groups}
        compared = formats.comparison(entry)
        record |= {name: compared[name] for name in ("baseline", "difference", "paired_by", "pairs", "common_seeds")}
        if len(ranking.objectives) > 1:
            values = one.values or (None,) * len(ranking.objectives)
            record |= dict(zip(ranking.objectives, values, strict=True)) | {FRONT: one.front}
        looked = one.looked or (None, None)
        record |= {"looked_at_step": looked[0], "accuracy_so_far": looked[1]} | formats.states(entry)
        found.append(record | {"keys": " ".join(cell.key for cell in entry.cells)})
    return found


def failures(ranking: Ranking) -> list[str]:
    """A line per failed trial, and why it failed."""
    return [
        f"failed: {ranking.sweep.cell_title(one.cell.recipe)}: {reason}"
        for one in ranking.trials
        for reason in one.entry.reasons(State.FAILED)
    ]  # fmt: skip


def caption(ranking: Ranking) -> str:
    """The footer: what the numbers are, and what the order means."""
    several = len(ranking.objectives) > 1
    order = f"by {ranking.objectives[0]}; bold: the Pareto front" if several else "best first"
    over = layout.over([one.entry for one in ranking.trials])
    return f"test accuracy in percent, {order}, {over} · {ranking.sweep.full_name}"


def notes(ranking: Ranking) -> list[str]:
    """What a reader must know: the evaluation rules, how the best was chosen, and which seeds were compared."""
    rules = layout.rules([one.entry for one in ranking.trials])
    return list(filter(None, [rules, _chosen(ranking), _compared(ranking), _seeds(ranking), _in_common(ranking)]))


def _chosen(ranking: Ranking) -> str:
    done = [one for one in ranking.trials if one.values and not one.baseline]
    if len(done) < 2 or all(one.baseline for one in ranking.best):
        return ""
    which = "the front was" if len(ranking.objectives) > 1 else "the best was"
    command = again.other("launch", ranking.sweep.full_name, "--confirm", str(CONFIRMING))
    return (
        f"{which} chosen among {plural(len(done), 'trial')} by the test accuracy shown, which is therefore too good on "
        f"average; to evaluate it on {CONFIRMING} new seeds: {command}"
    )


def _compared(ranking: Ranking) -> str:
    """What the differences are; there is no test, because it would ignore that the search chose by these numbers."""
    verdicts = [one.entry.verdict for one in ranking.trials if one.entry.verdict]
    pairs = [significance.paired(verdicts)] if any(one.unit != "none" for one in verdicts) else []
    unpaired = [significance.NOT_PAIRED] if any(one.unit == "none" for one in verdicts) else []
    return "; ".join([*(f"vs baseline: {text}, not tested" for text in pairs), *unpaired])


def _seeds(ranking: Ranking) -> str:
    """Whether the seed is one of the things that the search chose."""
    seeds = [tuple(cell.recipe.seed for cell in one.entry.cells) for one in ranking.trials]
    counts = Counter(seeds)
    if len(counts) < 2 or any(len(some) > 1 for some in seeds):
        return ""
    return "every trial has one seed, which the search chose too: differences between trials include that of the seeds"


def _in_common(ranking: Ranking) -> str:
    partial = [
        f"{_named(one, ranking)}: {one.entry.verdict.common} of {plural(one.entry.verdict.seeds, 'seed')}"
        for one in ranking.trials
        if one.entry.verdict and 0 < one.entry.verdict.common < one.entry.verdict.seeds
    ]
    return f"seeds in common with the baseline: {', '.join(partial)}" if partial else ""


def _named(one: Ranked, ranking: Ranking) -> str:
    values: Mapping[str, Any] = {name: naming.shown(one.cell.recipe, name) for name in ranking.fields}
    return naming.setting(values, labels=ranking.labels)
