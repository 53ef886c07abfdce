"""One of W&B's own agents on one slot, looked after: what it starts leaves with it, and a bad slot is given up.

``wandb agent`` asks the server for points and starts ``ddsweep trial`` for each; so pause, resume, stop and cancel are
W&B's. This process gives it its device, ends it, and sees to it that it is not left alone.
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
from ddsweep.agent.wandb_trial import Record, TrialPlacement
from ddsweep.trackers import status

logger = logging.getLogger(__name__)
POLL_SECONDS = 0.5
# Seconds after each interrupt, as W&B's agent understands them: wait for the trial, end it (TERM), kill it. A trial
# takes up to 12 to save and 15 to tell W&B; launchers wait for 30.
PATIENCE = (1.0, 27.5, 1.0)
OURS = "WANDB_SERVICE"  # a helper process of W&B's client; it ends with the process that started it


@dataclass(frozen=True)
class WandbAgent:
    """What one of W&B's agents is told.

    Attributes:
        sweep: ``NAME@PROFILE``.
        path: the sweep on W&B, ``ENTITY/PROJECT/ID``.
        runs: the folder of all runs, absolute.
        placement: where it works.
    """

    sweep: str
    path: str
    runs: Path
    placement: Placement

    @property
    def failures(self) -> Path:
        """File of the consecutive failures of its trials."""
        default = status.folder(self.runs, self.sweep) / f"{agent.name().replace(':', '-')}.failures"
        return self.placement.failures or default

    def environment(self) -> dict[str, str]:
        """The agent's environment, which its trials inherit: the device, the folders, and where ``ddsweep`` is.

        W&B's agent ends after a few failures by default. A grid may hold many for reasons of its own, so that
        ``Record`` decides. The key stays where W&B looks for it.
        """
        own = {
            "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
            "WANDB_DIR": str(self.runs), "WANDB_AGENT_DISABLE_FLAPPING": "true",
            "WANDB_AGENT_MAX_INITIAL_FAILURES": str(sys.maxsize),
            "DDSWEEP_RUNS": str(self.runs), "DDSWEEP_DEVICE_LABEL": self.placement.label,
            "DDSWEEP_AGENT": agent.name(), "DDSWEEP_FAILURES": str(self.failures),
        }  # fmt: skip
        if self.placement.threads:
            own["OMP_NUM_THREADS"] = str(self.placement.threads)
        inherited = {name: value for name, value in os.environ.items() if name != OURS}
        return inherited | own | only_device(self.placement.device)


def only_device(name: str) -> dict[str, str]:
    """The variables under which a process sees this device and no other GPU."""
    kind, _, number = name.partition(":")
    if kind != "cuda":
        return {"DDSWEEP_DEVICE": name}
    (slot,) = device.gpus(number or "0")
    return {"DDSWEEP_DEVICE": slot.device} | slot.environment


def main(wandb_agent: WandbAgent) -> int:
    """The body of ``ddsweep agent --backend wandb``.

    Returns:
        0 when W&B has no more points, or after a request to leave (TERM); 1 when W&B's agent died, which its log
        explains; ``BAD_DEVICE`` when different trials failed here one after the other.
    """
    shutdown, placement = Shutdown(), wandb_agent.placement
    before = signal.signal(signal.SIGTERM, shutdown.handle_signal)
    try:
        with TrialPlacement(
            wandb_agent.sweep, wandb_agent.runs, placement.device, placement.device_label
        ).shown() as shown:
            shown.idle()
            return _supervise(_start(wandb_agent), shutdown, wandb_agent.failures)
    finally:
        if placement.failures is None:
            wandb_agent.failures.unlink(missing_ok=True)
        signal.signal(signal.SIGTERM, before)


def _start(wandb_agent: WandbAgent) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "wandb", "agent", wandb_agent.path],
        env=wandb_agent.environment(), stdin=subprocess.DEVNULL, preexec_fn=_prepare,
        process_group=0,  # the terminal's Ctrl-C is ours to pass on
    )  # fmt: skip


def _prepare() -> None:
    """Between fork and exec. Under nohup, or in the background of a script, we ignore Ctrl-C, which it has to hear."""
    processes.tie()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _supervise(process: subprocess.Popen[bytes], shutdown: Shutdown, failures: Path) -> int:
    """Until W&B's agent ends, by itself or by us; see ``main``."""
    try:
        while (ended := process.poll()) is None:
            if shutdown.now:
                return 0
            if Record(failures).limit_reached:
                logger.error("different trials failed here one after the other; this agent ends")
                return BAD_DEVICE
            time.sleep(POLL_SECONDS)
        return 0 if ended == 0 else 1
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End W&B's agent as Ctrl-C does: its trial is asked first. An orphaned one leaves by itself."""
    for patience in PATIENCE:
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    process.kill()
    process.wait()
