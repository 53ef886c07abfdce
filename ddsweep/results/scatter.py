"""Scatter plots side by side: real images as dots, synthetic ones as stars, a colour a class."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ddsweep.results import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. A. Petroff's ten colours, found by a search that kept them apart for colour-blind readers too (arXiv:2107.02270)
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
DOT, STAR = 2.2, 5.5  # diameters in points
OPACITY = 0.5  # of a dot
MARGIN = 0.04  # of the width, from the outermost point to the frame
LARGEST = 3.3  # inches: side of a panel
HEAD, LEGEND, CAPTION = 0.3, 0.16, 0.13  # inches: height of a title, of a line of the legend, of the caption
LETTER = 0.058  # inches: width of a small letter, about

Key = tuple[str, str]
"""A panel by the names of its row and its column."""


@dataclass(frozen=True)
class Points:
    """Images as points of a plane.

    Attributes:
        places: [n, 2]; x to the right, y upwards.
        labels: of the images.
    """

    places: Float[Tensor, "n 2"]
    labels: Int64[Tensor, " n"]


@dataclass(frozen=True)
class Scene:
    """What one picture shows.

    Attributes:
        real: the same images in each panel.
        panels: the synthetic images of those panels that have some.
        rows: of panels, by name.
        columns: likewise.
        classes: by label.
        caption: what the reader must know.
    """

    real: Points
    panels: Mapping[Key, Points]
    rows: Sequence[str]
    columns: Sequence[str]
    classes: Sequence[str]
    caption: str

    @property
    def lying(self) -> Scene:
        """Rows and columns change places where there is only one column: a page is wider than a panel."""
        if not len(self.columns) == 1 < len(self.rows):
            return self
        panels = {(column, row): points for (row, column), points in self.panels.items()}
        return Scene(self.real, panels, self.columns, self.rows, self.classes, self.caption)


def scatter_size(scene: Scene) -> tuple[float, float]:
    """Inches: as wide as a page; a single column of panels is narrower."""
    rows, columns = len(scene.lying.rows), len(scene.lying.columns)
    width = min(drawing.PAGE, columns * LARGEST + HEAD)
    legend = LEGEND * (1 + sum(len(name) + 6 for name in _legend_names(scene)) * LETTER // width)
    caption = CAPTION * (1 + len(scene.caption) * LETTER // width)
    return width, rows * (width - HEAD) / columns + HEAD + legend + caption + 0.2


def draw_scatter(figure: Figure, scene: Scene) -> None:
    """A panel for each row and column, all of one scale, with the same real images in each; legend and caption below.

    A place without synthetic images says so.
    """
    scene = scene.lying
    grid = figure.subplots(len(scene.rows), len(scene.columns), squeeze=False, sharex=True, sharey=True)
    low, high = _view([scene.real, *scene.panels.values()])
    for i, row in enumerate(scene.rows):
        for j, column in enumerate(scene.columns):
            axes = grid[i, j]
            axes.set(aspect="equal", xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axes.spines[:].set(visible=True, color="#969696")
            axes.set_title(column if i == 0 else "")
            axes.set_ylabel(row if j == 0 else "")
            _dots(axes, scene.real)
            _stars(axes, scene.panels.get((row, column)))
    _legend(figure, scene)
    letters = int(figure.get_figwidth() / LETTER)
    figure.supxlabel("\n".join(textwrap.wrap(scene.caption, letters)), fontsize=drawing.SMALL, x=0.01, ha="left")


def _view(clouds: Sequence[Points]) -> tuple[list[float], list[float]]:
    """The corners of the square that all points lie in: one scale for both directions, distances are what counts."""
    every = torch.cat([cloud.places for cloud in clouds])
    middle = (every.amin(dim=0) + every.amax(dim=0)) / 2
    half = (0.5 + MARGIN) * (float((every.amax(dim=0) - every.amin(dim=0)).max()) or 1.0)
    return (middle - half).tolist(), (middle + half).tolist()


def _dots(axes: Axes, real: Points) -> None:
    places, colours = _in_turn(real)
    # pixels also in a PDF: thousands of dots, the same in each panel, are nothing to scale or edit
    x, y = places.T.tolist()
    axes.scatter(x, y, s=DOT**2, c=colours, alpha=OPACITY, linewidths=0, rasterized=True)


def _stars(axes: Axes, synthetic: Points | None) -> None:
    if synthetic is None:
        box = {"boxstyle": "square,pad=0.3", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
        axes.text(0.5, 0.5, "not finished", transform=axes.transAxes, ha="center", va="center", bbox=box)
        return
    places, colours = _in_turn(synthetic)
    x, y = places.T.tolist()
    axes.scatter(x, y, s=STAR**2, c=colours, marker="*", linewidths=0.4, edgecolors=drawing.INK, zorder=3)


def _in_turn(points: Points) -> tuple[Tensor, list[str]]:
    """Places and colours, one point of each class in turn: no class lies on top of the others."""
    turn: dict[int, int] = {}
    order = []
    for index, label in enumerate(points.labels.tolist()):
        turn[label] = turn.get(label, 0) + 1
        order.append((turn[label], label, index))
    order.sort()
    return points.places[[index for *_, index in order]], [COLOURS[label % len(COLOURS)] for _, label, _ in order]


def _legend_names(scene: Scene) -> list[str]:
    return ["real image", "synthetic image", *scene.classes]


def _legend(figure: Figure, scene: Scene) -> None:
    from matplotlib.lines import Line2D

    star: dict[str, Any] = {"marker": "*", "markersize": STAR + 1, "linestyle": "", "markeredgewidth": 0.4}
    handles = [
        Line2D([], [], marker="o", markersize=DOT + 1, linestyle="", color=drawing.INK, alpha=OPACITY),
        Line2D([], [], color=drawing.INK, **star),
        *(
            Line2D([], [], color=COLOURS[label % len(COLOURS)], markeredgecolor=drawing.INK, **star)
            for label in range(len(scene.classes))
        ),
    ]
    drawing.legend(figure, handles, _legend_names(scene))
