"""Sweeps by name: files of the user, shipped files, tables and figures of the paper."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ddsweep import sweep
from ddsweep.errors import UserError
from tests.sweep.examples import minimal


def test_files_in_the_current_folder_replace_shipped_files() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/ablation-alpha.yaml").write_text(yaml.safe_dump(minimal()))
    assert len(sweep.load("ablation-alpha").cells) == 2
    assert {"ablation-epoch", "table1"} <= set(sweep.names())


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("table2", "ablation-domain"),
        ("table5", "ablation-n-archs"),
        ("figure2", "ablation-epoch"),
        ("figure3left", "ablation-alpha"),
        ("table1", "table1"),
    ],
)
def test_a_sweep_can_be_named_by_its_table_or_figure_in_the_paper(written: str, name: str) -> None:
    by_paper, by_name = sweep.load(f"{written}@demo"), sweep.load(f"{name}@demo")
    assert by_paper.full_name == by_name.full_name  # the same study
    assert by_paper.cells == by_name.cells


def test_a_file_name_takes_precedence_over_a_table_of_the_paper() -> None:
    Path("sweeps").mkdir()
    Path("sweeps/table5.yaml").write_text(yaml.safe_dump(minimal()))
    Path("sweeps/broken.yaml").write_text("- not a sweep")
    assert sweep.load("table5").name == "table5"
    assert sweep.load("table2").name == "ablation-domain"


@pytest.mark.parametrize(
    ("reference", "profile", "line"),
    [
        ("ablation-alpa", None, "unknown sweep 'ablation-alpa'; did you mean ablation-alpha?"),
        ("ablation-alpha", "dmo", "unknown profile 'dmo'; did you mean demo?"),
        ("ablation-alpha@demo", "paper", "profile: ablation-alpha@demo and --profile paper name different profiles"),
        ("nowhere.yaml", None, "no sweep file nowhere.yaml"),
    ],
)
def test_an_unknown_name_is_one_line(reference: str, profile: str | None, line: str) -> None:
    with pytest.raises(UserError) as error:
        sweep.load(reference, profile)
    assert line in str(error.value)
