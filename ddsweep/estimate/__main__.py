"""A process that measures: started by ``crew``."""

from __future__ import annotations

import os
import sys

from ddsweep.estimate import workers

if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    workers.serve(sys.stdin, answers)
