"""Tables: what is pooled, what is compared with what, and how it reads in every format."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest
from rich.console import Console

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.results import formats, screen, table
from ddsweep.results import result as results
from ddsweep.results.result import Result
from ddsweep.sweep import Sweep

RUNS = Path("runs")


def finish(one: Sweep, *, skip: int = 0) -> dict[str, list[float]]:
    """Write a result for all but the last ``skip`` cells; the accuracies by key."""
    written = {}
    for index, cell in enumerate(one.cells[: len(one.cells) - skip]):
        values = [0.5 + 0.01 * index, 0.52 + 0.01 * index]
        Result(cell.recipe, accuracies={cell.recipe.arch: values}).write(RUNS / cell.key)
        written[cell.key] = values
    return written


def test_each_entry_is_compared_with_the_baseline_of_its_row() -> None:
    one = sweep.load("ablation-epoch", "quick", {"seed": [0, 1]})
    written = finish(one)
    built = table.build(one, table.collect(one, RUNS))
    assert built.axis == "ptm_epoch"
    assert built.columns[0] == "baseline"
    assert len(built.rows) == 3  # methods; seeds are pooled
    for row in built.rows:
        assert set(row) == set(built.columns)
        for column, entry in row.items():
            cells = [
                cell
                for cell in one.cells
                if cell.recipe.method == entry.setting["method"]
                and (str(cell.recipe.ptm_epoch) == column or (column == "baseline" and cell.recipe.alpha == 0))
            ]
            pooled = [value for cell in cells for value in written[cell.key]]
            assert (entry.n, entry.cells, entry.done) == (4, 2, 2)
            assert entry.mean == pytest.approx(statistics.fmean(pooled))
            assert entry.std == pytest.approx(statistics.pstdev(pooled))
            if column == "baseline":
                assert entry.difference is None
            else:
                baseline = row["baseline"].mean
                assert baseline is not None
                assert entry.difference == pytest.approx(statistics.fmean(pooled) - baseline)


def test_the_baseline_of_the_alpha_axis_is_its_zero() -> None:
    one = sweep.load("ablation-alpha", "demo")
    finish(one)
    built = table.build(one, table.collect(one, RUNS))
    assert built.columns == ["0", "1", "10", "100", "500", "1000", "2000", "5000", "10000"]
    assert built.rows[0]["0"].baseline


def test_the_domain_table_names_the_domains() -> None:
    one = sweep.load("ablation-domain", "demo")
    assert table.build(one, {}).columns == ["baseline", "digits", "shapes"]


def test_what_is_missing_or_failed_is_said() -> None:
    one = sweep.load("ablation-alpha", "demo")
    finish(one, skip=2)
    Result(one.cells[-1].recipe, state="failed", reason="the loss is nan at step 7").write(RUNS / one.cells[-1].key)
    built = table.build(one, table.collect(one, RUNS))
    assert built.rows[0]["5000"].mean is None
    assert built.rows[0]["10000"].failed == ("the loss is nan at step 7",)
    assert "1 cells not finished" in screen.caption(built)
    assert formats.plain(built.rows[0]["5000"]) == "–"
    assert formats.plain(built.rows[0]["10000"]) == "failed"


def test_formats_hold_the_same_numbers() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5]})
    finish(one)
    built = table.build(one, table.collect(one, RUNS))
    records = json.loads(formats.as_json(built))
    assert [record["alpha"] for record in records] == ["0", "5"]
    assert records[1]["accuracy"] == pytest.approx(0.52)
    assert records[1]["difference"] == pytest.approx(0.01)
    lines = list(csv.DictReader(io.StringIO(formats.as_csv(built))))
    assert [float(line["accuracy"]) for line in lines] == [record["accuracy"] for record in records]
    assert formats.as_markdown(built) == (
        "| alpha | accuracy |\n|---|---|\n| 0 | 51.0 ± 1.0 |\n| 5 | 52.0 ± 1.0 (+1.0) |"
    )


def render(built: table.Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(screen.render(built, width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_the_screen_to_the_letter() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 5]})
    finish(one, skip=1)
    built = table.build(one, table.collect(one, RUNS))
    assert render(built, 100) == [
        " alpha            0      1   5",
        " ─────────────────────────────",
        " accuracy      51.0   52.0   ·",
        " ± std          1.0    1.0   ·",
        " vs baseline      –   +1.0   ·",
    ]
    assert render(built, 36)[:3] == [
        " alpha     accuracy   vs baseline",
        " ────────────────────────────────",
        " 0       51.0 ± 1.0             –",
    ]


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("name", sweep.names())
def test_every_table_fits_the_screen(name: str, profile: str) -> None:
    one = sweep.load(name, profile)
    finish(one)
    built = table.build(one, table.collect(one, RUNS))
    assert max(len(line) for line in render(built, 100)) <= 100


def test_a_result_survives_the_disk_and_knows_its_folder() -> None:
    recipe = sweep.load("ablation-alpha", "demo").cells[3].recipe
    folder = RUNS / recipe.key()
    assert results.read(folder) is None
    written = Result(
        recipe, {"convnet3": [0.5, 0.7]}, {"convnet3": [0.1] * 10}, {"distill": 1.0}, "cpu", {"torch": "2"}
    )
    written.write(folder)
    assert results.read(folder) == written
    assert written.accuracy == pytest.approx(0.6)
    assert written.accuracy_std == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"recipe": {"colour": 1}}, "another version of ddsweep"),
        ({"recipe": {}}, "another version of ddsweep|belongs to"),
        ({"key": "0123"}, "belongs to 0123"),
    ],
)
def test_a_foreign_run_folder_is_one_line(change: dict[str, object], line: str) -> None:
    recipe = sweep.load("ablation-alpha", "demo").cells[3].recipe
    folder = RUNS / recipe.key()
    Result(recipe, {"convnet3": [0.5]}).write(folder)
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=line):
        results.read(folder)
