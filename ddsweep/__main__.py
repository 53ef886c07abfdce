"""``python -m ddsweep``: the same as the command ``ddsweep``."""

from ddsweep.cli import main

main()
