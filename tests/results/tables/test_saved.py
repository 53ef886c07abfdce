"""A table beside a file of an earlier day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ddsweep import sweep
from ddsweep.errors import UserError
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import formats, saved, side_by_side, table
from ddsweep.results.tables.table import Table

WRITE = {".csv": formats.as_csv, ".json": formats.as_json}


def built(reference: str, shift: float = 0.0, **settings: Any) -> Table:
    one = sweep.load(reference, None, settings)
    found = {}
    for index, cell in enumerate(one.cells):
        archs = cell.recipe.eval_archs.split("+")
        found[cell.key] = Result(
            cell.recipe,
            accuracies={arch: [0.3 + 0.001 * index + 0.01 * at + shift] * 2 for at, arch in enumerate(archs)},
        )
    return table.build(one, Stored(found, {}))


@pytest.mark.parametrize("suffix", saved.SUFFIXES)
@pytest.mark.parametrize(
    "name", ["ablation-alpha@demo", "ablation-epoch@quick", "table1", "table4", "ablation-n-archs"]
)
def test_what_was_written_is_found_again_entry_by_entry(name: str, suffix: str) -> None:
    path = Path(f"old{suffix}")
    path.write_text(WRITE[suffix](formats.records(built(name))))
    compared = saved.compare(built(name, shift=0.02), path)
    assert compared.name == path.name
    assert len(compared.lines) == len(built(name).entries)
    for line in compared.lines:
        assert line.difference == pytest.approx(0.02)
        assert line.other is not None and line.other.std == pytest.approx(0.0)
    assert "names only what it varies" in compared.caveat


def test_a_spreadsheet_saves_the_file_with_a_byte_order_mark_and_other_ends_of_lines() -> None:
    text = formats.as_csv(formats.records(built("ablation-alpha@demo")))
    Path("old.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(text.splitlines()).encode())
    lines = saved.compare(built("ablation-alpha@demo", shift=0.02), Path("old.csv")).lines
    assert [line.difference for line in lines] == [pytest.approx(0.02)] * len(lines)


def test_what_the_file_varies_must_be_what_is_fixed_here() -> None:
    Path("both.csv").write_text(formats.as_csv(formats.records(built("ablation-alpha", ipc=[10, 50]))))
    for ipc in (10, 50):
        one = built("ablation-alpha", ipc=[ipc])
        expected = {
            (entry.setting["method"], entry.column): entry.mean
            for entry in built("ablation-alpha", ipc=[10, 50]).entries
            if entry.setting["ipc"] == ipc
        }
        for line in saved.compare(one, Path("both.csv")).lines:
            assert line.other is not None
            assert line.other.mean == pytest.approx(expected[line.entry.setting["method"], line.entry.column])


def test_what_is_varied_here_and_not_named_there_matches_nothing() -> None:
    Path("one.json").write_text(formats.as_json(formats.records(built("ablation-alpha", method=["dm"]))))
    compared = saved.compare(built("ablation-alpha"), Path("one.json"))
    assert not any(line.other for line in compared.lines)


def test_several_sweeps_in_one_file() -> None:
    names = ("ablation-alpha@demo", "ablation-epoch@demo")
    parts = [side_by_side.Part(sweep.load(name), built(name)) for name in names]
    Path("all.csv").write_text(formats.as_csv(side_by_side.records(parts)))
    compared = saved.compare(built("ablation-epoch@demo"), Path("all.csv"))
    assert all(line.difference == pytest.approx(0) for line in compared.lines)


def test_an_unfinished_entry_of_the_file_has_no_number() -> None:
    one = sweep.load("ablation-alpha@demo")
    Path("none.csv").write_text(formats.as_csv(formats.records(table.build(one, Stored({}, {})))))
    assert not any(line.other for line in saved.compare(built("ablation-alpha@demo"), Path("none.csv")).lines)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("absent.csv", None, "--against absent.csv: cannot be read"),
        ("broken.json", "{", "--against broken.json: cannot be read"),
        (
            "object.json",
            "{}",
            "contains no list of records; it must be one that `results --format csv` (or json) wrote",
        ),
        ("empty.csv", "", "contains no list of records"),
        ("other.csv", "a,b\n1,2\n", "record 1 has no accuracy"),
        ("words.csv", "alpha,accuracy,accuracy_std,n\n5,good,0.1,3\n", "record 1: accuracy is not a number ('good')"),
        (
            "percent.csv",
            "alpha,accuracy,accuracy_std,n\n5,94.2,0.1,3\n",
            "record 1: accuracy is 94.2; needed: a fraction",
        ),
        ("nan.csv", "alpha,accuracy,accuracy_std,n\n5,nan,0.1,3\n", "record 1: accuracy is nan; needed: a fraction"),
        ("nan.json", '[{"alpha": 5, "accuracy": NaN, "accuracy_std": 0.1, "n": 3}]', "record 1: accuracy is nan"),
        ("minus.csv", "alpha,accuracy,accuracy_std,n\n0,0.9,-0.1,3\n", "record 1: accuracy_std is -0.1; needed: a"),
        ("comma.csv", 'alpha,accuracy,accuracy_std,n\n5,"0,9","0,1",3\n', "record 1: accuracy is not a number ('0,9')"),
        ("cut.csv", "alpha,accuracy,accuracy_std,n\n0,0.9,0.1,3\n5,0.9", "record 2 has another number of columns"),
        ("unquoted.csv", "alpha,accuracy,accuracy_std,n\n5,0,9,0,1,3\n", "record 1 has another number of columns"),
        ("text.json", json.dumps(["accuracy"]), "record 1 has no accuracy"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_line(name: str, text: str | None, line: str) -> None:
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(UserError) as error:
        saved.compare(built("ablation-alpha@demo"), Path(name))
    assert line in str(error.value)
