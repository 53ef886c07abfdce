"""``ddsweep results --against``, through the front door."""

from __future__ import annotations

import json
from pathlib import Path

from ddsweep import sweep
from ddsweep.cli import session, stores
from ddsweep.results.result import Result
from tests.cli.conftest import Run

RUNS = Path("runs")


def finish(reference: str, accuracy: float) -> None:
    """Register a sweep and write what its agents would have found."""
    one = sweep.load(reference)
    store = stores.connect(RUNS, None, create=True)
    store.sweep(one.full_name).register(session.definition(one))
    store.close()
    for cell in one.cells:
        Result(cell.recipe, accuracies={"convnet3": [accuracy, accuracy]}).write(RUNS / cell.key)


def words(screen: str) -> str:
    return " ".join(screen.split())


def test_against_the_paper(ddsweep: Run) -> None:
    finish("ablation-n-archs", 0.58)
    screen = ddsweep("results", "table5", "--against", "paper").stdout  # the paper's name of the same sweep
    assert "baseline 58.0 ± 0.0 57.5 ± 0.2 +0.5 no" in words(screen)
    assert "10 of 10 entries have a number in the paper" in screen
    assert "settings that differ" not in screen
    records = json.loads(ddsweep("results", "table5", "--against", "paper", "-f", "json").stdout)
    assert [record["against_overlap"] for record in records[:2]] == [False, True]  # 57.5 ± 0.2 and 57.8 ± 0.3
    assert ddsweep("results", "table5", "--against", "paper", "-f", "csv").stdout.count(",paper,") == 10
    assert "| convnet3 | 58.0 ± 0.0 | 57.8 ± 0.3 | +0.2 | yes |" in (
        ddsweep("results", "ablation-n-archs", "--against", "paper", "-f", "markdown").stdout
    )


def test_against_another_scale(ddsweep: Run) -> None:
    finish("ablation-n-archs@quick", 0.4)
    finish("ablation-n-archs", 0.58)
    screen = ddsweep("results", "ablation-n-archs@quick", "--against", "ablation-n-archs@paper").stdout
    assert "baseline 40.0 ± 0.0 58.0 ± 0.0 -18.0 no" in words(screen)
    (caveat,) = [line for line in screen.splitlines() if line.startswith("settings that differ")]
    assert caveat.startswith("settings that differ (ablation-n-archs@paper in brackets): ipc 10 (50), iterations 500 (")


def test_against_what_was_never_launched_is_one_line(ddsweep: Run) -> None:
    finish("ablation-n-archs", 0.58)
    result = ddsweep("results", "ablation-n-archs", "--against", "table1")
    assert result.exit_code == 2
    assert "table1@paper" in result.stderr
    assert "ablation-n-archs@paper" in result.stderr
    assert result.stderr.count("\n") == 1
