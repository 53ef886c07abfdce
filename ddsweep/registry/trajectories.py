"""The published settings of TM by dataset and images per class (Cazenavette et al. 2022; DC-bench and DD-Ranking)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FIELDS = (
    "syn_steps", "expert_epochs", "max_start_epoch", "lr_img", "lr_lr", "lr_teacher", "batch_syn", "zca",
)  # fmt: skip
TAKEN = tuple(field for field in FIELDS if field != "lr_img")  # which the loop needs for every method
PUBLISHED: dict[tuple[str, int], tuple[Any, ...]] = {
    ("cifar10", 1): (50, 2, 2, 100.0, 1e-7, 0.01, 0, True),
    ("cifar10", 10): (30, 2, 20, 100.0, 1e-5, 0.001, 0, True),
    ("cifar10", 50): (30, 2, 40, 1000.0, 1e-5, 0.001, 0, False),
    ("cifar100", 1): (20, 3, 20, 1000.0, 1e-5, 0.01, 0, True),
    ("cifar100", 10): (20, 2, 20, 1000.0, 1e-5, 0.01, 0, False),
    ("cifar100", 50): (80, 2, 40, 1000.0, 1e-5, 0.01, 125, True),
}
"""Values of ``FIELDS``; ``batch_syn`` 0 is the whole set."""


def settings(target: str, ipc: int) -> dict[str, Any]:
    """Return the published settings, or for another ipc those of the one that is nearest by ratio.

    A dataset without published settings has those of CIFAR-10, without whitening.
    """
    known = target if any(name == target for name, _ in PUBLISHED) else "cifar10"
    nearest = min(
        (count for name, count in PUBLISHED if name == known), key=lambda count: max(count / ipc, ipc / count)
    )
    found = dict(zip(FIELDS, PUBLISHED[known, nearest], strict=True))
    return found if known == target else found | {"zca": False}


def default(field: str) -> Callable[[str, int], Any]:
    """Return the function that maps a dataset and an ipc to the default of a field."""
    return lambda target, ipc: settings(target, ipc)[field]


DEFAULTS = {field: default(field) for field in FIELDS}
