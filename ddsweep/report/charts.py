"""The table of a report, and its charts of accuracies and losses. Accuracies are in percent."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep.percent import mean_std
from ddsweep.results import run_files
from ddsweep.results.plots import interactive
from ddsweep.results.plots.interactive import Palette
from ddsweep.results.plots.seeds import Seeds
from ddsweep.results.run_files import METRICS
from ddsweep.results.tables import layout, naming, significance
from ddsweep.results.tables.table import average_gain, setting_of

if TYPE_CHECKING:
    from ddsweep.report.material import Material
    from ddsweep.results.plots.panels import Chart
    from ddsweep.results.tables.table import Entry
    from ddsweep.results.tables.table import Row as TableRow

ACROSS = 4  # settings as columns at most; more settings become lines
WIDE = 80  # characters of column heads that fit side by side
TERMS = {"loss/match": "matching loss", "loss/regularizer": "PTM term, before multiplication by α"}
PALETTE = Palette(
    tuple(f"var(--c{index})" for index in range(6)), "var(--ink)", "var(--soft)", "var(--line)", "var(--card)"
)  # variables of page.css
POINTS = 60  # points per curve at most
DIGITS = 4  # significant digits of a value


@dataclass(frozen=True)
class Place:
    """One entry of the table.

    Attributes:
        mean: the mean, such as ``94.6``, or ``failed`` or ``–`` for a missing result.
        std: the standard deviation, such as ``0.4``; empty if missing.
        difference: the difference from the baseline, such as ``+0.6``.
        mark: the significance, ``*`` or ``**`` (``significance``).
        other: the compared accuracy, such as ``57.8 ± 0.3``.
        best: whether the mean is the highest of its setting.
        baseline: whether the entry is the baseline.
        number: whether ``mean`` is a number.
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
    """The layout of the table on the page.

    Attributes:
        corner: the name of the first column.
        heads: the names of the other columns.
        lines: the name and the entries of every line; None for a missing entry.
        notes: the notes below the table.
        other: the name of the compared results; empty without a comparison.
    """

    corner: str
    heads: list[str]
    lines: list[tuple[str, list[Place | None]]]
    notes: list[str]
    other: str


def view(material: Material) -> View:
    """Lay out the table: values of the axis as columns if there are many settings, else as lines."""
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
    """The setting of a row, and the evaluated architecture if there are several."""
    arch = next(iter(row.values())).eval_arch if material.table.eval_archs else ""
    return " · ".join(filter(None, [naming.setting(setting_of(row)), naming.network(arch)]))


def points(difference: float | None) -> str:
    """Format a difference as ``−0.3``, with a minus sign; empty for None."""
    return layout.points(difference).replace("-", "−")


def best(row: TableRow) -> Entry | None:
    """The entry of a row with the highest mean; None if all are missing."""
    return max((entry for entry in row.values() if entry.mean is not None), key=lambda one: one.mean or 0, default=None)


def accuracies(chart: Chart) -> list[dict[str, Any]]:
    """The panels of the figure of accuracies, each with its title and its Plotly figure."""
    return [{"title": panel.title, "figure": interactive.figure(chart, panel, PALETTE)} for panel in chart.panels]


def _places(material: Material, row: TableRow) -> list[Place | None]:
    first = best(row)
    return [_place(material, row[column], row[column] is first) if column in row else None
            for column in material.table.columns]  # fmt: skip


def _place(material: Material, entry: Entry, first: bool) -> Place:
    other = material.against.other(entry) if material.against else None
    beside = f"{mean_std(other.mean, other.std)} {other.mark}".rstrip() if other else ""
    if entry.mean is None or entry.std is None:
        return Place(layout.absent(entry), other=beside, baseline=entry.baseline)
    mean, _, std = mean_std(entry.mean, entry.std).partition(" ± ")
    mark = entry.verdict.mark if entry.verdict else ""
    return Place(mean, std, points(entry.difference), mark, beside, first, entry.baseline, True)


def _gains(material: Material) -> list[tuple[str, list[Place | None]]]:
    """If several architectures are evaluated, one line per setting with the average gain over the architectures."""
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
    """The loss curves of every setting, of one seed if all its values have one in common: a Plotly figure per term."""
    heads = [naming.label(material.table.axis, column) for column in material.table.columns]
    found = []
    for label, cells in material.settings.items():
        logged = {
            column: {
                cell.recipe.seed: path
                for cell in cells.get(name, [])
                if run_files.is_intact(path := material.runs / cell.key / METRICS) and path.is_file()
            }
            for column, name in enumerate(material.table.columns)
        }
        seeds = Seeds.of(logged)
        metrics = {column: read(logged[column][seed]) for column, seed in seeds.shown.items()}
        terms = []
        for term, title in TERMS.items():
            lines = {column: line for column, some in metrics.items() if (line := thinned(some, term))}
            terms += [{"name": title, "figure": interactive.curves(lines, PALETTE)}] if lines else []
        found.append({"label": label, "terms": terms, "seeds": seeds.sentence(heads.__getitem__)})
    return found


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
