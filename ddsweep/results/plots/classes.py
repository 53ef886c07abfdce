"""A bar chart of accuracies by class (the paper's Fig. 1)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ddsweep import fonts
from ddsweep.data import class_names
from ddsweep.registry.networks import paper_name
from ddsweep.results import run_files, stored
from ddsweep.results.plots import style
from ddsweep.results.plots.class_order import places
from ddsweep.results.plots.images import heading, slug
from ddsweep.results.plots.style import Output
from ddsweep.results.result import Result
from ddsweep.results.tables.table import build
from ddsweep.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNIT = "accuracy on each class (%)"
PANEL, HEAD, MARGIN = 1.25, 0.5, 0.6  # inches: height of a panel; of legend and caption; width left of the bars
GROUP = 0.115  # inches: at least this much per class, the height of its name
FILLED = 0.8  # of a group; the rest is the gap to the next


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: written above it.
        values: a fraction per class for each kind of bar.
    """

    title: str
    values: Mapping[str, Sequence[float]]


def class_accuracy(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """Draw ``class-accuracy[-SETTING].png`` per setting into ``output`` or ``runs/NAME@PROFILE`` (the paper's Fig. 1).

    It has a chart for each finished value of the axis, with the accuracy of every evaluated architecture on every
    class, over all networks of the seeds that the figure names. Classes have the names that the runs were computed
    with.

    Raises:
        UserError: runs of one setting have different classes.
    """
    files = stored.collect(sweep, runs)
    table, found = build(sweep, files), files.results
    written = []
    for row, *_ in table.settings:
        results = {
            column: [found[cell.key] for cell in row[column].cells if cell.key in found]
            for column in table.columns
            if column in row
        }
        names, values = _in_one_order(results, runs)
        drawn = {column: some for column, some in values.items() if some}
        if not drawn:
            continue
        seeds = {column: _averaged(results[column]) for column in drawn}
        alike = len(set(seeds.values())) == 1
        heads = {column: heading(sweep, column) + ("" if alike else f" ({seeds[column]})") for column in drawn}
        panels = [Panel(heads[column], some) for column, some in drawn.items()]
        path = (output or Output(runs / sweep.full_name)).path("class-accuracy", slug(row))
        classes = fonts.names(names)
        with style.page(path, *bars_size(panels, classes)) as figure:
            draw_bars(figure, panels, classes)
            figure.supxlabel(next(iter(seeds.values())) if alike else "", fontsize=style.SMALL)
        written.append(path)
    return written


def _averaged(results: Sequence[Result]) -> str:
    """``seed 0``, or ``mean over the seeds 0, 1, 2``."""
    seeds = sorted(result.recipe.seed for result in results if result.class_accuracy)
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over the seeds {', '.join(map(str, seeds))}"


def _in_one_order(
    results: Mapping[str, list[Result]], runs: Path
) -> tuple[tuple[str, ...], dict[str, dict[str, list[float]]]]:
    """The class names of the runs; and by column and architecture, the accuracy per class, mean over the seeds.

    A run whose set is not on this machine has the classes of the others: results from other images are left out.

    Raises:
        UserError: runs have different classes.
    """
    every = [result for some in results.values() for result in some if result.class_accuracy]
    if not every:
        return (), {}
    count = len(next(iter(every[0].class_accuracy.values())))
    recorded = {one.recipe.key(): class_names.of_set(runs / one.recipe.key() / run_files.SET) for one in every}
    first = next(filter(None, recorded.values()), ()) or class_names.of_run(runs, every[0].recipe.target)
    classes = first if len(first) == count else tuple(map(str, range(count)))
    means = {}
    for column, some in results.items():
        values: dict[str, list[list[float]]] = {}
        for result in some:
            key = result.recipe.key()
            order = places(recorded.get(key) or classes, classes, key)
            for arch, accuracies in result.class_accuracy.items():
                values.setdefault(paper_name(arch), []).append([accuracies[place] for place in order])
        means[column] = {
            arch: [statistics.fmean(seeds) for seeds in zip(*rows, strict=True)] for arch, rows in values.items()
        }
    return classes, means


def bars_size(panels: Sequence[Panel], classes: Sequence[str]) -> tuple[float, float]:
    """Width and height in inches: as wide as a page, wider if there are many classes."""
    width = max(style.PAGE, MARGIN + GROUP * len(classes))
    names = style.LETTER * max(map(len, classes)) if _upright(classes, width) else 0.1
    return width, PANEL * len(panels) + HEAD + names


def _upright(classes: Sequence[str], width: float) -> bool:
    """Whether a name is wider than its bars."""
    return style.LETTER * (max(map(len, classes)) + 1) > (width - MARGIN) / len(classes)


def draw_bars(figure: Figure, panels: Sequence[Panel], classes: Sequence[str]) -> None:
    """Panels below each other, a group of bars for each class, and the names of the classes at the bottom."""
    kinds = list(dict.fromkeys(kind for panel in panels for kind in panel.values))
    width = FILLED / len(kinds)
    every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    handles = {}
    for axes, panel in zip(every, panels, strict=True):
        for kind, values in panel.values.items():
            index = kinds.index(kind)
            places = [label + (index - (len(kinds) - 1) / 2) * width for label in range(len(values))]
            many = (
                len(classes) > 20
            )  # bars are a quarter of a millimeter wide: edges and hatches would hide their color
            fill = style.fill(index) | ({"hatch": "", "linewidth": 0} if many else {})
            handles[kind] = axes.bar(places, [100 * value for value in values], width, **fill)
        axes.set_title(fonts.title(panel.title), loc="left")
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "", "50", "", "100"])
        axes.grid(axis="y", color=style.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="x", length=0)
    upright = _upright(classes, figure.get_figwidth())
    every[-1].set_xticks(range(len(classes)), classes, rotation=90 if upright else 0)
    every[-1].set_xlim(-0.6, len(classes) - 0.4)
    figure.supylabel(UNIT)
    style.legend(figure, [handles[kind] for kind in kinds], kinds)
