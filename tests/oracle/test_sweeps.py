"""Sweeps drawn at random: each number of each output is the oracle's. ``python -m tests.oracle`` runs more of them."""

from __future__ import annotations

import pytest

from tests.oracle import verify
from tests.oracle.case import draw

QUICK, MANY = 40, 1000


@pytest.mark.parametrize("first", range(0, QUICK, 20))
def test_a_few_drawn_sweeps(first: int) -> None:
    _check(range(first, first + 20))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, MANY, 96))
def test_a_thousand_drawn_sweeps(first: int) -> None:
    _check(range(first, first + 96))


def _check(seeds: range) -> None:
    for seed in seeds:
        problems = verify.problems(draw(seed))
        assert not problems, f"python -m tests.oracle --seed {seed}: {problems[0]}"
