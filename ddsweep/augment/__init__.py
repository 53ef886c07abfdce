"""Augmentation for distillation and evaluation.

DSA (``siamese``), the augmentation of DC (``per_image``), and that of IDC and DREAM (``combined`` and ``cutmix``).
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
