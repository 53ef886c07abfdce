"""The figures of a sweep as files: those of rows that the table no longer has do not stay."""

from __future__ import annotations

from pathlib import Path

from ddsweep import sweep
from ddsweep.results.plots import gallery
from ddsweep.results.plots.style import Output
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep

RUNS = Path("runs")


def finish(one: Sweep) -> None:
    for index, cell in enumerate(one.cells):
        Result(cell.recipe, {"convnet3": [0.5 + 0.01 * index]}, class_accuracy={"convnet3": [0.5] * 10}).write(
            RUNS / cell.key
        )


def test_figures_of_rows_that_are_gone_are_removed_and_others_stay() -> None:
    both = sweep.load("figure1", "demo", {"method": ["dc", "dm"], "ipc": [1, 2]}, "mine")
    finish(both)
    first = gallery.write("classes", both, RUNS)
    assert sorted(path.name for path in first) == ["class-accuracy-ipc-1.png", "class-accuracy-ipc-2.png"]
    own = first[0].parent / "notes.png"
    own.write_bytes(b"mine")
    gallery.write("accuracy", both, RUNS)
    one = sweep.load("figure1", "demo", {"method": ["dc", "dm"], "ipc": [1]}, "mine")
    (now,) = gallery.write("classes", one, RUNS)
    assert sorted(path.name for path in now.parent.glob("*.png")) == ["accuracy.png", now.name, "notes.png"]
    (elsewhere,) = gallery.write("classes", one, RUNS, Output(Path("paper")))
    assert now.is_file() and elsewhere.is_file()


def test_a_record_that_is_damaged_removes_nothing() -> None:
    one = sweep.load("figure1", "demo", {"method": ["dc", "dm"], "ipc": [1]}, "mine")
    finish(one)
    (path,) = gallery.write("classes", one, RUNS)
    outside = Path("outside.png")
    outside.write_bytes(b"mine")
    for text in ("[1", "[]", '{"classes": 3}', f'{{"classes": ["../../{outside.name}", "{path.name}"]}}'):
        (path.parent / gallery.RECORD).write_text(text)
        gallery.write("classes", one, RUNS)
        assert path.is_file() and outside.is_file()
