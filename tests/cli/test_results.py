"""``ddsweep results --against``, through the front door."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from ddsweep import launches, sweep
from ddsweep.cli import session
from ddsweep.results.result import Result
from tests.cli.conftest import Run

RUNS = Path("runs")


def finish(reference: str, accuracy: float) -> None:
    """Register a sweep and write what its agents would have found."""
    one = sweep.load(reference)
    store = launches.connect(RUNS, None, create=True)
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
    lines = csv.DictReader(io.StringIO(ddsweep("results", "table5", "--against", "paper", "-f", "csv").stdout))
    assert [(line["rule"], line["against"]) for line in lines] == [("paper", "paper")] * 10
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


def test_against_a_file_of_an_earlier_day(ddsweep: Run) -> None:
    finish("ablation-n-archs", 0.57)
    for format_ in ("csv", "json"):
        Path(f"old.{format_}").write_text(ddsweep("results", "ablation-n-archs", "-f", format_).stdout)
    finish("ablation-n-archs", 0.58)
    for format_ in ("csv", "json"):
        screen = ddsweep("results", "ablation-n-archs", "--against", f"old.{format_}").stdout
        assert "baseline 58.0 ± 0.0 57.0 ± 0.0 +1.0 no" in words(screen)
        assert f"10 of 10 entries have a number in old.{format_}" in screen
    result = ddsweep("results", "ablation-n-archs", "--against", "older.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --against older.csv: cannot be read")


def test_some_cells(ddsweep: Run) -> None:
    finish("table5", 0.58)
    lines = ddsweep("results", "table5", "--where", "n_archs == 2", "-f", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["ptm_archs", "baseline", "convnet3+vgg11"]
    result = ddsweep("results", "table5", "--where", "n_arch == 2")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --where: 'n_arch == 2': unknown field 'n_arch'; did you mean n_archs?")


def test_a_command_is_printed_on_one_line(ddsweep: Run) -> None:
    finish("ablation-alpha@demo", 0.5)
    elsewhere = str(RUNS.rename("a-folder-whose-name-is-so-long-that-the-line-is-wider-than-the-screen").resolve())
    lines = ddsweep("results", "ablation-alpha@demo", "--runs", elsewhere).stdout.splitlines()
    command = f"ddsweep launch ablation-alpha@demo --set seed=0,1,2,3,4,5 --runs {elsewhere}"
    assert [line.partition(": ")[2] for line in lines if "ddsweep launch" in line] == [command]


def test_several_sweeps_side_by_side(ddsweep: Run) -> None:
    finish("ablation-alpha@demo", 0.5)
    finish("ablation-epoch@demo", 0.6)
    names = ["ablation-alpha@demo", "ablation-epoch@demo"]
    screen = words(ddsweep("results", *names).stdout)
    assert "ablation-alpha α 0 60.0 ± 0.0 α 1 50.0 ± 0.0 (-10.0)" in screen  # its baseline is a cell of the other
    assert "ablation-epoch baseline 60.0 ± 0.0 PTM epoch 1 60.0 ± 0.0 (+0.0)" in screen
    records = json.loads(ddsweep("results", *names, "-f", "json").stdout)
    assert {record["sweep"] for record in records} == set(names)
    assert ddsweep("results", *names, "-f", "markdown").stdout.startswith("| sweep | value | accuracy |")
    latex = ddsweep("results", *names, "-f", "latex").stdout
    assert [latex.count(f"tab:{name.replace('@', '-')}") for name in names] == [1, 1]
    beside = ddsweep("results", *names, "--against", "paper").stdout
    assert beside.count("entries have a number in the paper") == 2


def test_a_screen_that_is_too_narrow_has_one_table_after_the_other(ddsweep: Run) -> None:
    finish("ablation-epoch", 0.5)
    finish("ablation-n-models", 0.5)
    screen = ddsweep("results", "ablation-epoch", "ablation-n-models").stdout
    assert "…" not in screen
    assert max(map(len, screen.splitlines())) <= 100
    assert screen.count("test accuracy in percent") == 2


def test_against_what_was_never_launched_is_one_line(ddsweep: Run) -> None:
    finish("ablation-n-archs", 0.58)
    result = ddsweep("results", "ablation-n-archs", "--against", "table1")
    assert result.exit_code == 2
    assert "table1@paper" in result.stderr
    assert "ablation-n-archs@paper" in result.stderr
    assert result.stderr.count("\n") == 1
