"""The main program of a measuring process, started by ``workers``, whose inside is ``serving``."""

from __future__ import annotations

import os
import sys

from ddsweep import environment

if __name__ == "__main__":
    environment.set_up()
    from ddsweep.estimate import serving

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to stderr, because stdout carries the answers
    serving.serve(sys.stdin, answers)
