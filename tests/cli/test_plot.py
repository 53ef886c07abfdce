"""``ddsweep plot``, and the pictures that ``launch`` ends with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from ddsweep import data, launches, rng, sweep, trial
from ddsweep.cli import session
from ddsweep.distill.sets import pixels
from ddsweep.results.plots import tsne
from ddsweep.results.result import Result
from tests.cli.conftest import Run

RUNS = Path("runs")
SMALL = {"width": 4, "ptm_train_epochs": 1, "ptm_epoch": 1, "ptm_batch": 512, "ptm_archs": "convnet3", "eval_nets": 1}


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> sweep.Sweep:
    """Fig. A1 at the scale of the demo, registered; DM alone."""
    monkeypatch.setattr(tsne, "REAL", 50)
    found = replace(sweep.load("figureA1", "demo", SMALL | {"method": "dm"}), name="figureA1")
    store = launches.connect(RUNS, None, create=True)
    store.sweep(found.full_name).register(session.definition(found))
    store.close()
    return found


def finish(one: sweep.Sweep) -> None:
    dataset = data.load("digits")
    for cell in one.cells:
        recipe = cell.recipe
        archs = recipe.eval_archs.split("+")
        made = pixels.initial(dataset, recipe.ipc, "real", rng.generator(0, "test"))
        trial.save(made, recipe, dataset, RUNS / cell.key)
        Result(
            recipe, accuracies={arch: [0.5] for arch in archs}, class_accuracy={arch: [0.5] * 10 for arch in archs}
        ).write(RUNS / cell.key)


def test_the_pictures_of_the_sweep_file(ddsweep: Run, one: sweep.Sweep) -> None:
    finish(one)
    result = ddsweep("plot", "figureA1@demo", "-d", "cpu")
    assert result.stdout.splitlines() == ["runs/figureA1@demo/tsne.png"]
    assert result.stderr == "training convnet3 on digits, seed 0, 1 epochs: it makes the features\n"
    with Image.open("runs/figureA1@demo/tsne.png") as picture:
        assert picture.width >= 1500
    again = ddsweep("plot", "figurea1", "-p", "demo", "-d", "cpu")  # the paper's name for it
    assert (again.stdout, again.stderr) == (result.stdout, "")


@pytest.mark.parametrize(("kind", "name"), [("grid", "regularizer.png"), ("classes", "class-accuracy.png")])
def test_any_kind_into_any_folder(ddsweep: Run, one: sweep.Sweep, kind: str, name: str) -> None:
    finish(one)
    for options, folder in (([], RUNS / "figureA1@demo"), (["--output", "paper/figures"], Path("paper/figures"))):
        result = ddsweep("plot", "figureA1@demo", "--kind", kind, *options)
        assert result.stdout.splitlines() == [str(folder / name)]
        with Image.open(folder / name) as picture:
            picture.load()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["figureA1@demo", "-d", "cpu"], "figureA1@demo: no cell is finished yet; see ddsweep status figureA1@demo"),
        (
            ["figureA1@demo", "--kind", "tnse"],
            "kind: unknown figure 'tnse'; did you mean tsne? (allowed: accuracy, classes, grid, tsne)",
        ),
        (
            ["figureA1@demo", "-o", "fig.eps"],
            "--output fig.eps: unknown format .eps; choose .png, .pdf, .svg or a folder",
        ),
        (["figureA1@quick"], "figureA1@demo"),  # what was launched instead
        (["table4"], "table4@paper"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(ddsweep: Run, one: sweep.Sweep, words: list[str], line: str) -> None:
    result = ddsweep("plot", *words)
    assert result.exit_code == 2
    assert line in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(RUNS.rglob("*.png"))


@pytest.mark.slow
def test_a_file_is_one_figure(ddsweep: Run, one: sweep.Sweep) -> None:
    finish(one)
    for ending, head in ((".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")):
        for kind in ([], ["--kind", "accuracy"], ["--kind", "grid"], ["--kind", "classes"]):
            words = ["plot", "figureA1@demo", "-d", "cpu", "-o", f"figures/a1{ending}", *kind]
            result = ddsweep(*words)
            assert result.stdout.splitlines() == [f"figures/a1{ending}"], result.output
            assert Path(f"figures/a1{ending}").read_bytes().startswith(head)


def test_a_sweep_with_a_grid_has_the_figure_of_its_numbers_too(ddsweep: Run) -> None:
    loaded = sweep.load("ablation-alpha", "demo", SMALL | {"method": ["dm", "dsa"], "alpha": [0, 5]})
    found = replace(loaded, name="ablation-alpha")
    store = launches.connect(RUNS, None, create=True)
    store.sweep(found.full_name).register(session.definition(found))
    store.close()
    finish(found)
    folder = "runs/ablation-alpha@demo"
    assert ddsweep("plot", "ablation-alpha@demo").stdout.splitlines() == [
        f"{folder}/accuracy.png", f"{folder}/alpha-dm.png", f"{folder}/alpha-dsa.png",
    ]  # fmt: skip
    assert ddsweep("plot", "ablation-alpha@demo", "-o", "fig3.pdf").stdout == "fig3.pdf\n"
    grids = ddsweep("plot", "ablation-alpha@demo", "-k", "grid", "-o", "fig.pdf").stdout.splitlines()
    assert grids == ["fig-dm.pdf", "fig-dsa.pdf"]


def test_a_folder_that_cannot_be_made_is_one_line(ddsweep: Run, one: sweep.Sweep) -> None:
    finish(one)
    Path("taken").write_text("a file")
    result = ddsweep("plot", "figureA1@demo", "--kind", "grid", "--output", "taken/figures")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: cannot write taken/figures/regularizer.png: ")


def test_launch_ends_with_the_pictures_of_the_file(ddsweep: Run, tiny: list[str]) -> None:
    document = {
        "method": "grid",
        "parameters": {"alpha": {"values": [0, 10]}, "target": {"value": "digits"}},
        "x-ddsweep": {"title": "mine", "axis": ["alpha"], "baseline": {"alpha": 0}, "pictures": ["classes", "grid"]},
    }
    Path("mine.yaml").write_text(yaml.safe_dump(document))
    result = ddsweep("launch", "mine.yaml", "-p", "demo", *tiny, "--workers", "0", "-d", "cpu")
    assert result.exit_code == 0, result.output
    drawn = [line.split() for line in result.stdout.splitlines() if line.endswith(".png")]
    assert drawn == [["classes", "runs/mine@demo/class-accuracy.png"], ["grids", "runs/mine@demo/alpha.png"]]
    assert all(Path(path).is_file() for _, path in drawn)


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("name", ["figure1", "figureA1"])
def test_the_figures_fit_the_screen(ddsweep: Run, name: str, profile: str) -> None:
    screens = [ddsweep("show", name, "-p", profile).stdout]
    store = launches.connect(RUNS, None, create=True)
    found = sweep.load(name, profile)
    store.sweep(found.full_name).register(session.definition(found))
    store.close()
    for cell in found.cells:
        archs = cell.recipe.eval_archs.split("+")
        Result(cell.recipe, accuracies={arch: [0.5, 0.7] for arch in archs}).write(RUNS / cell.key)
    screens += [ddsweep(command, f"{name}@{profile}").stdout for command in ("status", "results")]
    assert "60.0" in screens[-1]
    assert max(len(line) for screen in screens for line in screen.splitlines()) <= 100
