"""Figures are drawn again only if something that they show has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ddsweep import sweep
from ddsweep.results import run_files
from ddsweep.results.plots import drawn
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep

RUNS = Path("runs")


def launched() -> tuple[Sweep, Path]:
    one = sweep.load("figure1", "demo", {"method": ["dc", "dm"], "ipc": [1]}, "mine")
    for index, cell in enumerate(one.cells):
        Result(cell.recipe, {"convnet3": [0.5 + 0.01 * index]}).write(RUNS / cell.key)
        (RUNS / cell.key / run_files.SET).write_bytes(b"set")
    folder = RUNS / one.full_name
    folder.mkdir(parents=True)
    return one, folder


def test_nothing_was_drawn_yet() -> None:
    one, folder = launched()
    assert drawn.known("grid", folder, drawn.state(one, RUNS)) == []


def test_what_was_drawn_is_known_by_kind() -> None:
    one, folder = launched()
    paths = [folder / "b.png", folder / "a.png"]
    for path in paths:
        path.write_bytes(b"drawn")
    drawn.remember("grid", folder, drawn.state(one, RUNS), paths)
    drawn.remember("accuracy", folder, drawn.state(one, RUNS), paths[:1])
    assert drawn.known("grid", folder, drawn.state(one, RUNS)) == paths
    assert drawn.known("accuracy", folder, drawn.state(one, RUNS)) == paths[:1]
    assert drawn.known("tsne", folder, drawn.state(one, RUNS)) == []


def another_result(one: Sweep, folder: Path) -> Sweep:
    path = RUNS / one.cells[1].key / run_files.RESULT
    path.write_text(path.read_text().replace("0.51", "0.52"))
    return one


def another_set(one: Sweep, folder: Path) -> Sweep:
    (RUNS / one.cells[0].key / run_files.SET).write_bytes(b"another set")
    return one


def no_set(one: Sweep, folder: Path) -> Sweep:
    (RUNS / one.cells[0].key / run_files.SET).unlink()
    return one


def another_sweep(one: Sweep, folder: Path) -> Sweep:
    return replace(one, title="another question")


def no_figure(one: Sweep, folder: Path) -> Sweep:
    (folder / "a.png").unlink()
    return one


def another_figure(one: Sweep, folder: Path) -> Sweep:
    (folder / "a.png").write_bytes(b"painted over")
    return one


def damaged_record(one: Sweep, folder: Path) -> Sweep:
    (folder / drawn.RECORD).write_text("[1")
    return one


def odd_record(one: Sweep, folder: Path) -> Sweep:
    (folder / drawn.RECORD).write_text('{"grid": {"state": 3, "files": ["a.png"]}}')
    return one


@pytest.mark.parametrize(
    "change",
    [another_result, another_set, no_set, another_sweep, no_figure, another_figure, damaged_record, odd_record],
)
def test_what_makes_it_drawn_again(change: Callable[[Sweep, Path], Sweep]) -> None:
    one, folder = launched()
    (folder / "a.png").write_bytes(b"drawn")
    drawn.remember("grid", folder, drawn.state(one, RUNS), [folder / "a.png"])
    changed = change(one, folder)
    assert drawn.known("grid", folder, drawn.state(changed, RUNS)) == []


def test_another_version_of_ddsweep_draws_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one, folder = launched()
    (folder / "a.png").write_bytes(b"drawn")
    drawn.remember("grid", folder, drawn.state(one, RUNS), [folder / "a.png"])
    monkeypatch.setattr(drawn, "__version__", "9.9.9")
    assert drawn.known("grid", folder, drawn.state(one, RUNS)) == []
