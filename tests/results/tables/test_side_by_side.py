"""Several sweeps in one table."""

from __future__ import annotations

from typing import Any

from ddsweep import sweep
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import formats, side_by_side, table
from ddsweep.results.tables.side_by_side import Part


def part(reference: str, mean: float = 0.5, **settings: Any) -> Part:
    one = sweep.load(reference, None, settings)
    found = {
        cell.key: Result(
            cell.recipe, accuracies={arch: [mean - 0.01, mean + 0.01] for arch in cell.recipe.eval_archs.split("+")}
        )
        for cell in one.cells
    }
    return Part(one, table.build(one, Stored(found, {})))


def test_settings_that_both_have_share_a_column() -> None:
    grid = side_by_side.grid([part("ablation-alpha", alpha=[0, 5]), part("ablation-epoch", 0.6, ptm_epoch=[4])])
    assert grid.heads[:4] == ["sweep", "value", "dc · IPC 50", "dsa · IPC 50"]
    assert set(grid.heads[5:]) == {f"{method} · IPC 10" for method in ("dc", "dsa", "dm")}
    assert [line[:3] for line in grid.lines] == [
        ["ablation-alpha", "α 0", "50.0 ± 1.0"],
        ["ablation-alpha", "α 5", "50.0 ± 1.0 (+0.0)"],
        ["ablation-epoch", "baseline", "60.0 ± 1.0"],
        ["ablation-epoch", "PTM epoch 4", "60.0 ± 1.0 (+0.0)"],
    ]
    at = grid.heads.index("dm · IPC 10")
    assert [line[at] for line in grid.lines] == ["", "", "60.0 ± 1.0", "60.0 ± 1.0 (+0.0)"]  # α has IPC 50 alone


def test_an_axis_of_one_is_no_column_of_the_other() -> None:
    grid = side_by_side.grid(
        [part("ablation-alpha@demo", alpha=[5]), part("ablation-epoch@demo", alpha=[5, 50], ptm_epoch=[4])]
    )
    assert grid.heads == ["sweep", "value", "accuracy"]
    assert [tuple(line[:2]) for line in grid.lines] == [
        ("ablation-alpha", "α 5"),
        ("ablation-epoch,alpha=5,50 · α 5", "baseline"),
        ("ablation-epoch,alpha=5,50 · α 5", "PTM epoch 4"),
        ("ablation-epoch,alpha=5,50 · α 50", "baseline"),  # the baseline has no α: it is that of both rows
        ("ablation-epoch,alpha=5,50 · α 50", "PTM epoch 4"),
    ]


def test_scales_are_told_apart() -> None:
    parts = [part("ablation-alpha@demo", alpha=[0]), part("ablation-alpha@quick", alpha=[0], method=["dm"])]
    grid = side_by_side.grid(parts)
    assert [line[0] for line in grid.lines] == ["ablation-alpha@demo", "ablation-alpha@quick"]


def test_evaluated_architectures_are_columns() -> None:
    grid = side_by_side.grid([part("table4@demo")])
    assert [head.rpartition(" · ")[2] for head in grid.heads[2:6]] == ["ConvNet-3", "AlexNet", "VGG-11", "ResNet-18"]


def test_records_say_which_sweep_they_are_of() -> None:
    parts = [part("ablation-alpha@demo"), part("ablation-epoch@demo")]
    records = side_by_side.records(parts)
    assert [record["sweep"] for record in records] == ["ablation-alpha@demo"] * 9 + ["ablation-epoch@demo"] * 7
    head = formats.as_csv(records).splitlines()[0].split(",")
    assert {"sweep", "alpha", "ptm_epoch", "accuracy"} <= set(head)
    assert side_by_side.records(parts[:1]) == formats.records(parts[0].table)


def test_remarks_say_once_what_holds_for_all() -> None:
    parts = [part("ablation-alpha@demo"), part("ablation-epoch@demo")]
    about, test = side_by_side.remarks(parts)
    assert about.endswith("ablation-alpha@demo, ablation-epoch@demo")
    assert test.startswith("vs baseline: n = 2 networks")
    several = side_by_side.remarks([parts[0], part("ablation-epoch@demo", seed=[0, 1, 2])])
    assert [line.split(":")[0] for line in several[1:]] == ["ablation-alpha", "ablation-epoch"]
