"""Sweeps: a YAML file is merged with a profile and expanded to cells; every cell is a valid recipe before any runs.

A sweep file is a W&B sweep configuration with one more block, ``x-ddsweep``, for the settings that W&B does not have. A
profile is a file that applies to every sweep. Of sweeps that ship with ddsweep, its ``fields`` set what they do not
vary, and its ``axes`` replace the ``values`` of what they vary; of a user's file, its ``fields`` set only what the file
leaves out. The ``profiles`` of a sweep's own ``x-ddsweep`` take precedence over the profile, and ``--set`` over both.

``document`` is the schema of the files, ``registry`` finds them by name, ``naming`` is about names with settings,
``loading`` merges file, profile and settings, ``refusals`` are the mistakes it finds, ``origin`` says which value comes
from where, ``identity`` tells whether a name is that of another launch, ``grid`` is the resulting sweep with its cells,
``search`` the sampling of a search, ``wandb`` the sweep at W&B, ``copying`` writes a sweep file for users to edit.
"""

from __future__ import annotations

from ddsweep.sweep.document import PICTURES as PICTURES
from ddsweep.sweep.document import Picture as Picture
from ddsweep.sweep.document import Scalar as Scalar
from ddsweep.sweep.grid import Cell as Cell
from ddsweep.sweep.grid import QueueState as QueueState
from ddsweep.sweep.grid import Sweep as Sweep
from ddsweep.sweep.grid import agrees as agrees
from ddsweep.sweep.identity import conflict as conflict
from ddsweep.sweep.loading import load as load
from ddsweep.sweep.loading import narrowed as narrowed
from ddsweep.sweep.loading import relaunch as relaunch
from ddsweep.sweep.origin import remarks as remarks
from ddsweep.sweep.registry import DEFAULT_PROFILE as DEFAULT_PROFILE
from ddsweep.sweep.registry import canonical_name as canonical_name
from ddsweep.sweep.registry import find as find
from ddsweep.sweep.registry import find_profile as find_profile
from ddsweep.sweep.registry import folders as folders
from ddsweep.sweep.registry import has_file as has_file
from ddsweep.sweep.registry import names as names
from ddsweep.sweep.registry import paper_names as paper_names
from ddsweep.sweep.registry import profiles as profiles
from ddsweep.sweep.registry import split as split
from ddsweep.sweep.search import EarlyTermination as EarlyTermination
from ddsweep.sweep.search import Range as Range
from ddsweep.sweep.search import Search as Search
