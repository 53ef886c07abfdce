"""Experiment-tracking sweeps for dataset distillation guided by pre-trained models.

Plugins register their parts with ``ddsweep.method``, ``ddsweep.dataset`` and ``ddsweep.network`` (docs/extending.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddsweep.registry.datasets import dataset as dataset
    from ddsweep.registry.methods import method as method
    from ddsweep.registry.networks import network as network

__version__ = "0.1.0"
_TABLES = {"method": "methods", "dataset": "datasets", "network": "networks"}


def __getattr__(name: str) -> Any:
    if name not in _TABLES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"ddsweep.registry.{_TABLES[name]}"), name)
