"""The figure of a search: accuracy along each parameter, or with several objectives the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ddsweep import fonts
from ddsweep.results.plots import style
from ddsweep.results.tables import naming
from ddsweep.results.tables.ranking import Ranked, Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

MARGIN = 0.03  # of the length of a logarithmic axis, outside its ends
ACROSS = 3  # panels beside each other
HEIGHT, LEGEND = 2.1, 0.3  # inches: of a row of panels; of the legend
DONE: dict[str, Any] = {"color": style.COLORS[0], "marker": "o"}
BEST: dict[str, Any] = {"color": style.COLORS[1], "marker": "*", "markersize": 9}
LEFT: dict[str, Any] = {"color": style.COLORS[3], "marker": "o", "fillstyle": "none"}


def panels(ranking: Ranking) -> list[str]:
    """What the x axis of each panel shows: a parameter, or an objective after the first."""
    several = len(ranking.objectives) > 1
    return list(ranking.objectives[1:] if several else ranking.sweep.swept)


def size(ranking: Ranking) -> tuple[float, float]:
    """Width and height in inches: one column for one panel, the page for several."""
    count = len(panels(ranking))
    return (style.COLUMN if count == 1 else style.PAGE), HEIGHT * math.ceil(count / ACROSS) + LEGEND


def draw(figure: Figure, ranking: Ranking) -> None:
    """Draw the panels with a common scale of accuracy."""
    names = panels(ranking)
    across = min(ACROSS, len(names))
    every = figure.subplots(math.ceil(len(names) / across), across, squeeze=False, sharey=True).ravel()
    for axes in every[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(every, names, strict=False):
        if len(ranking.objectives) > 1:
            _front(axes, ranking, 1 + names.index(name))
        else:
            _along(axes, ranking, name)
        axes.grid(axis="y", color=style.FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
    figure.supylabel("test accuracy (%)" if len(ranking.objectives) == 1 else f"{ranking.objectives[0]} (%)")
    handles: dict[str, Any] = {}
    for axes in every[: len(names)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    style.legend(figure, list(handles.values()), list(handles))


def _along(axes: Axes, ranking: Ranking, name: str) -> None:
    """Accuracy along one parameter; a trial without a result is a ring at its last intermediate accuracy."""
    drawn = [one for one in ranking.trials if not one.baseline]
    done, best = [one for one in drawn if one.values], [one for one in ranking.best if not one.baseline]
    left = [(one, one.looked[1]) for one in drawn if not one.values and one.looked]
    place = _places(axes, ranking, name, drawn)
    if done:
        std = [100 * (one.entry.std or 0.0) for one in done]
        axes.errorbar(
            [place(one) for one in done], _percent(done, 0), std, **DONE, linestyle="", elinewidth=0.8, label="trial"
        )
    if best:
        axes.plot([place(one) for one in best], _percent(best, 0), **BEST, linestyle="", label="best", zorder=4)
    if left:
        seen = [100 * accuracy for _, accuracy in left]
        axes.plot([place(one) for one, _ in left], seen, **LEFT, linestyle="", label="intermediate")
    for one in (one for one in ranking.trials if one.baseline and one.values):
        axes.axhline(100 * one.values[0], color=style.INK, linestyle=":", linewidth=1.2, label="baseline")
    axes.set_xlabel(naming.field(name))


def _places(axes: Axes, ranking: Ranking, name: str, drawn: Sequence[Ranked]) -> Any:
    """Set the scale of an axis (logarithmic if the search samples so) and return the position of a trial."""
    ranges = ranking.sweep.search.ranges if ranking.sweep.search else {}
    if name in ranges:
        one = ranges[name]
        if one.log:
            axes.set_xscale("log")
            margin = (one.max / one.min) ** MARGIN
            axes.set_xlim(one.min / margin, one.max * margin)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(_plain_logarithms())
        return lambda trial: getattr(trial.cell.recipe, name)
    words = list(dict.fromkeys(str(getattr(trial.cell.recipe, name)) for trial in drawn))
    axes.set_xticks(range(len(words)), fonts.names(naming.value(name, word) for word in words))
    return lambda trial: words.index(str(getattr(trial.cell.recipe, name)))


def _plain_logarithms() -> Formatter:
    """The formatter of a logarithmic axis, without formulas: the same ticks have a label, as ``{x:g}``."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    return Plain(labelOnlyBase=False)


def _front(axes: Axes, ranking: Ranking, index: int) -> None:
    """Two objectives, with the front as steps: trials below and left of it are worse in both."""
    done = [one for one in ranking.trials if one.values]
    front = sorted((one for one in done if one.front), key=lambda one: one.values[index])
    rest = [one for one in done if not one.front and not one.baseline]
    base = [one for one in done if one.baseline]
    if rest:
        axes.plot(_percent(rest, index), _percent(rest, 0), **DONE, linestyle="", label="trial")
    axes.step(_percent(front, index), _percent(front, 0), where="pre", color=BEST["color"], linewidth=0.9)
    axes.plot(_percent(front, index), _percent(front, 0), **BEST, linestyle="", label="Pareto front")
    if base:
        axes.plot(
            _percent(base, index),
            _percent(base, 0),
            color=style.INK,
            marker="D",
            linestyle="",
            fillstyle="none",
            label="baseline",
        )
    axes.set_xlabel(f"{ranking.objectives[index]} (%)")


def _percent(trials: Sequence[Ranked], index: int) -> list[float]:
    return [100 * one.values[index] for one in trials]
