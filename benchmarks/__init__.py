"""Benchmarks. Each module measures one thing and prints the result: ``python -m benchmarks.NAME [--json]``."""

import os

from ddsweep import environment

BARE = "BENCHMARKS_BARE"  # set: the environment is left as it is, which ``surroundings`` compares with

if BARE not in os.environ:
    environment.set_up()  # before a module below imports torch
