"""``ddsweep export``: its file goes into the real ``wandb sweep``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ddsweep import sweep
from ddsweep.backends.wandb.backend import WandbStore
from tests.cli.conftest import Run
from tests.standin import Standin


def test_wandb_registers_what_is_exported(ddsweep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    written = ddsweep("export", "table1@demo", "--wandb", "-o", "for-wandb.yaml")
    assert "wandb sweep --project ddsweep for-wandb.yaml" in written.stderr
    with Standin() as server:
        for variable, value in server.environment(tmp_path / "home").items():
            monkeypatch.setenv(variable, value)
        command = [sys.executable, "-m", "wandb", "sweep", "--project", "ddsweep", "for-wandb.yaml"]
        answer = subprocess.run(
            command, env=os.environ | {"WANDB_SILENT": "false"}, capture_output=True, text=True, check=True
        )
        assert "Violation" not in answer.stderr  # the server was pleased with every key
        assert "wandb agent" in answer.stderr
        (registered,) = server.sweeps.values()
        one = sweep.load("table1", "demo")
        assert registered.size == len(one.cells)
        store = WandbStore()
        assert store.names() == [one.full_name]  # a sweep that was registered by hand is one of ours
        assert {row.point.key for row in store.sweep(one.full_name).status().rows} == {cell.key for cell in one.cells}
        wandb.teardown()


def test_it_is_written_to_standard_output(ddsweep: Run) -> None:
    result = ddsweep("export", "ablation-alpha", "--profile", "demo", "--set", "alpha=0,7", "--wandb")
    assert result.stdout.startswith("# ablation-alpha@demo, 2 cells, written by ddsweep export --wandb\nname: ")
    document = yaml.safe_load(result.stdout)
    assert document["parameters"]["alpha"] == {"values": [0, 7]}
    assert "x-ddsweep" not in document
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["ablation-alpha"], "error: export: choose a format for ablation-alpha: --to pt|vico|idc|folder|hf"),
        (["ablation-alpa", "--wandb"], "error: unknown sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        (["ablation-alpha", "--wandb", "-o", "/proc/none/x.yaml"], "error: cannot write /proc/none/x.yaml"),
    ],
)
def test_a_mistake_is_one_line(ddsweep: Run, words: list[str], line: str) -> None:
    result = ddsweep("export", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1
