"""Dots of accuracy for settings that are words, each with its number and ± std, and a tick where its baseline is.

Not bars: a bar has to begin at zero, and settings differ by tenths of a point where accuracies are fifty or ninety.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ddsweep.results import drawing, naming, series
from ddsweep.results.series import Panel, Series
from ddsweep.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # panels beside each other
LETTERS = 24  # in a line of a label; longer ones go on below
ROW, LINE, HEAD, LEGEND = (
    0.145,
    0.115,
    0.35,
    0.45,
)  # inches: height of a dot's row, a line of text, a title, axis and legend
FILLED = 0.84  # of the height of a category
TICK: dict[str, Any] = {"color": drawing.INK, "linestyle": (0, (1.2, 0.8)), "linewidth": 1.3}  # of the baseline
LEAST = 2.0  # points that an axis spans at least, so that noise does not look like a finding
ROOM = 0.05, 0.3  # of what the dots span: left and right of them, where their numbers have a place


def dots_size(panels: Sequence[Panel], table: Table) -> tuple[float, float]:
    """Inches: one column for one panel, a page for several."""
    each = max(ROW * max(len(panel.series) for panel in panels) / FILLED, LINE * _label_lines(table) + ROW / 3)
    down = math.ceil(len(panels) / ACROSS)
    height = down * (each * len(table.columns) + HEAD) + LEGEND
    return drawing.COLUMN if len(panels) == 1 else drawing.PAGE, height


def draw_dots(figure: Figure, panels: Sequence[Panel], table: Table) -> None:
    """Panels that share their categories, which are written down the left side, where long names have room.

    Each has its own scale of accuracy, for methods lie far apart.
    """
    across = min(ACROSS, len(panels))
    grid = figure.subplots(math.ceil(len(panels) / across), across, squeeze=False, sharey=True).ravel()
    names = series.titles(panels)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        for one in panel.series:
            _dots(axes, one, table, names.index(one.name), len(names))
        axes.set_title(panel.title)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=drawing.FAINT, linewidth=0.5)
        axes.set_xlim(*_span(panel))
    grid[0].set_yticks(range(len(table.columns)), _labels(table))
    grid[0].set_ylim(len(table.columns) - 0.5, -0.5)
    figure.supxlabel("test accuracy (%)")
    figure.supylabel(naming.field(table.axis).replace("N_m", "$N_m$").replace("N_a", "$N_a$"))
    _dots_legend(figure, panels, names)


def _span(panel: Panel) -> tuple[float, float]:
    """The accuracies of a panel, with room around them."""
    entries = [entry for one in panel.series for entry in one.entries if entry.mean is not None]
    entries += [one.baseline for one in panel.series if one.baseline and one.baseline.mean is not None]
    low, high = (
        end(100 * ((entry.mean or 0.0) + sign * (entry.std or 0.0)) for entry in entries)
        for end, sign in ((min, -1), (max, 1))
    )
    wide = max(high - low, LEAST)
    middle = (low + high) / 2
    return middle - wide * (0.5 + ROOM[0]), middle + wide * (0.5 + ROOM[1])


def _dots(axes: Axes, one: Series, table: Table, index: int, kinds: int) -> None:
    thick = FILLED / kinds
    shift = (index - (kinds - 1) / 2) * thick
    baseline = 100 * one.baseline.mean if one.baseline and one.baseline.mean is not None else 0.0
    for entry in one.entries:
        if entry.mean is None:
            continue
        mean, std = 100 * entry.mean, 100 * (entry.std or 0.0)
        middle = table.columns.index(entry.column) + shift
        look = drawing.look(index) | {"linestyle": "none"} | ({"markerfacecolor": "white"} if entry.baseline else {})
        axes.errorbar(mean, middle, xerr=std, elinewidth=0.8, capsize=1.5, zorder=3, **look)
        if baseline and not entry.baseline:
            axes.plot([baseline, baseline], [middle - thick / 2, middle + thick / 2], **TICK)
        axes.annotate(
            f"{mean:.1f}", (max(mean + std, baseline), middle), (3, 0), textcoords="offset points", va="center",
            fontsize=drawing.SMALL,
        )  # fmt: skip


def _labels(table: Table) -> list[str]:
    return ["\n".join(textwrap.wrap(naming.label(table.axis, column), LETTERS)) for column in table.columns]


def _label_lines(table: Table) -> int:
    return max(label.count("\n") + 1 for label in _labels(table))


def _dots_legend(figure: Figure, panels: Sequence[Panel], names: Sequence[str]) -> None:
    """The series, if there are several, and what the ticks are."""
    from matplotlib.lines import Line2D

    named = [name for name in names if name]
    handles = [Line2D([], [], **drawing.look(names.index(name)) | {"linestyle": "none"}) for name in named]
    labels = list(named)
    if any(one.baseline for panel in panels for one in panel.series):
        handles.append(Line2D([], [], **TICK))
        labels.append("baseline")
    if labels:
        drawing.legend(figure, handles, labels)
