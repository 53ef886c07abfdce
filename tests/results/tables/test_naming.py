"""Settings as text: distinct values look distinct, and a text that is not short reads back as its value."""

from __future__ import annotations

import math

import pytest

from ddsweep import sweep
from ddsweep.recipe import Recipe
from ddsweep.results.stored import Stored
from ddsweep.results.tables import naming
from ddsweep.results.tables.naming import Labels
from ddsweep.results.tables.table import build


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 100.0, 10000.0], ["0", "100", "10000"]),
        ([1e6, 2.5e-5], ["1000000", "2.5e-05"]),
        ([1234567.0, 1234568.0], ["1234567", "1234568"]),
        ([1234.54935, 1.0], ["1234.55", "1"]),
        ([1234.54935, 1234.5545, 1.0], ["1234.54935", "1234.5545", "1"]),
        ([0.1, 1 / 3], ["0.1", "0.333333"]),
        ([0.1, math.nextafter(0.1, 1)], ["0.1", "0.10000000000000002"]),
        ([3e9, 3e9 + 1], ["3000000000", "3000000001"]),
        ([123456789012.0], ["1.23457e+11"]),
        ([1, 2, 12345678901], ["1", "2", "12345678901"]),
        ([True, False], ["true", "false"]),
        (["none", "clom"], ["none", "clom"]),
        (["", "convnet3"], ["–", "convnet3"]),
    ],
)
def test_texts_have_the_digits_that_tell_the_values_apart(values: list[object], expected: list[str]) -> None:
    found = naming.texts(values)
    assert [found[value] for value in values] == expected
    assert len(set(found.values())) == len(set(values))


@pytest.mark.parametrize("alpha", [[1234567, 1234568], [1234.54935, 1234.5545], [0.1, math.nextafter(0.1, 1)]])
def test_weights_that_six_digits_confuse_are_different_columns(alpha: list[float]) -> None:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, *alpha]})
    columns = build(one, Stored({}, {})).columns
    assert [float(column) for column in columns] == [0.0, *alpha]


def test_labels_are_those_of_all_recipes_of_a_table() -> None:
    near = [Recipe(target="digits", lr_img=rate, alpha=100.0) for rate in (0.12345678, 0.12345679)]
    labels = Labels.of(near)
    assert [labels.text("lr_img", recipe.lr_img) for recipe in near] == ["0.12345678", "0.12345679"]
    assert labels.text("alpha", 100.0) == "100"
    assert labels.text("alpha", 0.12345678) == "0.123457"  # not a value of this table
    assert naming.setting({"ipc": 10, "lr_img": 0.12345678}, labels=labels) == "IPC 10 · lr img 0.12345678"


def test_a_name_of_the_paper_that_two_values_share_is_not_used() -> None:
    plugged = "DM"  # would be written as the paper writes ``dm``
    labels = Labels({"method": {"dm": "dm", plugged: plugged, "dsa": "dsa"}})
    assert [labels.paper("method", name) for name in ("dm", plugged, "dsa")] == ["dm", "DM", "DSA"]
