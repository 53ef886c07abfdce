"""Accuracy along the axis of a sweep, as the paper draws it: Fig. 2 (PTM epoch) and Fig. 3 (α, N_m).

A panel is a value of the first setting (the method, mostly) and a line one of the others; where there is but one
setting its values share a panel. Numbers become lines with a band of ± std and a dotted baseline, words become dots,
and the trials of a search points.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.results.plots import search, style
from ddsweep.results.plots.style import Output
from ddsweep.results.tables import naming, ranking
from ddsweep.results.tables.naming import BASELINE
from ddsweep.results.tables.table import Entry, Row, Table, build, collect, setting_of
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = len(style.COLOURS)  # lines in a panel
ACROSS = 3  # panels beside each other
HEIGHT, LEGEND = 2.1, 0.25  # inches: of a row of panels; of a line of the legend
WIDE = 20.0  # from the smallest to the largest number: beyond this factor the axis is logarithmic
LETTER = 0.6  # width of a digit, of its height
MARGIN = 0.04  # of the width, beside the first and the last number
SPELT = {"alpha": "weight α of the regulariser", "n_models": "number of PTMs $N_m$", "ptm_epoch": "epoch of the PTMs"}
NEAR = 0.5  # of a decade: what zero takes on an axis that is otherwise logarithmic
LETTERS = 24  # in a line of a label; longer ones go on below
ROW, LINE, HEAD, LEGEND = (
    0.145,
    0.115,
    0.35,
    0.45,
)  # inches: height of a dot's row, a line of text, a title, axis and legend
FILLED = 0.84  # of the height of a category
TICK: dict[str, Any] = {"color": style.INK, "linestyle": (0, (1.2, 0.8)), "linewidth": 1.3}  # of the baseline
LEAST = 2.0  # points that an axis spans at least, so that noise does not look like a finding
ROOM = 0.05, 0.3  # of what the dots span: left and right of them, where their numbers have a place


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


def lines_size(panels: Sequence[Panel], table: Table) -> tuple[float, float]:
    """Inches: one column for one panel, a page for several."""
    names = [name for name in titles(panels) if name]
    return (
        style.COLUMN if len(panels) == 1 else style.PAGE,
        HEIGHT * math.ceil(len(panels) / ACROSS) + LEGEND * (1 + len(names) // 4),
    )


def draw_lines(figure: Figure, panels: Sequence[Panel], table: Table) -> None:
    """Panels with a common axis; each has its own scale of accuracy, for methods lie far apart."""
    across = min(ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    names = titles(panels)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        for one in panel.series:
            _line(axes, one, table, names.index(one.name))
        axes.set_title(panel.title)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.5)
        _scale(axes, _places(panels, table), figure.get_figwidth() / across)
    figure.supylabel("test accuracy (%)")
    figure.supxlabel(_called(table))
    _lines_legend(figure, panels, names)


def _line(axes: Axes, one: Series, table: Table, index: int) -> None:
    places = [place(table, entry) for entry in one.entries]
    means = [100 * entry.mean for entry in one.entries if entry.mean is not None]
    stds = [100 * (entry.std or 0.0) for entry in one.entries]
    look = style.look(index)
    low, high = ([mean + sign * std for mean, std in zip(means, stds, strict=True)] for sign in (-1, 1))
    axes.fill_between(places, low, high, color=look["color"], alpha=0.18, linewidth=0)
    axes.plot(places, means, **look, clip_on=False, zorder=3)
    if one.baseline and one.baseline.mean is not None:
        axes.axhline(100 * one.baseline.mean, color=look["color"], linestyle=":", linewidth=1.2)


def _places(panels: Sequence[Panel], table: Table) -> list[float]:
    return sorted({place(table, entry) for panel in panels for one in panel.series for entry in one.entries})


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
        half = LETTER * style.SMALL / 72 * len(f"{place:g}") / 2
        apart = all(
            abs(at[place] - at[other]) > inch * (half + LETTER * style.SMALL / 72 * (len(f"{other:g}") / 2 + 1))
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
    handles = [Line2D([], [], **style.look(names.index(name))) for name in named]
    labels = list(named)
    if any(one.baseline for panel in panels for one in panel.series):
        handles.append(Line2D([], [], color=style.INK, linestyle=":", linewidth=1.2))
        labels.append("baseline")
    if labels:
        style.legend(figure, handles, labels)


def dots_size(panels: Sequence[Panel], table: Table) -> tuple[float, float]:
    """Inches: one column for one panel, a page for several."""
    each = max(ROW * max(len(panel.series) for panel in panels) / FILLED, LINE * _label_lines(table) + ROW / 3)
    down = math.ceil(len(panels) / ACROSS)
    height = down * (each * len(table.columns) + HEAD) + LEGEND
    return style.COLUMN if len(panels) == 1 else style.PAGE, height


def draw_dots(figure: Figure, panels: Sequence[Panel], table: Table) -> None:
    """Panels that share their categories, which are written down the left side, where long names have room.

    Each has its own scale of accuracy, for methods lie far apart.
    """
    across = min(ACROSS, len(panels))
    grid = figure.subplots(math.ceil(len(panels) / across), across, squeeze=False, sharey=True).ravel()
    names = titles(panels)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid, panels, strict=False):
        for one in panel.series:
            _dots(axes, one, table, names.index(one.name), len(names))
        axes.set_title(panel.title)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=style.FAINT, linewidth=0.5)
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
        look = style.look(index) | {"linestyle": "none"} | ({"markerfacecolor": "white"} if entry.baseline else {})
        axes.errorbar(mean, middle, xerr=std, elinewidth=0.8, capsize=1.5, zorder=3, **look)
        if baseline and not entry.baseline:
            axes.plot([baseline, baseline], [middle - thick / 2, middle + thick / 2], **TICK)
        axes.annotate(
            f"{mean:.1f}", (max(mean + std, baseline), middle), (3, 0), textcoords="offset points", va="center",
            fontsize=style.SMALL,
        )  # fmt: skip


def _labels(table: Table) -> list[str]:
    return ["\n".join(textwrap.wrap(naming.label(table.axis, column), LETTERS)) for column in table.columns]


def _label_lines(table: Table) -> int:
    return max(label.count("\n") + 1 for label in _labels(table))


def _dots_legend(figure: Figure, panels: Sequence[Panel], names: Sequence[str]) -> None:
    """The series, if there are several, and what the ticks are."""
    from matplotlib.lines import Line2D

    named = [name for name in names if name]
    handles = [Line2D([], [], **style.look(names.index(name)) | {"linestyle": "none"}) for name in named]
    labels = list(named)
    if any(one.baseline for panel in panels for one in panel.series):
        handles.append(Line2D([], [], **TICK))
        labels.append("baseline")
    if labels:
        style.legend(figure, handles, labels)


def along_axis(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """The picture ``accuracy.png`` in ``output``, or in ``runs/NAME@PROFILE``; none where nothing is finished.

    Mean over seeds and networks, and ± one standard deviation; cells that are not finished, or failed, are left out.
    """
    if sweep.search:
        return _searched(sweep, runs, output)
    table = build(sweep, collect(sweep, runs))
    found = panels(table)
    if not any(one.entries for panel in found for one in panel.series):
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    if numeric(table):
        size, draw = lines_size, draw_lines
    else:
        size, draw = dots_size, draw_dots
    with style.page(path, *size(found, table)) as figure:
        draw(figure, found, table)
    return [path]


def _searched(sweep: Sweep, runs: Path, output: Output | None) -> list[Path]:
    ranked = ranking.build(sweep, collect(sweep, runs), runs)
    if not any(one.values for one in ranked.trials):
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    with style.page(path, *search.size(ranked)) as figure:
        search.draw(figure, ranked)
    return [path]
