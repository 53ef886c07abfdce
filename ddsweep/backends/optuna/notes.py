"""What the dashboard says about a sweep in words and in one picture: notes of study and trials, accuracy over the axis.

The texts and the figure are pure functions of a ``Status`` and the sweep's definition (``axis``, ``baseline``,
``parameters``); ``annotate`` writes them. Notes are a courtesy: whatever goes wrong with one is logged and forgotten.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna

from ddsweep.backends import Row, Scalar, State, Status
from ddsweep.backends.optuna.grid import LOG_SPAN

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ddsweep.backends.optuna.backend import OptunaBackend

logger = logging.getLogger(__name__)

PLOT = "accuracy-over-axis"  # stable: a newer figure takes the place of the older one
WRITTEN = "ddsweep:notes"  # system attribute of a study: when its note was written last, and how long that took
QUICK = 0.2  # seconds that may be spent after every result
SHARE = 0.05  # of the time may be spent on it where it takes longer
MOST_TALLIES, MOST_LINES = 40, 20  # values of one parameter, baselines in one figure: more is not read
STD = "accuracy_std"  # the attribute from which error bars are drawn


def annotate(backend: OptunaBackend, point: str | None = None) -> None:
    """Write the note of one point's last attempt, and the study's note and figure; call it after the result is told.

    What is of the study takes a second for every 10,000 points. Where it takes long it is not written after every
    result, but so that all agents together spend a twentieth of the time on it, and when the sweep is drained.
    """
    try:
        from optuna_dashboard import save_note  # 1.3 s, paid once and after the first result

        status, study = backend.status(), backend.study()
        study.sampler = optuna.samplers.RandomSampler()  # it is never asked, but a Trial object consults it
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
        logger.warning("%s: the dashboard's notes were not written (%s: %s)", backend.name, type(error).__name__, error)


def _due(study: optuna.Study) -> bool:
    """Whether the study's note is to be written again. A clock that is off costs a note too many."""
    written, took = study._storage.get_study_system_attrs(study._study_id).get(WRITTEN, (0.0, 0.0))
    return took < QUICK or not 0 <= time.time() - written < took / SHARE


def _annotate_study(backend: OptunaBackend, study: optuna.Study) -> None:
    from optuna_dashboard import save_note, save_plotly_graph_object

    began = time.monotonic()
    status, definition = backend.status(), backend.store.load_definition(backend.name)
    save_note(study, study_note(status, definition.title))
    save_plotly_graph_object(study, figure(status, definition.definition), graph_object_id=PLOT)
    took = time.monotonic() - began
    study._storage.set_study_system_attr(study._study_id, WRITTEN, (time.time(), took))


def study_note(status: Status, title: str) -> str:
    """Markdown: the question, how far it is, and for every value of every axis how many of its points are complete."""
    done = status.count(State.COMPLETE)
    parts = [f"{count} {state}" for state, count in status.counts.items() if count and state is not State.COMPLETE]
    summary = ", ".join([f"**{done} of {status.size} points complete**", *parts])
    lines = [f"# {status.name}", "", *([title, ""] if title else []), f"{summary}.", ""]
    lines += ["| parameter | values (complete/points) |", "|---|---|"]
    for name in dict.fromkeys(name for row in status.rows for name in row.point.params):
        lines.append(f"| {_cell(name)} | {' · '.join(_tallies(status.rows, name))} |")
    return "\n".join(lines) + "\n"


def _tallies(rows: Sequence[Row], name: str) -> list[str]:
    tally: dict[Scalar, list[bool]] = {}
    for row in rows:
        if name in row.point.params:
            tally.setdefault(row.point.params[name], []).append(row.state is State.COMPLETE)
    told = [f"{_cell(value)} ({sum(done)}/{len(done)})" for value, done in tally.items()]
    return told if len(told) <= MOST_TALLIES else [*told[:MOST_TALLIES], f"… and {len(told) - MOST_TALLIES} more"]


def trial_note(row: Row) -> str:
    """Markdown: the point as heading (a list of trials says only "Trial 7"), its result or failure, its settings."""
    lines = [f"## {row.point.title or row.point.id}", ""]
    if row.value is not None:
        std = row.attributes.get(STD)
        spread = f" ± {100 * std:.2f}" if isinstance(std, int | float) else ""
        lines += [f"**test accuracy {100 * row.value:.2f}{spread} %**", ""]
    elif row.state is State.PRUNED:
        lines += [f"**{row.reason}**", ""]
    elif row.reason:
        lines += ["**failed**", "", "```", row.reason.replace("```", "'''"), "```", ""]
    lines += ["| setting | value |", "|---|---|"]
    facts = {**row.point.params, **row.attributes, "key": row.point.key, "attempts": row.attempts, "agent": row.agent}
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else "–" if value in ("", None) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def figure(status: Status, definition: Mapping[str, Any]) -> go.Figure:
    """Test accuracy in percent over the first parameter of ``axis``; a trace for every choice of the others.

    A point that agrees with ``baseline`` is a dotted line. The axis is logarithmic over two decades or more; α = 0 has
    no place on it and is the baseline anyway. Bars are one standard deviation (the attribute ``accuracy_std``).
    """
    import plotly.graph_objects as go

    axis = str(next(iter(definition.get("axis", ())), ""))
    complete = [row for row in status.rows if row.value is not None]
    lines, traces = list[Row](), dict[str, list[Row]]()
    for row in complete:
        if is_baseline(row, definition):
            lines.append(row)
        elif axis in row.point.params:
            traces.setdefault(_others(row, axis), []).append(row)
    mode = "markers" if definition.get("search") else "lines+markers"
    chart = go.Figure(layout={"template": "none", "title": status.name})
    for name, rows in traces.items():
        chart.add_trace(go.Scatter(name=name or axis, mode=mode, **_columns(rows, axis)))
    for row in lines[:MOST_LINES]:
        label = " · ".join(filter(None, ["baseline", _others(row, axis) if len(lines) > 1 else ""]))
        chart.add_hline(y=100 * (row.value or 0.0), line_dash="dot", annotation_text=label)
    kind = axis_type([row.point.params[axis] for rows in traces.values() for row in rows])
    chart.update_xaxes(title=axis, type=kind, dtick=1 if kind == "log" else None)  # a tick at every decade
    chart.update_yaxes(title="test accuracy, %")
    chart.update_layout(showlegend=len(traces) > 1)
    return chart


def is_baseline(row: Row, definition: Mapping[str, Any]) -> bool:
    """Whether the point, completed by what the sweep fixes, has every value of ``baseline``."""
    fixed = {name: values[0] for name, values in definition.get("parameters", {}).items() if len(values) == 1}
    chosen = fixed | row.point.params
    baseline = definition.get("baseline") or {}
    return bool(baseline) and all(name in chosen and chosen[name] == value for name, value in baseline.items())


def axis_type(values: Sequence[Scalar]) -> str:
    """Plotly's type of an axis: ``log`` for positive numbers over two decades, ``linear`` or ``category``."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not numbers or len(numbers) < len(values):
        return "category"
    return "log" if min(numbers) > 0 and max(numbers) >= LOG_SPAN * min(numbers) else "linear"


def _others(row: Row, axis: str) -> str:
    return " · ".join(f"{name} {_cell(value)}" for name, value in row.point.params.items() if name != axis)


def _columns(rows: list[Row], axis: str) -> dict[str, Any]:
    if axis_type([row.point.params[axis] for row in rows]) != "category":
        rows = sorted(rows, key=lambda row: float(row.point.params[axis] or 0))
    bars = [100 * float(row.attributes.get(STD) or 0) for row in rows]
    return {
        "x": [row.point.params[axis] for row in rows],
        "y": [100 * (row.value or 0.0) for row in rows],
        "error_y": {"type": "data", "array": bars, "visible": any(bars)},
        "text": [row.point.title for row in rows],
    }
