from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import optuna_dashboard
import pytest
from optuna_dashboard import get_note

from ddsweep import sweep
from ddsweep.backends import Definition, Point, Row, Scalar, State, Status
from ddsweep.backends.optuna import notes
from ddsweep.backends.optuna.backend import OptunaBackend
from ddsweep.recipe import Recipe
from ddsweep.results.result import Result
from tests.backends.conftest import Opener


def sweep_of(**settings: Any) -> sweep.Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 100], "method": ["dm", "dc"], **settings})


def row(value: float | None, std: float | None = None, **params: Scalar) -> Row:
    title = " · ".join(f"{name} {one}" for name, one in params.items())
    state = State.WAITING if value is None else State.COMPLETE
    attributes = {} if std is None else {"accuracy_std": std}
    return Row(Point(title, params, "key", title), state, 1, "", value, attributes, "gpu0")


def status_of(one: sweep.Sweep, values: Callable[[Recipe], float | list[float] | None]) -> Status:
    """The sweep with a mean accuracy for each cell, as an earlier version reported it, or with its networks'."""
    rows = []
    for cell in one.cells:
        found = values(cell.recipe)
        point = Point(cell.key, dict(cell.point), cell.key, cell.recipe.title())
        if found is None:
            rows.append(Row(point, State.WAITING, 0))
        elif isinstance(found, list):
            attributes = {"accuracies": {cell.recipe.arch: found}, "accuracy_std": pstdev(found)}
            rows.append(Row(point, State.COMPLETE, 1, "", fmean(found), attributes, "gpu0"))
        else:
            rows.append(Row(point, State.COMPLETE, 1, "", found, {"accuracy_std": 0.02}, "gpu0"))
    return Status(one.full_name, rows)


STATUS = Status(
    "ablation-alpha@demo",
    [
        row(0.5, alpha=0.0, method="dm"),
        row(0.625, 0.01, alpha=100.0, method="dm"),
        row(0.6, 0.02, alpha=1.0, method="dm"),
        row(0.7, alpha=1.0, method="dc"),
        row(None, alpha=100.0, method="dc"),
    ],
)


def test_the_study_note() -> None:
    assert notes.study_note(STATUS, "How strong should the guidance be?") == (
        "# ablation-alpha@demo\n"
        "\n"
        "How strong should the guidance be?\n"
        "\n"
        "**4 of 5 points complete**, 1 waiting.\n"
        "\n"
        "| parameter | values (complete/points) |\n"
        "|---|---|\n"
        "| alpha | 0 (1/1) · 100 (1/2) · 1 (2/2) |\n"
        "| method | dm (3/3) · dc (1/2) |\n"
    )


def test_the_note_of_a_trial() -> None:
    assert notes.trial_note(row(0.6125, 0.0042, alpha=1000.0, source="")) == (
        "## alpha 1000.0 · source\n"
        "\n"
        "**test accuracy 61.3 ± 0.4 %**\n"
        "\n"
        "| setting | value |\n"
        "|---|---|\n"
        "| alpha | 1000 |\n"
        "| source | – |\n"
        "| accuracy_std | 0.0042 |\n"
        "| key | key |\n"
        "| attempts | 1 |\n"
        "| agent | gpu0 |\n"
    )
    failed = Row(Point("p", {"a|b": 1}, "k"), State.FAILED, 3, "CUDA\nerror ```x```")
    assert "## p\n\n**failed**\n\n```\nCUDA\nerror '''x'''\n```\n" in notes.trial_note(failed)
    assert "| a&#124;b | 1 |" in notes.trial_note(failed)


def test_a_dataset_with_attributes_has_its_groups_in_both_notes() -> None:
    one = sweep_of(method=["dm"])
    rows = []
    for cell in one.cells:
        groups = {"aligned": 0.9, "conflicting": 0.4 + cell.recipe.alpha / 1000, "worst_group": None}
        attributes = Result(cell.recipe, {"convnet3": [0.6, 0.7]}, group_accuracy={"convnet3": groups}).attributes
        stored = json.loads(json.dumps(attributes))
        rows.append(Row(Point(cell.key, dict(cell.point), cell.key), State.COMPLETE, 1, "", 0.65, stored, "gpu0"))
    text = notes.table_note(Status(one.full_name, rows), one.definition())
    assert "| conflicting | 40.0 | 40.1 (+0.1) | 50.0 (+10.0) |" in text
    assert "**test accuracy 65.0 ± 5.0 %**\n\naligned 90.0, conflicting 50.0 (%)\n\n" in notes.trial_note(rows[2])
    assert "group" not in notes.table_note(status_of(one, reached), one.definition())


def traces(chart: Any) -> dict[str, Any]:
    """The traces with means, by the name of their series."""
    return {trace.name: trace for trace in chart.data if trace.customdata is not None}


def dotted(chart: Any) -> list[float]:
    return [trace.y[0] for trace in chart.data if trace.line.dash == "dot"]


def reached(recipe: Recipe) -> float | None:
    """DC at α = 100 is not finished."""
    known = {("dm", 0.0): 0.5, ("dm", 1.0): 0.6, ("dm", 100.0): 0.625, ("dc", 0.0): 0.3, ("dc", 1.0): 0.7}
    return known.get((recipe.method, recipe.alpha))


def test_the_figure_has_a_trace_per_setting_and_the_baselines_as_dotted_lines() -> None:
    one = sweep_of()
    chart = notes.figure(status_of(one, reached), one.definition())
    means = traces(chart)
    assert set(means) == {"DM", "DC"}
    assert list(means["DM"].x) == [-0.5, 0.0, 2.0], "in the order of the axis, zero half a decade left of one"
    assert list(means["DM"].y) == [50.0, 60.0, 62.5]
    assert list(means["DC"].y) == [30.0, 70.0]
    assert list(means["DM"].error_y.array) == [2.0, 2.0, 2.0]
    assert means["DM"].text[1] == "DM 60.0 ± 2.0 (n = 3) · +10.0"
    assert dotted(chart) == [50.0, 30.0]
    assert [trace.text[1] for trace in chart.data if trace.line.dash == "dot"] == ["baseline: DM", "baseline: DC"]
    assert list(chart.layout.xaxis.tickvals) == [-0.5, 0.0, 2.0]
    assert list(chart.layout.xaxis.ticktext) == ["0", "1", "100"]
    assert chart.layout.xaxis.title.text == "α"


def test_the_band_is_one_standard_deviation_around_the_means() -> None:
    one = sweep_of(method="dm")
    (band,) = [
        trace for trace in notes.figure(status_of(one, reached), one.definition()).data if trace.fill == "toself"
    ]
    assert list(band.x) == [-0.5, 0.0, 2.0, 2.0, 0.0, -0.5]
    assert list(band.y) == [52.0, 62.0, 64.5, 60.5, 58.0, 48.0]


def test_seeds_are_one_point_and_the_difference_is_that_of_the_seeds_in_common() -> None:
    """As in every other output: the baseline of seed 1 is missing, so only seed 0 is compared."""
    one = sweep_of(method="dm", alpha=[0, 1], seed=[0, 1])
    known = {(0.0, 0): [0.5, 0.52, 0.54], (1.0, 0): [0.5, 0.5, 0.5], (1.0, 1): [0.8, 0.8, 0.8]}
    status = status_of(one, lambda recipe: known.get((recipe.alpha, recipe.seed)))
    (means,) = traces(notes.figure(status, one.definition())).values()
    assert list(means.y) == [52.0, 65.0]
    assert list(means.error_y.array) == [pytest.approx(1.633, abs=1e-3), 15.0]
    assert means.text[1] == "65.0 ± 15.0 (n = 6) · −2.0"
    assert means.text[0] == "52.0 ± 1.6 (n = 3) · [1/2] · baseline"
    note = notes.table_note(status, one.definition()).replace("\\", "")
    assert "| 0 | 52.0 ± 1.6 [1/2] |" in note
    assert "| 1 | 65.0 ± 15.0 (-2.0) |" in note
    assert "1 of 2 seeds in common" in note


def test_the_baseline_may_be_among_what_is_fixed() -> None:
    one = sweep.load("ablation-n-archs", "demo", {"ptm_archs": ["convnet3"]})
    status = status_of(one, lambda recipe: 0.5 if recipe.regularizer == "none" else 0.6)
    chart = notes.figure(status, one.definition())
    assert dotted(chart) == [50.0]
    assert list(chart.layout.xaxis.ticktext) == ["baseline", "ConvNet-3"]


def test_the_trials_of_a_search_are_points_of_one_series_with_ticks_at_powers_of_ten() -> None:
    one = sweep.load("search-alpha", "demo", {"seed": [0, 1]}).with_points(
        {"alpha": alpha, "seed": seed} for alpha in (640.5, 2.5) for seed in (0, 1)
    )
    values = {0.0: 0.5, 2.5: 0.6, 640.5: 0.7}
    status = status_of(one, lambda recipe: values[recipe.alpha] + 0.02 * recipe.seed)
    chart = notes.figure(status, one.definition())
    (means,) = traces(chart).values()
    assert means.mode == "markers"
    assert list(means.y) == [51.0, 61.0, 71.0]
    assert list(chart.layout.xaxis.ticktext) == ["0", "1", "10", "100"]
    assert means.text[2] == "71.0 ± 2.2 (n = 6) · +20.0 · α 640.5"
    assert dotted(chart) == [51.0]


def test_a_figure_of_nothing() -> None:
    one = sweep_of()
    assert notes.figure(status_of(one, lambda recipe: None), one.definition()).data == ()
    assert notes.table_note(status_of(one, lambda recipe: None), one.definition()) == ""


@pytest.fixture
def backend(open_store: Opener, tmp_path: Path) -> OptunaBackend:
    one = sweep_of(method="dm")
    backend = open_store(tmp_path / "sweeps.db").sweep(one.full_name)
    points = [row.point for row in status_of(one, lambda recipe: None).rows]
    backend.register(Definition(backend.name, points, one.definition(), title="How strong?"))
    return backend


def test_annotate_writes_the_notes(backend: OptunaBackend) -> None:
    claim = backend.claim("gpu0")
    assert claim is not None
    claim.complete(0.5)
    notes.annotate(backend, claim.point.id)
    study = backend.study()
    assert get_note(study).startswith("# ablation-alpha@demo\n\nHow strong?\n\n**1 of 3 points complete**")
    assert "| 0 | 50.0 ± 0.0 |" in get_note(study)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    first = study.get_trials()[0]._trial_id
    assert attributes[f"dashboard:{first}:note_str:0"].startswith(
        "## dm · ipc 5 · α 0 · seed 0\n\n**test accuracy 50.0 %**"
    )
    assert any(notes.PLOT in key for key in attributes)


def test_a_note_that_cannot_be_written_costs_nothing(
    backend: OptunaBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr(notes, "study_note", broken)
    notes.annotate(backend)
    assert "the dashboard's notes were not written (RuntimeError: no ink)" in caplog.text


def test_what_takes_long_is_not_written_after_every_result(
    backend: OptunaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "QUICK", 0.0)
    monkeypatch.setattr(notes, "SHARE", 1e-9)
    written: list[int] = []
    original = notes.study_note

    def study_note(status: Status, title: str) -> str:
        written.append(status.count(State.COMPLETE))
        return original(status, title)

    monkeypatch.setattr(notes, "study_note", study_note)
    before = backend.status().count(State.COMPLETE)
    while (claim := backend.claim("gpu0")) is not None:
        claim.complete(0.5)
        notes.annotate(backend, claim.point.id)
    points = len(backend.status().rows)
    assert written == [before + 1, points], "at first, and when all is done"


def test_the_package_of_the_dashboard_is_not_imported_by_agents() -> None:
    asked = (
        "import sys; from ddsweep.backends.optuna import notes; notes._of_dashboard('_note').save_note; "
        "notes._of_dashboard('_custom_plot_data').save_plotly_graph_object; "
        "print([name for name in ('optuna_dashboard', 'sklearn', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_dashboard_with_other_files_is_imported_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert notes._of_dashboard.__wrapped__("_note").save_note is optuna_dashboard.save_note
