"""The cells behind the numbers of a table, one record each."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from ddsweep import percent
from ddsweep.results import states
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import by_group, entries, formats, naming
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.naming import Labels
from ddsweep.sweep import Cell, Sweep

Record = dict[str, Any]
HIDDEN = (
    "accuracy", "accuracy_std", "n", "state", "reason", "key", "baseline", "baseline_key", "seconds", "device",
    *by_group.NAMES,
)  # fmt: skip


def records(sweep: Sweep, stored: Stored, cells: Sequence[Cell] | None = None) -> list[Record]:
    """A record per cell and evaluated architecture; accuracies are fractions.

    Args:
        sweep: the sweep.
        stored: its results in the runs folder.
        cells: those to list; default: all.

    Returns:
        The settings that tell the cells apart, the seed, the accuracies, also by group if the dataset has attributes,
        the state with its reason, the key of the cell and that of its baseline, seconds, and device.
    """
    found = entries.groups(sweep.cells if cells is None else cells)
    fields = entries.identifying(sweep, found)
    several = any("+" in group[0].recipe.eval_archs for group in found)
    return [
        record
        for group in found
        for cell in group
        for arch in cell.recipe.eval_archs.split("+")
        for record in [_record(cell, arch if several else "", fields, sweep, stored)]
    ]  # fmt: skip


def grid(lines: Sequence[Record]) -> Grid:
    """The records as lines of text, without those columns that only scripts need."""
    groups = [name for name in by_group.NAMES if any(line.get(name) is not None for line in lines)]
    numbers = ("accuracy", *map(by_group.title, groups), "state", "key", "compared with")
    differ = len({line["rule"] for line in lines}) > 1 and not any("eval_rule" in line for line in lines)
    hidden = HIDDEN if differ else (*HIDDEN, "rule")
    names = [name for name in dict.fromkeys(name for line in lines for name in line) if name not in hidden]
    labels = Labels({name: naming.texts(line[name] for line in lines if name in line) for name in names})
    texts = [
        [*(labels.text(name, line[name]) if name in line else "" for name in names), *_numbers(line, groups)]
        for line in lines
    ]
    return Grid([*map(naming.field, names), *numbers], len(names), texts)


def _numbers(line: Record, groups: Sequence[str]) -> list[str]:
    mean, std = line["accuracy"], line["accuracy_std"]
    state = f"{line['state']}: {line['reason']}" if line["reason"] else line["state"]
    against = "baseline" if line["baseline"] else line["baseline_key"]
    shares = [percent.percent(share) if (share := line.get(name)) is not None else "" for name in groups]
    return [percent.mean_std(mean, std) if mean is not None else "", *shares, state, line["key"], against]


def _record(cell: Cell, arch: str, fields: Iterable[str], sweep: Sweep, stored: Stored) -> Record:
    recipe, state = cell.recipe, states.of(cell, sweep, stored)
    result = stored.results.get(cell.key)
    evaluated = arch or recipe.eval_archs
    accuracies = result.accuracies.get(evaluated, []) if result else []
    groups = result.group_accuracy.get(evaluated, {}) if result else {}
    baseline = sweep.baselines.get(cell.key, "")
    place: Record = {name: formats.plain(naming.shown(recipe, name)) for name in fields} | {"seed": recipe.seed}
    return (
        place
        | ({"eval_arch": arch} if arch else {})
        | {
            "accuracy": statistics.fmean(accuracies) if accuracies else None,
            "accuracy_std": statistics.pstdev(accuracies) if accuracies else None,
            "n": len(accuracies), **groups, "rule": recipe.eval_rule, "state": state.state.value,
            "reason": state.reason, "key": cell.key, "baseline": baseline == cell.key,
            "baseline_key": "" if baseline == cell.key else baseline,
        }
        | _made(result)
    )  # fmt: skip


def _made(result: Result | None) -> Record:
    seconds = sum(result.seconds.values()) if result else None
    return {"seconds": seconds, "device": result.device if result else ""}
