"""``--set`` pairs, and what happens when a value is given twice."""

from __future__ import annotations

import re

import pytest

from ddsweep.errors import UserError
from ddsweep.settings import once, settings


@pytest.mark.parametrize(
    ("pairs", "line"),
    [
        (
            ["alpha=1", "ipc=1", "alpha=2"],
            "alpha: is given twice, as alpha=1 and as alpha=2; for both values, write alpha=1,2",
        ),
        (["alpha=1", "alpha=1"], "alpha: is given twice, as alpha=1 and as alpha=1"),
        (["alpha=1,2", "alpha=3"], "for both values, write alpha=1,2,3"),
    ],
)
def test_a_key_that_is_given_twice(pairs: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        settings(pairs)
    assert str(error.value).endswith(line)


def test_an_option_and_a_setting() -> None:
    assert once({"width": 4}, {"ipc": 1}) == {"width": 4, "ipc": 1}
    with pytest.raises(UserError, match=r"width: is given twice, as an option \(4\) and with --set \(8\)"):
        once({"width": 4}, {"width": 8})


@pytest.mark.parametrize(
    ("pair", "number"),
    [("ipc=010", "10"), ("alpha=0,1,000", "0"), ("seed=00", "0"), ("alpha=1_000", "1000"), ("alpha=0, -05", "-5")],
)
def test_numbers_that_may_mean_something_else(pair: str, number: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(pair)}: '.*' is read as {number}; write {number}"):
        settings([pair])


def test_usual_numbers() -> None:
    pairs = [
        "alpha=0,1000,1e3,0.5,-0.0,.5,1e-03,00.5",
        "ipc=10",
        "target=imagefolder:/data/007,08",
        "eval_rule=2024_01x",
    ]
    assert settings(pairs) == {
        "alpha": [0, 1000, 1000.0, 0.5, -0.0, 0.5, 0.001, 0.5],
        "ipc": 10,
        "target": "imagefolder:/data/007,08",
        "eval_rule": "2024_01x",
    }
