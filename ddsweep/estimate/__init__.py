"""Estimate the cost of a sweep before it runs: measure a few steps of each kind of work, and compute the rest.

``work`` groups work of the same cost into kinds, each of which is measured once; ``measure`` measures them, with
``timing`` and the data of ``fixtures``, in processes like those of a launch (``workers``); ``costs`` adds up seconds
and bytes per cell; ``schedule`` assigns the cells to the agents; ``forecast`` combines everything into the estimate.

Only functions that a trial also calls are timed, at their boundaries (``checkpoints.Slot``), so that every speedup of a
trial reduces the estimate. Nothing is written into a runs folder or the pool.
"""

from __future__ import annotations
