"""Plugins: third-party code that adds methods, datasets and networks without changes to ddsweep.

A plugin is a module; importing it runs its decorators (``ddsweep.method``, ``ddsweep.dataset``, ``ddsweep.network``),
which add rows to the tables that also hold ddsweep's own. ``loading`` finds plugins through the entry points of the
group ``ddsweep.plugins`` and through ``$DDSWEEP_PLUGINS``, which lists files and modules. ``code`` identifies the
source code that a part comes from: different source may give different numbers, so its digest is in the key of every
recipe that uses the part. ``registry`` is the table, ``pins`` the ``plugins`` field of a recipe.

Commands that make recipes load all plugins first (``load``), so that a name that ddsweep has, too, is an error and not
ddsweep's. Elsewhere, no plugin is imported before a name is looked up that ddsweep itself does not have.
"""

from __future__ import annotations

from ddsweep.plugins.code import Code as Code
from ddsweep.plugins.code import Source as Source
from ddsweep.plugins.code import has_notebook_parts as has_notebook_parts
from ddsweep.plugins.code import resolve as resolve
from ddsweep.plugins.loading import load as load
from ddsweep.plugins.pins import Missing as Missing
from ddsweep.plugins.pins import check as check
from ddsweep.plugins.pins import check_launch as check_launch
from ddsweep.plugins.pins import name_of_file as name_of_file
from ddsweep.plugins.pins import pinned as pinned
from ddsweep.plugins.pins import union as union
from ddsweep.plugins.pins import verify as verify
from ddsweep.plugins.pins import verify_files as verify_files
from ddsweep.plugins.pins import versions as versions
from ddsweep.plugins.registry import Registry as Registry
from ddsweep.plugins.reloading import reload as reload
