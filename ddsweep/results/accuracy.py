"""Accuracy along the axis of a sweep, as the paper draws it: Fig. 2 (PTM epoch) and Fig. 3 (α, N_m).

Numbers become lines with a band of ± std and a dotted baseline, words become dots, and the trials of a search points.
"""

from __future__ import annotations

from pathlib import Path

from ddsweep.results import categories, drawing, hunt, lines, ranking, series
from ddsweep.results.output import Output
from ddsweep.results.table import build, collect
from ddsweep.sweep import Sweep


def along_axis(sweep: Sweep, runs: Path, output: Output | None = None) -> list[Path]:
    """The picture ``accuracy.png`` in ``output``, or in ``runs/NAME@PROFILE``; none where nothing is finished.

    Mean over seeds and networks, and ± one standard deviation; cells that are not finished, or failed, are left out.
    """
    if sweep.search:
        return _searched(sweep, runs, output)
    table = build(sweep, collect(sweep, runs))
    found = series.panels(table)
    if not any(one.entries for panel in found for one in panel.series):
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    if series.numeric(table):
        size, draw = lines.lines_size, lines.draw_lines
    else:
        size, draw = categories.dots_size, categories.draw_dots
    with drawing.page(path, *size(found, table)) as figure:
        draw(figure, found, table)
    return [path]


def _searched(sweep: Sweep, runs: Path, output: Output | None) -> list[Path]:
    ranked = ranking.build(sweep, collect(sweep, runs), runs)
    if not any(one.values for one in ranked.trials):
        return []
    path = (output or Output(runs / sweep.full_name)).path("accuracy")
    with drawing.page(path, *hunt.size(ranked)) as figure:
        hunt.draw(figure, ranked)
    return [path]
