"""Networks: one table of facts (no torch), one module a family, and ``build``, which makes them by name.

``nn.build``, ``nn.initialise``, ``nn.has_batch_norm`` and ``nn.Network`` come from ``nn.network``, which is imported
when one of them is first asked for: the control plane reads the table through this package and never loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddsweep.nn.table import Architecture as Architecture
from ddsweep.nn.table import info as info
from ddsweep.nn.table import names as names

if TYPE_CHECKING:
    from ddsweep.nn.network import Network as Network
    from ddsweep.nn.network import build as build
    from ddsweep.nn.network import has_batch_norm as has_batch_norm
    from ddsweep.nn.network import initialise as initialise


def __getattr__(name: str) -> Any:
    if name not in ("Network", "build", "has_batch_norm", "initialise"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ddsweep.nn import network

    return getattr(network, name)
