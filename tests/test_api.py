"""The Python interface, as a notebook uses it."""

from __future__ import annotations

import pydoc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import ddsweep
from ddsweep.cli import app
from ddsweep.errors import UserError
from ddsweep.trackers import Tracker
from tests.cli.conftest import TINY, write_profile

SETTINGS: dict[str, Any] = {
    name: float(value) if "." in value else int(value) for name, value in (word.split("=") for word in TINY)
}
ALPHAS = [0, 10]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with a sweep of two α and two seeds, launched in this process."""
    runs = tmp_path_factory.mktemp("api") / "runs"
    words = ["--set", "alpha=0,10", "--set", "seed=0,1"]
    where = ["--profile", "demo", "--runs", str(runs), "--workers", "0", "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:  # a fixture of a module is set up before ``isolated``
        patch.setenv("DDSWEEP_CACHE", str(runs.parent / "cache"))
        patch.chdir(runs.parent)
        write_profile(*TINY)
        result = CliRunner().invoke(app, ["launch", "ablation-alpha", *where, *words])
    assert result.exit_code == 0, result.output
    return runs


def test_the_import_is_light() -> None:
    code = "import sys, ddsweep; print(sorted({'torch', 'pandas', 'numpy', 'optuna', 'pydantic'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("name", ddsweep.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(ddsweep, name)
    assert name in dir(ddsweep)
    assert (value.__doc__ or "").strip()


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lanch'"):
        ddsweep.lanch  # noqa: B018


def test_help_reads_like_a_manual() -> None:
    text = pydoc.plain(pydoc.render_doc(ddsweep))
    for name in ("run", "launch", "results", "load_set", "load_dataset", "evaluate"):
        assert f"ddsweep.{name}(" in text
        assert "Raises:" in getattr(ddsweep.api, name).__doc__


def test_functions_stay_callable_when_the_packages_of_their_names_are_imported() -> None:
    code = (
        "import ddsweep, ddsweep.results.tables, ddsweep.evaluate, types\n"
        "assert isinstance(ddsweep.results, types.ModuleType)\n"
        "for call in (lambda: ddsweep.results('ablation-alpha@demo'), lambda: ddsweep.evaluate('nothing.pt')):\n"
        "    try: call()\n"
        "    except ddsweep.UserError as error: print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = answer.stdout.splitlines()
    assert first.startswith("nothing was launched in ")
    assert second == "nothing.pt: no such file"


def test_run_a_cell_of_a_sweep(isolated: Path) -> None:
    result = ddsweep.run("ablation-alpha", profile="demo", device="cpu", alpha=10, seed=0, **SETTINGS)
    assert result.accuracy is not None
    assert result.recipe.alpha == 10
    assert (isolated / "runs" / result.recipe.key() / "result.json").is_file()


def test_run_a_recipe_tells_the_tracker_and_computes_once(isolated: Path) -> None:
    class Phases(Tracker):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def progress(self, phase: str, done: int, total: int) -> None:
            self.seen.append(phase)

    recipe = ddsweep.Recipe(target="digits", ipc=1, alpha=0, **SETTINGS)
    tracker = Phases()
    result = ddsweep.run(recipe, device="cpu", runs=isolated / "mine", tracker=tracker)
    assert result.recipe == recipe
    assert "distill" in " ".join(tracker.seen)
    again = Phases()
    assert ddsweep.run(recipe, device="cpu", runs=isolated / "mine", tracker=again).accuracies == result.accuracies
    assert not again.seen


@pytest.mark.parametrize(
    ("words", "choices", "line"),
    [
        (("ablation-alpha",), {"profile": "demo"}, "ablation-alpha@demo has 9 cells; choose one, for example: alpha="),
        (("ablation-alpha",), {"alhpa": 1}, "alhpa: unknown parameter; did you mean alpha?"),
        (("search-alpha",), {"profile": "demo"}, "search-alpha@demo is a search; choose one, for example: "),
        ((ddsweep.Recipe(ipc=1),), {"alpha": 1}, "alpha: not allowed with a recipe; make a recipe with these values"),
        (("ablation-alpha",), {"device": "tpu", "alpha": 0, "seed": 0, "method": "dm"}, "device"),
    ],
)
def test_a_mistake_in_run_is_one_line(words: tuple[Any, ...], choices: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        ddsweep.run(*words, **choices)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_launch_prints_the_progress_and_returns_the_table(isolated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frame = ddsweep.launch(
        "ablation-alpha", profile="demo", name="few", workers=1, device="cpu", alpha=ALPHAS, seed=[0, 1], **SETTINGS
    )
    assert "done 4/4" in capfd.readouterr().out
    assert frame.equals(ddsweep.results("few@demo"))
    assert frame["seeds"].tolist() == [2, 2]


def test_results_are_the_table_or_its_cells(launched: Path) -> None:
    frame = ddsweep.results("ablation-alpha@demo", runs=launched)
    assert frame["alpha"].tolist() == ALPHAS
    assert frame["seeds"].tolist() == [2, 2]
    cells = ddsweep.results("ablation-alpha", profile="demo", runs=launched, per_cell=True)
    assert sorted(zip(cells["alpha"], cells["seed"], strict=True)) == [(a, s) for a in ALPHAS for s in (0, 1)]
    for alpha, mean in zip(frame["alpha"], frame["accuracy"], strict=True):
        assert cells[cells["alpha"] == float(alpha)]["accuracy"].mean() == pytest.approx(mean)
    assert set(ddsweep.results("ablation-alpha@demo", runs=launched, where="alpha == 0", per_cell=True)["alpha"]) == {0}


def test_a_launch_that_cannot_be_is_its_error_line(isolated: Path) -> None:
    with pytest.raises(UserError, match=r"alhpa: unknown parameter; did you mean alpha\?"):
        ddsweep.launch("ablation-alpha", profile="demo", alhpa=1)


def test_a_set_of_a_cell(launched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = ddsweep.load_set("ablation-alpha@demo:alpha=10,seed=1", runs=launched)
    assert repr(one) == "SyntheticSet(digits: 10 classes, 5 images each, 1×16×16)"
    assert one.images.shape == (50, 1, 16, 16)
    assert one.labels.tolist() == [label for label in range(10) for _ in range(5)]
    digits = ddsweep.load_dataset("digits")
    assert (one.classes, one.mean, one.std) == (digits.classes, digits.mean, digits.std)
    mean, std = torch.tensor(one.mean), torch.tensor(one.std)
    expected = (one.images * std[:, None, None] + mean[:, None, None]).clamp(0, 1)
    torch.testing.assert_close(one.pixels, expected)
    assert one._repr_png_().startswith(b"\x89PNG")
    assert one.grid().height > 10 * 16
    key = Path(one.source).parent.name
    assert torch.equal(ddsweep.load_set(key, runs=launched).images, one.images)
    assert torch.equal(ddsweep.load_set(one.source).images, one.images)
    by_file = "sweeps/ablation-alpha.yaml@demo:alpha=10,seed=1"
    assert torch.equal(ddsweep.load_set(by_file, runs=launched).images, one.images)


def test_evaluating_a_set_of_ours_gives_the_numbers_of_its_trial(launched: Path) -> None:
    one = ddsweep.load_set("ablation-alpha@demo:alpha=10,seed=0", runs=launched)
    cells = ddsweep.results("ablation-alpha@demo", runs=launched, per_cell=True)
    expected = cells[(cells["alpha"] == 10) & (cells["seed"] == 0)]["accuracy"].item()
    ((_, found),) = ddsweep.evaluate(one, device="cpu").items()
    assert found.mean == expected
    assert len(found.accuracies) == SETTINGS["eval_nets"]
    other = ddsweep.evaluate(one, arch="convnet1", nets=1, device="cpu", eval_epochs=2)
    assert list(other) == ["convnet1"]
    with pytest.raises(UserError, match=r"^epochs: not a setting of an evaluation; did you mean eval_epochs\?"):
        ddsweep.evaluate(one, epochs=2)


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("ablation-alpha@demo:alpha=3", "cell: none of the 4 cells of ablation-alpha@demo"),
        ("ablation-alpha@demo", "cell: 4 of the 4 cells of ablation-alpha@demo have these choices; choose one"),
        ("nothing.pt", "nothing.pt: no such file"),
        ("sets/a", "sets/a: no such file"),
        ("ffff", "ffff: no finished run"),
    ],
)
def test_a_set_that_is_not_there(launched: Path, reference: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        ddsweep.load_set(reference, runs=launched)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_example_of_a_choice_keeps_what_was_chosen(launched: Path) -> None:
    with pytest.raises(UserError, match="2 of the 4 cells") as caught:
        ddsweep.load_set("ablation-alpha@demo:alpha=10", runs=launched)
    example = str(caught.value).split("for example: ")[1]
    assert example == "ablation-alpha@demo:alpha=10,seed=1"
    chosen = ddsweep.load_set("ablation-alpha@demo:seed=1,alpha=10", runs=launched)
    assert ddsweep.load_set(example, runs=launched).source == chosen.source


def test_without_pandas_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"pip install 'ddsweep\[notebook\]'"):
        ddsweep.results("ablation-alpha@demo")
