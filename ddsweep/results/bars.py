"""A bar chart of accuracies by class (the paper's Fig. 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ddsweep.results import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNIT = "accuracy on each class (%)"
PANEL, HEAD, MARGIN = 1.25, 0.35, 0.6  # inches: height of a panel, of the legend; width of what is left of the bars
GROUP = 0.115  # inches: at least so much for a class, the height of its name
FILLED = 0.8  # of a group; the rest is the gap to the next


@dataclass(frozen=True)
class Panel:
    """One chart.

    Attributes:
        title: what stands above it.
        values: for every kind of bar, a fraction per class.
    """

    title: str
    values: Mapping[str, Sequence[float]]


def bars_size(panels: Sequence[Panel], classes: Sequence[str]) -> tuple[float, float]:
    """Inches: as wide as a page, wider where there are many classes."""
    width = max(drawing.PAGE, MARGIN + GROUP * len(classes))
    names = drawing.LETTER * max(map(len, classes)) if _upright(classes, width) else 0.1
    return width, PANEL * len(panels) + HEAD + names


def _upright(classes: Sequence[str], width: float) -> bool:
    """Whether a name is wider than its bars."""
    return drawing.LETTER * (max(map(len, classes)) + 1) > (width - MARGIN) / len(classes)


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
            many = len(classes) > 20  # bars of a millimetre's quarter: their colour needs all of it
            fill = drawing.fill(index) | ({"hatch": "", "linewidth": 0} if many else {})
            handles[kind] = axes.bar(places, [100 * value for value in values], width, **fill)
        axes.set_title(panel.title, loc="left")
        axes.set_ylim(0, 100)
        axes.set_yticks([0, 25, 50, 75, 100], ["0", "", "50", "", "100"])
        axes.grid(axis="y", color=drawing.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="x", length=0)
    upright = _upright(classes, figure.get_figwidth())
    every[-1].set_xticks(range(len(classes)), classes, rotation=90 if upright else 0)
    every[-1].set_xlim(-0.6, len(classes) - 0.4)
    figure.supylabel(UNIT)
    drawing.legend(figure, [handles[kind] for kind in kinds], kinds)
