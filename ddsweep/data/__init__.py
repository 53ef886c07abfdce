"""Datasets: one table of facts (no torch), and loaders that end in tensors on a device.

The table is imported at once; what needs torch is imported when it is first asked for, so that the control plane
can read the facts and stay fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ddsweep.data.decoded import checksum as checksum
from ddsweep.data.decoded import known_checksum as known_checksum
from ddsweep.data.decoded import prepare as prepare
from ddsweep.data.paths import Holding as Holding
from ddsweep.data.paths import holdings as holdings
from ddsweep.data.paths import is_prepared as is_prepared
from ddsweep.registry.datasets import DatasetInfo as DatasetInfo
from ddsweep.registry.datasets import canonical as canonical
from ddsweep.registry.datasets import facts as facts
from ddsweep.registry.datasets import info as info
from ddsweep.registry.datasets import is_biased as is_biased
from ddsweep.registry.datasets import is_bundled as is_bundled
from ddsweep.registry.datasets import is_user_data as is_user_data
from ddsweep.registry.datasets import names as names

if TYPE_CHECKING:
    from ddsweep.data.dataset import Dataset as Dataset
    from ddsweep.data.dataset import Images as Images
    from ddsweep.data.dataset import PackedImages as PackedImages
    from ddsweep.data.dataset import load as load
    from ddsweep.data.pixels import as_channels as as_channels
    from ddsweep.data.store import fetch as fetch
    from ddsweep.data.store import verify as verify

_NEEDS_TORCH = {
    "Dataset": "dataset",
    "load": "dataset",
    "Images": "dataset",
    "PackedImages": "dataset",
    "as_channels": "pixels",
    "fetch": "store",
    "verify": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
