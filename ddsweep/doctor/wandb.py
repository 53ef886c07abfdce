"""W&B: whether the user is logged in, whether the service responds, and how many runs are not uploaded yet."""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ddsweep import again, text
from ddsweep.doctor.check import Finding, Place, ok, warning

PUBLIC = "api.wandb.ai"


@dataclass(frozen=True)
class Account:
    """Facts about W&B.

    Attributes:
        mode: WANDB_MODE, or what `wandb offline` set; empty: online.
        login: where the API key is stored (``WANDB_API_KEY``, ``~/.netrc``); empty: not logged in.
        problem: why the service cannot be used; empty if it can, or was not asked.
        unsynced: number of runs in the runs folder that are not uploaded yet.
    """

    mode: str = ""
    login: str = ""
    problem: str = ""
    unsynced: int = 0


def inspect(place: Place) -> Account:
    """Collect the facts; the service is asked only if the user is logged in and online."""
    from ddsweep.trackers import wandb_offline, wandb_service

    unsynced = len({piece.id for piece in wandb_offline.unsynced(place.runs)})
    mode, login = wandb_service.offline_mode(), _login(wandb_service.base_url())
    return Account(mode, login, _problem() if login and not mode else "", unsynced)


def login(facts: Account) -> list[Finding]:
    """A missing login is no warning: only W&B needs it."""
    if facts.mode:
        message = f"WANDB_MODE is {facts.mode}: --track wandb writes to the runs folder, --backend wandb is unavailable"
        return [warning("W&B", message, "unset WANDB_MODE, or wandb online")] if facts.login else [ok("W&B", message)]
    if not facts.login:
        return [ok("W&B", "not logged in; the local queue and dashboard need no account (wandb login)")]
    if facts.problem:
        problem, _, command = facts.problem.partition("; run: ")
        fix = command or f"launches work without W&B; upload their runs later: {again.other('sync')}"
        return [warning("W&B", f"login from {facts.login}; {problem}", fix)]
    return [ok("W&B", f"logged in ({facts.login}); the service responds")]


def unsynced(facts: Account) -> list[Finding]:
    """Runs that were logged offline."""
    if not facts.unsynced:
        return []
    return [warning("W&B runs", f"{text.plural(facts.unsynced, 'offline run')} not uploaded yet", again.other("sync"))]


def _login(base_url: str) -> str:
    """Where the API key for a server is stored; the key itself is not read."""
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return name
    path = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        machines = netrc.netrc(path).hosts
    except (OSError, netrc.NetrcParseError):  # the client cannot read such a file either
        return ""
    return str(path) if {urlsplit(base_url).netloc, PUBLIC} & set(machines) else ""


def _problem() -> str:
    """Why a launch could not use the service now; empty if it could."""
    import wandb

    from ddsweep.backends.wandb.client import Service

    before = os.environ.get("WANDB_SERVICE")
    try:
        return Service().available()
    finally:
        wandb.teardown()  # otherwise the client's service process runs as long as this one
        if before is None:
            os.environ.pop("WANDB_SERVICE", None)
