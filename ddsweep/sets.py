"""What a distillation can learn, for methods of one's own (docs/extending/methods.md).

``LearnedSet`` is the interface. The sets of ddsweep's own methods can be used and subclassed: ``Pixels`` (DC, DSA, DM),
``PixelsWithRate`` (TM), ``MultiFormation`` (IDC, DREAM), each with a function that makes one for a ``learned=``.
"""

from __future__ import annotations

from ddsweep.distill.sets import LearnedSet as LearnedSet
from ddsweep.distill.sets.multi_formation import MultiFormation as MultiFormation
from ddsweep.distill.sets.multi_formation import make as multi_formation
from ddsweep.distill.sets.pixels import Pixels as Pixels
from ddsweep.distill.sets.pixels import initial as initial
from ddsweep.distill.sets.pixels import make as pixels
from ddsweep.distill.sets.pixels_with_rate import PixelsWithRate as PixelsWithRate
from ddsweep.distill.sets.pixels_with_rate import make as pixels_with_rate

__all__ = [
    "LearnedSet", "MultiFormation", "Pixels", "PixelsWithRate", "initial", "multi_formation", "pixels",
    "pixels_with_rate",
]  # fmt: skip
