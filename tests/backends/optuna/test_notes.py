from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna_dashboard import get_note

from ddsweep import sweep
from ddsweep.backends import Definition, Point, Row, Scalar, State, Status
from ddsweep.backends.optuna import notes
from ddsweep.backends.optuna.backend import OptunaBackend
from tests.backends.conftest import Opener

DEFINITION = {"axis": ["alpha"], "baseline": {"alpha": 0.0}, "parameters": {"alpha": [0, 1, 100], "ipc": [10]}}


def row(value: float | None, std: float | None = None, **params: Scalar) -> Row:
    title = " · ".join(f"{name} {one}" for name, one in params.items())
    state = State.WAITING if value is None else State.COMPLETE
    attributes = {} if std is None else {"accuracy_std": std}
    return Row(Point(title, params, "key", title), state, 1, "", value, attributes, "gpu0")


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


def traces(chart: Any) -> dict[str, Any]:
    """The traces with means, by the name of their series."""
    return {trace.name: trace for trace in chart.data if trace.customdata is not None}


def dotted(chart: Any) -> list[float]:
    return [trace.y[0] for trace in chart.data if trace.line.dash == "dot"]


def test_the_figure_has_a_trace_per_setting_and_the_baseline_as_a_dotted_line() -> None:
    chart = notes.figure(STATUS, DEFINITION)
    means = traces(chart)
    assert set(means) == {"method dm", "method dc"}
    assert list(means["method dm"].x) == [-0.5, 0.0, 2.0], "in the order of the axis, zero half a decade left of one"
    assert list(means["method dm"].y) == [50.0, 60.0, 62.5]
    assert list(means["method dm"].error_y.array) == [0.0, 2.0, 1.0]
    assert means["method dm"].text[1] == "method dm 60.0 ± 2.0 · alpha 1.0 · method dm"
    assert means["method dc"].error_y.visible is False
    assert dotted(chart) == [50.0]
    assert [trace.text for trace in chart.data if trace.line.dash == "dot"] == [("", "baseline")]
    assert list(chart.layout.xaxis.tickvals) == [-0.5, 0.0, 2.0]
    assert list(chart.layout.xaxis.ticktext) == ["0", "1", "100"]
    assert chart.layout.xaxis.title.text == "α"


def test_the_band_is_one_standard_deviation_around_the_means() -> None:
    (band,) = [trace for trace in notes.figure(STATUS, DEFINITION).data if trace.fill == "toself"]
    assert list(band.x) == [-0.5, 0.0, 2.0, 2.0, 0.0, -0.5]
    assert list(band.y) == [50.0, 62.0, 63.5, 61.5, 58.0, 50.0]


def test_the_baseline_may_be_among_what_is_fixed() -> None:
    definition = {"axis": ["ptm_archs"], "baseline": {"regularizer": "none"}, "parameters": {"regularizer": ["none"]}}
    status = Status("s", [row(0.5, ptm_archs="vgg11")])
    chart = notes.figure(status, definition)
    assert dotted(chart) == [50.0]
    assert list(chart.layout.xaxis.ticktext) == ["vgg11"]
    assert dotted(notes.figure(status, {"axis": ["ptm_archs"]})) == []
    assert list(traces(chart)) == ["accuracy"]


def test_a_baseline_without_a_value_on_the_axis_is_only_a_line() -> None:
    definition = {"axis": ["ptm_epoch"], "baseline": {"regularizer": "none"}}
    status = Status("s", [row(0.5, regularizer="none"), row(0.6, ptm_epoch=2), row(0.7, ptm_epoch=1)])
    chart = notes.figure(status, definition)
    assert dotted(chart) == [50.0]
    assert list(chart.layout.xaxis.ticktext) == ["1", "2"]


def test_the_trials_of_a_search_are_points_of_one_series_with_ticks_at_powers_of_ten() -> None:
    search = sweep.load("search-alpha", "demo").definition()
    status = Status("s", [row(0.7, alpha=640.5), row(0.5, alpha=0.0), row(0.6, alpha=2.5)])
    chart = notes.figure(status, search)
    (means,) = traces(chart).values()
    assert means.mode == "markers"
    assert list(means.y) == [50.0, 60.0, 70.0]
    assert list(chart.layout.xaxis.ticktext) == ["0", "1", "10", "100"]


def test_a_figure_of_nothing() -> None:
    assert notes.figure(Status("s", []), {}).data == ()


@pytest.fixture
def backend(open_store: Opener, tmp_path: Path) -> OptunaBackend:
    backend = open_store(tmp_path / "sweeps.db").sweep("ablation-alpha@demo")
    points = [one.point for one in STATUS.rows]
    backend.register(Definition(backend.name, points, DEFINITION, title="How strong?"))
    return backend


def test_annotate_writes_the_notes(backend: OptunaBackend) -> None:
    claim = backend.claim("gpu0")
    assert claim is not None
    claim.complete(0.5)
    notes.annotate(backend, claim.point.id)
    study = backend.study()
    assert get_note(study).startswith("# ablation-alpha@demo\n\nHow strong?\n\n**1 of 5 points complete**")
    attributes = study._storage.get_study_system_attrs(study._study_id)
    first = study.get_trials()[0]._trial_id
    assert attributes[f"dashboard:{first}:note_str:0"].startswith(
        "## alpha 0.0 · method dm\n\n**test accuracy 50.0 %**"
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
