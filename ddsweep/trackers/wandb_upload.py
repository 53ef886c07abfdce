"""Uploading what W&B's client has written, with W&B's own ``wandb sync``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

from ddsweep.errors import UserError
from ddsweep.trackers.wandb_pieces import Piece
from ddsweep.trackers.wandb_session import reachable

LIMIT = 1800.0  # seconds for one run: `wandb sync` asks a service that went away again for hours
ADDRESS = re.compile(r"https?://\S+/runs/\S+")
COMPLAINT = re.compile(r"^(?:Error:|wandb: (?:ERROR|WARNING)) (?!Find detailed)(.*)", re.MULTILINE)


class Away(UserError):
    """The service does not answer: no other run can be uploaded either."""


def upload(pieces: Sequence[Piece]) -> str:
    """Upload the pieces of one run, in their order.

    Returns:
        The run's address, as far as the client printed it.

    Raises:
        Away: the service does not answer.
        UserError: the key is missing or refused, or the client complained. What was not uploaded stays, and can be
            tried again.
    """
    url = service()
    if not reachable(url):
        raise Away(f"{url} does not answer")
    address = ""
    for piece in pieces:
        said = _sync(piece)
        found = ADDRESS.search(said)
        address = found[0] if found else address
    return address


def service() -> str:
    """The address of the W&B service that is configured."""
    import wandb

    return str(wandb.setup(wandb.Settings(silent=True)).settings.base_url)


def _sync(piece: Piece) -> str:
    """What ``wandb sync`` printed. Its exit status is 0 whether or not it uploaded anything: the mark counts."""
    switches = {"WANDB_MODE", "WANDB_SILENT", "WANDB_QUIET", "WANDB_RUN_ID", "WANDB_SWEEP_ID"}
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    command = [sys.executable, "-m", "wandb", "sync", "--include-online", str(piece.folder.absolute())]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"not uploaded within {LIMIT / 60:g} minutes") from None
    said = done.stdout + done.stderr
    if not piece.synced:
        raise UserError(_complaint(said))
    return said


def _complaint(said: str) -> str:
    """What the client complained of, without the key."""
    complaints = COMPLAINT.findall(said) or [line for line in said.splitlines() if line.strip()] or ["no reason given"]
    secret = os.environ.get("WANDB_API_KEY")
    last = str(complaints[-1]).removeprefix("wandb: ")
    return last.replace(secret, "…") if secret else last
