"""What of a table becomes a line, a bar or a panel.

A panel is a value of the first setting (the method, mostly) and a line one of the others; where there is but one
setting its values share a panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ddsweep.results import drawing, naming
from ddsweep.results.labels import BASELINE
from ddsweep.results.table import Entry, Row, Table, setting_of

MOST = len(drawing.COLOURS)  # lines in a panel


@dataclass(frozen=True)
class Series:
    """A line, or the bars of one kind: a row of the table.

    Attributes:
        name: what tells it from the others of its panel; empty where it is alone.
        entries: those that are finished, along the axis.
        baseline: the one that they are compared with; None where there is none, or none yet.
    """

    name: str
    entries: list[Entry]
    baseline: Entry | None


@dataclass(frozen=True)
class Panel:
    """Series that share a pair of axes.

    Attributes:
        title: what they have in common; empty where there is one panel.
        series: by row of the table.
    """

    title: str
    series: list[Series]


def numeric(table: Table) -> bool:
    """Whether the values of the axis are numbers, of which one may be between two others."""
    if len(table.axes) != 1:
        return False
    values = [getattr(entry.recipe, table.axes[0]) for entry in table.entries if not entry.baseline]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def place(table: Table, entry: Entry) -> Any:
    """Where an entry stands on the axis of a ``numeric`` table."""
    return getattr(entry.recipe, table.axes[0])


def panels(table: Table) -> list[Panel]:
    """The rows of a table, sorted into panels."""
    names = list(setting_of(table.rows[0])) if table.rows else []
    split = len(names) + bool(table.eval_archs) > 1 or len(table.rows) > MOST
    found: dict[str, list[Series]] = {}
    for row in table.rows:
        setting = setting_of(row)
        title = _words({name: setting[name] for name in names[:1]}) if split else ""
        rest = {name: value for name, value in setting.items() if name not in names[: int(split)]}
        evaluated = naming.network(_any(row).eval_arch) if table.eval_archs else ""
        name = " · ".join(filter(None, [_words(rest), evaluated]))
        found.setdefault(title, []).append(_series(table, name, row))
    return [Panel(title, series) for title, series in found.items()]


def _series(table: Table, name: str, row: Row) -> Series:
    entries = [row[column] for column in table.columns if column in row]
    baseline = next((entry for entry in entries if entry.baseline and entry.mean is not None), None)
    shown = [entry for entry in entries if entry.mean is not None and not (numeric(table) and _apart(table, entry))]
    if numeric(table):
        shown.sort(key=lambda entry: place(table, entry))
    return Series(name, shown, baseline)


def _apart(table: Table, entry: Entry) -> bool:
    """A baseline that is no point of the axis: without PTMs there is no epoch. α = 0 is one."""
    return entry.baseline and entry.column == BASELINE


def _any(row: Row) -> Entry:
    return next(iter(row.values()))


def _words(setting: dict[str, Any]) -> str:
    return " · ".join(
        text if name in naming.SPOKEN else f"{naming.field(name)} {text}"
        for name, text in ((name, naming.value(name, str(value))) for name, value in setting.items())
    )


def titles(panels: Sequence[Panel]) -> list[str]:
    """What the series of all panels are called, each once: the lines of a legend."""
    return list(dict.fromkeys(series.name for panel in panels for series in panel.series))
