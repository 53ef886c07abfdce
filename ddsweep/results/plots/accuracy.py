"""Accuracy along the axis of a sweep for print, as in the paper: Fig. 2 (PTM epoch) and Fig. 3 (α, N_m).

Numbers on the axis become lines with a band of ± one standard deviation and a dotted baseline, words become dots, and
the trials of a search become points.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import fonts
from ddsweep.percent import percent
from ddsweep.results import stored
from ddsweep.results.plots import panels, search, style
from ddsweep.results.plots.axis import ZERO, Axis
from ddsweep.results.plots.panels import Chart, Panel, Point, Series
from ddsweep.results.plots.style import Output
from ddsweep.results.tables import ranking
from ddsweep.results.tables.table import build
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 3  # panels in a row
HEIGHT = 2.1  # inches: of a row of panels with lines
LETTER = 0.6  # width of a digit, as a fraction of its height
MARGIN = 0.04  # of the width, outside the first and the last number
NAMES = {"α": "weight α of the regularizer", "N_m": "number of PTMs $N_m$", "PTM epoch": "epoch of the PTMs"}
LETTERS = 24  # per line of a label; longer labels are wrapped
ROW, LINE = 0.145, 0.115  # inches: height of a row of dots; of a line of text
HEAD, LEGEND = 0.35, 0.45  # inches: height of a title with its axis; of the legend
FILLED = 0.84  # of the height of a category
TICK: dict[str, Any] = {"color": style.INK, "linestyle": (0, (1.2, 0.8)), "linewidth": 1.3}  # of the baseline
DASH: dict[str, Any] = {"linestyle": "none", "marker": "_", "markersize": 9, "markeredgewidth": 1.4}  # of one value
LEAST = 2.0  # percentage points that an axis spans at least: noise must not look like a finding
EDGE, WRITTEN = 0.05, 0.3  # of what the dots span: a margin, and one in which their numbers are written


def lines_size(chart: Chart) -> tuple[float, float]:
    """Width and height in inches: one column for one panel, the page for several."""
    rows, named = math.ceil(len(chart.panels) / ACROSS), [name for name in chart.names if name]
    width = style.COLUMN if len(chart.panels) == 1 else style.PAGE
    return width, HEIGHT * rows + LEGEND * (1 + len(named) // 4)


def draw_lines(figure: Figure, chart: Chart) -> None:
    """Panels with a common axis; each has its own scale of accuracy, because methods lie far apart."""
    across = min(ACROSS, len(chart.panels))
    grid = figure.subplots(math.ceil(len(chart.panels) / across), across, squeeze=False).ravel()
    names = chart.names
    for axes in grid[len(chart.panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, chart.panels, strict=False):
        for series in panel.series:
            _line(axes, series, chart.axis, names.index(series.name))
        axes.set_title(fonts.title(panel.title))
        axes.grid(axis="y", color=style.FAINT, linewidth=0.5)
        _scale(axes, chart, figure.get_figwidth() / across)
    figure.supylabel("test accuracy (%)")
    figure.supxlabel(_name(chart.axis)).set_parse_math(True)
    _lines_legend(figure, chart)


def _line(axes: Axes, series: Series, axis: Axis, index: int) -> None:
    placed = [(value, point) for point in series.points if (value := axis.values[point.index]) is not None]
    places, points = [value for value, _ in placed], [point for _, point in placed]
    look = style.look(index)
    low, high = ([point.mean + sign * point.std for point in points] for sign in (-1, 1))
    axes.fill_between(places, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(places, [point.mean for point in points], **look, clip_on=False, zorder=3)
    if series.baseline is not None:
        axes.axhline(series.baseline, color=look["color"], linestyle=":", linewidth=1.2)
        return
    own = [(value, point.reference) for value, point in placed if point.reference is not None]
    axes.plot([value for value, _ in own], [level for _, level in own], color=look["color"], **DASH)


def _scale(axes: Axes, chart: Chart, width: float) -> None:
    """Set the scale of the axis and a tick at each value that has a point."""
    from matplotlib.ticker import NullFormatter

    shown = {point.index for panel in chart.panels for series in panel.series for point in series.points}
    places = sorted({value for index in shown if (value := chart.axis.values[index]) is not None})
    if chart.axis.scale == "symlog":
        smallest = min(value for value in chart.axis.values if value)
        axes.set_xscale("symlog", linthresh=smallest, linscale=ZERO)
    else:
        axes.set_xscale(chart.axis.scale)
    axes.xaxis.set_minor_formatter(NullFormatter())
    named = zip(chart.axis.values, chart.axis.labels, strict=True)
    texts = {value: label for value, label in named if value is not None}
    labeled = _readable(axes, {place: texts[place] for place in places}, width)
    axes.set_xticks(labeled, [texts[place] for place in labeled])
    axes.set_xticks([place for place in places if place not in labeled], minor=True)
    low, *_, high = _positions(axes, [places[0], places[-1]])
    if high > low:  # equal margins on both sides, whatever the scale
        edges = [low - MARGIN * (high - low), high + MARGIN * (high - low)]
        axes.set_xlim(*axes.xaxis.get_transform().inverted().transform(edges))


def _positions(axes: Axes, places: Sequence[float]) -> list[float]:
    """Where numbers lie on the page, up to one factor."""
    return [float(at) for at in axes.xaxis.get_transform().transform(list(places))]


def _readable(axes: Axes, texts: Mapping[float, str], width: float) -> list[float]:
    """As many of the numbers as fit below an axis of ``width`` inches: the ends, then powers of ten, then the rest."""
    places = list(texts)
    at = dict(zip(places, _positions(axes, places), strict=True))
    length = (at[places[-1]] - at[places[0]]) or 1.0
    inch = length / max(0.5, width - 0.9)  # the width without numbers, label and margins
    shown: list[float] = []
    for place in sorted(places, key=lambda place: (place not in (places[0], places[-1]), not _decade(place), place)):
        half = LETTER * style.SMALL / 72 * len(texts[place]) / 2
        separate = all(
            abs(at[place] - at[other]) > inch * (half + LETTER * style.SMALL / 72 * (len(texts[other]) / 2 + 1))
            for other in shown
        )
        if separate:
            shown.append(place)
    return sorted(shown)


def _decade(place: float) -> bool:
    return place > 0 and math.log10(place).is_integer()


def _name(axis: Axis) -> str:
    return NAMES.get(axis.name, axis.name.replace("N_m", "$N_m$").replace("N_a", "$N_a$"))


def _lines_legend(figure: Figure, chart: Chart) -> None:
    """The series, if there are several, and the dotted line."""
    from matplotlib.lines import Line2D

    labels = [name for name in chart.names if name]
    handles = [Line2D([], [], **style.look(chart.names.index(name))) for name in labels]
    every = [series for panel in chart.panels for series in panel.series]
    if any(series.baseline is not None for series in every):
        handles.append(Line2D([], [], color=style.INK, linestyle=":", linewidth=1.2))
        labels.append("baseline")
    if any(len(series.references) > 1 for series in every):
        handles.append(Line2D([], [], color=style.INK, **DASH))
        labels.append("baseline of each value")
    if labels:
        style.legend(figure, handles, labels)


def dots_size(chart: Chart) -> tuple[float, float]:
    """Width and height in inches: one column for one panel, the page for several."""
    most = max(len(panel.series) for panel in chart.panels)
    lines = max(label.count("\n") + 1 for label in _labels(chart.axis))
    each = max(ROW * most / FILLED, LINE * lines + ROW / 3)
    height = math.ceil(len(chart.panels) / ACROSS) * (each * len(chart.axis.labels) + HEAD) + LEGEND
    return style.COLUMN if len(chart.panels) == 1 else style.PAGE, height


def draw_dots(figure: Figure, chart: Chart) -> None:
    """Panels that share their categories, which are written down the left side, where long names fit.

    Each has its own scale of accuracy, because methods lie far apart.
    """
    across = min(ACROSS, len(chart.panels))
    rows = math.ceil(len(chart.panels) / across)
    grid = figure.subplots(rows, across, squeeze=False, sharey=True).ravel()
    names = chart.names
    for axes in grid[len(chart.panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, chart.panels, strict=False):
        for series in panel.series:
            _dots(axes, series, names.index(series.name), len(names))
        axes.set_title(fonts.title(panel.title))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=style.FAINT, linewidth=0.5)
        axes.set_xlim(*_span(panel))
    labels = _labels(chart.axis)
    grid[0].set_yticks(range(len(labels)), labels)
    grid[0].set_ylim(len(labels) - 0.5, -0.5)
    figure.supxlabel("test accuracy (%)")
    figure.supylabel(_name(chart.axis)).set_parse_math(True)
    _dots_legend(figure, chart)


def _span(panel: Panel) -> tuple[float, float]:
    """The limits of a panel's accuracies, with padding."""
    points = [point for series in panel.series for point in series.points]
    left = WRITTEN if any(_is_below(point) for point in points) else EDGE
    right = EDGE if all(_is_below(point) for point in points) else WRITTEN
    ends = [end for point in points for end in (point.mean - point.std, point.mean + point.std, *_references(point))]
    low, high = min(ends), max(ends)
    half, middle = max(high - low, LEAST) / 2, (low + high) / 2
    return middle - half * (1 + 2 * left), middle + half * (1 + 2 * right)


def _references(point: Point) -> list[float]:
    return [] if point.reference is None else [point.reference]


def _is_below(point: Point) -> bool:
    """Whether the baseline's tick is to the right of a dot, whose number is to the left of it then."""
    return point.reference is not None and point.reference > point.mean + point.std


def _dots(axes: Axes, series: Series, index: int, kinds: int) -> None:
    thick = FILLED / kinds
    shift = (index - (kinds - 1) / 2) * thick
    for point in series.points:
        baseline = point.reference or 0.0
        middle = point.index + shift
        look = style.look(index) | {"linestyle": "none"} | ({"markerfacecolor": "white"} if point.baseline else {})
        axes.errorbar(point.mean, middle, xerr=point.std, elinewidth=0.8, capsize=1.5, zorder=3, **look)
        if point.reference is not None:
            axes.plot([baseline, baseline], [middle - thick / 2, middle + thick / 2], **TICK)
        side, towards = (-1, "right") if _is_below(point) else (1, "left")
        end = (point.mean + side * point.std, middle)
        offset: dict[str, Any] = {"xytext": (3 * side, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(percent(point.mean / 100), end, **offset, ha=towards, fontsize=style.SMALL)


def _labels(axis: Axis) -> list[str]:
    return ["\n".join(textwrap.wrap(label, LETTERS)) for label in fonts.names(axis.labels, fonts.TITLE)]


def _dots_legend(figure: Figure, chart: Chart) -> None:
    """The series, if there are several, and the ticks of the baseline."""
    from matplotlib.lines import Line2D

    labels = [name for name in chart.names if name]
    handles = [Line2D([], [], **style.look(chart.names.index(name)) | {"linestyle": "none"}) for name in labels]
    if any(series.references for panel in chart.panels for series in panel.series):
        handles.append(Line2D([], [], **TICK))
        labels.append("baseline")
    if labels:
        style.legend(figure, handles, labels)


def along_axis(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """Draw ``accuracy.png`` into ``output`` or ``runs/NAME@PROFILE``; returns no path if nothing is finished.

    It shows the mean over seeds and networks, ± one standard deviation; cells that are not finished are left out.
    """
    if sweep.search:
        return _searched(sweep, runs, output)
    chart = panels.chart(build(sweep, stored.collect(sweep, runs)))
    if not chart.panels:
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    size, draw = (lines_size, draw_lines) if chart.axis.numeric else (dots_size, draw_dots)
    with style.page(path, *size(chart)) as figure:
        draw(figure, chart)
    return [path]


def _searched(sweep: Sweep, runs: Path, output: Output | None) -> list[Path]:
    ranked = ranking.build(sweep, stored.collect(sweep, runs), runs)
    if not any(trial.values for trial in ranked.trials):
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    with style.page(path, *search.size(ranked)) as figure:
        search.draw(figure, ranked)
    return [path]
