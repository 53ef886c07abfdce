"""The guidance of pre-trained models: a term that each step on the images adds, multiplied by α, to the matching loss.

``clom``: CLoM and CCLoM. ``step``: the guidance of one distillation, which draws a PTM and real images for each step.
"""

from __future__ import annotations

from ddsweep.distill.guidance.clom import cclom as cclom
from ddsweep.distill.guidance.clom import clom as clom
from ddsweep.distill.guidance.step import Guide as Guide
from ddsweep.distill.guidance.step import Guiding as Guiding
from ddsweep.distill.guidance.step import Real as Real
