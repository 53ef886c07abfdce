"""``python -m tests.standin --port 8088``: run the stand-in manually, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import threading
from pathlib import Path

from tests.standin import Standin

parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
parser.add_argument("--port", type=int, default=8088)
parser.add_argument("--home", type=Path, default=Path("runs/standin"), help="for the files of the clients")
parser.add_argument("--verbose", "-v", action="store_true", help="print every operation")
chosen = parser.parse_args()
with contextlib.suppress(KeyboardInterrupt), Standin(chosen.port, verbose=chosen.verbose) as server:
    for name, value in server.environment(chosen.home.absolute()).items():
        if name.startswith("WANDB_"):
            print(f"export {name}={value}", flush=True)
    threading.Event().wait()
