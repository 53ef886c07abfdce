"""Run and supervise one of W&B's own agents on one device.

``wandb agent`` asks the server for points and starts ``ddsweep trial`` for each, so that W&B handles pause, resume,
stop and cancel. This process assigns the device, stops the agent and its trials when it exits, and gives up on a bad
device.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from ddsweep import agent, device, processes
from ddsweep.agent import BAD_DEVICE, Placement, Shutdown
from ddsweep.agent.wandb_trial import TrialPlacement, TrialRecord
from ddsweep.trackers import status

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.5
# Seconds to wait after each interrupt. W&B's agent first waits for the trial, then terminates it (SIGTERM), then kills
# it. A trial takes up to 12 s to save and 15 s to upload; launchers wait for 30 s.
PATIENCE = (1.0, 27.5, 1.0)
SERVICE = "WANDB_SERVICE"  # the service process of W&B's client, which ends with the process that started it


@dataclass(frozen=True)
class WandbAgent:
    """Settings of one of W&B's agents.

    Attributes:
        sweep: ``NAME@PROFILE``.
        path: the sweep on W&B, ``ENTITY/PROJECT/ID``.
        runs: the folder of all runs, absolute.
        placement: its device.
        track: further trackers of its trials; ``wandb`` is one in any case.
    """

    sweep: str
    path: str
    runs: Path
    placement: Placement
    track: tuple[str, ...] = ()

    @property
    def failures(self) -> Path:
        """File of the consecutive failures of its trials."""
        default = status.folder(self.runs, self.sweep) / f"{agent.name().replace(':', '-')}.failures"
        return self.placement.failures or default

    def environment(self) -> dict[str, str]:
        """The agent's environment, which its trials inherit: the device, the folders, and the path of ``ddsweep``.

        W&B's agent exits after a few failures by default. Since a grid may contain many cells that diverge, this is
        switched off, and ``TrialRecord`` decides. The API key stays where W&B's client looks for it.
        """
        own = {
            "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
            "WANDB_DIR": str(self.runs),
            "WANDB_AGENT_DISABLE_FLAPPING": "true",
            "WANDB_AGENT_MAX_INITIAL_FAILURES": str(sys.maxsize),
            "DDSWEEP_RUNS": str(self.runs),
            "DDSWEEP_DEVICE_LABEL": self.placement.label,
            "DDSWEEP_AGENT": agent.name(),
            "DDSWEEP_FAILURES": str(self.failures),
            "DDSWEEP_TRACK": ",".join(self.track),
        }
        if self.placement.threads:
            own["OMP_NUM_THREADS"] = str(self.placement.threads)
        if processes.sees_working_folder():  # its trials are started without it
            own["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
        inherited = {name: value for name, value in os.environ.items() if name != SERVICE}
        return inherited | own | only_device(self.placement.device)


def only_device(name: str) -> dict[str, str]:
    """The environment variables with which a process uses this device and sees no other GPU."""
    kind, _, number = name.partition(":")
    if kind != "cuda":
        return {"DDSWEEP_DEVICE": name}
    (slot,) = device.gpus(number or "0")
    return {"DDSWEEP_DEVICE": slot.device} | slot.environment


def main(wandb_agent: WandbAgent) -> int:
    """Run ``ddsweep agent --backend wandb``.

    Returns:
        The exit status: 0 if W&B has no more points; one of ``STOPPED`` after a signal; 1 if W&B's agent died (see its
        log); ``BAD_DEVICE`` if different trials in a row failed on this device.
    """
    shutdown, placement = Shutdown(), wandb_agent.placement
    shown_as = TrialPlacement(wandb_agent.sweep, wandb_agent.runs, placement.device, placement.device_label)
    try:
        with shutdown.handling(), shown_as.shown() as shown:
            shown.idle()
            return _supervise(_start(wandb_agent), shutdown, wandb_agent.failures)
    finally:
        if placement.failures is None:
            wandb_agent.failures.unlink(missing_ok=True)


def _start(wandb_agent: WandbAgent) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "wandb", "agent", wandb_agent.path],
        env=wandb_agent.environment(),
        stdin=subprocess.DEVNULL,
        preexec_fn=_prepare,
        process_group=0,  # this process forwards Ctrl-C
    )


def _prepare() -> None:
    """Between fork and exec: restore SIGINT, which this process may ignore (nohup, background jobs of scripts)."""
    processes.tie()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _supervise(process: subprocess.Popen[bytes], shutdown: Shutdown, failures: Path) -> int:
    """Wait until W&B's agent ends, or end it; returns the exit status of ``main``."""
    try:
        while (ended := process.poll()) is None:
            if shutdown.now:
                return shutdown.exit_status
            if TrialRecord(failures).limit_reached:
                logger.error("different trials in a row failed on this device; the agent exits")
                return BAD_DEVICE
            time.sleep(POLL_SECONDS)
        return 0 if ended == 0 else 1
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop W&B's agent as Ctrl-C does, so that its trial can save. A trial that is orphaned exits by itself."""
    for patience in PATIENCE:
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    process.kill()
    process.wait()
