"""Tables: what is pooled, what is compared with what, and how it reads in every format."""

from __future__ import annotations

import csv
import io
import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ddsweep import checked_files, sweep
from ddsweep.errors import UserError
from ddsweep.results import result as results
from ddsweep.results import stored
from ddsweep.results.result import Result
from ddsweep.results.states import State
from ddsweep.results.stored import Stored
from ddsweep.results.tables import formats, layout, naming, table, terminal
from ddsweep.sweep import Sweep

RUNS = Path("runs")


def finish(one: Sweep, *, skip: int = 0) -> dict[str, list[float]]:
    """Write a result for all but the last ``skip`` cells; the accuracies by key."""
    written = {}
    for index, cell in enumerate(one.cells[: len(one.cells) - skip]):
        values = [0.5 + 0.01 * index, 0.52 + 0.01 * index]
        archs = cell.recipe.eval_archs.split("+")
        Result(cell.recipe, accuracies=dict.fromkeys(archs, values)).write(RUNS / cell.key)
        written[cell.key] = values
    return written


def test_each_entry_is_compared_with_the_baseline_of_its_row() -> None:
    one = sweep.load("ablation-epoch", "quick", {"seed": [0, 1]})
    written = finish(one)
    built = table.build(one, stored.collect(one, RUNS))
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
            assert (entry.n, len(entry.cells), entry.done) == (4, 2, 2)
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
    built = table.build(one, stored.collect(one, RUNS))
    assert built.columns == ["0", "1", "10", "100", "500", "1000", "2000", "5000", "10000"]
    assert built.rows[0]["0"].baseline


def test_the_domain_table_names_the_domains() -> None:
    one = sweep.load("ablation-domain", "demo")
    assert table.build(one, Stored({}, {})).columns == ["baseline", "digits", "shapes"]


def test_what_is_missing_or_failed_is_said() -> None:
    one = sweep.load("ablation-alpha", "demo")
    finish(one, skip=2)
    Result(one.cells[-1].recipe, state="failed", reason="the loss is nan at step 7").write(RUNS / one.cells[-1].key)
    built = table.build(one, stored.collect(one, RUNS))
    assert built.rows[0]["5000"].mean is None
    assert built.rows[0]["10000"].reasons(State.FAILED) == ("the loss is nan at step 7",)
    assert "of 9 cells, 1 failed, 1 waiting" in terminal.caption(built, one)
    assert layout.plain(built.rows[0]["5000"]) == "waiting"
    assert layout.plain(built.rows[0]["10000"]) == "failed"


def test_formats_hold_the_same_numbers() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5]})
    finish(one)
    built = table.build(one, stored.collect(one, RUNS))
    records = json.loads(formats.as_json(formats.records(built)))
    assert [record["alpha"] for record in records] == [0, 5]
    assert records[1]["accuracy"] == pytest.approx(0.52)
    assert records[1]["difference"] == pytest.approx(0.01)
    lines = list(csv.DictReader(io.StringIO(formats.as_csv(formats.records(built)))))
    assert [float(line["accuracy"]) for line in lines] == [record["accuracy"] for record in records]
    assert formats.as_markdown(built) == (
        "| α | accuracy |\n|---|---|\n| 0 | 51.0 ± 1.0 |\n| 5 | 52.0 ± 1.0 (+1.0) |\n\n"
        "vs baseline: n = 2 networks of one seed: too few to test, no p below 0.5 is possible"
    )


def render(built: table.Table, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal.render(built, width))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def test_the_screen_to_the_letter() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 5]})
    finish(one, skip=1)
    built = table.build(one, stored.collect(one, RUNS))
    assert render(built, 100) == [
        " α                0      1         5",
        " ───────────────────────────────────",
        " accuracy      51.0   52.0   waiting",
        " ± std          1.0    1.0         ·",
        " vs baseline      –   +1.0         ·",
    ]
    assert render(built, 30)[:3] == [
        " α     accuracy   vs baseline",
        " ────────────────────────────",
        " 0   51.0 ± 1.0             –",
    ]


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (0.021, "+2.1"),
        (-0.021, "-2.1"),
        (0.0515, "+5.2"),
        (-0.0515, "-5.2"),
        (-0.0004, "+0.0"),
        (0.0, "+0.0"),
        (None, ""),
    ],
)
def test_differences_are_rounded_as_in_print(difference: float | None, text: str) -> None:
    """0.0515 is 5.1499… in binary, and 5.2 points to whoever rounds by hand."""
    assert layout.points(difference) == text


def test_an_average_gain_needs_every_architecture() -> None:
    one = sweep.load("table4", "demo")
    finish(one, skip=1)
    rows = table.build(one, stored.collect(one, RUNS)).settings[-1]
    assert len(rows) > 1
    gains = {column: [row[column].difference for row in rows] for column in rows[0]}
    assert any(None not in some for some in gains.values())
    for column, some in gains.items():
        known = [gain for gain in some if gain is not None]
        expected = pytest.approx(sum(known) / len(known)) if known and len(known) == len(some) else None
        assert table.average_gain(rows, column) == expected
    (column, *_) = [column for column, some in gains.items() if None not in some]
    rows[0][column] = replace(rows[0][column], verdict=None)
    assert table.average_gain(rows, column) is None, "of one of the architectures nothing is known"


ARCHS = ["convnet3", "alexnet", "vgg11", "resnet18"]
# table4@demo: a value per cell and architecture; the gains over the baseline are 1, 2, 3, 4 and so on
REACHED = {
    "baseline": [0.50, 0.40, 0.30, 0.20],
    "1 × 20": [0.51, 0.42, 0.33, 0.24],
    "4 × 20": [0.52, 0.44, 0.36, 0.28],
    "4 × 4": [0.40, 0.45, 0.35, 0.25],
}


def several_archs(*, skip: str = "") -> table.Table:
    one = sweep.load("table4", "demo")
    found = {}
    for cell in one.cells:
        column = naming.column_label(one, cell.recipe)
        accuracies = dict(zip(ARCHS, ([value, value] for value in REACHED[column]), strict=True))
        if column != skip:
            found[cell.key] = Result(cell.recipe, accuracies=accuracies)
    return table.build(one, Stored(found, {}))


def test_every_evaluated_architecture_has_its_own_numbers_and_baseline() -> None:
    built = several_archs()
    assert built.eval_archs == ARCHS
    assert built.columns == list(REACHED)
    for arch, row in zip(ARCHS, built.rows, strict=True):
        index = ARCHS.index(arch)
        for column, entry in row.items():
            assert (entry.eval_arch, entry.n) == (arch, 2)
            assert entry.mean == pytest.approx(REACHED[column][index])
            if column != "baseline":
                assert entry.difference == pytest.approx(REACHED[column][index] - REACHED["baseline"][index])


def test_the_average_gain_is_over_all_architectures_or_is_not_there() -> None:
    built = several_archs()
    gains = {column: table.average_gain(built.rows, column) for column in built.columns}
    assert gains.pop("baseline") is None
    assert gains == pytest.approx({"1 × 20": 0.025, "4 × 20": 0.05, "4 × 4": 0.0125})
    assert table.average_gain(several_archs(skip="4 × 20").rows, "4 × 20") is None
    assert table.average_gain(several_archs(skip="baseline").rows, "4 × 4") is None


def test_several_architectures_on_the_screen_to_the_letter() -> None:
    built = several_archs(skip="4 × 20")
    assert render(built, 100) == [
        " N_a × PTM epoch     convnet3      alexnet        vgg11     resnet18   average gain",
        " ──────────────────────────────────────────────────────────────────────────────────",
        " baseline          50.0 ± 0.0   40.0 ± 0.0   30.0 ± 0.0   20.0 ± 0.0              –",
        " 1 × 20            51.0 ± 0.0   42.0 ± 0.0   33.0 ± 0.0   24.0 ± 0.0           +2.5",
        " 4 × 20               waiting      waiting      waiting      waiting              –",
        " 4 × 4             40.0 ± 0.0   45.0 ± 0.0   35.0 ± 0.0   25.0 ± 0.0           +1.3",
    ]
    about, test, advice = terminal.caption(built, sweep.load("ablation-alpha", "demo")).splitlines()
    assert "of 4 cells, 1 waiting" in about
    assert about.endswith("; N_a 1: convnet3; N_a 4: convnet3+alexnet+vgg11+resnet18")
    assert test.startswith("vs baseline: n = 2 networks of one seed: too few to test")
    assert advice.startswith("6 seeds are enough")


def test_several_architectures_in_the_other_formats() -> None:
    built = several_archs()
    records = json.loads(formats.as_json(formats.records(built)))
    assert len(records) == 16
    assert [record["eval_arch"] for record in records] == [arch for arch in ARCHS for _ in REACHED]
    # a script gets the fields of the recipe and not the abbreviation that people read
    assert (records[1]["ptm_archs"], records[1]["ptm_epoch"], records[2]["ptm_archs"]) == (
        "convnet3",
        20,
        "+".join(ARCHS),
    )
    assert [record["average_gain"] for record in records[:2]] == [None, pytest.approx(0.025)]
    lines = list(csv.DictReader(io.StringIO(formats.as_csv(formats.records(built)))))
    assert [line["eval_arch"] for line in lines] == [record["eval_arch"] for record in records]
    assert formats.as_markdown(built).splitlines()[:4] == [
        "| N_a × PTM epoch | convnet3 | alexnet | vgg11 | resnet18 | average gain |",
        "|---|---|---|---|---|---|",
        "| baseline | 50.0 ± 0.0 | 40.0 ± 0.0 | 30.0 ± 0.0 | 20.0 ± 0.0 | – |",
        "| 1 × 20 | 51.0 ± 0.0 | 42.0 ± 0.0 | 33.0 ± 0.0 | 24.0 ± 0.0 | +2.5 |",
    ]


def test_cells_of_one_architecture_each_make_a_plain_table() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5], "eval_archs": ["convnet3", "vgg11"]})
    finish(one)
    built = table.build(one, stored.collect(one, RUNS))
    assert built.eval_archs == []
    assert [(row["5"].setting, row["5"].eval_arch, row["5"].n) for row in built.rows] == [
        ({"eval_archs": "convnet3"}, "convnet3", 2),
        ({"eval_archs": "vgg11"}, "vgg11", 2),
    ]


def test_a_cell_has_entries_only_for_what_it_evaluates() -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5], "eval_archs": ["convnet3", "convnet3+vgg11"]})
    finish(one)
    built = table.build(one, stored.collect(one, RUNS))
    rows = [(row["5"].setting["eval_archs"], row["5"].eval_arch) for row in built.rows]
    assert rows == [("convnet3", "convnet3"), ("convnet3+vgg11", "convnet3"), ("convnet3+vgg11", "vgg11")]
    assert all(entry.n == 2 for entry in built.entries)


def test_sets_of_architectures_that_are_equally_large_are_written_out() -> None:
    settings = {"n_models": [1, 2], "ptm_archs": ["convnet3", "vgg11"]}
    one = sweep.load("table1", "demo", settings)
    built = table.build(one, Stored({}, {}))
    assert built.axis == "n_models × ptm_archs"
    assert built.columns == ["baseline", "1 × convnet3", "1 × vgg11", "2 × convnet3", "2 × vgg11"]
    assert built.notes == ()


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("name", sweep.names())
def test_every_table_fits_the_screen(name: str, profile: str) -> None:
    one = sweep.load(name, profile)
    finish(one)
    built = table.build(one, stored.collect(one, RUNS))
    lines = render(built, 100)
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)


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
    checked_files.write_json(path, checked_files.read_json(path) | change)
    with pytest.raises(UserError, match=line):
        results.read(folder)
