"""What lies in the runs folder and in the cache, who needs it, and removing what nobody does.

``survey`` lists it as items, each of a kind; ``work`` knows what agents have in their hands at this moment; ``removal``
takes an item away under the lock that its writers take, so that an agent that starts at the same moment either finds it
whole or makes it anew. Links are never followed: what is not in these two folders is not touched.
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
