"""The paper's numbers: read right, and found by the recipe that they were measured with."""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.recipe import make
from ddsweep.results.tables import paper

OURS = {
    "CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ConvNet-3": "convnet3", "ConvNet-4": "convnet4",
    "VGG-11": "vgg11", "ResNet-18": "resnet18", "AlexNet": "alexnet",
}  # fmt: skip


def printed() -> list[dict[str, str]]:
    with Path(paper.__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def choices(line: dict[str, str]) -> dict[str, Any]:
    """The recipe of a printed line, written out."""
    chosen: dict[str, Any] = {
        "target": OURS[line["target"]], "method": line["method"].lower(), "ipc": int(line["ipc"]),
        "regularizer": line["loss"].lower(),
    }  # fmt: skip
    if line["loss"] == "none":
        return chosen
    return chosen | {
        "source": OURS[line["source"]], "n_models": int(line["n_m"]),
        "ptm_archs": "+".join(OURS[arch] for arch in line["archs"].split("|")),
        "ptm_epoch": 4 if line["ptm_epoch"] == "SO" else int(line["ptm_epoch"]),
    }  # fmt: skip


def runnable() -> Iterator[dict[str, str]]:
    """The lines of Tables 1, 2, 4, 5 and Fig. 2 between the two CIFARs."""
    for line in printed():
        if line["method"] in ("DC", "DSA", "DM") and {line["target"], line["source"]} <= {"", "CIFAR-10", "CIFAR-100"}:
            yield line


def test_every_printed_number_is_found_by_its_recipe() -> None:
    lines = list(runnable())
    assert len(lines) == 48 + 12 + 6 + 48 + 9 + 2  # Table 2: one block, and the baselines of another
    for line in lines:
        table = "Fig. 2" if line["table"].startswith("Fig2") else f"Table {line['table']}"
        found = paper.find(make(choices(line)), OURS[line["eval_model"]], table)
        assert found is not None, line
        assert found.table == table
        assert found.mean == pytest.approx(float(line["acc_mean"]) / 100)
        assert found.note == line["note"] or line["table"] == "2"  # there a baseline is printed in every block
        assert found.std == (pytest.approx(float(line["acc_std"]) / 100) if line["acc_std"] else None)


def test_the_average_gains_are_those_that_the_paper_prints() -> None:
    numbers = [one for one in paper.read() if one.mean is not None]

    def gain(one: paper.Published) -> float:
        unguided = one.experiment._replace(source="", regularizer="none", n_models=0, archs=frozenset(), ptm_epoch=0)
        (baseline,) = {other.mean for other in numbers if other.table == one.table and other.experiment == unguided}
        assert one.mean is not None
        assert baseline is not None
        return 100 * (one.mean - baseline)

    blocks: dict[tuple[Any, ...], list[float]] = {}
    for one in numbers:
        at = one.experiment
        if at.regularizer == "none":
            continue
        if one.table == "Table 2":
            blocks.setdefault((at.source, at.target), []).append(gain(one))
        if one.table == "Table 4":
            blocks.setdefault((at.method, len(at.archs), at.ptm_epoch), []).append(gain(one))
    wt, so = paper.LAST, paper.SUB_OPTIMAL
    expected = {
        ("cifar100", "cifar10"): 1.35, ("cifar100", "pathmnist"): 0.15,
        ("imagenet32", "cifar10"): 0.83, ("imagenet32", "pathmnist"): 0.40,
        ("dc", 1, wt): 1.5, ("dc", 4, wt): 2.7, ("dc", 4, so): 4.5,
        ("dsa", 1, wt): 1.8, ("dsa", 4, wt): 3.3, ("dsa", 4, so): 10.7,
        ("dm", 1, wt): 2.9, ("dm", 4, wt): 4.6, ("dm", 4, so): 5.2,
    }  # fmt: skip
    assert set(blocks) == set(expected)
    for block, value in expected.items():
        digits = 2 if len(block) == 2 else 1
        assert statistics.fmean(blocks[block]) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-9), block


@pytest.mark.parametrize("table", ["Table 1", "Table 4"])
def test_the_table_that_is_asked_for_goes_before_its_repetition(table: str) -> None:
    found = paper.find(make({"method": "dm", "ipc": 50, "regularizer": "none"}), "convnet3", table)
    assert found is not None
    assert (found.mean, found.std) == (0.625, {"Table 1": 0.007, "Table 4": 0.004}[table])


@pytest.mark.parametrize(
    ("changes", "eval_arch"),
    [
        ({}, "vgg11"),
        ({"ipc": 20}, "convnet3"),
        ({"n_models": 2}, "convnet3"),
        ({"ptm_epoch": 120}, "convnet3"),
        ({"ptm_archs": "convnet3+vgg11"}, "convnet3"),
        ({"target": "digits"}, "convnet3"),
        ({"regularizer": "cclom"}, "convnet3"),
    ],
)
def test_what_the_paper_does_not_print_is_not_found(changes: dict[str, Any], eval_arch: str) -> None:
    base = {"method": "dm", "ipc": 50, "n_models": 1, "regularizer": "clom"}
    assert paper.find(make(base), "convnet3") is not None
    assert paper.find(make(base | changes), eval_arch) is None


def test_table_a1_is_filled_but_for_the_number_that_could_not_be_read() -> None:
    printed_there = {
        ("idc", 10): (0.675, 0.694), ("idc", 50): (0.745, None), ("dream", 10): (0.694, 0.700),
        ("dream", 50): (0.748, 0.761), ("dim", 10): (0.662, 0.673), ("dim", 50): (0.726, 0.727),
        ("tm", 10): (0.653, 0.663), ("tm", 50): (0.716, 0.731),
    }  # fmt: skip
    cells = sweep.load("tableA1").cells
    assert len(cells) == 2 * len(printed_there)
    for cell in cells:
        found = paper.find(cell.recipe, "convnet3", "Table A1")
        expected = printed_there[cell.recipe.method, cell.recipe.ipc][bool(cell.recipe.alpha)]
        assert (found.mean if found else None) == expected
        assert found is None or found.std


def test_a_number_that_could_not_be_read_is_not_found() -> None:
    missing = [one for one in paper.read() if one.mean is None]
    assert [(one.table, one.experiment.method, one.experiment.ipc) for one in missing] == [("Table A1", "idc", 50)]


def test_marks_say_what_there_is_to_know() -> None:
    marks = {(one.table, one.mark) for one in paper.read() if one.mark}
    assert marks == {("Table 3", "?"), ("Table 4", "*"), ("Table 5", "?")}
    starred = {one.experiment.method for one in paper.read() if one.mark == "*"}
    assert starred == {"dc", "dm"}  # DSA's epoch is in the text
    assert {one.mark for one in paper.read()} == {"", *paper.MARKS}


def test_a_cell_at_paper_scale_is_its_own_twin() -> None:
    for name in ("table1", "tableA1", "ablation-domain", "ablation-n-archs"):
        for cell in sweep.load(name).cells:
            assert paper.twin(cell.recipe) == cell.recipe
    assert paper.twin(make({"method": "dc", "ipc": 7, "outer_loops": 7, "inner_epochs": 7})) is None


def test_comparing_needs_no_torch() -> None:
    code = "import sys; from ddsweep.results.tables import comparison, formats, layout, paper, table, terminal; "
    code += "paper.read(); "
    code += "print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
