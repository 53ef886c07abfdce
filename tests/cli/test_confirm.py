"""``launch NAME --confirm N`` through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddsweep import launches
from ddsweep.backends import Definition
from ddsweep.errors import UserError
from tests.again import NAME, SMALL, rows, write
from tests.cli.conftest import Run

HERE = ("--workers", "0", "--device", "cpu")
PROFILE = {"demo": {name: [value] for name, value in SMALL.items()}}
FILE = f"""
method: random
run_cap: 2
parameters:
  alpha: {{distribution: log_uniform_values, min: 1, max: 100}}
x-ddsweep: {{axis: [alpha], baseline: {{alpha: 0}}, pictures: [accuracy], profiles: {json.dumps(PROFILE)}}}
"""


def test_the_best_trial_is_run_again_with_its_baseline(ddsweep: Run) -> None:
    Path("mine.yaml").write_text(FILE)
    assert ddsweep("launch", "mine.yaml", "--profile", "demo", *HERE).exit_code == 0
    trials = rows(ddsweep("results", NAME, "--format", "csv").stdout)
    best = next(row for row in trials if row["baseline"] == "False")
    confirmed = ddsweep("launch", NAME, "--confirm", "2", *HERE)
    assert confirmed.exit_code == 0, confirmed.output
    assert "mine-confirm@demo" in confirmed.output
    assert "done 4/4   running 0   failed 0" in confirmed.output
    found = rows(ddsweep("results", "mine-confirm@demo", "--format", "csv").stdout)
    assert {float(row["alpha"]) for row in found} == {0, float(best["alpha"])}
    sweep = launches.load("mine-confirm@demo", None, Path("runs"), None)
    assert {cell.recipe.seed for cell in sweep.cells} == {1, 2}
    assert {float(row["alpha"]) for row in rows(ddsweep("results", NAME, "--format", "csv").stdout)} == {
        float(row["alpha"]) for row in trials
    }, "the search is as it was"
    again = ddsweep("launch", NAME, "--confirm", "3", *HERE)
    assert "launched before: 4 cells kept, 2 added" in again.output
    assert "done 6/6" in again.output


def test_what_cannot_be_confirmed(ddsweep: Run) -> None:
    Path("mine.yaml").write_text(FILE)
    from ddsweep import sweep

    store = launches.connect(Path("runs"), None, create=True)
    store.sweep(NAME).register(Definition.of(sweep.load("mine.yaml", "demo")))
    store.close()
    cases = {
        ("--confirm", "5"): f"confirm: {NAME} has no finished trial yet; its progress: ddsweep status {NAME}",
        ("--confirm", "5", "--set", "seed=3"): "set: not allowed with --confirm",
    }
    for words, reason in cases.items():
        with pytest.raises(UserError, match=reason):
            refused(ddsweep, NAME, *words)
    write({"alpha": [0, 1]})
    store = launches.connect(Path("runs"), None)
    store.sweep("grid@demo").register(Definition("grid@demo", [], sweep.load("mine.yaml", "demo").definition()))
    store.close()
    with pytest.raises(UserError, match="confirm: mine@demo is a grid; only the best trial of a search"):
        refused(ddsweep, "grid@demo", "--confirm", "5")
    with pytest.raises(UserError, match="no registered sweep 'other@demo'"):
        refused(ddsweep, "other@demo", "--confirm", "5")


def refused(ddsweep: Run, *words: str) -> None:
    """Raise the one line that a launch ends with."""
    result = ddsweep("launch", *words, *HERE)
    assert result.exit_code != 0
    assert len(result.stderr.strip().splitlines()) == 1
    raise UserError(result.stderr.strip())
