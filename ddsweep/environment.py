"""The environment of a process that computes on a CPU: how its threads wait, and how it keeps memory.

Every command that computes sets it up, whether it is started by a launcher or in a terminal.
"""

from __future__ import annotations

import os

# Threads that wait for work sleep instead of spinning: alone on two cores, a cell of the demo takes 2.7 s either way;
# next to another job on the same cores, 4 s instead of 10. Feature maps use huge pages. Read when torch is loaded.
VARIABLES = {"OMP_WAIT_POLICY": "passive", "THP_MEM_ALLOC_ENABLE": "1"}
# Memory is not returned to the system between two steps, which saves zeroing it again: glibc's variables with their
# values, and the same as parameters of mallopt(3), because glibc reads the variables only when a process starts. A
# training step of ConvNet-3 on 32 images had 4600 to 18,600 page faults without this, and 65 to 330 with it.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**30}
MALLOPT = {"MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_TRIM_THRESHOLD_": -1}


def set_up() -> None:
    """Set up this process and those that it starts; called before torch is imported.

    A variable that is already set is kept. On systems without glibc, the allocator is left as it is.
    """
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    _keep_memory()


def _keep_memory() -> None:
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for name, value in ALLOCATOR.items():
        if name not in os.environ:
            mallopt(MALLOPT[name], value)
