"""Checks for authors of plugins, backends and trackers: what ddsweep relies on, tested on the CPU in seconds.

A part of any kind is checked by name, by ``check_method``, ``check_network``, ``check_dataset`` and so on::

    from ddsweep.testing import check_method

    def test_my_method() -> None:
        check_method("mtt-lite")

The name is looked up as everywhere: in an installed package, in ``$DDSWEEP_PLUGINS``, or in a module that the test has
imported. A violation is an ``AssertionError`` that names it. ddsweep's own parts pass the same checks.

A backend, a queue or a tracker may inherit the tests that ddsweep's own pass (pytest is needed for these)::

    from ddsweep.testing import TrackerContract

    class TestMyTracker(TrackerContract):
        @pytest.fixture
        def tracker(self, tmp_path):
            return MyTracker(tmp_path)

``BackendContract``, ``QueueContract`` and ``TrackerContract`` say which fixtures they need.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ddsweep.testing.dataset import check_dataset as check_dataset
from ddsweep.testing.evaluation import check_evaluation as check_evaluation
from ddsweep.testing.guidance import check_guidance as check_guidance
from ddsweep.testing.method import check_method as check_method
from ddsweep.testing.network import check_network as check_network
from ddsweep.testing.ptm import check_ptm as check_ptm
from ddsweep.testing.tracked import check_tracker as check_tracker

if TYPE_CHECKING:
    from ddsweep.testing.backend import BackendContract as BackendContract
    from ddsweep.testing.queue import QueueContract as QueueContract
    from ddsweep.testing.tracker import TrackerContract as TrackerContract

_CONTRACTS = {"BackendContract": "backend", "QueueContract": "queue", "TrackerContract": "tracker"}

if "pytest" in sys.modules:  # failures in the contracts then show the values that were compared
    import pytest

    pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in ("backend", "queue", "search", "tracker")))


def __getattr__(name: str) -> Any:
    if name not in _CONTRACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_CONTRACTS[name]}"), name)
