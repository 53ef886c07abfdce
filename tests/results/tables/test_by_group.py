"""Accuracy by group in every format: which cells are averaged, and what an entry is compared with."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ddsweep import sweep
from ddsweep.results import stored
from ddsweep.results.result import Result, read
from ddsweep.results.stored import Stored
from ddsweep.results.tables import by_group, cells, formats, latex, ranking, side_by_side, table, terminal
from ddsweep.results.tables.table import Table
from ddsweep.sweep import Sweep

RUNS = Path("runs")
NAMES = ("aligned", "conflicting", "worst_group")
Groups = dict[str, float | None]
GROUPS = st.fixed_dictionaries({name: st.none() | st.floats(0, 1) for name in NAMES})
PLACES = [(alpha, seed) for alpha in (0, 1, 100) for seed in (0, 1, 2)]


@cache
def alphas(*seeds: int) -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"alpha": [0, 1, 100], "seed": list(seeds)})


def results(one: Sweep, found: Mapping[tuple[float, int], Groups]) -> Stored:
    """Results of the cells (α, seed) in ``found``, each with two networks."""
    return Stored(
        {
            cell.key: Result(cell.recipe, {"convnet3": [0.5, 0.7]}, group_accuracy={"convnet3": groups})
            for cell in one.cells
            if (groups := found.get((cell.recipe.alpha, cell.recipe.seed)))
        },
        {},
    )


def mean(found: Mapping[tuple[float, int], Groups], alpha: float, name: str, seeds: list[int]) -> float | None:
    values = []
    for seed in seeds:
        value = found[alpha, seed][name] if (alpha, seed) in found else None
        if value is not None:
            values.append(value)
    return statistics.fmean(values) if values else None


@given(st.dictionaries(st.sampled_from(PLACES), GROUPS))
def test_an_entry_averages_its_cells_and_is_compared_on_the_seeds_in_common(
    found: dict[tuple[float, int], Groups],
) -> None:
    one = alphas(0, 1, 2)
    records = formats.records(table.build(one, results(one, found)))
    assert len(records) == 3
    base = [seed for alpha, seed in found if alpha == 0]
    shown = [name for name in NAMES if any(groups[name] is not None for groups in found.values())]
    for record in records:
        alpha = record["alpha"]
        own = [seed for other, seed in found if other == alpha]
        common = [seed for seed in own if seed in base]
        for name in NAMES:
            if name not in shown:
                assert name not in record and f"{name}_difference" not in record
                continue
            assert record[name] == pytest.approx(mean(found, alpha, name, own))
            pair = mean(found, alpha, name, common or own), mean(found, 0, name, common or base)
            wanted = None if alpha == 0 or None in pair else (pair[0] or 0.0) - (pair[1] or 0.0)
            assert record[f"{name}_difference"] == pytest.approx(wanted)


BIASED: dict[tuple[float, int], Groups] = {
    (0, 0): {"aligned": 0.95, "conflicting": 0.40, "worst_group": 0.0},
    (0, 1): {"aligned": 0.93, "conflicting": 0.44, "worst_group": 0.1},
    (1, 0): {"aligned": 0.96, "conflicting": 0.3821, "worst_group": 0.0},
    (100, 1): {"aligned": 0.90, "conflicting": 0.54, "worst_group": 0.25},
}
"""α 1 has only seed 0 and α 100 only seed 1."""


def built(found: dict[tuple[float, int], Groups] = BIASED) -> tuple[Sweep, Table]:
    one = alphas(0, 1)
    return one, table.build(one, results(one, found))


def test_lines_are_groups_and_columns_are_values() -> None:
    assert by_group.across(built()[1]).heads == ["α", "0", "1", "100"]
    assert by_group.across(built()[1]).lines == [
        ["aligned", "94.0", "96.0 (+1.0)", "90.0 (-3.0)"],
        ["conflicting", "42.0", "38.2 (-1.8)", "54.0 (+10.0)"],
        ["worst group", "5.0", "0.0 (+0.0)", "25.0 (+15.0)"],
    ]
    assert by_group.down(built()[1]).heads == ["α", "aligned", "conflicting", "worst group"]
    assert by_group.down(built()[1]).lines[1] == ["1", "96.0 (+1.0)", "38.2 (-1.8)", "0.0 (+0.0)"]


def test_without_a_common_seed_the_means_are_compared_and_it_is_marked() -> None:
    apart = {place: groups for place, groups in BIASED.items() if place in [(0, 0), (100, 1)]}
    lines = by_group.across(built(apart)[1]).lines
    assert lines[1] == ["conflicting", "40.0", "", "54.0 (+14.0~)"]


def test_a_group_that_no_test_image_is_in_is_not_shown() -> None:
    """The test sets of the authors of Biased-DD have no aligned image."""
    without = {place: groups | {"aligned": None} for place, groups in BIASED.items()}
    assert by_group.shown(built(without)[1]) == ("conflicting", "worst_group")
    assert [line[0] for line in by_group.across(built(without)[1]).lines] == ["conflicting", "worst group"]


def test_the_terminal_turns_it_if_it_is_too_wide() -> None:
    def text(width: int) -> str:
        console = Console(width=200, record=True, file=io.StringIO())
        lines = terminal.groups(built()[1], width)
        assert lines is not None
        console.print(lines)
        return console.export_text()

    wide, narrow = text(80), text(40)
    assert "conflicting" in wide.splitlines()[-3] and "54.0 (+10.0)" in wide.splitlines()[-3]
    assert "worst group" in narrow.splitlines()[1] and "25.0 (+15.0)" in narrow.splitlines()[-2]


def test_other_datasets_have_no_second_table() -> None:
    one = alphas(0)
    plain = table.build(one, Stored({cell.key: Result(cell.recipe, {"convnet3": [0.5]}) for cell in one.cells}, {}))
    assert by_group.shown(plain) == () and terminal.groups(plain, 80) is None
    part = side_by_side.Part(one, plain)
    for text in (formats.as_markdown(plain), latex.as_latex(part), formats.as_csv(formats.records(plain))):
        assert "group" not in text and "aligned" not in text


def test_markdown_and_latex_have_a_second_table() -> None:
    one, found = built()
    text = formats.as_markdown(found)
    assert "| worst group | 5.0 | 0.0 (+0.0) | 25.0 (+15.0) |" in text
    assert text.count("accuracy by group in percent") == 1
    floats = latex.as_latex(side_by_side.Part(one, found)).split("\n\n")
    assert len(floats) == 2
    assert r"\label{tab:ablation-alpha-demo-groups}" in floats[1]
    assert r"conflicting & 42.0 & 38.2 ($-1.8$) & 54.0 ($+10.0$) \\" in floats[1]
    assert floats[1].startswith("% needs \\usepackage{booktabs}\n")


def test_csv_has_columns_and_is_compared_with_later() -> None:
    _, found = built()
    text = formats.as_csv(formats.records(found))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert float(rows[2]["conflicting_difference"]) == pytest.approx(0.10)
    Path("before.csv").write_text(text, encoding="utf-8")
    from ddsweep.results.tables import saved

    assert all(line.other for line in saved.compare(found, Path("before.csv")).lines)


def test_cells_are_listed_with_their_groups() -> None:
    one = alphas(0, 1)
    lines = cells.records(one, results(one, BIASED))
    assert [line.get("worst_group") for line in lines if line["alpha"] == 100] == [None, 0.25]
    grid = cells.grid(lines)
    assert grid.heads[-7:] == ["accuracy", "aligned", "conflicting", "worst group", "state", "key", "compared with"]
    by_place = {(line[0], line[1]): line for line in grid.lines}
    assert by_place["100", "1"][3:6] == ["90.0", "54.0", "25.0"]
    assert by_place["100", "0"][3:6] == ["", "", ""]


def test_the_trials_of_a_search_have_them_too() -> None:
    one = sweep.load("search-alpha", "demo", {}).with_points([{"alpha": 3.0}, {"alpha": 30.0}])
    found = [BIASED[0, 0], BIASED[100, 1], BIASED[1, 0]]
    made = {
        cell.key: Result(cell.recipe, {"convnet3": [0.5 + index / 10]}, group_accuracy={"convnet3": groups})
        for index, (cell, groups) in enumerate(zip(one.cells, found, strict=True))
    }
    ranked = ranking.build(one, Stored(made, {}), RUNS)
    shown = ranking.grid(ranked)
    place = shown.heads.index("conflicting")
    assert sorted(line[place] for line in shown.lines) == ["38.2", "40.0", "54.0"]
    assert sorted(record["worst_group"] for record in ranking.records(ranked)) == [0.0, 0.0, 0.25]


def test_a_result_keeps_them_and_one_of_an_earlier_version_is_read() -> None:
    one = alphas(0)
    recipe = one.cells[0].recipe
    groups = {"convnet3": BIASED[0, 0] | {"aligned": None}}
    written = Result(recipe, {"convnet3": [0.5]}, group_accuracy=groups).write(RUNS / recipe.key())
    assert read(RUNS / recipe.key()) == written
    assert written.summary()["group_accuracy/conflicting"] == 0.40
    assert "group_accuracy/aligned" not in written.summary(), "trackers take numbers only"
    path = RUNS / recipe.key() / "result.json"
    before = {
        name: value
        for name, value in json.loads(path.read_text()).items()
        if name not in ("group_accuracy", "checksum")
    }
    path.write_text(json.dumps(before))
    assert read(RUNS / recipe.key()) == replace(written, group_accuracy={})
    assert stored.collect(one, RUNS).results[recipe.key()].groups == {}
