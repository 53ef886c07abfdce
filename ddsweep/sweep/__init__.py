"""Sweep: one YAML file, read, joined with a profile, expanded to cells; every cell is a Recipe before anything runs.

A sweep file is a W&B sweep configuration with one block more, ``x-ddsweep``, for what W&B has no word for. A profile is
a file of overrides that applies to every sweep: ``fields`` are Recipe fields for whatever the sweep does not vary,
``axes`` replace the ``values`` of what it does vary (a list of one pins it). Where that does not suit one sweep, the
``profiles`` of its own ``x-ddsweep`` replace what the profile says. ``--set`` comes last and wins.

``document`` is the form of the files, ``registry`` where they lie, ``loading`` joins them, ``grid`` is what comes out.
"""

from __future__ import annotations

from ddsweep.sweep.document import PICTURES as PICTURES
from ddsweep.sweep.document import Picture as Picture
from ddsweep.sweep.document import Scalar as Scalar
from ddsweep.sweep.grid import Cell as Cell
from ddsweep.sweep.grid import Sweep as Sweep
from ddsweep.sweep.grid import agrees as agrees
from ddsweep.sweep.loading import load as load
from ddsweep.sweep.registry import DEFAULT_PROFILE as DEFAULT_PROFILE
from ddsweep.sweep.registry import find as find
from ddsweep.sweep.registry import find_profile as find_profile
from ddsweep.sweep.registry import folders as folders
from ddsweep.sweep.registry import in_paper as in_paper
from ddsweep.sweep.registry import names as names
from ddsweep.sweep.registry import profiles as profiles
from ddsweep.sweep.registry import split as split
from ddsweep.sweep.search import Early as Early
from ddsweep.sweep.search import Range as Range
from ddsweep.sweep.search import Search as Search
