"""What all checks share: a failing check, and a guard around random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def require(condition: bool, what: str, violation: str) -> None:
    """Raise an AssertionError, ``WHAT: VIOLATION``, unless the condition holds."""
    if not condition:
        raise AssertionError(f"{what}: {violation}")


@contextmanager
def own_randomness(what: str) -> Iterator[None]:
    """Check that the block draws nothing from a global random generator of torch or NumPy.

    Python's own generator is not checked, because libraries use it (type checkers, for one); if it influenced a
    result, a second run would differ.

    Raises:
        AssertionError: the block drew from one.
    """
    before = torch.get_rng_state(), _numpy()
    yield
    same = torch.equal(torch.get_rng_state(), before[0])
    require(
        same,
        what,
        "draws from torch's global generator (dropout, torch.randn …); use the generator it is given",
    )
    require(_numpy() == before[1], what, "draws from NumPy's global generator; use numpy.random.default_rng(SEED)")


def _numpy() -> str:
    return str(np.random.get_state(legacy=True))  # noqa: TID251, NPY002  (shortened in its middle; its place counts)
