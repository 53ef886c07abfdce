"""Several sweeps in one table: shared settings side by side, one sweep below the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ddsweep.markup import markdown
from ddsweep.results.tables import formats, layout, naming
from ddsweep.results.tables.comparison import Comparison
from ddsweep.results.tables.formats import Record
from ddsweep.results.tables.layout import Grid
from ddsweep.results.tables.table import BASELINE, Row, Table
from ddsweep.sweep import Sweep


@dataclass(frozen=True)
class Part:
    """One sweep of several.

    Attributes:
        sweep: the sweep.
        table: its table.
        compared: the table beside another; None without one.
    """

    sweep: Sweep
    table: Table
    compared: Comparison | None = None

    @property
    def shown(self) -> Table | Comparison:
        """What is printed."""
        return self.compared or self.table


def records(parts: Sequence[Part]) -> list[Record]:
    """The records of all sweeps; if there are several, each record starts with the name of its sweep."""
    if len(parts) == 1:
        return formats.records(parts[0].shown)
    return [{"sweep": part.sweep.full_name} | record for part in parts for record in formats.records(part.shown)]


def grid(parts: Sequence[Part]) -> Grid:
    """A line per value of each sweep's axis and a column per setting; empty where a sweep does not have the setting.

    A field that one sweep fixes and another varies is part of the setting of both: an ablation at IPC 50 is below the
    IPC 50 of the next sweep. A field that is the axis of one sweep cannot be a column of all; it becomes part of the
    label of the line.
    """
    across = _across(parts)
    columns: dict[str, None] = {}
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for part in parts:
        for row in part.table.rows:
            column = _column(part, row, across)
            columns[column] = None
            for label, entry in ((label, row[label]) for label in part.table.columns if label in row):
                place = (_name(part, parts, row, across), _value(part.table, label))
                lines.setdefault(place, {})[column] = layout.plain(entry)
    body = [[*place, *(texts.get(column, "") for column in columns)] for place, texts in lines.items()]
    return Grid(["sweep", "value", *columns], 2, body)


def fits(parts: Sequence[Part]) -> bool:
    """Whether they fit into one ``grid``: several sweeps, none of them compared with something else."""
    return len(parts) > 1 and not any(part.compared for part in parts)


def as_markdown(parts: Sequence[Part]) -> str:
    """One table if they fit into one, else one table per sweep below its name."""
    if fits(parts):
        return "\n\n".join([formats.pipes(grid(parts)), *map(markdown, remarks(parts))])
    if len(parts) == 1:
        return formats.as_markdown(parts[0].shown)
    return "\n\n".join(f"**{markdown(part.sweep.full_name)}**\n\n{formats.as_markdown(part.shown)}" for part in parts)


def remarks(parts: Sequence[Part]) -> list[str]:
    """What the numbers of a ``grid`` are and what their marks mean; written once if it is the same for all sweeps."""
    said: dict[str, list[str]] = {}
    for part in parts:
        said.setdefault(layout.statement(part.table), []).append(part.sweep.name)
    names = ", ".join(part.sweep.full_name for part in parts)
    about = f"test accuracy in percent, mean ± std (difference to the baseline); {names}"
    lines = [(part, line) for part in parts for line in (*layout.notes(part.table), *layout.failures(part.table))]
    failed = [f"{part.sweep.full_name}: {line}" for part, line in lines]
    tests = [text if len(said) == 1 else f"{', '.join(names)}: {text}" for text, names in said.items() if text]
    return [about, *tests, *failed]


def _across(parts: Sequence[Part]) -> list[str]:
    """The fields that name a column: settings of at least one sweep, and the axis of none."""
    taken = {name for part in parts for name in (*part.sweep.axis, *part.sweep.baseline)}
    names = dict.fromkeys(name for part in parts for row in part.table.rows for name in layout.setting_of(row))
    return [name for name in names if name not in taken]


def _column(part: Part, row: Row, across: Sequence[str]) -> str:
    entry = next(iter(row.values()))
    own = layout.setting_of(row)  # a baseline without PTMs stands in the rows that it serves
    setting: dict[str, Any] = {name: own.get(name, naming.shown(entry.recipe, name)) for name in across}
    evaluated = naming.network(entry.eval_arch) if part.table.eval_archs else ""
    return " · ".join(filter(None, [_setting(setting, part), evaluated])) or "accuracy"


def _name(part: Part, parts: Sequence[Part], row: Row, across: Sequence[str]) -> str:
    alone = len({other.sweep.profile for other in parts}) == 1
    rest = {name: value for name, value in layout.setting_of(row).items() if name not in across}
    return " · ".join(filter(None, [part.sweep.name if alone else part.sweep.full_name, _setting(rest, part)]))


def _setting(values: Mapping[str, Any], part: Part) -> str:
    return naming.setting(values, as_paper=False, labels=part.table.labels)


def _value(table: Table, label: str) -> str:
    return label if label == BASELINE else f"{naming.field(table.axis)} {label}"
