"""The notes of study and trials in the dashboard, and the figure of accuracy along the axis.

The texts and the figure are pure functions of a ``Status`` and the sweep's definition (``axis``, ``baseline``,
``parameters``); ``annotate`` writes them. Notes are optional: an error while writing one is only logged.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import optuna

from ddsweep import markup
from ddsweep.backends import Row, Scalar, State, Status
from ddsweep.backends.space import Space
from ddsweep.characters import printable
from ddsweep.errors import in_one_line
from ddsweep.markup import markdown
from ddsweep.percent import mean_std
from ddsweep.results import image_checksums
from ddsweep.results.plots import interactive
from ddsweep.results.plots.axis import Axis, is_number
from ddsweep.results.plots.panels import Chart, Panel, Point, Series
from ddsweep.results.tables import naming
from ddsweep.sweep import agrees

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ddsweep.backends.optuna.backend import OptunaBackend

logger = logging.getLogger(__name__)

PLOT = "accuracy-over-axis"  # fixed, so that a newer figure replaces the older one
WRITTEN = "ddsweep:notes"  # system attribute of a study: when its note was last written, and how long that took
QUICK = 0.2  # seconds that may be spent after every result
SHARE = 0.05  # of the time may be spent on it where it takes longer
MOST_TALLIES, MOST_LINES = 40, 20  # values of one parameter; baselines in one figure: more would not be read
STD = "accuracy_std"  # the attribute from which error bars are drawn


def annotate(backend: OptunaBackend, point: str | None = None) -> None:
    """Write the note of a point's last attempt and the study's note and figure. Call it after the result is reported.

    The note of the study takes a second per 10,000 points. If it takes long, it is not written after every result, but
    so that all agents together spend a twentieth of the time on it, and when the sweep is drained.
    """
    try:
        from optuna_dashboard import save_note  # 1.3 s, paid once and after the first result

        status, study = backend.status(), backend.study()
        study.sampler = optuna.samplers.RandomSampler()  # it is never used, but a Trial object needs one
        for row in (row for row in status.rows if row.point.id == point and row.number is not None):
            assert row.number is not None
            storage = backend.store.database.rdb
            trial = storage.get_trial_id_from_study_id_trial_number(study._study_id, row.number)
            save_note(optuna.Trial(study, trial), trial_note(row))
        if status.drained or _due(study):
            # one agent at a time: a note is several rows, and the last one to write must be the one who read last
            with backend.store.database.mutex("notes"):
                _annotate_study(backend, study)
    except Exception as error:
        logger.warning("%s: the dashboard's notes were not written (%s)", backend.name, in_one_line(error))


def _due(study: optuna.Study) -> bool:
    """Whether to write the study's note again. A wrong clock costs only an additional note."""
    written, took = study._storage.get_study_system_attrs(study._study_id).get(WRITTEN, (0.0, 0.0))
    return took < QUICK or not 0 <= time.time() - written < took / SHARE


def _annotate_study(backend: OptunaBackend, study: optuna.Study) -> None:
    from optuna_dashboard import save_note, save_plotly_graph_object

    began = time.monotonic()
    definition = backend.store.load_definition(backend.name)
    status = without_other_images(backend.status(), definition.definition)
    save_note(study, study_note(status, definition.title))
    save_plotly_graph_object(study, figure(status, definition.definition), graph_object_id=PLOT)
    took = time.monotonic() - began
    study._storage.set_study_system_attr(study._study_id, WRITTEN, (time.time(), took))


def without_other_images(status: Status, definition: Mapping[str, Any]) -> Status:
    """The status without the values of points that were computed from other images than the registered ones."""
    expected = definition.get("data", {})
    rows = [
        row
        if image_checksums.agree(row.attributes.get("images", {}), expected)
        else replace(row, state=State.WAITING, value=None)
        for row in status.rows
    ]
    return replace(status, rows=rows)


def study_note(status: Status, title: str) -> str:
    """Markdown: the question, the progress, and for every value of every axis how many of its points are complete."""
    done = status.count(State.COMPLETE)
    parts = [f"{count} {state}" for state, count in status.counts.items() if count and state is not State.COMPLETE]
    summary = ", ".join([f"**{done} of {status.size} points complete**", *parts])
    lines = [f"# {markdown(status.name)}", "", *([markdown(title), ""] if title else []), f"{summary}.", ""]
    lines += ["| parameter | values (complete/points) |", "|---|---|"]
    for name in dict.fromkeys(name for row in status.rows for name in row.point.params):
        lines.append(f"| {_cell(name)} | {' · '.join(_tallies(status.rows, name))} |")
    return "\n".join(lines) + "\n"


def _tallies(rows: Sequence[Row], name: str) -> list[str]:
    tally: dict[Scalar, list[bool]] = {}
    for row in rows:
        if name in row.point.params:
            tally.setdefault(row.point.params[name], []).append(row.state is State.COMPLETE)
    texts = [f"{_cell(value)} ({sum(done)}/{len(done)})" for value, done in tally.items()]
    return texts if len(texts) <= MOST_TALLIES else [*texts[:MOST_TALLIES], f"… and {len(texts) - MOST_TALLIES} more"]


def trial_note(row: Row) -> str:
    """Markdown: the point as heading (lists of trials show only "Trial 7"), its result or failure, its settings."""
    lines = [f"## {markdown(row.point.title or row.point.id)}", ""]
    if row.value is not None:
        std = row.attributes.get(STD)
        accuracy = mean_std(row.value, std if isinstance(std, int | float) else None)
        lines += [f"**test accuracy {accuracy} %**", ""]
    elif row.state is State.PRUNED:
        lines += [f"**{markdown(row.reason)}**", ""]
    elif row.reason:
        lines += ["**failed**", "", "```", printable(row.reason).replace("```", "'''"), "```", ""]
    lines += ["| setting | value |", "|---|---|"]
    facts = {**row.point.params, **row.attributes, "key": row.point.key, "attempts": row.attempts, "agent": row.agent}
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    return markdown(_shown(value))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "–" if value in ("", None) else str(value)


def figure(status: Status, definition: Mapping[str, Any]) -> go.Figure:
    """Test accuracy in percent along the first parameter of ``axis``; a series per choice of the other parameters.

    It is the figure of the report (``results.plots.interactive``), drawn from what the storage knows.
    """
    import plotly.graph_objects as go

    chart, panel = describe(status, definition)
    drawn = go.Figure(interactive.figure(chart, panel, connected=not definition.get("search")))
    return drawn.update_layout(template="none", title=markup.plotly(status.name), paper_bgcolor="white", margin_t=90)


def describe(status: Status, definition: Mapping[str, Any]) -> tuple[Chart, Panel]:
    """The complete points as a chart with one panel."""
    name = str(next(iter(definition.get("axis", ())), ""))
    sampled = Space.of(definition).ranges if definition.get("search") else {}
    complete = [row for row in status.rows if row.value is not None]
    values = list(dict.fromkeys(row.point.params[name] for row in complete if name in row.point.params))
    if all(map(is_number, values)):
        values.sort(key=lambda value: float(value or 0))
    axis = Axis.of(naming.field(name), [_shown(value) for value in values], values)
    series: dict[str, list[Row]] = {}
    for row in complete:
        series.setdefault(_others(row, {name, *sampled}), []).append(row)
    indices = {value: index for index, value in enumerate(values)}
    drawn = [_series(setting, rows, name, indices, definition) for setting, rows in series.items()]
    kept = [*drawn[:MOST_LINES], *(replace(line, baseline=None) for line in drawn[MOST_LINES:])]
    return Chart(axis), Panel("", kept)


def _series(
    setting: str, rows: Sequence[Row], name: str, indices: Mapping[Scalar, int], definition: Mapping[str, Any]
) -> Series:
    """The points of one setting along the axis; a baseline without a value there is only a line."""
    baseline = next((row for row in rows if is_baseline(row, definition)), None)
    points = [
        Point(
            indices[row.point.params[name]], 100 * (row.value or 0.0), 100 * float(row.attributes.get(STD) or 0),
            baseline=row is baseline, detail="baseline" if row is baseline else row.point.title,
        )
        for row in rows
        if name in row.point.params
    ]  # fmt: skip
    points.sort(key=lambda point: point.index)
    return Series(setting, points, None if baseline is None else 100 * (baseline.value or 0.0))


def is_baseline(row: Row, definition: Mapping[str, Any]) -> bool:
    """Whether the point, completed by what the sweep fixes, has every value of ``baseline``."""
    fixed = {name: values[0] for name, values in definition.get("parameters", {}).items() if len(values) == 1}
    baseline = definition.get("baseline") or {}
    return bool(baseline) and agrees(fixed | row.point.params, baseline)


def _others(row: Row, along: Collection[str]) -> str:
    return " · ".join(f"{name} {_shown(value)}" for name, value in row.point.params.items() if name not in along)
