"""The notes of study and trials in the dashboard, and the figure of accuracy along the axis.

The texts and the figure are pure functions of a ``Status`` and the sweep's definition (``axis``, ``baseline``,
``parameters``); ``annotate`` writes them. Notes are optional: an error while writing one is only logged.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import optuna

from ddsweep import markup
from ddsweep.backends import Row, Scalar, State, Status
from ddsweep.backends.optuna import reported
from ddsweep.characters import printable
from ddsweep.errors import in_one_line
from ddsweep.markup import markdown
from ddsweep.percent import mean_std, percent
from ddsweep.results.plots import interactive, panels
from ddsweep.results.plots.panels import Chart, Panel
from ddsweep.results.tables import by_group, formats, naming, ranking, table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from ddsweep.backends.optuna.backend import OptunaBackend

logger = logging.getLogger(__name__)

PLOT = "accuracy-over-axis"  # fixed, so that a newer figure replaces the older one
WRITTEN = "ddsweep:notes"  # system attribute of a study: when its note was last written, and how long that took
QUICK = 0.2  # seconds that may be spent after every result
SHARE = 0.05  # of the time may be spent on it where it takes longer
MOST_TALLIES, MOST_CELLS = 40, 500  # values of one parameter; cells of a table in a note: more would not be read


def annotate(backend: OptunaBackend, point: str | None = None) -> None:
    """Write the note of a point's last attempt and the study's note and figure. Call it after the result is reported.

    The note of the study takes a second per 10,000 points. If it takes long, it is not written after every result, but
    so that all agents together spend a twentieth of the time on it, and when the sweep is drained.
    """
    try:
        save_note = _of_dashboard("_note").save_note
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


@cache
def _of_dashboard(name: str) -> ModuleType:
    """Load a module of optuna-dashboard that writes to a study, without its package.

    The package imports the web server, scikit-learn and pandas, which takes every agent 1.3 s of CPU time.
    """
    package = importlib.util.find_spec("optuna_dashboard")
    folders = (package and package.submodule_search_locations) or []
    for path in (Path(folder) / f"{name}.py" for folder in folders):
        found = importlib.util.spec_from_file_location(f"ddsweep_optuna_dashboard{name}", path)
        if path.is_file() and found is not None and found.loader is not None:
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            return module
    return importlib.import_module("optuna_dashboard")  # a version with other files: both functions are public


def _due(study: optuna.Study) -> bool:
    """Whether to write the study's note again. A wrong clock costs only an additional note."""
    written, took = study._storage.get_study_system_attrs(study._study_id).get(WRITTEN, (0.0, 0.0))
    return took < QUICK or not 0 <= time.time() - written < took / SHARE


def _annotate_study(backend: OptunaBackend, study: optuna.Study) -> None:
    began = time.monotonic()
    definition = backend.store.load_definition(backend.name)
    status = reported.without_other_images(backend.status(), definition.definition)
    _of_dashboard("_note").save_note(
        study, study_note(status, definition.title) + table_note(status, definition.definition)
    )
    _of_dashboard("_custom_plot_data").save_plotly_graph_object(
        study, figure(status, definition.definition), graph_object_id=PLOT
    )
    took = time.monotonic() - began
    study._storage.set_study_system_attr(study._study_id, WRITTEN, (time.time(), took))


def study_note(status: Status, title: str) -> str:
    """Markdown: the question, the progress, and for every value of every axis how many of its points are complete."""
    done = status.count(State.COMPLETE)
    parts = [f"{count} {state}" for state, count in status.counts.items() if count and state is not State.COMPLETE]
    summary = ", ".join([f"**{done} of {status.size} points complete**", *parts])
    lines = [f"# {markdown(status.name)}", "", *([markdown(title), ""] if title else []), f"{summary}.", ""]
    lines += ["| parameter | values (complete/points) |", "|---|---|"]
    for name in dict.fromkeys(name for row in status.rows for name in row.point.params):
        lines.append(f"| {markdown(name)} | {' · '.join(_tallies(status.rows, name))} |")
    return "\n".join(lines) + "\n"


def table_note(status: Status, definition: Mapping[str, Any]) -> str:
    """Markdown: the table of the results, as ``ddsweep results`` prints it.

    It is empty if there is no number yet, or if the table is too large.
    """
    sweep = reported.sweep_of(status, definition)
    stored = reported.results(status, sweep)
    if not stored.results or len(sweep.cells) > MOST_CELLS:
        return ""
    if sweep.search:
        ranked = ranking.build(sweep, stored, Path())
        remarks = [ranking.caption(ranked), *ranking.notes(ranked), *ranking.failures(ranked)]
        return "\n" + "\n\n".join([formats.pipes(ranking.grid(ranked)), *map(markdown, remarks)]) + "\n"
    return f"\n{formats.as_markdown(table.build(sweep, stored))}\n"


def _tallies(rows: Sequence[Row], name: str) -> list[str]:
    tally: dict[Scalar, list[bool]] = {}
    for row in rows:
        if name in row.point.params:
            tally.setdefault(row.point.params[name], []).append(row.state is State.COMPLETE)
    named = naming.texts(tally)
    texts = [f"{markdown(named[value] or '–')} ({sum(done)}/{len(done)})" for value, done in tally.items()]
    return texts if len(texts) <= MOST_TALLIES else [*texts[:MOST_TALLIES], f"… and {len(texts) - MOST_TALLIES} more"]


def trial_note(row: Row) -> str:
    """Markdown: the point as heading (lists of trials show only "Trial 7"), its result or failure, its settings."""
    lines = [f"## {markdown(row.point.title or row.point.id)}", ""]
    if row.value is not None:
        std = row.attributes.get(reported.STD)
        accuracy = mean_std(row.value, std if isinstance(std, int | float) else None)
        lines += [f"**test accuracy {accuracy} %**", "", *_by_group(row)]
    elif row.state is State.PRUNED:
        lines += [f"**{markdown(row.reason)}**", ""]
    elif row.reason:
        lines += ["**failed**", "", "```", printable(row.reason).replace("```", "'''"), "```", ""]
    lines += ["| setting | value |", "|---|---|"]
    settings = {name: naming.exactly(value) for name, value in row.point.params.items()}
    facts = {**row.attributes, "key": row.point.key, "attempts": row.attempts, "agent": row.agent}
    texts = settings | {name: _fact(value) for name, value in facts.items()}
    lines += [f"| {markdown(name)} | {markdown(text or '–')} |" for name, text in texts.items()]
    return "\n".join(lines) + "\n"


def _by_group(row: Row) -> list[str]:
    groups = [(name, row.attributes.get(f"group_accuracy/{name}")) for name in by_group.NAMES]
    known = {name: value for name, value in groups if isinstance(value, float)}
    return [f"{by_group.sentence(known)} (%)", ""] if known else []


def _fact(value: Any) -> str:
    """What is known about a trial, as text: ``convnet3: 61.0, 61.6`` for the accuracies of its networks in percent."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_fact(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(percent(part) if isinstance(part, float) else _fact(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)


def figure(status: Status, definition: Mapping[str, Any]) -> go.Figure:
    """Test accuracy in percent along the axis: the figure of the report, drawn from what the storage knows."""
    import plotly.graph_objects as go

    chart = describe(status, definition)
    (panel,) = chart.panels or [Panel("", [])]
    drawn = go.Figure(interactive.figure(chart, panel, connected=not definition.get("search")))
    return drawn.update_layout(template="none", title=markup.plotly(status.name), paper_bgcolor="white", margin_t=90)


def describe(status: Status, definition: Mapping[str, Any]) -> Chart:
    """The complete points as a chart with one panel, or none."""
    sweep = reported.sweep_of(status, definition)
    stored = reported.results(status, sweep)
    if sweep.search:
        return panels.ranked(ranking.build(sweep, stored, Path()), table.build(sweep, stored))
    return panels.chart(table.build(sweep, stored), together=True)
