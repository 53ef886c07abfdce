"""A registered name is not given to another file, or to other settings (docs/names.md), and what ``show`` says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from ddsweep import launches, sweep
from tests.cli.conftest import TINY, Run, write_profile
from tests.cli.test_names import HERE, launched, refused
from tests.sweep.examples import minimal


@pytest.fixture(autouse=True)
def small() -> None:
    write_profile(*TINY)


def written(path: str, title: str = "?", ipc: int = 2, **more: object) -> str:
    document = minimal(parameters={"alpha": {"values": [0, 1]}, "ipc": {"value": ipc}})
    document["x-ddsweep"] |= {"title": title, **more}
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_chosen_name_is_that_of_one_question(ddsweep: Run) -> None:
    file = written("mine.yaml")
    launched(ddsweep, file, "-p", "demo", "--set", "ipc=3", "--as", "few")
    line = refused(ddsweep, "launch", file, "-p", "demo", "--set", "ipc=4", "--as", "few", *HERE)
    assert f"few@demo is a launch of {Path(file).resolve()} with ipc 3; choose another name, or resume it: " in line
    assert line.endswith("ddsweep launch few@demo\n")
    assert "few@demo is a launch of" in refused(ddsweep, "launch", file, "-p", "demo", "--as", "few", *HERE)
    other = written("other.yaml", title="another question", ipc=3)
    assert "few@demo is a launch of" in refused(ddsweep, "launch", other, "-p", "demo", "--as", "few", *HERE)
    said = launched(ddsweep, file, "-p", "demo", "--set", "ipc=3", "--set", "alpha=0,5", "--as", "few")
    assert "1 cell kept, 1 added; 1 of earlier launches stays" in said
    assert refused(ddsweep, "launch", file, "-p", "demo", "--as", "", *HERE).startswith("error: as: '': a name")


def test_a_sweep_that_ships_is_named_by_its_name(ddsweep: Run) -> None:
    words = ("launch", "ablation-alpha", "-p", "demo", "--set", "alpha=0", *HERE, "--as", "few")
    assert ddsweep(*words, "--set", "ipc=1").exit_code == 0
    line = refused(ddsweep, *words, "--set", "ipc=2")
    assert "few@demo is a launch of ablation-alpha with ipc 1; choose another name, or resume it" in line


def test_two_files_of_one_name(ddsweep: Run) -> None:
    launched(ddsweep, written("mine.yaml"), "-p", "demo")
    other = written("x/mine.yaml", title="What about that?", ipc=3)
    line = refused(ddsweep, "launch", other, "-p", "demo", *HERE)
    assert f"mine@demo is a launch of {Path('mine.yaml').resolve()}; launch x/mine.yaml under another name: " in line
    assert "--as mine-2" in line
    assert len(launched(ddsweep, other, "-p", "demo", "--as", "mine-2").splitlines()) > 2
    assert "--as mine-3" in refused(ddsweep, "launch", other, "-p", "demo", *HERE)
    assert "mine@demo is a launch of" in refused(ddsweep, "show", other, "-p", "demo")


@pytest.mark.parametrize("move", [shutil.move, shutil.copy])
def test_a_file_that_was_moved_or_copied_is_the_same(ddsweep: Run, move: object) -> None:
    launched(ddsweep, written("mine.yaml"), "-p", "demo")
    Path("x").mkdir()
    move("mine.yaml", "x/mine.yaml")  # type: ignore[operator]
    assert "2 cells kept, 0 added" in launched(ddsweep, "x/mine.yaml", "-p", "demo")


def test_an_edited_file_is_the_same(ddsweep: Run) -> None:
    launched(ddsweep, written("mine.yaml"), "-p", "demo")
    assert "2 of earlier launches stay" in launched(ddsweep, written("mine.yaml", "Other words?", 3), "-p", "demo")


def test_sweeps_of_older_versions(ddsweep: Run) -> None:
    """Their definitions have no source: the file of a default name may have been edited, a chosen name is compared."""
    loaded = sweep.load(written("mine.yaml"), "demo")
    old = sweep.Sweep.from_definition({key: one for key, one in loaded.definition().items() if key != "source"})
    assert sweep.conflict(sweep.load(written("mine.yaml", ipc=3), "demo"), old, []) == ""
    chosen = sweep.load("mine.yaml", "demo", {"ipc": 4}, name="few")
    line = sweep.conflict(chosen, old, [])
    assert line.startswith("few@demo is a launch of another sweep with ipc 2; choose another name")
    assert sweep.conflict(sweep.load("mine.yaml", "demo", {"ipc": 2}, name="few"), old, []) == ""


def test_unknown_names_come_with_launched_ones(ddsweep: Run) -> None:
    launched(ddsweep, written("mine.yaml"), "-p", "demo", "--as", "few")
    launched(ddsweep, written("mine.yaml"), "-p", "demo")
    for words in (("launch", "few"), ("show", "few@quick")):
        line = refused(ddsweep, *words)
        assert line.startswith("error: unknown sweep 'few'; launched before: few@demo, mine@demo; ")
        assert "ablation-alpha" in line
    line = refused(ddsweep, "launch", "nope@demo")
    assert "few@demo" in line
    assert "mine@demo" in line


def test_show_says_what_the_table_has(ddsweep: Run) -> None:
    file = written("mine.yaml", profiles={"demo": {"width": 5}})
    states = [cell["state"] for cell in json.loads(ddsweep("show", file, "-p", "demo", "--json").stdout)["cells"]]
    assert states == ["not launched"] * 2
    launched(ddsweep, file, "-p", "demo")
    assert launches.load("mine@demo", None, Path("runs"), None).cells[0].recipe.width == 5
    said = ddsweep("show", file, "-p", "demo", "--set", "alpha=1,10000").stdout
    assert "leave out the baseline" not in said
    assert "the table also has 1 cell of earlier launches: ddsweep results mine@demo --cells" in said
    rows = [line.split() for line in said.splitlines() if line.split()[-2:-1] in (["done"], ["launched"])]
    assert [row[:-1] for row in rows] == [["1", "done"], ["10000", "not", "launched"]]
    assert "leave out the baseline (alpha 0)" in ddsweep("show", file, "-p", "quick", "--set", "alpha=1").stdout
