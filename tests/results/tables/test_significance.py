"""Paired tests, against enumeration and published formulae."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddsweep import sweep
from ddsweep.results.result import Result
from ddsweep.results.stored import Stored
from ddsweep.results.tables import significance, table
from ddsweep.results.tables.significance import Verdict, compare, holm, p_value

# accuracies are counts over a test set: sums of them tie exactly, and must tie here too
COUNTS = st.lists(st.integers(-300, 300), min_size=1, max_size=9)


@given(COUNTS)
def test_sign_flips_are_counted_one_by_one(counts: list[int]) -> None:
    flipped = [
        sum(s * c for s, c in zip(signs, counts, strict=True))
        for signs in itertools.product((1, -1), repeat=len(counts))
    ]
    share = sum(abs(one) >= abs(sum(counts)) for one in flipped) / len(flipped)
    assert p_value([count / 10_000 for count in counts]) == pytest.approx(share)


@given(COUNTS)
def test_which_side_is_called_the_baseline_does_not_matter(counts: list[int]) -> None:
    assert p_value(counts) == p_value([-count for count in counts])


def test_six_pairs_are_the_fewest() -> None:
    assert p_value([0.01] * 5) == 2 / 2**5 > 0.05
    assert p_value([0.01] * 6) == 2 / 2**6 < 0.05


def test_up_to_twenty_pairs_are_tested_exactly() -> None:
    differences = [0.002 + 0.011 * math.sin(index) for index in range(21)]
    t = statistics.fmean(differences) / (statistics.stdev(differences) / math.sqrt(21))
    assert p_value(differences) == pytest.approx(student(t, 20), rel=1e-6)
    assert p_value([0.01] * 20) == 2 / 2**20
    assert [verdict("seed", n, 0.5, 0.5).test for n in (20, 21)] == [
        "exact sign-flip permutation test", "paired t-test",
    ]  # fmt: skip


def verdict(unit: Literal["seed", "network"], n: int, p: float, corrected: float) -> Verdict:
    return Verdict(0.01, unit, n, n, n, p, corrected)


def student(t: float, freedom: int) -> float:
    """Two-sided p value by Simpson's rule over the density."""
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    steps = 4000
    xs = [abs(t) * i / steps for i in range(steps + 1)]
    ys = [constant * (1 + x * x / freedom) ** (-(freedom + 1) / 2) for x in xs]
    return 1 - 2 * abs(t) / steps / 3 * (ys[0] + ys[-1] + 4 * sum(ys[1:-1:2]) + 2 * sum(ys[2:-1:2]))


def test_many_pairs_take_students_test() -> None:
    differences = [0.002 + 0.011 * math.sin(index) for index in range(significance.EXACT + 5)]
    t = statistics.fmean(differences) / (statistics.stdev(differences) / math.sqrt(len(differences)))
    assert p_value(differences) == pytest.approx(student(t, len(differences) - 1), rel=1e-6)
    assert p_value([0.01] * 30) == 0.0
    assert p_value([0.0] * 30) == 1.0


@pytest.mark.parametrize(
    ("values", "corrected"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm (1979): 4 × .005, 3 × .01, 2 × .03, never falling
        ([0.6, 0.9], [1.0, 1.0]),
    ],
)
def test_holm(values: list[float], corrected: list[float]) -> None:
    assert holm(values) == pytest.approx(corrected)


def test_networks_of_one_seed_are_pairs_by_index() -> None:
    found = compare({0: [0.5, 0.6, 0.7]}, {0: [0.4, 0.4, 0.4, 0.9]})
    assert found is not None
    assert found.difference == pytest.approx(0.2)
    assert (found.unit, found.n, found.common, found.seeds, found.p) == ("network", 3, 1, 1, 0.25)


def test_of_several_seeds_each_is_one_pair_whatever_its_networks() -> None:
    ours = {seed: [0.5 + 0.01 * seed + 0.1 * net for net in range(5)] for seed in range(6)}
    baseline = {seed: [value - 0.02 for value in values] for seed, values in ours.items()} | {7: [0.9]}
    found = compare(ours, baseline)
    assert found is not None
    assert (found.unit, found.n, found.p) == ("seed", 6, 2 / 2**6)
    assert (found.common, found.seeds, found.difference) == (6, 7, pytest.approx(0.02)), "0.9 of seed 7 is not paired"


def test_without_a_common_seed_the_means_are_compared_and_nothing_is_tested() -> None:
    found = compare({0: [0.5, 0.7], 2: [0.6]}, {1: [0.5]})
    assert found is not None
    assert found.difference == pytest.approx(0.1)
    assert (found.unit, found.n, found.common, found.seeds, found.p) == ("none", 0, 0, 3, None)
    assert found.mark == "~"
    assert "~ no seed in common" in significance.statement([found])
    assert compare({0: [0.5]}, {}) is None


DEMO = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5]})


def built(seeds: int, gain: float, nets: int = 2) -> table.Table:
    one = sweep.load("ablation-alpha", "demo", {"alpha": [0, 5, 50], "seed": list(range(seeds))})
    found = {}
    for cell in one.cells:
        base = 0.5 + 0.003 * cell.recipe.seed
        better = gain if cell.recipe.alpha == 5 else (-1) ** cell.recipe.seed * gain * (cell.recipe.alpha > 0)
        found[cell.key] = Result(cell.recipe, accuracies={"convnet3": [base + better + 0.01 * n for n in range(nets)]})
    return table.build(one, Stored(found, {}))


def test_a_table_corrects_for_all_of_its_comparisons() -> None:
    row = built(8, 0.02).rows[0]
    verdicts = [row[column].verdict for column in ("0", "5", "50")]
    assert verdicts[0] is None
    assert verdicts[1] is not None and verdicts[2] is not None
    assert (verdicts[1].p, verdicts[1].corrected, verdicts[1].mark) == (2 / 2**8, 4 / 2**8, "**")
    assert (verdicts[2].p, verdicts[2].mark) == (1.0, "")  # four seeds up, four down


def test_a_star_without_the_correction_is_one_star() -> None:
    assert verdict("seed", 6, 0.031, 0.062).mark == "*"
    assert verdict("seed", 6, 0.05, 0.05).mark == "", "p has to be below the level"


@pytest.mark.parametrize(("seeds", "few"), [(5, True), (6, False)])
def test_six_seeds_are_tested_and_five_are_not(seeds: int, few: bool) -> None:
    assert ("too few to test" in significance.statement(built(seeds, 0.2).verdicts)) == few
    assert bool(significance.advice(built(seeds, 0.2).verdicts, DEMO)) == few


def test_the_statement_names_test_n_and_correction() -> None:
    assert significance.statement(built(8, 0.02).verdicts) == (
        "vs baseline: * p < 0.05, ** also with Holm's correction for 2 comparisons; "
        "exact sign-flip permutation test, paired by seed, n = 8"
    )
    assert significance.statement(built(1, 0.02, nets=7).verdicts).endswith(
        "paired by network, n = 7, of one seed: about these two sets only"
    )
    assert significance.statement([]) == ""


def test_too_few_pairs_are_not_pretended_away() -> None:
    few = built(3, 0.2)
    assert all(verdict.mark == "" for verdict in few.verdicts)
    assert significance.statement(few.verdicts) == (
        "vs baseline: n = 3 seeds: too few to test, no p below 0.25 is possible"
    )
    assert significance.advice(few.verdicts, DEMO) == (
        "6 seeds are enough to test: ddsweep launch ablation-alpha@demo --set alpha=0,5 --set seed=0,1,2,3,4,5"
    )
    assert significance.advice(few.verdicts, replace(DEMO, name="mine-confirm")) == (
        "6 seeds are enough to test: ddsweep launch mine@demo --confirm 6"
    )
    assert significance.advice(built(6, 0.2).verdicts, DEMO) == ""
