"""Accuracy along the axis of a sweep, as data: the panels, series and points that every drawing of it shows.

``accuracy`` draws them for print with Matplotlib, ``interactive`` for the report and the dashboard with Plotly. A panel
is a value of the first setting (usually the method) and a series is one of the others; where there is only one setting,
its values share a panel. Accuracies are in percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ddsweep.percent import mean_std
from ddsweep.results.plots import style
from ddsweep.results.plots.axis import Axis
from ddsweep.results.tables import layout, naming
from ddsweep.results.tables.naming import BASELINE
from ddsweep.results.tables.table import Entry, Row, Table, setting_of
from ddsweep.text import joined

if TYPE_CHECKING:
    from ddsweep.results.tables.comparison import Comparison
    from ddsweep.results.tables.ranking import Ranking

MOST = len(style.COLORS)  # series in a panel


@dataclass(frozen=True)
class Point:
    """A finished entry.

    Attributes:
        index: which value of the axis.
        mean: accuracy.
        std: standard deviation over seeds and networks.
        n: how many networks; 0: unknown.
        baseline: whether others are compared with it.
        reference: the accuracy of its own baseline; None for a baseline, and without a finished one.
        detail: what else a reader who points at it wants to know.
        other: the accuracy of the same entry in the paper or in another sweep.
    """

    index: int
    mean: float
    std: float
    n: int = 0
    baseline: bool = False
    reference: float | None = None
    detail: str = ""
    other: float | None = None


@dataclass(frozen=True)
class Series:
    """A row of the table: a line, or dots of one kind.

    Attributes:
        name: its setting within the panel; empty where it is the only series.
        points: those that are finished, along the axis.
    """

    name: str
    points: list[Point]

    @property
    def references(self) -> list[float]:
        """The accuracies of the baselines of its points, each once; of a baseline alone, its own."""
        found = list(dict.fromkeys(one.reference for one in self.points if one.reference is not None))
        own = [point.mean for point in self.points if point.baseline]
        return found or (own if len(own) == 1 else [])

    @property
    def baseline(self) -> float | None:
        """The accuracy of the only baseline of its points; None where there is none, or several."""
        return self.references[0] if len(self.references) == 1 else None


@dataclass(frozen=True)
class Panel:
    """Series that share a pair of axes.

    Attributes:
        title: the setting that they share; empty where there is one panel.
        series: a row of the table each.
    """

    title: str
    series: list[Series]


@dataclass(frozen=True)
class Chart:
    """The figure.

    Attributes:
        axis: shared by all panels.
        panels: those with a finished entry.
        other: the name of what the accuracies stand beside: ``the paper``, another sweep; empty without one.
    """

    axis: Axis
    panels: list[Panel] = field(default_factory=list)
    other: str = ""

    @property
    def names(self) -> list[str]:
        """The names of the series of all panels, each once: the lines of a legend."""
        return list(dict.fromkeys(series.name for panel in self.panels for series in panel.series))


def chart(table: Table, comparison: Comparison | None = None, *, together: bool = False) -> Chart:
    """The figure of a table.

    Args:
        table: the table.
        comparison: numbers to show beside those of the table.
        together: whether all series share one panel.
    """
    axis = axis_of(table)
    names = list(setting_of(table.rows[0])) if table.rows else []
    split = not together and (len(names) + bool(table.eval_archs) > 1 or len(table.rows) > MOST)
    panels: dict[str, list[Series]] = {}
    for row in table.rows:
        setting = setting_of(row)
        title = naming.setting({name: setting[name] for name in names[:1]}, labels=table.labels) if split else ""
        rest = {name: value for name, value in setting.items() if name not in names[: int(split)]}
        evaluated = naming.network(next(iter(row.values())).eval_arch) if table.eval_archs else ""
        name = " · ".join(filter(None, [naming.setting(rest, labels=table.labels), evaluated]))
        panels.setdefault(title, []).append(_series(table, axis, name, row, comparison))
    finished = [Panel(title, some) for title, some in panels.items() if any(series.points for series in some)]
    if split and all(len(panel.series) == 1 for panel in finished):  # there is no legend, so the titles say everything
        finished = [
            Panel(joined(panel.title, only.name), [replace(only, name="")])
            for panel in finished
            for only in panel.series
        ]
    return Chart(axis, finished, comparison.title if comparison else "")


def axis_of(table: Table, *, sampled: bool = False) -> Axis:
    """The columns of a table as an axis. Without PTMs there is no epoch, so a baseline may lack a number."""
    entries = {entry.column: entry for entry in table.entries}
    labels = [naming.label(table.axis, column) for column in table.columns]
    values = [_value(table, entries[column]) if column in entries else None for column in table.columns]
    baseline = [index for index, column in enumerate(table.columns) if column == BASELINE]
    return Axis.of(naming.field(table.axis), labels, values, baseline, sampled=sampled)


def _value(table: Table, entry: Entry) -> Any:
    return entry.recipe.value(table.axes[0]) if len(table.axes) == 1 and entry.column != BASELINE else None


def _series(table: Table, axis: Axis, name: str, row: Row, comparison: Comparison | None) -> Series:
    points = [
        point
        for index, column in enumerate(table.columns)
        if column in row and (point := _point(index, row[column], table, comparison)) is not None
    ]
    positions = axis.positions
    return Series(name, sorted(points, key=lambda point: positions[point.index]))


def _point(index: int, entry: Entry, table: Table, comparison: Comparison | None) -> Point | None:
    if entry.mean is None:
        return None
    other, baseline = comparison.other(entry) if comparison else None, table.baseline_of(entry)
    beside = f"{comparison.title} {mean_std(other.mean, other.std)}" if comparison and other else ""
    return Point(
        index,
        100 * entry.mean,
        100 * (entry.std or 0.0),
        entry.n,
        entry.baseline,
        100 * baseline.mean if baseline and baseline.mean is not None else None,
        " · ".join(filter(None, [layout.share(entry), gain(entry), beside])),
        None if other is None else 100 * other.mean,
    )


def gain(entry: Entry) -> str:
    """``baseline``, or the difference from the baseline with its mark: ``+2.0*``."""
    return BASELINE if entry.baseline else layout.points(entry.difference).replace("-", "−") + layout.mark(entry)


def ranked(ranking: Ranking, table: Table) -> Chart:
    """The figure of a search along its axis: one panel, a series per choice of the parameters without a range.

    Args:
        ranking: the trials.
        table: the table of the search, whose columns are the axis.
    """
    labels, ranges = ranking.labels, ranking.sweep.search.ranges if ranking.sweep.search else {}
    columns = {entry.cells[0].key: table.columns.index(entry.column) for entry in table.entries}
    done = [one for one in ranking.trials if one.entry.mean is not None]
    means = {one.cell.key: 100 * (one.entry.mean or 0.0) for one in done}
    series: dict[str, list[Point]] = {}
    for one in done:
        entry, base = one.entry, one.entry.reference
        setting = {name: naming.shown(one.cell.recipe, name) for name in ranking.fields}
        others = {name: value for name, value in setting.items() if name not in (*table.axes, *ranges)}
        detail = [layout.share(entry), gain(entry), naming.setting(setting, labels=labels)]
        series.setdefault(naming.setting(others, labels=labels), []).append(
            Point(
                columns[one.cell.key], means[one.cell.key], 100 * (entry.std or 0.0), entry.n, entry.baseline,
                means.get(base[0].key) if base else None, " · ".join(filter(None, detail)),
            )
        )  # fmt: skip
    drawn = [Series(name, sorted(points, key=lambda point: point.index)) for name, points in series.items()]
    return Chart(axis_of(table, sampled=True), [Panel("", drawn)] if drawn else [])


def limits(positions: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis that shows ``positions``, with a margin of 4 % at either end."""
    low, high = min(positions, default=0.0), max(positions, default=1.0)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin
