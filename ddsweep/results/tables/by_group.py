"""Accuracy by group, for sweeps on datasets whose images have attributes: a second table below that of all images.

The number of an entry is the mean over its finished cells. The difference is to the entry's baseline, on the seeds that
both have; it is not tested.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ddsweep import percent
from ddsweep.results.tables import naming, significance
from ddsweep.results.tables.entries import Entry
from ddsweep.results.tables.layout import Grid, points, without_empty
from ddsweep.results.tables.table import Row, Table, setting_of

NAMES = ("aligned", "conflicting", "worst_group")
MEANING = (
    "aligned: test images with the attribute of their class; conflicting: all others; worst group: the class and "
    "attribute that a network recognizes least"
)
CAPTION = f"accuracy by group in percent, mean over the networks (difference to the baseline, not tested); {MEANING}"


def title(name: str) -> str:
    """A group in the head of a column or line."""
    return name.replace("_", " ")


def sentence(groups: Mapping[str, float | None]) -> str:
    """The accuracies in percent: ``aligned 95.1, conflicting 40.2, worst group 3.0``."""
    return ", ".join(f"{title(name)} {'–' if one is None else percent.percent(one)}" for name, one in groups.items())


def shown(table: Table) -> tuple[str, ...]:
    """The groups that some entry of a table has a number for; none for a dataset without attributes."""
    return tuple(name for name in NAMES if any(mean(entry, name) is not None for entry in table.entries))


def mean(entry: Entry, name: str) -> float | None:
    """The accuracy of an entry on a group; None while nothing is finished, or if no test image is in the group."""
    return _mean(entry, name, entry.by_group)


def difference(entry: Entry, baseline: Entry | None, name: str) -> float | None:
    """The difference of an entry from its baseline, over the seeds in common; without one, that of their means."""
    if baseline is None:
        return None
    common = entry.by_group.keys() & baseline.by_group.keys()
    own, other = (_mean(one, name, common or one.by_group) for one in (entry, baseline))
    return None if own is None or other is None else own - other


def _mean(entry: Entry, name: str, seeds: Iterable[int]) -> float | None:
    values = [value for seed in seeds if (value := entry.by_group[seed].get(name)) is not None]
    return statistics.fmean(values) if values else None


def text(table: Table, entry: Entry | None, name: str) -> str:
    """The accuracy of an entry on a group with its difference: ``41.2 (+1.3)``; empty without one."""
    found = mean(entry, name) if entry else None
    if entry is None or found is None:
        return ""
    baseline = table.baseline_of(entry)
    own = difference(entry, baseline, name)
    unpaired = baseline and not entry.by_group.keys() & baseline.by_group.keys()
    mark = significance.UNPAIRED if own is not None and unpaired else ""
    return percent.percent(found) + (f" ({points(own)}{mark})" if own is not None else "")


def across(table: Table, *, as_paper: bool = False) -> Grid:
    """A line per setting and group, a column per value of the axis; ``as_paper``: in the paper's words."""
    names = shown(table)
    lines = [
        [*_place(table, row, as_paper), title(name), *(text(table, row.get(one), name) for one in table.columns)]
        for row in table.rows
        for name in names
    ]
    heads = ["setting", "evaluated", naming.field(table.axis), *(naming.label(table.axis, x) for x in table.columns)]
    return without_empty(Grid(heads, 3, lines))


def down(table: Table) -> Grid:
    """A line per setting and value of the axis, a column per group."""
    names = shown(table)
    lines = [
        [*_place(table, row, as_paper=False), column, *(text(table, row[column], name) for name in names)]
        for row in table.rows
        for column in table.columns
        if column in row
    ]
    heads = ["setting", "evaluated", naming.field(table.axis), *map(title, names)]
    return without_empty(Grid(heads, 3, lines))


def record(entry: Entry, baseline: Entry | None, names: Sequence[str]) -> dict[str, Any]:
    """The accuracies of an entry on these groups as fractions, and their differences from its baseline."""
    found: dict[str, Any] = {name: mean(entry, name) for name in names}
    return found | {f"{name}_difference": difference(entry, baseline, name) for name in names}


def _place(table: Table, row: Row, as_paper: bool) -> Sequence[str]:
    arch = next(iter(row.values())).eval_arch if table.eval_archs else ""
    setting = naming.setting(setting_of(row), as_paper=as_paper, labels=table.labels)
    return setting, naming.network(arch) if arch else ""
