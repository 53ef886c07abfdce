"""Augmentation for distillation and evaluation.

DSA (``siamese``), the augmentation of DC (``per_image``), and that of IDC and DREAM (``combined`` and ``cutmix``). A
method of one's own needs two functions: ``draw`` chooses an operation of a strategy and its parameters, and ``apply``
applies it to images::

    change = ddsweep.augment.draw(streams.augment, len(images), dataset.size, strategy, shared=False)
    images = ddsweep.augment.apply(images, change)
"""

from ddsweep.augment import combined as combined
from ddsweep.augment import cutmix as cutmix
from ddsweep.augment.by_class import apply_by_class as apply_by_class
from ddsweep.augment.per_image import dc as dc
from ddsweep.augment.siamese import NEUTRAL as NEUTRAL
from ddsweep.augment.siamese import OPERATIONS as OPERATIONS
from ddsweep.augment.siamese import Params as Params
from ddsweep.augment.siamese import apply as apply
from ddsweep.augment.siamese import batches as batches
from ddsweep.augment.siamese import draw as draw
from ddsweep.augment.siamese import independent as independent
from ddsweep.augment.siamese import operations as operations

__all__ = [
    "NEUTRAL", "OPERATIONS", "Params", "apply", "apply_by_class", "batches", "combined", "cutmix", "dc", "draw",
    "independent", "operations",
]  # fmt: skip
