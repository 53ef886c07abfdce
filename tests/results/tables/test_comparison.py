"""A table beside the paper's and beside another sweep's."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from ddsweep import sweep
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import comparison, formats, layout, paper, table, terminal
from ddsweep.results.tables.comparison import Comparison, Line, Other
from ddsweep.results.tables.table import Entry
from ddsweep.sweep import Sweep


def as_printed(one: Sweep, shift: float = 0.0) -> table.Table:
    """The table of ``one`` if every trial had found what the paper prints, ``shift`` added; elsewhere a half."""
    found = {}
    for cell in one.cells:
        accuracies = {}
        for arch in cell.recipe.eval_archs.split("+"):
            number = paper.find(cell.recipe, arch, one.paper)
            mean = number.mean if number and number.mean is not None else 0.5
            accuracies[arch] = [mean + shift - 0.001, mean + shift + 0.001]
        found[cell.key] = Result(cell.recipe, accuracies=accuracies)
    return table.build(one, Stored(found, {}))


def compare(reference: str, shift: float = 0.0, **settings: Any) -> Comparison:
    one = sweep.load(reference, None, settings)
    return comparison.with_paper(one, as_printed(one, shift))


@pytest.mark.parametrize(("name", "entries"), [("table1", 48), ("table4", 48), ("table5", 10), ("table2", 36)])
def test_each_entry_of_a_table_stands_beside_its_number(name: str, entries: int) -> None:
    compared = compare(name)
    assert len(compared.lines) == entries
    for line in compared.lines:
        assert line.other is not None
        assert line.difference == pytest.approx(0)
        assert line.overlap is True
    assert compared.caveat == ""


def test_the_average_gains_of_table_4_come_out_as_printed() -> None:
    one = sweep.load("table4")
    lines = layout.by_eval_arch(as_printed(one)).lines
    assert {(line[0], line[1]): line[-1] for line in lines} == {
        ("dc", "baseline"): "–", ("dc", "1 × 150"): "+1.5", ("dc", "4 × 150"): "+2.7", ("dc", "4 × 4"): "+4.5",
        ("dsa", "baseline"): "–", ("dsa", "1 × 150"): "+1.8", ("dsa", "4 × 150"): "+3.3", ("dsa", "4 × 4"): "+10.7",
        ("dm", "baseline"): "–", ("dm", "1 × 150"): "+2.9", ("dm", "4 × 150"): "+4.6", ("dm", "4 × 4"): "+5.2",
    }  # fmt: skip


def test_where_the_paper_prints_nothing_it_stays_empty() -> None:
    numbered = {
        (line.entry.setting["method"], line.entry.column) for line in compare("ablation-alpha").lines if line.other
    }
    # Fig. 3 left has no numbers; the baseline and the published α of IPC 50 are cells of Table 1
    assert numbered == {("dc", "0"), ("dc", "5000"), ("dsa", "0"), ("dsa", "1000"), ("dm", "0"), ("dm", "1000")}
    epochs = {line.entry.column for line in compare("ablation-epoch", method=["dsa"], ipc=[50]).lines if line.other}
    assert epochs == {"baseline", "4", "150"}


def test_another_scale_is_said_in_one_line() -> None:
    compared = compare("ablation-n-models@quick", method=["dm"])
    assert [line.entry.column for line in compared.lines if line.other] == ["baseline", "1"]
    assert compared.caveat == (
        "settings that differ (paper in brackets): iterations 500 (20000), batch_real 128 (256), "
        "ptm_train_epochs 30 (150), eval_nets 3 (5), eval_epochs 300 (1000)"
    )


def test_another_dataset_has_no_numbers_and_says_so() -> None:
    compared = compare("table4@demo")
    assert not any(line.other for line in compared.lines)
    assert "target digits (not in the paper), width 16 (128)" in compared.caveat
    assert layout.remarks(compared)[0] == "0 of 16 entries have a number in the paper"


def test_what_a_sweep_varies_must_be_the_papers_and_what_it_fixes_is_named() -> None:
    fixed = compare("ablation-n-archs", eval_epochs=300)
    assert all(line.other for line in fixed.lines)
    assert fixed.caveat == "settings that differ (paper in brackets): eval_epochs 300 (1000)"
    varied = compare("ablation-n-archs", eval_epochs=[300, 1000])
    assert {line.entry.setting["eval_epochs"] for line in varied.lines if line.other} == {1000}
    assert varied.caveat == ""


@pytest.mark.parametrize(
    ("mean", "std", "difference", "overlap"),
    [
        (0.60, 0.01, 0.02, True),  # 61 to 63 and 59 to 61 touch
        (0.599, 0.01, 0.021, False),
        (0.65, 0.02, -0.03, True),
        (0.651, 0.02, -0.031, False),
        (0.60, None, 0.02, None),
    ],
)
def test_intervals_overlap_where_they_have_a_point_in_common(
    mean: float, std: float | None, difference: float, overlap: bool | None
) -> None:
    entry = next(iter(as_printed(sweep.load("table4@demo")).entries))
    line = Line(replace(entry, samples={0: [0.61, 0.63]}), Other(mean, std))
    assert line.difference == pytest.approx(difference)
    assert line.overlap is overlap


def test_an_entry_that_is_not_finished_has_no_difference() -> None:
    one = sweep.load("table1")
    compared = comparison.with_paper(one, table.build(one, Stored({}, {})))
    assert all(line.other and line.difference is None and line.overlap is None for line in compared.lines)
    assert layout.compared(compared).lines[0][1:] == ["baseline", "waiting", "51.4 ± 0.3", "", ""]


def test_another_sweep_stands_beside_what_both_contain() -> None:
    epochs, models = sweep.load("ablation-epoch@quick"), sweep.load("ablation-n-models@quick")
    compared = comparison.with_sweep(models, as_printed(models, 0.02), models.full_name, as_printed(epochs))
    assert {line.entry.column for line in compared.lines} == {"baseline", "1", "2", "4"}
    assert not any(line.other for line in compared.lines if line.entry.column in ("2", "4"))
    # seven cells of the other sweep have N_m 1: none of them is *the* one; there is one baseline
    assert [line.entry.column for line in compared.lines if line.other] == ["baseline"] * 3
    assert {round(line.difference, 6) for line in compared.lines if line.difference is not None} == {0.02}
    assert compared.caveat == ""


def test_the_same_sweep_at_another_scale() -> None:
    quick, full = sweep.load("ablation-epoch@quick"), sweep.load("ablation-epoch", None, {"ipc": 10})
    compared = comparison.with_sweep(quick, as_printed(quick), full.full_name, as_printed(full))
    found = [line.entry.column for line in compared.lines if line.other and line.entry.setting["method"] == "dm"]
    assert found == ["baseline", "1", "4", "6", "10", "20", "30"]  # 30 is the last epoch as 150 is there
    assert compared.caveat.startswith("settings that differ (ablation-epoch@paper in brackets): iterations 500 (1000, ")


def lines_of(compared: Comparison) -> list[str]:
    console = Console(width=100, file=io.StringIO(), color_system=None)
    console.print(terminal.render(compared, 100))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("profile", ["demo", "quick", "paper"])
@pytest.mark.parametrize("name", sweep.names())
def test_every_comparison_fits_the_screen(name: str, profile: str) -> None:
    lines = lines_of(compare(f"{name}@{profile}"))
    assert max(map(len, lines)) <= 100
    assert not any("…" in line for line in lines)


def test_the_screen_to_the_letter() -> None:
    compared = compare("table5", 0.01, ptm_archs=["convnet3", "vgg11", "convnet3+resnet18"])
    assert lines_of(compared) == [
        " PTMs                  accuracy          paper   difference   overlap",
        " ────────────────────────────────────────────────────────────────────",
        " baseline            58.5 ± 0.1     57.5 ± 0.2         +1.0        no",
        " convnet3            58.8 ± 0.1     57.8 ± 0.3         +1.0        no",
        " vgg11               58.7 ± 0.1   57.7 ± 0.3 ?         +1.0        no",
        " convnet3+resnet18   51.0 ± 0.1",
    ]
    assert layout.remarks(compared) == [
        "3 of 4 entries have a number in the paper",
        "?: what the paper prints here could not be read with certainty (--format json has the notes)",
    ]


def test_formats_hold_the_same_comparison() -> None:
    compared = compare("table4", 0.002)
    records = json.loads(formats.as_json(formats.records(compared)))
    at = {
        (record["method"], record["ptm_archs"], record["ptm_epoch"], record["eval_arch"]): record for record in records
    }
    assert len(at) == 48
    record = at["dsa", "convnet3+alexnet+vgg11+resnet18", 4, "alexnet"]
    assert record["against"] == "paper"
    assert record["against_accuracy"] == pytest.approx(0.589)
    assert record["against_std"] == pytest.approx(0.007)
    assert record["against_difference"] == pytest.approx(0.002)
    assert record["against_overlap"] is True
    assert record["against_note"].startswith("sub-optimal")
    assert record["average_gain"] == pytest.approx(0.1065)
    lines = list(csv.DictReader(io.StringIO(formats.as_csv(formats.records(compared)))))
    assert [float(line["against_accuracy"]) for line in lines] == [record["against_accuracy"] for record in records]
    markdown = formats.as_markdown(compared).splitlines()
    assert markdown[0] == ("| setting | evaluated | N_a × PTM epoch | accuracy | paper | difference | overlap |")
    assert "| dm | vgg11 | 4 × 4 | 62.3 ± 0.1 | 62.1 ± 0.6 \\* | +0.2 | yes |" in markdown
    assert markdown[-1].startswith("\\*: sub-optimal PTMs")


def entries(compared: Comparison) -> list[Entry]:
    return [line.entry for line in compared.lines]


def test_every_format_has_every_entry() -> None:
    compared = compare("table1@quick")
    assert entries(compared) == compared.table.entries
    assert len(formats.as_csv(formats.records(compared)).splitlines()) == 1 + 24
    assert formats.as_markdown(compared).count("\n| ") == 24
