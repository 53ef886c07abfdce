"""What comes after the cells of a launch (tables, pictures, notes) never ends it, and the rest follows."""

from __future__ import annotations

import logging

import pytest
import torch

from ddsweep import launches, pictures
from ddsweep.backends.optuna import notes
from ddsweep.results.plots import gallery
from ddsweep.results.tables import table
from tests.cli.conftest import Run

NAME = "ablation-alpha@demo"


def break_(*_: object, **__: object) -> object:
    raise ValueError("cannot [/parse] $x$\nand more")


def launch(ddsweep: Run, tiny: list[str]) -> tuple[int, list[str]]:
    words = ("launch", "ablation-alpha", "-p", "demo", "--set", "alpha=0,5", *tiny, "--workers", "0", "-d", "cpu")
    result = ddsweep(*words)
    return result.exit_code, result.stdout.splitlines()


def test_a_picture_a_table_or_a_note_that_fails(
    ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "grid", break_)
        patch.setattr(notes, "_annotate_study", break_)
        patch.setattr(notes, "trial_note", break_)
        patch.setattr(table, "build", break_)
        patch.setattr(launches, "gather", break_)
        patch.setattr(launches, "report_missing_images", break_)
        with caplog.at_level(logging.WARNING):
            status, lines = launch(ddsweep, tiny)
    reason = "ValueError: cannot [/parse] $x$ and more"
    assert status == 0, lines
    assert f"files   failed: {reason}; try again with: ddsweep results {NAME}" in lines
    assert f"table   failed: {reason}; try again with: ddsweep results {NAME}" in lines
    assert f"images  failed: {reason}; try again with: ddsweep plot {NAME}" in lines
    assert f"grids   failed: {reason}; try again with: ddsweep plot {NAME} --kind grid" in lines
    assert lines[-1].startswith("next    ddsweep dashboard")
    said = [record.getMessage() for record in caplog.records]
    assert f"the grid real of step 0 was not drawn ({reason})" in said
    assert f"the grid synthetic of step 2 was not drawn ({reason})" in said
    assert any("the dashboard's notes were not written" in line for line in said)
    # what is advised works
    assert ddsweep("results", NAME).exit_code == 0
    assert ddsweep("plot", NAME, "--kind", "grid").exit_code == 0


def test_one_figure_that_fails_keeps_the_others(ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch(ddsweep, tiny)[0] == 0
    monkeypatch.setitem(gallery.DRAWN, "accuracy", break_)
    result = ddsweep("plot", NAME)
    assert result.exit_code == 2
    assert result.stdout == f"runs/{NAME}/alpha.png\n"
    assert result.stderr == "error: accuracy: ValueError: cannot [/parse] $x$ and more\n"


@pytest.mark.parametrize("name", ["real", "synthetic"])
def test_a_grid_that_cannot_be_drawn_is_reported(name: str, caplog: pytest.LogCaptureFixture) -> None:
    logged: list[str] = []
    nothing = torch.zeros(1, 1, 2, 4, 4)  # two channels: no picture
    pictures.show(lambda *image: logged.append(image[0]), name, nothing, ["a"], 3)
    assert logged == []
    assert f"the grid {name} of step 3 was not drawn" in caplog.text
    pictures.show(lambda *image: logged.append(image[0]), name, nothing[:, :, :1], ["a"], 3)
    assert logged == [name]
