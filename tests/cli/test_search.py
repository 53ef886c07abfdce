"""A search through the front door: launched, shown, its results, picture and report, and launched again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

FILE = """
method: bayes
run_cap: 3
early_terminate: {type: hyperband, max_iter: 2, s: 1, eta: 2}
parameters:
  alpha: {distribution: log_uniform_values, min: 1, max: 100}
x-ddsweep:
  title: Which weight?
  axis: [alpha]
  baseline: {alpha: 0}
"""
HERE = ("--profile", "demo", "--workers", "0", "--device", "cpu")


@pytest.fixture
def mine() -> str:
    Path("mine.yaml").write_text(FILE)
    return "mine.yaml"


def test_it_is_launched_and_ends_with_its_trials(ddsweep: Run, tiny: list[str], mine: str) -> None:
    launched = ddsweep("launch", mine, *HERE, *tiny)
    assert launched.exit_code == 0, launched.output
    assert "4 cells" in launched.output
    assert "0 (baseline)" in launched.output
    records = json.loads(ddsweep("results", "mine@demo", "--format", "json").output)
    assert len(records) == 4
    done = [record for record in records if record["accuracy"] is not None]
    pruned = [record for record in records if record["accuracy"] is None]
    assert [record["accuracy"] for record in done] == sorted((one["accuracy"] for one in done), reverse=True)
    assert all(record["looked_at_step"] == 1 for record in pruned)
    counts = json.loads(ddsweep("status", "mine@demo", "--json").output)[0]["counts"]
    assert (counts["complete"], counts["pruned"], counts["failed"]) == (len(done), len(pruned), 0)
    assert f"done {len(done)}/4" in launched.output
    assert "best first" in launched.output
    again = ddsweep("launch", mine, *HERE, *tiny)
    assert "4 cells kept, 0 added" in again.output


@pytest.mark.slow
def test_everything_that_takes_a_sweep_takes_a_search(ddsweep: Run, tiny: list[str], mine: str) -> None:
    assert ddsweep("launch", mine, *HERE, *tiny).exit_code == 0
    assert "**" in ddsweep("results", "mine@demo", "--format", "markdown").output
    assert r"\textbf" in ddsweep("results", "mine@demo", "--format", "latex").output
    table = ddsweep("results", "mine@demo", "-f", "csv", "--where", "alpha > 1").output
    assert {row["baseline"] for row in csv.DictReader(io.StringIO(table))} == {"True", "False"}, "the baseline stays"
    plotted = ddsweep("plot", "mine@demo").output
    assert "accuracy.png" in plotted
    assert "alpha.png" in plotted
    report = Path(ddsweep("report", "mine@demo").output.strip()).read_text(encoding="utf-8")
    assert "Which weight?" in report
    estimated = ddsweep("estimate", "search-alpha", *HERE, *tiny, "--seconds", "0.01")
    assert "10 cells" in estimated.output, estimated.output
    Path("mine.yaml").write_text(FILE.replace("run_cap: 3", "run_cap: 4"))
    more = ddsweep("launch", mine, *HERE, *tiny)
    assert "4 cells kept, 1 added" in more.output
    assert len(json.loads(ddsweep("results", "mine@demo", "-f", "json").output)) == 5


def test_what_it_is_before_it_runs(ddsweep: Run, mine: str) -> None:
    shown = ddsweep("show", mine, "--profile", "demo").output
    assert "bayes samples 3 points, whenever an agent asks for one" in shown
    assert "alpha: 1 … 100 (log)" in shown
    assert "after 1 of 2 parts of a distillation, only the best 1/2 continue" in shown
    assert json.loads(ddsweep("show", mine, "--profile", "demo", "--json").output)["size"] == 4
    listed = {row["name"]: row["cells"] for row in json.loads(ddsweep("list", "--json").output)}
    assert listed["search-alpha"] == 10


def test_seeds_are_no_choice_but_replicates(ddsweep: Run, tiny: list[str], mine: str) -> None:
    seeds = ("--set", "seed=0,1")
    shown = ddsweep("show", mine, "--profile", "demo", *seeds).output
    assert "bayes samples 3 points, each with the seeds 0, 1, whenever an agent asks for one" in shown
    assert "seed: " not in shown
    assert "Which weight? · 8 cells" in shown, "(three points and a baseline) × two seeds"
    estimated = ddsweep("estimate", mine, *HERE, *tiny, *seeds, "--seconds", "0.01").output
    assert "8 cells" in estimated.splitlines()[0]
    launched = ddsweep("launch", mine, *HERE, *tiny, *seeds)
    assert launched.exit_code == 0, launched.output
    cells = json.loads(ddsweep("status", "--json").output)[0]["cells"]
    points = [(cell["point"]["params"]["alpha"], cell["point"]["params"]["seed"]) for cell in cells]
    assert len(points) == len(set(points)) == 8
    assert {(alpha, 1 - seed) for alpha, seed in points} == set(points)


def test_one_point_by_hand(ddsweep: Run, tiny: list[str], mine: str) -> None:
    open_ = ddsweep("run", mine, "--profile", "demo")
    assert open_.exit_code != 0
    words = [word for word in tiny if word != "--set"]
    ran = ddsweep("run", mine, "alpha=12.5", *words, "--profile", "demo", "--device", "cpu")
    assert ran.exit_code == 0, ran.output
    assert "accuracy" in ran.output


def test_it_goes_to_w_and_b_as_a_file(ddsweep: Run, mine: str) -> None:
    assert ddsweep("export", mine, "--wandb", "--profile", "demo", "-o", "search.yaml").exit_code == 0
    text = Path("search.yaml").read_text(encoding="utf-8")
    assert "run_cap: 3" in text
    assert "distribution: log_uniform_values" in text
