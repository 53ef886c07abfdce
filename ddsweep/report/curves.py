"""How the losses fell, from the run folders' ``metrics.jsonl``, thinned out for a chart."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddsweep.report.material import Material

TERMS = {"loss/match": "matching loss", "loss/regularizer": "PTM term, before it is multiplied by α"}
POINTS = 60  # of a curve
DIGITS = 4  # of a value


def of(material: Material) -> list[dict[str, Any]]:
    """For every setting its curves as JSON: for each term a list of (step, value) by column, first seed."""
    found = []
    for label, cells in material.settings.items():
        metrics: dict[int, list[dict[str, Any]]] = {}
        for column, name in enumerate(material.table.columns):
            for cell in cells.get(name, [])[:1]:
                metrics[column] = read(material.runs / cell.key / "metrics.jsonl")
        terms = []
        for term, title in TERMS.items():
            lines = {str(column): line for column, told in metrics.items() if (line := thinned(told, term))}
            terms += [{"name": title, "lines": lines}] if lines else []
        found.append({"label": label, "terms": terms})
    return found


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of metrics; those that are no metrics (a killed process leaves half a line) are left out."""
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
    """At most ``POINTS`` points at even distances, each the mean of what lies between."""
    points = [(line["step"], float(line[term])) for line in lines if _finite(line.get(term))]
    width = max(1, math.ceil(len(points) / POINTS))
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [(group[-1][0], float(f"{sum(value for _, value in group) / len(group):.{DIGITS}g}")) for group in groups]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
