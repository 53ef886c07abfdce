"""Weights & Biases: whether somebody is logged in, whether the service answers, and what waits to be uploaded."""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ddsweep.doctor.check import Finding, Place, ok, warning

PUBLIC = "api.wandb.ai"


@dataclass(frozen=True)
class Account:
    """W&B as it can be had from here.

    Attributes:
        mode: WANDB_MODE or what `wandb offline` left; empty: online.
        key: where the login comes from (``WANDB_API_KEY``, ``~/.netrc``); empty: there is none.
        why: why the service cannot be used; empty: it can, or was not asked.
        waiting: runs in the runs folder that the service does not have.
    """

    mode: str = ""
    key: str = ""
    why: str = ""
    waiting: int = 0


def look(place: Place) -> Account:
    """Ask W&B only where there is a login to ask with."""
    from ddsweep.trackers import wandb_offline, wandb_service

    waiting = len({piece.id for piece in wandb_offline.waiting(place.runs)})
    mode, key = wandb_service.offline_mode(), _login(wandb_service.base_url())
    return Account(mode, key, _asked() if key and not mode else "", waiting)


def login(facts: Account) -> list[Finding]:
    """No login is nothing to mend: it is needed for W&B alone."""
    if facts.mode:
        said = f"WANDB_MODE is {facts.mode}: --track wandb writes runs here, --backend wandb is not to be had"
        return [warning("W&B", said, "unset WANDB_MODE, or wandb online")] if facts.key else [ok("W&B", said)]
    if not facts.key:
        return [ok("W&B", "not logged in; the local queue and dashboard need no account (wandb login)")]
    if facts.why:
        cure = facts.why.partition("run: ")[2] or "launches go on without it; later: ddsweep sync"
        return [warning("W&B", f"login from {facts.key}; {facts.why.partition('; run: ')[0]}", cure)]
    return [ok("W&B", f"logged in ({facts.key}), and it answers")]


def waiting(facts: Account) -> list[Finding]:
    """Runs that were made offline."""
    if not facts.waiting:
        return []
    said = f"{facts.waiting} run{'s' * (facts.waiting != 1)} made without the service wait here"
    return [warning("W&B runs", said, "ddsweep sync")]


def _login(base_url: str) -> str:
    """Where the key for a server lies; the key itself is not looked at."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return name
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        machines = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError):  # wandb reads no more of it than this
        return ""
    return str(path) if {urlsplit(base_url).netloc, PUBLIC} & set(machines) else ""


def _asked() -> str:
    """Why the service cannot be used now, as a launch would find it."""
    import wandb

    from ddsweep.backends.wandb.client import Service

    before = os.environ.get("WANDB_SERVICE")
    try:
        return Service().available()
    finally:
        wandb.teardown()  # else a helper process stays as long as this one
        if before is None:
            os.environ.pop("WANDB_SERVICE", None)
