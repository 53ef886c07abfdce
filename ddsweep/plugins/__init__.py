"""Plugins: code of others that adds methods, datasets and networks, found without an edit in ddsweep.

A plugin is a module; importing it runs its decorators (``ddsweep.method``, ``ddsweep.dataset``, ``ddsweep.network``),
which add rows to the tables in which ddsweep keeps its own. ``loading`` finds it: through the entry points of the group
``ddsweep.plugins``, and through ``$DDSWEEP_PLUGINS``, which names files and modules. ``code`` says whose source
computes a part: other source, other numbers, so that its digest is in the key of every recipe that uses it.
``registry`` is the table.

Nothing is imported before somebody asks for a name that ddsweep itself does not have, or for all names.
"""

from __future__ import annotations

from ddsweep.plugins.code import Code as Code
from ddsweep.plugins.code import Source as Source
from ddsweep.plugins.code import resolve as resolve
from ddsweep.plugins.pins import Missing as Missing
from ddsweep.plugins.pins import check as check
from ddsweep.plugins.pins import pinned as pinned
from ddsweep.plugins.pins import united as united
from ddsweep.plugins.pins import verify as verify
from ddsweep.plugins.pins import versions as versions
from ddsweep.plugins.registry import Registry as Registry
