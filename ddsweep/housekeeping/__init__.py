"""The disk usage of the runs folder and the cache, and the safe removal of what is not in use.

``survey`` lists both folders as items, each of a kind; ``in_use`` determines what running agents need; ``removal``
deletes an item under the lock that its writers take, so that an agent that starts at the same moment either finds it
complete or creates it again. Links are never followed: nothing outside these two folders is touched.
"""

from __future__ import annotations

from ddsweep.housekeeping.in_use import Work as Work
from ddsweep.housekeeping.in_use import at_work as at_work
from ddsweep.housekeeping.items import Item as Item
from ddsweep.housekeeping.items import Kind as Kind
from ddsweep.housekeeping.items import Uses as Uses
from ddsweep.housekeeping.removal import remove as remove
from ddsweep.housekeeping.survey import Survey as Survey
from ddsweep.housekeeping.survey import survey as survey
