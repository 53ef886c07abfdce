"""The table of a report and its charts of accuracies and losses. Accuracies are in percent."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.results.plots import interactive
from ddsweep.results.plots.interactive import Palette
from ddsweep.results.tables import layout, naming, significance
from ddsweep.results.tables.table import average_gain, setting_of

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.plots.panels import Chart
    from ddsweep.results.tables.table import Entry
    from ddsweep.results.tables.table import Row as TableRow

ACROSS = 4  # settings beside each other; if there are more, each is a line
WIDE = 80  # characters of column heads that fit beside each other
TERMS = {"loss/match": "matching loss", "loss/regularizer": "PTM term, before multiplication by α"}
PALETTE = Palette(
    tuple(f"var(--c{index})" for index in range(6)), "var(--ink)", "var(--soft)", "var(--line)", "var(--card)"
)  # of page.css
POINTS = 60  # of a curve
DIGITS = 4  # significant digits of a value


@dataclass(frozen=True)
class Place:
    """One entry of the table.

    Attributes:
        mean: ``94.6``, or why there is no number.
        std: ``0.4``; empty where there is none.
        difference: ``+0.6``; to the baseline.
        mark: ``*`` or ``**`` (``significance``).
        other: ``57.8 ± 0.3``: the number it is compared with.
        best: whether its mean is the highest of its setting.
        baseline: whether the others are compared with it.
        number: whether ``mean`` is one.
    """

    mean: str
    std: str = ""
    difference: str = ""
    mark: str = ""
    other: str = ""
    best: bool = False
    baseline: bool = False
    number: bool = False


@dataclass(frozen=True)
class View:
    """The table as it is laid out on the page.

    Attributes:
        corner: the name of the first column.
        heads: of the others.
        lines: name and entries of every line; None where the table has no entry.
        notes: written below it.
        other: the name of what it is compared with; empty without a comparison.
    """

    corner: str
    heads: list[str]
    lines: list[tuple[str, list[Place | None]]]
    notes: list[str]
    other: str


def view(material: Material) -> View:
    """The table: values of the axis as columns if there are many settings, else as lines."""
    table, other = material.table, material.against
    columns = [naming.label(table.axis, column) for column in table.columns]
    names = [row_name(material, row) or "accuracy" for row in table.rows]
    places = [_places(material, row) for row in table.rows]
    beside = other.title if other else ""
    notes = [_counted(material), significance.statement(table.verdicts), *table.notes]
    notes += layout.remarks(other) if other else []
    axis = naming.field(table.axis)
    short = len(names) == 1 and sum(max(map(len, column.split())) + 2 for column in columns) <= WIDE
    if len(names) > ACROSS or table.eval_archs or short:
        lines = list(zip(names, places, strict=True))
        return View(axis, columns, lines + _gains(material), list(filter(None, notes)), beside)
    down = [(column, [row[index] for row in places]) for index, column in enumerate(columns)]
    return View(axis, names, down, list(filter(None, notes)), beside)


def row_name(material: Material, row: TableRow) -> str:
    """The setting of a row, and the evaluated architecture where there are several."""
    arch = next(iter(row.values())).eval_arch if material.table.eval_archs else ""
    return " · ".join(filter(None, [naming.setting(setting_of(row)), naming.network(arch)]))


def points(difference: float | None) -> str:
    """``−0.3``, with a minus sign; empty if there is no difference."""
    return layout.points(difference).replace("-", "−")


def best(row: TableRow) -> Entry | None:
    """The entry with the highest mean."""
    return max((entry for entry in row.values() if entry.mean is not None), key=lambda one: one.mean or 0, default=None)


def accuracies(chart: Chart) -> list[dict[str, Any]]:
    """The panels of the figure of accuracies, each with its title and its Plotly figure."""
    return [{"title": panel.title, "figure": interactive.figure(chart, panel, PALETTE)} for panel in chart.panels]


def baselines(material: Material) -> dict[str, int]:
    """For every setting the index of the column that holds its finished baseline."""
    columns = material.table.columns
    return {
        naming.setting(setting_of(row)): columns.index(entry.column)
        for row in material.table.rows
        for entry in row.values()
        if entry.baseline and entry.mean is not None
    }


def _places(material: Material, row: TableRow) -> list[Place | None]:
    first = best(row)
    return [_place(material, row[column], row[column] is first) if column in row else None
            for column in material.table.columns]  # fmt: skip


def _place(material: Material, entry: Entry, first: bool) -> Place:
    other = material.against.other(entry) if material.against else None
    beside = f"{layout.mean_std(other.mean, other.std)} {other.mark}".rstrip() if other else ""
    if entry.mean is None or entry.std is None:
        return Place("failed" if entry.failed else "–", other=beside, baseline=entry.baseline)
    mean, _, std = layout.mean_std(entry.mean, entry.std).partition(" ± ")
    mark = entry.verdict.mark if entry.verdict else ""
    return Place(mean, std, points(entry.difference), mark, beside, first, entry.baseline, True)


def _gains(material: Material) -> list[tuple[str, list[Place | None]]]:
    """If several architectures are evaluated, a line per setting with the average gain over them."""
    if not material.table.eval_archs:
        return []
    lines = []
    for rows in material.table.settings:
        gains = [points(average_gain(rows, column)) for column in material.table.columns]
        name = " · ".join(filter(None, [naming.setting(setting_of(rows[0])), "average gain"]))
        lines.append((name, [Place(gain, number=True) if gain else None for gain in gains]))
    return lines


def _counted(material: Material) -> str:
    counts = sorted({entry.n for entry in material.table.entries if entry.n})
    if not counts:
        return "No cell has finished yet."
    networks = f"{counts[0]}–{counts[-1]}" if len(counts) > 1 else str(counts[0])
    return f"Accuracy on the full test set in percent: mean ± standard deviation over {networks} networks per entry."


def of(material: Material) -> list[dict[str, Any]]:
    """The loss curves of every setting, of the first seed: a Plotly figure per term."""
    found = []
    for label, cells in material.settings.items():
        metrics: dict[int, list[dict[str, Any]]] = {}
        for column, name in enumerate(material.table.columns):
            for cell in cells.get(name, [])[:1]:
                metrics[column] = read(material.runs / cell.key / "metrics.jsonl")
        terms = []
        for term, title in TERMS.items():
            lines = {column: line for column, logged in metrics.items() if (line := thinned(logged, term))}
            terms += [{"name": title, "figure": interactive.curves(lines, PALETTE)}] if lines else []
        found.append({"label": label, "terms": terms})
    return found


def read(path: Path) -> list[dict[str, Any]]:
    """Read a metrics file; invalid lines (a killed process leaves half a line) are left out."""
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
    """Reduce a curve to at most ``POINTS`` points at even distances, each the mean of an interval."""
    points = [(line["step"], float(line[term])) for line in lines if _finite(line.get(term))]
    width = max(1, math.ceil(len(points) / POINTS))
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [(group[-1][0], float(f"{sum(value for _, value in group) / len(group):.{DIGITS}g}")) for group in groups]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
