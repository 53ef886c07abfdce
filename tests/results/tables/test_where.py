"""Conditions choose cells; what they are compared with stays."""

from __future__ import annotations

from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.results.stored import Stored
from ddsweep.results.tables import table
from ddsweep.sweep import Cell


def chosen(reference: str, text: str, **settings: Any) -> list[Cell]:
    return list(table.where(sweep.load(reference, None, settings), text))


def test_a_condition_on_the_setting_keeps_whole_rows() -> None:
    cells = chosen("ablation-epoch", "method == 'dm' and ipc <= 10")
    assert len(cells) == 10
    assert {(cell.recipe.method, cell.recipe.ipc) for cell in cells} == {("dm", 10)}


def test_the_baseline_of_a_row_stays_and_only_that() -> None:
    cells = chosen("ablation-epoch", "ptm_epoch > 100 and method == 'dc'", seed=[0, 1])
    baselines = [cell.recipe for cell in cells if cell.recipe.alpha == 0]
    assert {(one.method, one.ipc, one.seed) for one in baselines} == {("dc", i, s) for i in (10, 50) for s in (0, 1)}
    assert {cell.recipe.ptm_epoch for cell in cells} == {0, 120, 150}


def test_a_seed_is_compared_with_its_own_baseline() -> None:
    cells = chosen("ablation-epoch", "seed == 1 and ptm_epoch == 4", seed=[0, 1])
    assert {cell.recipe.seed for cell in cells} == {1}
    assert len(cells) == 12


def test_a_condition_may_ask_for_baselines_alone() -> None:
    assert all(cell.recipe.alpha == 0 for cell in chosen("ablation-epoch", "regularizer == 'none'"))


def test_sources_have_the_names_that_tables_show() -> None:
    assert {cell.recipe.source for cell in chosen("ablation-domain@demo", "source == 'shapes'")} == {"", "shapes"}
    assert {cell.recipe.source for cell in chosen("ablation-domain@demo", "source == 'digits'")} == {"", "target"}


def test_n_archs_counts() -> None:
    assert {cell.recipe.n_archs for cell in chosen("ablation-n-archs", "n_archs >= 3")} == {0, 3, 4, 5}


def test_a_table_of_chosen_cells() -> None:
    one = sweep.load("ablation-epoch")
    built = table.build(one, Stored({}, {}), table.where(one, "ptm_epoch in [1, 4] and method != 'dsa'"))
    assert built.columns == ["baseline", "1", "4"]
    assert [row["4"].setting for row in built.rows] == [
        {"method": method, "ipc": ipc} for method in ("dc", "dm") for ipc in (10, 50)
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ptm_epoc > 1", "--where: 'ptm_epoc > 1': unknown field 'ptm_epoc'; did you mean ptm_epoch"),
        ("ipc > 'ten'", "cannot be compared"),
        ("__import__('os')", "is not allowed here"),
        ("ipc == 7", "--where: 'ipc == 7' holds for none of the 60 cells of ablation-epoch@paper"),
    ],
)
def test_what_is_no_condition_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UserError) as error:
        chosen("ablation-epoch", text)
    assert line in str(error.value)
