"""A name stands for what was launched under it (docs/names.md), through the front door."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from ddsweep import api, sweep
from ddsweep.cli.options import complete_sweep
from tests.cli.conftest import TINY, Run, write_profile
from tests.sweep.examples import minimal

HERE = ("--workers", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def small() -> None:
    write_profile(*TINY)


def mine() -> None:
    parameters = {"alpha": {"values": [0, 1]}, "ipc": {"value": 2}}
    Path("mine.yaml").write_text(yaml.safe_dump(minimal(parameters=parameters)), encoding="utf-8")


def launched(ddsweep: Run, *words: str) -> str:
    result = ddsweep("launch", *words, *HERE)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(ddsweep: Run, *words: str) -> str:
    result = ddsweep(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def alphas(ddsweep: Run, name: str) -> list[float]:
    shown = ddsweep("results", name, "--format", "json")
    assert shown.exit_code == 0, shown.output
    return [float(row["alpha"]) for row in json.loads(shown.stdout)]


def test_another_question_is_another_sweep_in_every_command(ddsweep: Run) -> None:
    mine()
    launched(ddsweep, "mine.yaml", "-p", "demo")
    before = alphas(ddsweep, "mine@demo")
    name = "mine,ipc=3@demo"
    said = launched(ddsweep, "mine.yaml", "-p", "demo", "--set", "ipc=3", "--set", "alpha=0,5")
    first, second = said.splitlines()[:2]
    assert first == name
    assert second == f"these settings ask another question: {name} (launch --as NAME gives it another name)"
    assert (alphas(ddsweep, "mine@demo"), alphas(ddsweep, name)) == (before, [0, 5])
    for words in (
        ("show", name), ("status", name), ("results", name, "-f", "latex"), ("plot", name), ("report", name),
        ("stop", name), ("copy", name, "copied.yaml"), ("export", f"{name}:alpha=5", "--to", "pt", "-o", "out"),
        ("export", name, "--wandb"), ("run", name, "alpha=5", "-d", "cpu"), ("results", "mine@demo", name),
    ):  # fmt: skip
        done = ddsweep(*words)
        assert done.exit_code == 0, (words, done.output)
    assert Path("runs", name, "report.html").is_file()
    assert Path("runs", name, "alpha.png").is_file()
    assert "launched before: 2 cells kept, 0 added" in launched(ddsweep, name, "--set", "alpha=0,5")
    assert [one for one, _ in complete_sweep("mine,")] == [name]
    assert api.load_set(f"{name}:alpha=5").images.shape[0] == 30


def test_a_chosen_name_is_resumed_without_its_file(ddsweep: Run) -> None:
    mine()
    assert launched(ddsweep, "mine.yaml", "-p", "demo", "--set", "ipc=3", "--as", "few").startswith("few@demo\n")
    Path("mine.yaml").unlink()
    said = launched(ddsweep, "few@demo")
    assert "launched before: 2 cells kept, 0 added" in said
    assert {cell.recipe.ipc for cell in sweep.Sweep.from_definition(_definition("few@demo")).cells} == {3}
    launched(ddsweep, "few@demo", "--set", "alpha=0,1,7")
    assert alphas(ddsweep, "few@demo") == [0, 1, 7]
    line = refused(ddsweep, "launch", "few@demo", "--set", "ipc=4", *HERE)
    assert "ipc: few@demo has no file, so --set changes only what it varies: alpha, seed" in line
    assert "as: few@demo was launched under this name" in refused(ddsweep, "launch", "few@demo", "--as", "b", *HERE)
    assert "launched before: few@demo" in refused(ddsweep, "show", "fwe@demo")
    assert "unknown sweep 'few'" in refused(ddsweep, "show", "few@quick")


def _definition(name: str) -> dict[str, object]:
    from ddsweep import launches

    return launches.load(name, None, Path("runs"), None).definition()


def test_a_shortened_value_is_found_again(ddsweep: Run) -> None:
    mine()
    setting = "alpha_by_arch=convnet3:5"
    name = launched(ddsweep, "mine.yaml", "-p", "demo", "--set", setting).split("\n")[0]
    assert re.fullmatch(r"mine,alpha_by_arch=convnet3-5-[0-9a-f]{6}@demo", name)
    assert len(alphas(ddsweep, name)) == 2
    assert "2 cells kept, 0 added" in launched(ddsweep, name)
    assert "2 cells kept, 0 added" in launched(ddsweep, "mine.yaml", "-p", "demo", "--set", setting)


@pytest.mark.parametrize(
    "words",
    [
        ("run", "mine@demo", "alpha=1", "alpha=0"),
        ("launch", "mine@demo", "--set", "alpha=1,1"),
        ("launch", "mine@demo", "--set", "alpha=1", "--set", "alpha=0"),
        ("export", "mine@demo:alpha=1,alpha=0", "--to", "pt"),
    ],
)
def test_repeated_settings_are_refused(ddsweep: Run, words: tuple[str, ...]) -> None:
    mine()
    launched(ddsweep, "mine.yaml", "-p", "demo")
    assert "twice" in refused(ddsweep, *words)


def test_a_cell_is_chosen_by_the_label_of_its_table(ddsweep: Run) -> None:
    mine()
    launched(ddsweep, "mine.yaml", "-p", "demo", "--set", "alpha=0,1234.5545")
    whole, short = (api.load_set(f"mine@demo:alpha={text}") for text in ("1234.5545", "1234.55"))
    assert whole.source == short.source
    line = refused(ddsweep, "export", "mine@demo:alpha=1234", "--to", "pt")
    assert "alpha: 0, 1234.5545" in line


def test_printed_commands_are_complete(ddsweep: Run) -> None:
    """What status and results print for damaged files, with the settings, the runs folder and the name."""
    mine()
    place = ("--runs", "else where")
    launched(ddsweep, "mine.yaml", "-p", "demo", "--set", "ipc=3", "--set", "alpha=0,7", *place)
    for path in Path("else where").glob("*/result.json"):
        path.write_text("{")
    said = ddsweep("results", "mine,ipc=3@demo", *place).stderr
    (line,) = [line for line in said.splitlines() if "ddsweep launch" in line]
    words = shlex.split(line[line.index("ddsweep launch") :])[1:]
    assert words[1] == "mine,ipc=3@demo"
    again = ddsweep(*words, *HERE)
    assert again.exit_code == 0, again.output
    assert "done 2/2" in again.stdout
    assert "added" not in again.stdout or "0 added" in again.stdout
    assert len(list(Path("else where").glob("*/result.json"))) == 2
    assert not Path("runs").exists()
