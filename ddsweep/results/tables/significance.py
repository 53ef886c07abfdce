"""The difference of an entry from its baseline, and whether it is significant: both from the same pairs.

Two cells of one seed share every random draw that they can: initial images, and, network for network, the initial
weights, order and augmentation of the evaluation. So they are compared pair by pair, on the seeds that both sides have.
What a pair is depends on what was repeated:

- several common seeds: a pair is a *seed*, each side the mean of its networks. Networks of one seed were trained on the
  same synthetic set; counted as separate pairs, they would count one distillation several times.
- one common seed: a pair is an evaluated *network*. The test then compares these two synthetic sets, not the methods.
- none: nothing can be paired. The difference is that of the two means, and is not tested.

Up to ``EXACT`` pairs the test is the exact sign-flip permutation test of the mean difference (Fisher, 1935): if the
baseline were as good, every difference could equally have had the other sign, so the p value is the share of the 2ⁿ
choices of signs with a mean at least as far from zero. It assumes no distribution, which could not be checked with five
numbers, and its smallest p value is 2 / 2ⁿ: below six pairs nothing can be significant at 0.05, whatever the
differences. Above ``EXACT`` pairs it is the paired t-test, which does not need normality there either.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ddsweep import again
from ddsweep.sweep import Sweep, confirming, relaunch
from ddsweep.text import plural

LEVEL = 0.05
EXACT = 20
FEWEST = 6  # pairs needed for a p value below LEVEL: 2 / 2 ** 6 = 0.03
EQUAL = 1e-9  # two means closer than this differ by rounding: accuracies are counts over at most 10⁶ images
UNPAIRED = "~"
NOT_PAIRED = f"{UNPAIRED} no seed in common with the baseline: difference of the means, not tested"

Samples = Mapping[int, Sequence[float]]
"""Accuracies of the evaluated networks of every seed."""


@dataclass(frozen=True)
class Verdict:
    """An entry compared with its baseline.

    Attributes:
        difference: the mean of the pairs' differences; without pairs, the difference of the means. A fraction.
        unit: what is paired; ``none``: nothing can be.
        n: the number of pairs.
        common: the number of seeds that both sides have.
        seeds: the number of seeds that either side has.
        p: two-sided p value of the mean difference, by itself; None without pairs.
        corrected: the same after Holm's correction for all tests of its table.
    """

    difference: float
    unit: Literal["seed", "network", "none"]
    n: int
    common: int
    seeds: int
    p: float | None
    corrected: float | None

    @property
    def test(self) -> str:
        """The name of the test; empty without pairs."""
        if self.unit == "none":
            return ""
        return "exact sign-flip permutation test" if self.n <= EXACT else "paired t-test"

    @property
    def mark(self) -> str:
        """``*``: significant by itself; ``**``: also after the correction; ``~``: not paired; else empty."""
        if self.p is None or self.corrected is None:
            return UNPAIRED
        return "*" * ((self.p < LEVEL) + (self.corrected < LEVEL))


def compare(ours: Samples, baseline: Samples) -> Verdict | None:
    """Compare two sides on the seeds that both have; None if one of them has no result."""
    sides = [{seed: list(values) for seed, values in side.items() if values} for side in (ours, baseline)]
    if not all(sides):
        return None
    common, either = sorted(set(sides[0]) & set(sides[1])), len(set(sides[0]) | set(sides[1]))
    if not common:
        means = [statistics.fmean(itertools.chain(*side.values())) for side in sides]
        return Verdict(means[0] - means[1], "none", 0, 0, either, None, None)
    if len(common) == 1:
        pairs = list(zip(*(side[common[0]] for side in sides), strict=False))
    else:
        pairs = [(statistics.fmean(sides[0][seed]), statistics.fmean(sides[1][seed])) for seed in common]
    differences = [a - b for a, b in pairs]
    p = p_value(differences)
    unit: Literal["seed", "network"] = "network" if len(common) == 1 else "seed"
    return Verdict(statistics.fmean(differences), unit, len(pairs), len(common), either, p, p)


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
    tested = [one for one in verdicts if one.p is not None]
    notes = [_tested(tested)] if tested else []
    return "; ".join([*notes, *([NOT_PAIRED] if len(tested) < len(verdicts) else [])])


def paired(verdicts: Sequence[Verdict]) -> str:
    """What is paired: ``paired by seed, n = 6``."""
    by_seed, by_network = ([one for one in verdicts if one.unit == unit] for unit in ("seed", "network"))
    parts = [f"paired by seed, n = {_range(by_seed)}"] if by_seed else []
    about = "of one seed: about these two sets only"
    parts += [f"paired by network, n = {_range(by_network)}, {about}"] if by_network else []
    return ", or ".join(parts)


def _tested(verdicts: Sequence[Verdict]) -> str:
    by_seed, by_network = ([one for one in verdicts if one.unit == unit] for unit in ("seed", "network"))
    if max(one.n for one in verdicts) < FEWEST:
        parts = [f"n = {_range(by_seed)} seeds"] if by_seed else []
        parts += [f"n = {_range(by_network)} networks of one seed"] if by_network else []
        smallest = f"no p below {2 / 2 ** max(one.n for one in verdicts):.2g} is possible"
        return f"vs baseline: {' or '.join(parts)}: too few to test, {smallest}"
    tests = " or ".join(sorted({one.test for one in verdicts}))
    corrected = f"** also with Holm's correction for {plural(len(verdicts), 'comparison')}"
    return f"vs baseline: * p < {LEVEL}, {corrected}; {tests}, {paired(verdicts)}"


def _range(verdicts: Sequence[Verdict]) -> str:
    counts = sorted({one.n for one in verdicts})
    return "–".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def advice(verdicts: Sequence[Verdict], sweep: Sweep) -> str:
    """How to get enough pairs for a sweep if it has too few; empty otherwise.

    A confirmation gets further new seeds from its search: those on which the trial was chosen must stay out.
    """
    if not verdicts or max(max(one.n, one.seeds) for one in verdicts) >= FEWEST:
        return ""
    search = sweep.name.removesuffix(confirming.SUFFIX)
    words = [f"{search}@{sweep.profile}", "--confirm", str(FEWEST)]
    command = again.other("launch", *(relaunch(sweep, range(FEWEST)) if search == sweep.name else words))
    return f"{FEWEST} seeds are enough to test: {command}"
