"""Results that cells have in common: computed once, kept on disk, and read by every other cell, then or a year later.

Whatever does not depend on the synthetic set, such as the mean features of real images in DM, is the same in all cells
that differ only in α, the ipc, or the PTMs. A *set of records* is a file of tensors of one shape, each found by a key.
Its facts (``facts``) are everything that can change a bit of a tensor and is the same in a whole cell: the images, the
seed, the network, the machine, the versions. A key is what changes from step to step, such as the states of the random
generators. A cell therefore ends in the same bits whether it computes a record or reads it.

- ``sharing.Sharing`` is what a matching loss takes as ``shared``; it opens sets of records.
- ``records.Records`` is one set: it returns the tensor of a key, read or computed.
- ``record_file``, ``locks`` and ``sets`` are the files: records of one size, who computes which, and all sets.
- ``budget`` says how much disk they may take (``DDSWEEP_SHARE``).

Nothing here can fail a cell: where records cannot be written or locked, the cell computes by itself.
"""
