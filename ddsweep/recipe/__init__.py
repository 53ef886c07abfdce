"""Recipe: every choice that can change the result of an experiment, as flat, frozen fields, and nothing else.

The test for a field: would changing it change the number? Device, folders, backend and trackers would not, so they are
arguments. Defaults that depend on other fields (the learning rate on the method, the loops on ipc, α on both) are
resolved when the recipe is made, and are visible in it. A choice that has no effect in a recipe (the epoch of the PTMs
if there are none) is set to its neutral value, so that equal experiments have equal keys however they were written.

================  =================================================================
paper             field
================  =================================================================
α                 ``alpha``; 0 removes the term (then ``regularizer`` is ``none``)
N_m               ``n_models``: seeds 0 … N_m−1 of each architecture
N_a               the length of ``ptm_archs`` (``"convnet3+vgg11"``)
training epoch    ``ptm_epoch``
source domain     ``source``; ``target`` is the dataset being distilled, ``imagenet``
                  and ``internet`` are published foundation models
================  =================================================================
"""

from __future__ import annotations

from ddsweep.recipe import by_name as by_name
from ddsweep.recipe.checks import verify_images as verify_images
from ddsweep.recipe.fields import Recipe as Recipe
from ddsweep.recipe.making import RENAMED as RENAMED
from ddsweep.recipe.making import make as make
from ddsweep.recipe.making import stored as stored
from ddsweep.recipe.making import unknown_parameter as unknown_parameter
from ddsweep.recipe.parts import verify as verify
from ddsweep.registry.methods import LOOPS as LOOPS
