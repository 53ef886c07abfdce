"""Experiment-tracking sweeps for dataset distillation guided by pre-trained models.

Plugins register their parts with ``ddsweep.method``, ``ddsweep.dataset`` and ``ddsweep.network`` (docs/extending.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddsweep.data.table import dataset as dataset
    from ddsweep.distill.table import method as method
    from ddsweep.nn.table import network as network

__version__ = "0.1.0"
_TABLES = {"method": "distill", "dataset": "data", "network": "nn"}


def __getattr__(name: str) -> Any:
    if name not in _TABLES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"ddsweep.{_TABLES[name]}.table"), name)
