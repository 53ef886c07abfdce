"""The main program of a measuring process, started by ``workers``."""

from __future__ import annotations

import os
import sys

from ddsweep import environment

if __name__ == "__main__":
    environment.set_up()
    from ddsweep.estimate import workers

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to stderr, because stdout carries the answers
    workers.serve(sys.stdin, answers)
