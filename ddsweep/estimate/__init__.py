"""What a sweep will cost, before it runs: a few steps of each kind of its work are measured, the rest is arithmetic.

``kinds`` says what costs the same and so is measured once; ``probe`` measures it, with ``watch`` and on a ``stage``, in
processes like those of a launch (``crew``); ``prices`` adds it up cell by cell; ``schedule`` deals the cells out to the
agents; ``footprint`` counts bytes; ``forecast`` puts it together.

Only functions that a trial calls too are timed, from their boundaries (``checkpoints.Slot``), so that whatever makes
them faster makes the estimate smaller. Nothing is written into a runs folder or the pool.
"""

from __future__ import annotations
