"""Every command, as a user types it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
import yaml

from ddsweep.percent import mean_std
from tests.cli.conftest import Run


def test_list_to_the_letter(ddsweep: Run) -> None:
    result = ddsweep("list", "--profile", "demo")
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0].split() == ["NAME", "AXIS", "CELLS", "DONE", "QUESTION"]
    (alpha,) = [line for line in lines if line.startswith("ablation-alpha ")]
    assert alpha.split()[:10] == "ablation-alpha alpha 9 0 How large should the weight of".split()
    assert max(map(len, lines)) <= 100


def test_list_for_scripts(ddsweep: Run) -> None:
    rows = {row["name"]: row for row in json.loads(ddsweep("list", "--json").stdout)}
    assert rows["ablation-alpha"]["cells"] == 27
    assert rows["ablation-epoch"] == {
        "name": "ablation-epoch", "axis": "ptm_epoch", "cells": 60, "done": 0,
        "asks": "Does a PTM have to be fully trained? (Fig. 2)", "left_out": {},
    }  # fmt: skip


def test_show_says_what_a_sweep_needs(ddsweep: Run) -> None:
    result = ddsweep("show", "ablation-domain", "-p", "demo")
    assert "3 cells" in result.stdout
    assert "not launched (baseline)" in result.stdout
    assert "PTM   convnet3 on shapes, seed 0, epochs 20: to train, 1 of 1 epochs not yet in the pool" in result.stdout
    assert "data  digits: not decoded yet" in result.stdout
    record = json.loads(ddsweep("show", "ablation-domain@demo", "--json").stdout)
    assert [cell["state"] for cell in record["cells"]] == ["not launched"] * 3
    assert "ablation-alpha" in record["cells"][0]["shared"]
    assert record["datasets"] == {"digits": False, "shapes": False}
    assert "share 2 of 3 cells read what another one computes of the real images\n" in result.stdout
    assert record["readers"] == 2


@pytest.mark.parametrize(("value", "readers"), [("off", 0), ("1MB", 8), ("50%", 8), ("some", None)])
def test_show_says_what_cells_share_if_they_do(
    ddsweep: Run, monkeypatch: pytest.MonkeyPatch, value: str, readers: int | None
) -> None:
    monkeypatch.setenv("DDSWEEP_SHARE", value)
    result = ddsweep("show", "ablation-alpha@demo", "--json")
    if readers is not None:
        assert json.loads(result.stdout)["readers"] == readers
        return
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: DDSWEEP_SHARE: unknown value 'some'; write off, a size such as 20GB, or a share of the free disk such "
        "as 10%"
    ]


def test_show_lists_weights_that_differ_by_architecture(ddsweep: Run) -> None:
    lines = [line for line in ddsweep("show", "table1").stdout.splitlines() if line.startswith("α")]
    assert lines == [
        "α     dc on cifar10, ipc 50, several architectures: 100 for alexnet, 5000 for the others",
        "α     dsa on cifar10, ipc 50, several architectures: 2000 for alexnet, 1000 for the others",
    ]
    assert "several architectures" not in ddsweep("show", "table1", "-p", "quick").stdout
    cells = json.loads(ddsweep("show", "ablation-n-archs", "--json").stdout)["cells"]
    assert [cell["alphas"] for cell in cells[::9]] == [
        {},
        {"convnet3": 5000, "convnet4": 5000, "alexnet": 100, "vgg11": 5000, "resnet18": 5000},
    ]


def test_ptms_that_differ_in_their_seed_share_a_line(ddsweep: Run) -> None:
    needs = " ".join(ddsweep("show", "table4").stdout.split("PTM", 1)[1].split())
    for arch in ("convnet3", "alexnet", "vgg11", "resnet18"):
        line = f"{arch} on cifar10, seeds 0 1 2 3 4 5 6 7 8 9, epochs 4 150: to train, 2 of 2 epochs not yet in"
        assert needs.count(f"{arch} on") == 1
        assert line in needs


def test_run_one_trial_here(ddsweep: Run, tiny: list[str]) -> None:
    settings = [setting for setting in tiny if setting != "--set"]
    result = ddsweep("run", "ablation-alpha", "alpha=10", *settings, "-p", "demo", "--device", "cpu")
    assert result.exit_code == 0, result.output
    title, *progress, accuracy, place = result.stdout.splitlines()
    assert title == "dm · ipc 5 · α 10 · convnet3 · N_m 1 · epoch 2 · seed 0"
    assert all(line.startswith("  ") for line in progress)
    assert accuracy.startswith("accuracy  ")
    assert accuracy.endswith("(2 networks)")
    assert place.startswith("files     runs/")
    again = json.loads(ddsweep("run", "ablation-alpha", "--set", "alpha=10", *settings, "-p", "demo", "--json").stdout)
    assert again["state"] == "complete"
    assert (Path("runs") / again["key"] / "synthetic.png").is_file()


def test_run_says_whose_accuracy_it_is(ddsweep: Run, tiny: list[str]) -> None:
    settings = [setting for setting in tiny if setting != "--set"]
    command = ["run", "ablation-alpha", "alpha=10", *settings, "eval_archs=convnet1+convnet2", "arch=convnet2"]
    result = ddsweep(*command, "-p", "demo", "--device", "cpu")
    assert result.exit_code == 0, result.output
    found = json.loads(ddsweep(*command, "-p", "demo", "--json").stdout)["accuracies"]
    said = [line for line in result.stdout.splitlines() if line.startswith("accuracy")]
    assert said == [
        f"accuracy  {arch}  {mean_std(fmean(found[arch]), pstdev(found[arch]))}  (2 networks)"
        for arch in ("convnet1", "convnet2")
    ]


@pytest.fixture
def launched(ddsweep: Run, tiny: list[str]) -> Run:
    result = ddsweep(
        "launch", "ablation-alpha", "-p", "demo", "--set", "alpha=0,10", *tiny, "--workers", "0", "-d", "cpu"
    )
    assert result.exit_code == 0, result.output
    assert "done 2/2   running 0   failed 0" in result.stdout
    assert "grids   runs/ablation-alpha@demo/alpha.png" in result.stdout
    assert "next    ddsweep dashboard" in result.stdout
    return ddsweep


def test_results_in_every_format(launched: Run) -> None:
    rows = json.loads(launched("results", "ablation-alpha@demo", "-f", "json").stdout)
    assert [row["alpha"] for row in rows] == [0, 10]
    assert all(0 <= row["accuracy"] <= 1 and row["n"] == 2 for row in rows)
    table = list(csv.DictReader(io.StringIO(launched("results", "ablation-alpha", "-p", "demo", "-f", "csv").stdout)))
    assert float(table[1]["accuracy"]) == rows[1]["accuracy"]
    percent = f"{100 * rows[0]['accuracy']:.1f}"
    assert percent in launched("results", "ablation-alpha@demo").stdout
    assert percent in launched("results", "ablation-alpha@demo", "-f", "markdown").stdout


def test_status_of_one_and_of_all(launched: Run) -> None:
    assert "done 2/2   running 0   failed 0" in launched("status", "ablation-alpha@demo").stdout
    assert "ablation-alpha@demo · How large should the weight of the CLoM term be?" in launched("status").stdout
    assert launched("status", "--watch").exit_code == 0  # drained: nothing to wait for
    (record,) = json.loads(launched("status", "--json").stdout)
    assert record["counts"] == {"waiting": 0, "running": 0, "complete": 2, "failed": 0, "pruned": 0}
    assert all(cell["value"] > 0 for cell in record["cells"])


def test_launching_again_repeats_nothing_and_can_grow(launched: Run, tiny: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/result.json")}
    again = ["launch", "ablation-alpha@demo", *tiny, "--workers", "0", "-d", "cpu", "--set"]
    result = launched(*again, "alpha=0,10")
    assert "launched before: 2 cells kept, 0 added" in result.stdout
    result = launched(*again, "alpha=0,10,20")
    assert "launched before: 2 cells kept, 1 added" in result.stdout
    assert "done 3/3" in result.stdout
    after = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/result.json")}
    assert before.items() <= after.items()
    assert len(after) == 3


def test_a_cell_of_another_sweep_is_not_computed_again(launched: Run, tiny: list[str]) -> None:
    before = set(Path("runs").glob("*/result.json"))
    settings = ["--set", "alpha=10", "--set", "n_models=1", *tiny]
    result = launched("launch", "ablation-n-models@demo", *settings, "--workers", "0", "-d", "cpu")
    assert "done 2/2" in result.stdout
    assert set(Path("runs").glob("*/result.json")) == before


def test_a_failing_cell_is_reported_and_the_exit_status_says_so(
    ddsweep: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddsweep import trial

    real = trial.run

    def run(recipe: Any, *rest: Any, **more: Any) -> Any:
        if recipe.alpha:
            raise ZeroDivisionError("by design")
        return real(recipe, *rest, **more)

    monkeypatch.setattr(trial, "run", run)
    monkeypatch.setattr("ddsweep.agent.worker.RECONCILE_SECONDS", 0.0)
    result = ddsweep("launch", "ablation-alpha@demo", "--set", "alpha=0,10", *tiny, "--workers", "0", "-d", "cpu")
    assert result.exit_code == 1
    assert "done 1/2   running 0   failed 1" in result.stdout
    assert "ZeroDivisionError: by design (3 attempts)" in result.stdout


def test_a_file_of_ones_own(ddsweep: Run, tiny: list[str]) -> None:
    document = {
        "method": "grid",
        "parameters": {"seed": {"values": [0, 1]}, "alpha": {"values": [0, 5]}},
        "x-ddsweep": {"title": "mine", "axis": ["alpha"], "baseline": {"alpha": 0}},
    }
    Path("mine.yaml").write_text(yaml.safe_dump(document))
    result = ddsweep("launch", "mine.yaml", "-p", "demo", *tiny, "--workers", "0", "-d", "cpu")
    assert "done 4/4" in result.stdout, result.output
    rows = json.loads(ddsweep("results", "mine@demo", "-f", "json").stdout)
    assert [(row["n"], row["cells"]) for row in rows] == [(4, 2), (4, 2)]
    assert ddsweep("results", "mine.yaml", "-p", "demo").exit_code == 0
    again = ddsweep("launch", "mine", "-p", "demo", *tiny, "--workers", "0", "-d", "cpu")
    assert "launched before: 4 cells kept, 0 added" in again.stdout
    assert "4 cells, 4 computed before" in again.stdout


def test_an_image_folder_of_ones_own(ddsweep: Run, tiny: list[str]) -> None:
    from PIL import Image

    for name, colour in (("red birds", (200, 30, 30)), ("blue birds", (30, 30, 200))):
        for index in range(10):
            path = Path("birds") / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20 + index, 24), tuple(value + index for value in colour)).save(path)
    settings = ["--set", "target=imagefolder:birds", "--set", "size=16", "--set", "alpha=0,10"]
    result = ddsweep("launch", "ablation-alpha@demo", *settings, *tiny, "--workers", "0", "-d", "cpu")
    assert result.exit_code == 0, result.output
    assert "data: preparing imagefolder:" in result.stdout


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ddsweep", *words]


def test_completion_knows_the_sweeps() -> None:
    environment = os.environ | {
        "_DDSWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": "ddsweep launch ablation-n",
        "COMP_CWORD": "2",
    }
    code = "import sys; sys.argv[0] = 'ddsweep'; from ddsweep.cli import app; app(prog_name='ddsweep')"
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert answer.stdout.split() == ["ablation-n-archs", "ablation-n-models"]


def test_the_installed_command_is_there() -> None:
    answer = subprocess.run(command("--version"), capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("ddsweep 0.")
    assert "launch" in subprocess.run(command("--help"), capture_output=True, text=True, check=True).stdout
