"""Lines of accuracy along numbers, each with a band of ± std and its baseline dotted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ddsweep.results import drawing, naming, series
from ddsweep.results.series import Panel, Series
from ddsweep.results.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # panels beside each other
HEIGHT, LEGEND = 2.1, 0.25  # inches: of a row of panels; of a line of the legend
WIDE = 20.0  # from the smallest to the largest number: beyond this factor the axis is logarithmic
LETTER = 0.6  # width of a digit, of its height
MARGIN = 0.04  # of the width, beside the first and the last number
SPELT = {"alpha": "weight α of the regulariser", "n_models": "number of PTMs $N_m$", "ptm_epoch": "epoch of the PTMs"}
NEAR = 0.5  # of a decade: what zero takes on an axis that is otherwise logarithmic


def lines_size(panels: Sequence[Panel], table: Table) -> tuple[float, float]:
    """Inches: one column for one panel, a page for several."""
    names = [name for name in series.titles(panels) if name]
    return (
        drawing.COLUMN if len(panels) == 1 else drawing.PAGE,
        HEIGHT * math.ceil(len(panels) / ACROSS) + LEGEND * (1 + len(names) // 4),
    )


def draw_lines(figure: Figure, panels: Sequence[Panel], table: Table) -> None:
    """Panels with a common axis; each has its own scale of accuracy, for methods lie far apart."""
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    names = series.titles(panels)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        for one in panel.series:
            _line(axes, one, table, names.index(one.name))
        axes.set_title(panel.title)
        axes.grid(axis="y", color=drawing.FAINT, linewidth=0.5)
        _scale(axes, _places(panels, table), figure.get_figwidth() / across)
    figure.supylabel("test accuracy (%)")
    figure.supxlabel(_called(table))
    _lines_legend(figure, panels, names)


def _line(axes: Axes, one: Series, table: Table, index: int) -> None:
    places = [series.place(table, entry) for entry in one.entries]
    means = [100 * entry.mean for entry in one.entries if entry.mean is not None]
    stds = [100 * (entry.std or 0.0) for entry in one.entries]
    look = drawing.look(index)
    low, high = ([mean + sign * std for mean, std in zip(means, stds, strict=True)] for sign in (-1, 1))
    axes.fill_between(places, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(places, means, **look, clip_on=False, zorder=3)
    if one.baseline and one.baseline.mean is not None:
        axes.axhline(100 * one.baseline.mean, color=look["color"], linestyle=":", linewidth=1.2)


def _places(panels: Sequence[Panel], table: Table) -> list[float]:
    return sorted({series.place(table, entry) for panel in panels for one in panel.series for entry in one.entries})


def _scale(axes: Axes, places: Sequence[float], width: float) -> None:
    """Logarithmic where the numbers span much, with a place for zero; ticks at the numbers that were tried."""
    from matplotlib.ticker import NullFormatter

    positive = [place for place in places if place > 0]
    if positive and places[0] >= 0 and positive[-1] >= WIDE * positive[0]:
        if places[0] == 0:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=NEAR)
        else:
            axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    shown = _readable(axes, places, width)
    axes.set_xticks(shown, [f"{place:g}" for place in shown])
    axes.set_xticks([place for place in places if place not in shown], minor=True)
    low, *_, high = _positions(axes, [places[0], places[-1]])
    if high > low:  # margins as wide on either side, whatever the scale
        edges = [low - MARGIN * (high - low), high + MARGIN * (high - low)]
        axes.set_xlim(*axes.xaxis.get_transform().inverted().transform(edges))


def _positions(axes: Axes, places: Sequence[float]) -> list[float]:
    """Where numbers lie on the page, up to one factor."""
    return [float(at) for at in axes.xaxis.get_transform().transform(list(places))]


def _readable(axes: Axes, places: Sequence[float], width: float) -> list[float]:
    """As many of the numbers as fit below an axis of ``width`` inches: the ends, then powers of ten, then the rest."""
    at = dict(zip(places, _positions(axes, places), strict=True))
    room = (at[places[-1]] - at[places[0]]) or 1.0
    inch = room / max(0.5, width - 0.9)  # what is left of the width beside numbers, label and margins
    shown: list[float] = []
    for place in sorted(places, key=lambda place: (place not in (places[0], places[-1]), not _decade(place), place)):
        half = LETTER * drawing.SMALL / 72 * len(f"{place:g}") / 2
        apart = all(
            abs(at[place] - at[other]) > inch * (half + LETTER * drawing.SMALL / 72 * (len(f"{other:g}") / 2 + 1))
            for other in shown
        )
        if apart:
            shown.append(place)
    return sorted(shown)


def _decade(place: float) -> bool:
    return place > 0 and math.log10(place).is_integer()


def _called(table: Table) -> str:
    return SPELT.get(table.axes[0], naming.field(table.axes[0]))


def _lines_legend(figure: Figure, panels: Sequence[Panel], names: Sequence[str]) -> None:
    """The series, if there are several, and what the dots are."""
    from matplotlib.lines import Line2D

    named = [name for name in names if name]
    handles = [Line2D([], [], **drawing.look(names.index(name))) for name in named]
    labels = list(named)
    if any(one.baseline for panel in panels for one in panel.series):
        handles.append(Line2D([], [], color=drawing.INK, linestyle=":", linewidth=1.2))
        labels.append("baseline")
    if labels:
        drawing.legend(figure, handles, labels)
