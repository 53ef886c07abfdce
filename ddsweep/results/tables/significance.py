"""Whether an entry differs significantly from its baseline: a paired test, and its limits.

Two cells of one seed share every random draw that they can: initial images, and, network for network, the initial
weights, order and augmentation of the evaluation. So they are compared pair by pair. What a pair is depends on what was
repeated:

- several seeds: a pair is a *seed*, each side the mean of its networks. Networks of one seed were trained on the same
  synthetic set; counted as separate pairs, they would count one distillation several times.
- one seed: a pair is an evaluated *network*. The test then compares these two synthetic sets, not the methods.

Up to ``EXACT`` pairs the test is the exact sign-flip permutation test of the mean difference (Fisher, 1935): if the
baseline were as good, every difference could equally have had the other sign, so the p value is the share of the 2ⁿ
choices of signs with a mean at least as far from zero. It assumes no distribution, which could not be checked with five
numbers, and its smallest p value is 2 / 2ⁿ: below six pairs nothing can be significant at 0.05, whatever the
differences. Above ``EXACT`` pairs it is the paired t-test, which does not need normality there either.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.05
EXACT = 20
FEWEST = 6  # pairs needed for a p value below LEVEL: 2 / 2 ** 6 = 0.03
EQUAL = 1e-9  # two means closer than this differ by rounding: accuracies are counts over at most 10⁶ images

Samples = Mapping[int, Sequence[float]]
"""Accuracies of the evaluated networks of every seed."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of the test of one entry and its baseline.

    Attributes:
        unit: what is paired.
        n: the number of pairs.
        p: two-sided p value of the mean difference, by itself.
        corrected: the same after Holm's correction for all comparisons of its table.
    """

    unit: Literal["seed", "network"]
    n: int
    p: float
    corrected: float

    @property
    def test(self) -> str:
        """The name of the test."""
        return "exact sign-flip permutation test" if self.n <= EXACT else "paired t-test"

    @property
    def mark(self) -> str:
        """``*``: significant by itself; ``**``: also after the correction; else empty."""
        return "*" * ((self.p < LEVEL) + (self.corrected < LEVEL))


def compare(ours: Samples, baseline: Samples) -> Verdict | None:
    """Test the difference of two sides on the seeds that both have; None if there is no pair."""
    seeds = sorted(seed for seed in set(ours) & set(baseline) if ours[seed] and baseline[seed])
    if not seeds:
        return None
    if len(seeds) == 1:
        pairs = list(zip(ours[seeds[0]], baseline[seeds[0]], strict=False))
    else:
        pairs = [(statistics.fmean(ours[seed]), statistics.fmean(baseline[seed])) for seed in seeds]
    p = p_value([a - b for a, b in pairs])
    return Verdict("network" if len(seeds) == 1 else "seed", len(pairs), p, p)


def p_value(differences: Sequence[float]) -> float:
    """Two-sided p value of the mean of paired differences being zero."""
    return _sign_flip(differences) if len(differences) <= EXACT else _t_test(differences)


def _sign_flip(differences: Sequence[float]) -> float:
    """All sums, doubled with each difference; the first keeps its sign, because both tails are counted."""
    sums = np.array([differences[0]])
    for difference in differences[1:]:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(np.mean(np.abs(sums) >= abs(sum(differences)) - EQUAL))


def _t_test(differences: Sequence[float]) -> float:
    from scipy import stats  # type: ignore[import-untyped]  # half a second to import, and rarely needed

    if statistics.pstdev(differences) < EQUAL:
        return 1.0 if abs(differences[0]) < EQUAL else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """P values after Holm's step-down correction (1979): the chance of any false alarm among them stays below each."""
    corrected, worst = [0.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        worst = max(worst, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = worst
    return corrected


def statement(verdicts: Sequence[Verdict]) -> str:
    """The footer of a table: the test, n, the marks and the correction; empty if nothing was compared."""
    if not verdicts:
        return ""
    counts = sorted({one.n for one in verdicts})
    seeds = any(one.unit == "seed" for one in verdicts)
    n = f"n = {'–'.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}"
    if counts[-1] < FEWEST:
        pairs = f"{n} {'seeds' if seeds else 'networks of one seed'}"
        return f"vs baseline: {pairs}: too few to test, no p below {2 / 2 ** counts[-1]:.2g} is possible"
    tests = " or ".join(sorted({one.test for one in verdicts}))
    many = len(verdicts)
    also = f", ** also with Holm's correction for {many} comparisons" if many > 1 else ""
    pairs = f"paired by seed, {n}" if seeds else f"paired by network, {n}, of one seed: about these two sets only"
    return f"vs baseline: * p < {LEVEL}{also}; {tests}, {pairs}"


def advice(verdicts: Sequence[Verdict]) -> str:
    """How to get enough pairs if there are too few; empty otherwise."""
    if not verdicts or max(one.n for one in verdicts) >= FEWEST:
        return ""
    return f"{FEWEST} seeds are enough to test: --set seed={','.join(map(str, range(FEWEST)))}"
