"""Accuracy along the axis of a sweep as a Plotly figure: the same one in the report and in optuna-dashboard.

A figure is the plain dictionary ``{"data": …, "layout": …}`` that plotly.js draws and that ``plotly.graph_objects``
takes. Every value of the axis is at its position (``Axis.positions``) on a linear axis, with a tick that says the
value: so zero, and a baseline without a number, have a place beside logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ddsweep import markup
from ddsweep.percent import mean_std
from ddsweep.results.plots import panels, style
from ddsweep.results.plots.axis import Axis, is_logarithmic
from ddsweep.results.plots.panels import Chart, Panel, Point, Series

# as style.MARKERS
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left")
BAND = 0.18  # opacity of mean ± std
DIGITS = 3  # of a percentage, after the point
APART = 0.05  # of the axis of accuracy: labels of dotted lines that lie closer would cover each other
LEAST = 2.0  # percentage points that the axis of accuracy spans at least: noise must not look like a finding


@dataclass(frozen=True)
class Palette:
    """Colors of a figure: names that CSS knows, or ``var(--name)`` for a page that fills them in.

    Attributes:
        series: of the series, in order; a seventh has the color of the first, with another marker.
        ink: of text.
        soft: of ticks.
        line: of the grid.
        paper: of the background of hover labels.
    """

    series: tuple[str, ...] = style.COLORS
    ink: str = style.INK
    soft: str = style.INK
    line: str = style.FAINT
    paper: str = "#ffffff"


def figure(chart: Chart, panel: Panel, palette: Palette = Palette(), *, connected: bool = True) -> dict[str, Any]:
    """One panel of a figure.

    Means with a band of ± one standard deviation (error bars where the axis is words), the baseline dotted, the numbers
    of another source hollow. Pointing at a value shows mean, std and n of every series.

    Args:
        chart: whose axis the panel has.
        panel: its series.
        palette: colors.
        connected: whether the points of a series become a line; not for the trials of a search.
    """
    traces = [
        trace
        for index, series in enumerate(panel.series)
        for trace in _series(chart, panel, series, index, palette, connected)
    ]
    return {"data": traces, "layout": _layout(chart, panel, palette, connected)}


def _series(
    chart: Chart, panel: Panel, series: Series, index: int, palette: Palette, connected: bool
) -> list[dict[str, Any]]:
    color, group = palette.series[index % len(palette.series)], f"series {index}"
    shared = {"type": "scatter", "legendgroup": group, "showlegend": False, "hoverinfo": "skip"}
    positions = chart.axis.positions
    x, y = [positions[point.index] for point in series.points], [round(point.mean, DIGITS) for point in series.points]
    banded = connected and chart.axis.numeric and len(x) > 1
    traces = []
    if banded:
        high, low = ([round(point.mean + sign * point.std, DIGITS) for point in series.points] for sign in (1, -1))
        traces.append(
            {
                **shared,
                "x": x + x[::-1],
                "y": high + low[::-1],
                "mode": "lines",
                "line": {"width": 0},
                "fill": "toself",
                "fillcolor": color,
                "opacity": BAND,
            }
        )
    traces += _references(panel, series, positions, color, shared)
    traces.append(_points(series, x, y, index, color, panel, group, connected and chart.axis.numeric, banded))
    if beside := [point for point in series.points if point.other is not None]:
        traces.append(
            {
                **shared,
                "x": [positions[point.index] for point in beside],
                "y": [round(point.other or 0.0, DIGITS) for point in beside],
                "mode": "markers",
                "marker": {"color": color, "symbol": f"{SYMBOLS[style.turns(index)[1]]}-open", "size": 9},
            }
        )
    return traces


def _references(
    panel: Panel, series: Series, positions: Sequence[float], color: str, shared: dict[str, Any]
) -> list[dict[str, Any]]:
    """The accuracy of the baseline as a dotted line; where the values have several, a dash at each of them."""
    if series.baseline is None:
        dashed = [point for point in series.points if point.reference is not None]
        places = [positions[point.index] for point in dashed]
        levels = [round(point.reference or 0.0, DIGITS) for point in dashed]
        marker = {"color": color, "symbol": "line-ew-open", "size": 16, "line": {"width": 2}}
        return [{**shared, "x": places, "y": levels, "mode": "markers", "marker": marker}] if dashed else []
    return [
        {
            **shared,
            "x": list(panels.limits(positions)),
            "y": [round(series.baseline, DIGITS)] * 2,
            "mode": "lines+text",
            "text": ["", _line_label(panel, series)],
            "line": {"color": color, "dash": "dot", "width": 1.5},
            "textposition": "top left",
            "textfont": {"color": color, "size": 11},
        }
    ]


def _line_label(panel: Panel, series: Series) -> str:
    """The label of a dotted line: its series where there are several; none if it would cover an earlier label."""
    low, high = _span(panel)
    earlier = [one for one in panel.series[: panel.series.index(series)] if one.baseline is not None]
    levels = [one.baseline for one in earlier if one.baseline is not None]
    if any(abs((series.baseline or 0.0) - level) < APART * (high - low) for level in levels):
        return ""
    several = len({one.baseline for one in panel.series if one.baseline is not None}) > 1
    return markup.plotly(f"baseline: {series.name}" if several and series.name else "baseline")


def _points(
    series: Series,
    x: list[float],
    y: list[float],
    index: int,
    color: str,
    panel: Panel,
    group: str,
    line: bool,
    banded: bool,
) -> dict[str, Any]:
    """The trace that answers to the pointer and stands in the legend; its ``customdata`` is the value's index."""
    bars = [round(point.std, DIGITS) for point in series.points]
    return {
        "type": "scatter", "x": x, "y": y, "mode": "lines+markers" if line else "markers",
        "name": markup.plotly(series.name or panel.title or "accuracy"), "legendgroup": group,
        "line": {"color": color, "width": 2},
        "marker": {"color": color, "symbol": SYMBOLS[style.turns(index)[1]], "size": 8},
        "error_y": {"type": "data", "array": bars, "visible": not banded and any(bars), "color": color,
                    "thickness": 1.2, "width": 3},
        "customdata": [point.index for point in series.points],
        "text": [_hover(series, point) for point in series.points], "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _hover(series: Series, point: Point) -> str:
    """``DM 56.0 ± 1.0 (n = 2) · +2.0* · the paper 57.8 ± 0.3``."""
    count = f" (n = {point.n})" if point.n else ""
    text = f"{series.name} {mean_std(point.mean / 100, point.std / 100)}{count}".strip()
    return markup.plotly(" · ".join(filter(None, [text, point.detail])))


def _layout(chart: Chart, panel: Panel, palette: Palette, connected: bool) -> dict[str, Any]:
    axis = chart.axis
    shared = {"zeroline": False, "gridcolor": palette.line, "linecolor": palette.line, "automargin": True,
              "tickfont": {"color": palette.soft}}  # fmt: skip
    return {
        "xaxis": shared | {"title": {"text": markup.plotly(axis.name)}, "showgrid": False, "showline": True,
                           "range": list(panels.limits(axis.positions)), **_ticks(axis, connected)},
        "yaxis": shared | {"title": {"text": "test accuracy (%)"}, "range": _span(panel)},
        "showlegend": len(panel.series) > 1,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "hovermode": "x unified" if connected else "closest", "hoverdistance": -1 if connected else 20,
        "hoverlabel": {"bgcolor": palette.paper, "bordercolor": palette.line, "font": {"color": palette.ink}},
        "font": {"color": palette.ink}, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 50, "r": 16, "t": 16, "b": 44},
    }  # fmt: skip


def _ticks(axis: Axis, connected: bool) -> dict[str, Any]:
    """A tick at every value: plotly.js takes the text of a hover label from them, and turns them where they touch.

    The values of a search are too many for that: its logarithmic axis has a tick at each power of ten, and at zero.
    """
    values, labels = axis.positions, [markup.plotly(label) for label in axis.labels]
    if not connected and axis.numeric:
        if axis.scale == "linear":
            return {}
        powers = range(math.ceil(min(values)), math.floor(max(values)) + 1)
        values, labels = [float(power) for power in powers], [f"{10.0**power:g}" for power in powers]
        if 0 in axis.values:
            values, labels = [axis.positions[axis.values.index(0)], *values], ["0", *labels]
    return {"tickmode": "array", "tickvals": values, "ticktext": labels}


def _span(panel: Panel) -> list[float]:
    """The accuracies of a panel with their standard deviations, and a margin."""
    values = [value for series in panel.series for point in series.points for value in _values(point)]
    values += [level for series in panel.series for level in series.references]
    low, high = min(values, default=0.0), max(values, default=100.0)
    half = 1.16 * max(high - low, LEAST) / 2
    return [(low + high) / 2 - half, (low + high) / 2 + half]


def _values(point: Point) -> Sequence[float]:
    return [point.mean - point.std, point.mean + point.std, *([] if point.other is None else [point.other])]


def curves(lines: dict[int, list[tuple[int, float]]], palette: Palette) -> dict[str, Any]:
    """The curves of one loss: a trace per value of the axis, whose index is ``meta``; logarithmic where they span much.

    Args:
        lines: (iteration, loss) by index.
        palette: colors.
    """
    values = [value for line in lines.values() for _, value in line]
    traces = [
        {"type": "scatter", "mode": "lines", "meta": index, "x": [step for step, _ in line],
         "y": [value for _, value in line], "line": {"color": palette.soft, "width": 1.2}, "hoverinfo": "skip"}
        for index, line in lines.items()
    ]  # fmt: skip
    logarithmic = min(values) > 0 and is_logarithmic(values)
    shared = {"zeroline": False, "gridcolor": palette.line, "automargin": True, "tickfont": {"color": palette.soft}}
    return {
        "data": traces,
        "layout": {
            "xaxis": shared | {"title": {"text": "iteration"}},
            "yaxis": shared | {"title": {"text": "loss (log)" if logarithmic else "loss"},
                               "type": "log" if logarithmic else "linear"},
            "showlegend": False, "font": {"color": palette.ink}, "hovermode": False,
            "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
            "margin": {"l": 50, "r": 16, "t": 10, "b": 44},
        },
    }  # fmt: skip
