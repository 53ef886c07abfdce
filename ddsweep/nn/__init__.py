"""Networks: a table of architectures (without torch), one module per family, and ``build``, which makes one by name.

What ``LAZY`` lists is imported on first use, because the control plane reads the table through this package and never
loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddsweep.registry.networks import Architecture as Architecture
from ddsweep.registry.networks import info as info
from ddsweep.registry.networks import names as names

if TYPE_CHECKING:
    from ddsweep.nn.network import Network as Network
    from ddsweep.nn.network import build as build
    from ddsweep.nn.network import initialize as initialize
    from ddsweep.nn.plugged import guarded as guarded
    from ddsweep.nn.stacked import StackedNetworks as StackedNetworks
    from ddsweep.nn.stacked import can_be_stacked as can_be_stacked
    from ddsweep.nn.statistics import has_batch_norm as has_batch_norm
    from ddsweep.nn.statistics import hold as hold
    from ddsweep.nn.trying import try_build as try_build

LAZY = {
    **dict.fromkeys(("Network", "build", "initialize"), "network"),
    **dict.fromkeys(("StackedNetworks", "can_be_stacked"), "stacked"),
    "guarded": "plugged",
    **dict.fromkeys(("has_batch_norm", "hold"), "statistics"),
    "try_build": "trying",
}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{LAZY[name]}"), name)
