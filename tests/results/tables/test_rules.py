"""Which evaluation rule a number used is said by every format, also where the rules of a table differ."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ddsweep import sweep
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import (
    cells,
    comparison,
    formats,
    latex,
    layout,
    ranking,
    saved,
    side_by_side,
    table,
    terminal,
)
from ddsweep.results.tables.side_by_side import Part
from ddsweep.sweep import Sweep
from ddsweep.testing.search import searched

IDC = "evaluation rule idc (best of 4 tests)"


def written(parameters: dict[str, Any], exclude: list[dict[str, Any]] = []) -> Sweep:  # noqa: B006
    """A sweep of two weights, with the demo's profile."""
    both = {"alpha": {"values": [0, 10]}, **parameters}
    block = {"title": "Which?", "axis": ["alpha"], "baseline": {"alpha": 0}, "exclude": exclude}
    Path("mine.yaml").write_text(yaml.safe_dump({"method": "grid", "parameters": both, "x-ddsweep": block}))
    return sweep.load("mine.yaml", "demo")


def part(one: Sweep) -> Part:
    """The table of a sweep, every cell of which is done."""
    found = {
        cell.key: Result(cell.recipe, accuracies={"convnet3": [0.5 + 0.01 * index, 0.52]})
        for index, cell in enumerate(one.cells)
    }
    return Part(one, table.build(one, Stored(found, {})))


@pytest.fixture
def mixed() -> Part:
    """DM under the paper's rule, DSA under IDC's."""
    rules = {"method": {"values": ["dm", "dsa"]}, "eval_rule": {"values": ["paper", "idc"]}}
    return part(written(rules, [{"method": "dm", "eval_rule": "idc"}, {"method": "dsa", "eval_rule": "paper"}]))


MIXED = "evaluation rules: paper (last epoch) for DM; idc (best of 4 tests) for DSA"


def test_one_rule_for_all() -> None:
    found = part(written({"eval_rule": {"value": "idc"}}))
    assert layout.notes(found.table) == [IDC]
    assert IDC in terminal.caption(found.table, found.sweep).splitlines()
    assert f"\n\n{IDC}" in formats.as_markdown(found.table)
    assert "Evaluation rule idc (best of 4 tests)." in latex.as_latex(found)


def test_the_rule_of_the_paper_goes_without_saying() -> None:
    found = part(written({}))
    assert layout.notes(found.table) == []
    assert [record["rule"] for record in formats.records(found.table)] == ["paper", "paper"]


def test_rules_that_differ_between_rows(mixed: Part) -> None:
    assert MIXED in layout.notes(mixed.table)
    assert MIXED in terminal.caption(mixed.table, mixed.sweep).splitlines()
    assert MIXED in side_by_side.remarks([mixed])[-1]
    assert MIXED in formats.as_markdown(mixed.table)
    assert MIXED[1:] in latex.as_latex(mixed)
    records = formats.records(mixed.table)
    assert [(record["method"], record["rule"]) for record in records] == [
        ("dm", "paper"), ("dm", "paper"), ("dsa", "idc"), ("dsa", "idc"),
    ]  # fmt: skip
    assert json.loads(formats.as_json(records)) == records
    assert [line["rule"] for line in csv.DictReader(io.StringIO(formats.as_csv(records)))] == [
        "paper", "paper", "idc", "idc",
    ]  # fmt: skip


def test_methods_are_not_named_where_they_do_not_tell_the_rules_apart() -> None:
    found = part(written({"eval_rule": {"values": ["idc", "dim"]}}))
    assert layout.rules(found.table.entries) == "evaluation rules: idc (best of 4 tests); dim (best of 5 tests)"
    assert {row["0"].setting["eval_rule"] for row in found.table.rows} == {"idc", "dim"}


def test_the_cells_behind_a_table_name_their_rules(mixed: Part) -> None:
    found = {cell.key: Result(cell.recipe, accuracies={"convnet3": [0.5]}) for cell in mixed.sweep.cells}
    lines = cells.records(mixed.sweep, Stored(found, {}))
    assert {(line["method"], line["rule"]) for line in lines} == {("dm", "paper"), ("dsa", "idc")}
    assert "eval rule" in cells.grid(lines).heads  # a setting of this sweep
    assert "rule" not in cells.grid(lines).heads
    unnamed = [{name: value for name, value in line.items() if name != "eval_rule"} for line in lines]
    assert "rule" in cells.grid(unnamed).heads
    assert "rule" not in cells.grid([line for line in unnamed if line["method"] == "dm"]).heads


def test_a_search_names_its_rule() -> None:
    one = searched(
        {"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 100}, "eval_rule": {"value": "idc"}}
    )
    one = one.with_points([{"alpha": 5.0}])
    found = {cell.key: Result(cell.recipe, accuracies={"convnet3": [0.5]}) for cell in one.cells}
    ranked = ranking.build(one, Stored(found, {}), Path("runs"))
    assert ranking.notes(ranked)[0] == IDC
    assert {record["rule"] for record in ranking.records(ranked)} == {"idc"}


def test_files_from_before_rules_were_written_are_still_compared(mixed: Part) -> None:
    records = formats.records(mixed.table)
    for name, lines in (("new", records), ("old", [{k: v for k, v in one.items() if k != "rule"} for one in records])):
        Path(f"{name}.json").write_text(formats.as_json(lines))
        compared = saved.compare(mixed.table, Path(f"{name}.json"))
        assert [line.difference for line in compared.lines] == [0.0] * 4


def test_table_a1_beside_the_paper() -> None:
    """Fifteen of its sixteen numbers are legible; each method has a rule of its own, and the paper's settings."""
    one = sweep.load("tableA1")
    found = {cell.key: Result(cell.recipe, accuracies={"convnet3": [0.6]}) for cell in one.cells}
    compared = comparison.with_paper(one, table.build(one, Stored(found, {})))
    beside = [line.other for line in compared.lines]
    assert len(beside) == 16
    assert sum(other is not None for other in beside) == 15
    assert compared.caveat == ""
    assert layout.notes(compared.table)[0] == (
        "evaluation rules: idc (best of 4 tests) for IDC; dream (best of 4 tests) for DREAM; tm (last epoch) for TM; "
        "dim (best of 5 tests) for DiM"
    )
