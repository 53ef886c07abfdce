"""What all checks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def require(holds: bool, what: str, else_: str) -> None:
    """Raise AssertionError: of ``what`` something does not hold."""
    if not holds:
        raise AssertionError(f"{what}: {else_}")


@contextmanager
def own_randomness(what: str) -> Iterator[None]:
    """Inside, nobody draws from a global generator of torch or NumPy: another process would draw something else.

    Of Python's own libraries make use (type checkers, for one); what it decided would show in the second run.

    Raises:
        AssertionError: somebody did.
    """
    before = torch.get_rng_state(), _numpy()
    yield
    same = torch.equal(torch.get_rng_state(), before[0])
    require(same, what, "draws from torch's global generator (dropout, torch.randn …); draw from what it is given")
    require(_numpy() == before[1], what, "draws from NumPy's global generator; use numpy.random.default_rng(SEED)")


def _numpy() -> str:
    return str(np.random.get_state(legacy=True))  # noqa: TID251, NPY002  (shortened in its middle; its place counts)
