"""The figure of a search: accuracy along each parameter, or with several objectives the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddsweep import fonts
from ddsweep.percent import percent
from ddsweep.results.plots import style
from ddsweep.results.tables import naming
from ddsweep.results.tables.ranking import Ranked, Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

MARGIN = 0.03  # of the length of a logarithmic axis, outside its ends
ACROSS = 3  # panels beside each other
HEIGHT, LEGEND = 2.1, 0.3  # inches: of a row of panels; of the legend, for each of its lines
TURNS = (0, 2, 4, 5)  # of the colors and markers of trials with different baselines
BEST: dict[str, Any] = {"color": style.COLORS[1], "marker": "*", "markersize": 9}
LEFT: dict[str, Any] = {"color": style.COLORS[3], "marker": "o", "fillstyle": "none"}


def panels(ranking: Ranking) -> list[str]:
    """What the x axis of each panel shows: a parameter, or an objective after the first."""
    several = len(ranking.objectives) > 1
    return list(ranking.objectives[1:] if several else ranking.fields)


@dataclass(frozen=True)
class Group:
    """The trials that are compared with one baseline.

    Attributes:
        label: the setting of the baseline, as far as baselines differ in it; empty if there is only one group.
        look: color and marker of its trials.
        baseline: None for trials without one.
        trials: the others.
    """

    label: str
    look: dict[str, Any]
    baseline: Ranked | None
    trials: list[Ranked]

    def name(self, what: str, value: float | None = None) -> str:
        """The line of the legend: ``baseline, DM: 44.5``."""
        said = f"{what}, {self.label}" if self.label else what
        return said if value is None else f"{said}: {percent(value)}"


def groups(ranking: Ranking) -> list[Group]:
    """The trials by their baseline, each in its own look."""
    found: dict[str, list[Ranked]] = {one.cell.key: [] for one in ranking.trials if one.baseline}
    baselines = {one.cell.key: one for one in ranking.trials if one.baseline}
    for one in ranking.trials:
        if not one.baseline:
            found.setdefault(one.entry.reference[0].key if one.entry.reference else "", []).append(one)
    differing = [
        name
        for name in ranking.fields
        if len({naming.shown(one.cell.recipe, name) for one in baselines.values()}) > 1
    ]  # fmt: skip
    drawn = []
    for index, (key, trials) in enumerate(found.items()):
        turn, baseline = TURNS[index % len(TURNS)], baselines.get(key)
        values = {name: naming.shown(baseline.cell.recipe, name) for name in differing} if baseline else {}
        label = naming.setting(values, labels=ranking.labels) if baseline else "no baseline" if baselines else ""
        look = {"color": style.COLORS[turn], "marker": style.MARKERS[turn]}
        drawn.append(Group(label, look, baseline, trials))
    return drawn


def size(ranking: Ranking) -> tuple[float, float]:
    """Width and height in inches: one column for one panel, the page for several."""
    count, lines = len(panels(ranking)), 1 + sum(bool(group.label) for group in groups(ranking)) // 2
    width = style.COLUMN if count == 1 else style.PAGE
    return width, HEIGHT * math.ceil(count / ACROSS) + LEGEND * lines


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
    """Accuracy along one parameter; a trial without a result is a ring at its last intermediate accuracy.

    A trial is a mean ± std over all networks of all its seeds; the baselines are dotted lines in the colors of the
    trials that are compared with them.
    """
    every = groups(ranking)
    place = _places(axes, ranking, name)
    for group in every:
        done = [one for one in group.trials if one.values]
        if done:
            std = [100 * (one.entry.std or 0.0) for one in done]
            axes.errorbar(
                [place(one) for one in done], _percent(done, 0), std, **group.look, linestyle="", elinewidth=0.8,
                label=group.name("trial"),
            )  # fmt: skip
        if group.baseline and group.baseline.values:
            level = group.baseline.values[0]
            color = group.look["color"] if group.label else style.INK
            axes.axhline(100 * level, color=color, linestyle=":", linewidth=1.2, label=group.name("baseline", level))
    drawn = [one for one in ranking.trials if not one.baseline]
    best = [one for one in ranking.best if not one.baseline]
    left = [(one, one.looked[1]) for one in drawn if not one.values and one.looked]
    if best:
        axes.plot([place(one) for one in best], _percent(best, 0), **BEST, linestyle="", label="best", zorder=4)
    if left:
        seen = [100 * accuracy for _, accuracy in left]
        axes.plot([place(one) for one, _ in left], seen, **LEFT, linestyle="", label="intermediate")
    axes.set_xlabel(naming.field(name))


def _places(axes: Axes, ranking: Ranking, name: str) -> Callable[[Ranked], Any]:
    """Set the scale of an axis (logarithmic if the search samples so) and return the position of a trial.

    It shows the whole range of the search, and trials of an earlier launch that are outside it.
    """
    ranges = ranking.sweep.search.ranges if ranking.sweep.search else {}
    if name in ranges:
        one = ranges[name]
        if one.log:
            axes.set_xscale("log")
            tried = [_number(trial, name) for trial in ranking.trials if not trial.baseline]
            shown = [one.min, one.max, *(value for value in tried if value > 0)]
            margin = (max(shown) / min(shown)) ** MARGIN
            axes.set_xlim(min(shown) / margin, max(shown) * margin)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(_plain_logarithms())
        return lambda trial: _number(trial, name)
    values = list(dict.fromkeys(naming.shown(one.cell.recipe, name) for one in ranking.trials if not one.baseline))
    axes.set_xticks(range(len(values)), fonts.names(ranking.labels.paper(name, value) for value in values))
    return lambda trial: values.index(naming.shown(trial.cell.recipe, name))


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
    for group in groups(ranking):
        rest = [one for one in group.trials if one.values and not one.front]
        if rest:
            places = _percent(rest, index), _percent(rest, 0)
            axes.plot(*places, **group.look, linestyle="", label=group.name("trial"))
        if group.baseline and group.baseline.values:
            base, color = [group.baseline], group.look["color"] if group.label else style.INK
            diamond: dict[str, Any] = {"color": color, "marker": "D", "linestyle": "", "fillstyle": "none"}
            label = group.name("baseline", group.baseline.values[0])
            axes.plot(_percent(base, index), _percent(base, 0), **diamond, label=label)
    axes.step(_percent(front, index), _percent(front, 0), where="pre", color=BEST["color"], linewidth=0.9)
    axes.plot(_percent(front, index), _percent(front, 0), **BEST, linestyle="", label="Pareto front")
    axes.set_xlabel(f"{ranking.objectives[index]} (%)")


def _percent(trials: Sequence[Ranked], index: int) -> list[float]:
    return [100 * one.values[index] for one in trials]


def _number(trial: Ranked, name: str) -> float:
    """The value of a range in a trial; that of an option is missing where another method was drawn."""
    value = naming.shown(trial.cell.recipe, name)
    return float(value) if value != "" else math.nan
