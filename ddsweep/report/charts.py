"""The charts of accuracies and losses of a report. Accuracies are in percent."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.results import run_files
from ddsweep.results.plots import interactive, panels
from ddsweep.results.plots.interactive import Palette
from ddsweep.results.plots.seeds import Seeds
from ddsweep.results.run_files import METRICS
from ddsweep.results.tables import naming

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.plots.panels import Chart

TERMS = {"loss/match": "matching loss", "loss/regularizer": "PTM term, before multiplication by α"}
OWN = "method/"  # start of the names of scalars of a method's own
PALETTE = Palette(
    tuple(f"var(--c{index})" for index in range(6)), "var(--ink)", "var(--soft)", "var(--line)", "var(--card)"
)  # variables of page.css
POINTS = 60  # points per curve at most
DIGITS = 4  # significant digits of a value


def accuracies(material: Material) -> Chart:
    """The figure of accuracies; of a search, its trials along the axis."""
    if material.ranking:
        return panels.ranked(material.ranking, material.table)
    return panels.chart(material.table, material.against)


def drawn(chart: Chart, *, connected: bool) -> list[dict[str, Any]]:
    """The panels of a figure, each with its title and its Plotly figure."""
    return [
        {"title": panel.title, "figure": interactive.figure(chart, panel, PALETTE, connected=connected)}
        for panel in chart.panels
    ]


def of(material: Material) -> list[dict[str, Any]]:
    """The loss curves of every setting, of one seed if all its values have one in common: a Plotly figure per term."""
    heads = [naming.label(material.table.axis, column) for column in material.table.columns]
    found = []
    for label, cells in material.settings.items():
        logged = {
            column: {
                cell.recipe.seed: path
                for cell in cells.get(name, ())
                if run_files.is_intact(path := material.runs / cell.key / METRICS) and path.is_file()
            }
            for column, name in enumerate(material.table.columns)
        }
        seeds = Seeds.of(logged)
        metrics = {column: read(logged[column][seed]) for column, seed in seeds.shown.items()}
        terms = []
        for term, title in (TERMS | own_terms(metrics.values())).items():
            lines = {column: line for column, some in metrics.items() if (line := thinned(some, term))}
            terms += [{"name": title, "figure": interactive.curves(lines, PALETTE)}] if lines else []
        found.append({"label": label, "terms": terms, "seeds": seeds.sentence(heads.__getitem__)})
    return found


def own_terms(metrics: Iterable[Iterable[dict[str, Any]]]) -> dict[str, str]:
    """The scalars that methods of one's own have logged (``Match.scalars``), each with its title."""
    names = {name for lines in metrics for line in lines for name in line if name.startswith(OWN)}
    return {name: name.removeprefix(OWN) for name in sorted(names)}


def read(path: Path) -> list[dict[str, Any]]:
    """Read a metrics file, skipping invalid lines, such as a line truncated when its process was killed.

    Of a damaged file nothing is read.
    """
    if not run_files.is_intact(path):
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            found.append(value)
    return found


def thinned(lines: list[dict[str, Any]], term: str) -> list[tuple[int, float]]:
    """Reduce a curve to at most ``POINTS`` evenly spaced points, each the mean of an interval."""
    points = [(line["step"], float(line[term])) for line in lines if _finite(line.get(term))]
    width = max(1, math.ceil(len(points) / POINTS))
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [(group[-1][0], float(f"{sum(value for _, value in group) / len(group):.{DIGITS}g}")) for group in groups]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
