"""The numbers of figures, of the report and of the dashboard, and those that trackers get, against the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.oracle.display import Plan, difference, number
from tests.oracle.expected import STATES, Expected, Trial, average_gain, percent

if TYPE_CHECKING:
    from ddsweep.report.numbers import View
    from ddsweep.results.plots.panels import Chart
    from ddsweep.results.result import Result


def chart(plan: Plan, shown: Chart) -> Iterator[str]:
    """A point for every place with a number, and no other."""
    expected = sorted(
        (row, column, *_close(entry.accuracy, entry.std, len(entry.values)), entry.is_baseline, _base(entry))
        for (row, column, arch), entry in _with_arch(plan)
        if entry.accuracy is not None and entry.std is not None
    )
    found = sorted(
        (*_known(plan, _joined(panel.title, series.name), shown.axis.labels[point.index]),
         *_close(point.mean / 100, point.std / 100, point.n), point.baseline, _percent(point.reference))
        for panel in shown.panels for series in panel.series for point in series.points
    )  # fmt: skip
    if expected != found:
        lacking = [one for one in expected if one not in found]
        more = [one for one in found if one not in expected]
        yield f"points lack {lacking[:3]} and have {more[:3]}"


def _known(plan: Plan, row: str, column: str) -> tuple[str, str]:
    """A place as the plan has it (``Plan.known``)."""
    if any((row, column) == place[:2] for place, _ in _with_arch(plan)):
        return row, column
    return plan.known((row, column, ""))[:2]


def _base(entry: Expected) -> float:
    base = None if entry.is_baseline else entry.baseline
    return _percent(None if base is None or base.accuracy is None else 100 * base.accuracy)


def _percent(value: float | None) -> float:
    return -1.0 if value is None else round(value, 6)


def _close(mean: float, std: float, n: int) -> tuple[float, float, int]:
    return round(mean, 9), round(std, 9), n


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, (" ".join(part.split()) for part in parts)))


def _with_arch(plan: Plan) -> Iterator[tuple[tuple[str, str, str], Expected]]:
    """The places; the architecture is part of the row."""
    from ddsweep.registry.networks import paper_name

    for (row, column, arch), entry in plan.places.items():
        yield (_joined(row, paper_name(arch) if arch else ""), column, arch), entry


def report(plan: Plan, view: View) -> Iterator[str]:
    """The table of the report: what stands at each place, and the cells behind it."""
    expected = {(row, column): entry for (row, column, _), entry in _with_arch(plan)}
    columns = {column for _, column in expected}
    gains: dict[tuple[str, str], str] = {}
    found = {}
    for name, places in view.lines:
        for head, place in zip(view.heads, places, strict=True):
            row, column = (name, head) if view.corner == plan.axis and head in columns else (head, name)
            if not place:
                continue
            row = "" if row == "accuracy" else _joined(row)
            if place.behind is None:
                gains[row.removesuffix("average gain").removesuffix(" · "), column] = place.mean
            else:
                found[_known(plan, row, _joined(column))] = place
    if expected.keys() != found.keys():
        yield f"places are {sorted(found)[:6]}, not {sorted(expected)[:6]}"
        return
    for where, place in found.items():
        entry = expected[where]
        std = f" ± {place.std}" if place.std else ""
        text = " ".join(filter(None, [f"{place.mean}{std}", place.share]))
        if text != number(entry) or place.difference.replace("−", "-") != difference(entry):
            yield f"{text} {place.difference} is at {where}, not {number(entry)} {difference(entry)}"
        assert place.behind
        cells = [(one.key, one.seed, one.state, one.accuracy) for one in place.behind.cells]
        if sorted(cells) != sorted(_cell(cell, entry.arch) for cell in entry.cells):
            yield f"the cells behind {where} are {cells}"
    for (row, column, arch), entry in plan.places.items() if plan.several else ():
        alike = [one for one in plan.entries if one.fields == entry.fields]
        gain = percent(average_gain(alike), sign=True)
        if gains.get((row, column), "").replace("−", "-") != gain:
            yield f"the average gain at {row, column, arch} is {gains.get((row, column))}, not {gain}"


def _cell(cell: Trial, arch: str) -> tuple[str, int, str, str]:
    values = cell.accuracies.get(arch, [])
    return cell.key, cell.recipe["seed"], cell.state, percent(float(np.mean(values))) if values else ""


def cells(lines: list[dict[str, Any]], entries: list[Expected]) -> Iterator[str]:
    """``--cells``: a line for every cell and architecture."""
    expected = {}
    for entry in entries:
        for cell in entry.cells:
            values = cell.accuracies.get(entry.arch, [])
            mean = round(float(np.mean(values)), 9) if values else None
            expected[cell.key, entry.arch] = (cell.state, len(values), mean)
    several = any("eval_arch" in line for line in lines)
    archs = {cell.key: entry.arch for entry in entries for cell in entry.cells}
    found = {
        (line["key"], line["eval_arch"] if several else archs[line["key"]]): (
            line["state"], line["n"], None if line["accuracy"] is None else round(line["accuracy"], 9),
        )
        for line in lines
    }  # fmt: skip
    if found != expected or len(lines) != len(expected):
        yield f"{len(lines)} cells are listed, not {len(expected)}, or with other numbers"
    if any(line["state"] not in STATES for line in lines):
        yield "a cell has an unknown state"


def summary(result: Result, trial: Trial) -> Iterator[str]:
    """What trackers get for a trial."""
    found, archs = result.summary(), trial.recipe["eval_archs"].split("+")
    shown = trial.recipe["arch"] if trial.recipe["arch"] in archs else archs[0]
    values = trial.accuracies
    expected = {f"accuracy/{arch}": float(np.mean(values[arch])) for arch in archs}
    expected |= {"accuracy": float(np.mean(values[shown])), "accuracy_std": float(np.std(values[shown]))}
    for name, value in expected.items():
        if abs(found.get(name, -1.0) - value) > 1e-9:
            yield f"{name} of {trial.key} is {found.get(name)}, not {value}"
